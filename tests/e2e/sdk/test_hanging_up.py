"""A caller who leaves before the end, or a provider who does: what was used is billed, and nothing looks whole."""

from typing import Any

import anthropic
import openai
import pytest
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


def test_a_caller_whose_patience_ends_pays_for_the_answer_he_asked_for(
    gateway: Gateway, anthropic_provider: FakeProvider, openai_provider: FakeProvider
) -> None:
    key, gate = gateway.mint(), Gate()
    anthropic_provider.script(fake_anthropic.small_answer(gate=gate))
    openai_provider.script(fake_openai.small_answer(gate=gate))
    messages: Any = HELLO
    with (
        anthropic.Anthropic(
            base_url=gateway.origin, api_key=key.secret, max_retries=0, timeout=0.3
        ) as client,
        pytest.raises(anthropic.APITimeoutError),
    ):
        client.messages.create(model=fake_anthropic.MODEL, max_tokens=LIMIT, messages=messages)
    with (
        openai.OpenAI(
            base_url=f"{gateway.origin}/v1", api_key=key.secret, max_retries=0, timeout=0.3
        ) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.chat.completions.create(model=fake_openai.MODEL, messages=messages)
    gate.open()
    usage = gateway.wait_settled(key, 2)
    assert [(event["cost_micros"], event["estimated"]) for event in usage["events"]] == [
        (fake_openai.SMALL_COST_MICROS, False),
        (fake_anthropic.SMALL_COST_MICROS, False),
    ]


def test_a_provider_that_breaks_off_is_an_error_and_no_end(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk
) -> None:
    key = gateway.mint(max_spend_usd=1)
    vendor = fake_anthropic if sdk.vendor == "anthropic" else fake_openai
    provider.script(vendor.broken_off_stream())
    result = sdk.ask("stream", ask_of(sdk), origin=gateway.origin, key=key.secret)
    assert "APIError" in result.classes
    assert len(provider.calls) == 1  # it has billed; a second call would be billed again
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["estimated"]
    assert event["status"] >= 500
    assert 0 < event["cost_micros"] == gateway.key(key)["spent_micros"]
