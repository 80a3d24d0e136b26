"""A caller who leaves in mid-stream: what was used is billed, and a provider is not kept busy for nobody."""

from typing import Any

from tests.e2e.sdk.sdks import Sdk
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import Answer, FakeProvider, Gate
from tests.support.gateway import SETTLE_S, Gateway

HELLO = [{"role": "user", "content": "Hello"}]
LIMIT = 500


def ask_of(sdk: Sdk) -> dict[str, Any]:
    if sdk.vendor == "anthropic":
        return {"model": fake_anthropic.MODEL, "max_tokens": LIMIT, "messages": HELLO}
    return {"model": fake_openai.MODEL, "max_completion_tokens": LIMIT, "messages": HELLO}


def waiting_stream(sdk: Sdk, gate: Gate) -> Answer:
    if sdk.vendor == "anthropic":
        return fake_anthropic.text_stream(gate=gate)
    return fake_openai.text_stream(include_usage=True, gate=gate)


def test_a_drained_call_is_billed_by_the_providers_own_usage(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk
) -> None:
    key = gateway.mint(on_disconnect="drain", max_spend_usd=1)
    gate = Gate()
    provider.script(waiting_stream(sdk, gate))
    result = sdk.ask("cancel", ask_of(sdk), origin=gateway.origin, key=key.secret)
    assert result["word"] == "Hello"
    assert gateway.request(result.request_id).status_code == 202
    assert gateway.key(key)["held_micros"] > 0
    gate.open()
    event = gateway.event(result.request_id)
    cost = fake_anthropic.STREAM_COST_MICROS if sdk.vendor == "anthropic" else fake_openai.COST_MICROS
    assert (event["cost_micros"], event["estimated"], event["status"]) == (cost, False, 200)
    assert not provider.last.hung_up.is_set()
    row = gateway.key(key)
    assert (row["spent_micros"], row["held_micros"]) == (cost, 0)


def test_a_cancelled_call_hangs_up_and_is_billed_by_what_was_seen(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk
) -> None:
    key = gateway.mint(on_disconnect="cancel", max_spend_usd=1)
    provider.script(waiting_stream(sdk, Gate()))
    result = sdk.ask("cancel", ask_of(sdk), origin=gateway.origin, key=key.secret)
    assert provider.last.hung_up.wait(SETTLE_S)
    event = gateway.event(result.request_id)
    assert event["estimated"]
    output = event["output_tokens"]
    assert 1 <= output < LIMIT
    if sdk.vendor == "anthropic":
        # Input is exact since the first event: 16 x 4 + 2048 x 0.20 = 473.6; output is 20 a token.
        assert (event["input_tokens"], event["cache_read_tokens"]) == (16, 2048)
        assert event["cost_micros"] == -(-(4736 + output * 200) // 10)
    else:
        # Nothing was told yet: the input is the bound of what was sent, at 2 a token; output is 10.
        (sent,) = result.sent
        assert 0 < event["input_tokens"] <= len(sent.body) + 1000
        assert event["cost_micros"] == event["input_tokens"] * 2 + output * 10
    row = gateway.key(key)
    assert (row["spent_micros"], row["held_micros"]) == (event["cost_micros"], 0)
