"""Every refusal reaches the caller as the class his SDK has for it, in the words that tell him what to do."""

from typing import Any

import pytest
from tests.e2e.sdk.sdks import Result, Sdk
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import Answer, FakeProvider
from tests.support.gateway import Gateway, MintedKey

HELLO = [{"role": "user", "content": "Hello"}]
ASK: dict[str, dict[str, Any]] = {
    "anthropic": {"model": fake_anthropic.MODEL, "max_tokens": 500, "messages": HELLO},
    "openai": {"model": fake_openai.MODEL, "messages": HELLO},
}
ONCE = {"max_retries": 0}
UNKNOWN = "qlk_live_" + "0" * 64
CAP_REACHED = "this API key has reached its spending cap"

OTHER_CLASSES = {
    ("anthropic python", 402): "PaymentRequiredError",
    ("anthropic python", 529): "OverloadedError",
    ("anthropic previous python", 529): "OverloadedError",
    ("anthropic node", 402): "APIError",
    ("openai node", 402): "APIError",
}
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    402: "APIStatusError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    500: "InternalServerError",
    502: "InternalServerError",
    529: "InternalServerError",
}


def expected_class(sdk: Sdk, status: int) -> str:
    """The class that the SDK has for a status."""
    return OTHER_CLASSES.get((f"{sdk.vendor} {sdk.language}", status), CLASSES[status])


def assert_refused(result: Result, sdk: Sdk, status: int) -> None:
    assert result["error"]["status"] == status
    assert expected_class(sdk, status) in result.classes[:2]


def refusal(sdk: Sdk, status: int, **headers: str) -> Answer:
    """The provider's own error in the provider's shape."""
    if sdk.vendor == "anthropic":
        return fake_anthropic.refusal(status, "the provider says no", **headers)
    return fake_openai.refusal(status, "the provider says no", **headers)


def error_of(result: Result) -> Any:
    """The error object, of which OpenAI's SDKs keep the inner one."""
    body = result["error"]["body"]
    return body.get("error", body)


def code_of(result: Result) -> str:
    return error_of(result)["code"]


@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_a_providers_error_keeps_its_status_and_words(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey, status: int
) -> None:
    provider.script(refusal(sdk, status, **{"retry-after": "3600"}))
    result = sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=key.secret, options=ONCE)
    assert_refused(result, sdk, status)
    assert "the provider says no" in result["error"]["message"]
    if status == 429:
        assert int(result["error"]["headers"]["retry-after"]) <= 60  # the SDK would sleep for an hour
    event = gateway.event(result.request_id)
    assert (event["status"], event["cost_micros"]) == (status, 0)
    assert gateway.usage(key)["held_micros"] == 0


@pytest.mark.parametrize("status", [401, 402, 403])
def test_trouble_with_the_operators_account_is_no_fault_of_the_caller(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey, status: int
) -> None:
    provider.script(refusal(sdk, status))
    result = sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=key.secret)
    assert_refused(result, sdk, 502)
    assert code_of(result) == "provider_auth_failed"
    assert "the provider says no" not in result["error"]["message"]
    assert len(provider.calls) == len(result.sent) == 1  # sent once: the SDK is told not to try again


def test_an_overloaded_provider_is_tried_again_by_the_sdk(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey
) -> None:
    provider.script(refusal(sdk, 529))
    result = sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=key.secret)
    assert result["answer"]
    assert len(provider.calls) == len(result.sent) == 2
    assert [event["status"] for event in gateway.wait_settled(key, 2)["events"]] == [200, 529]


@pytest.mark.parametrize("deed", ["create", "stream"])
def test_a_capped_key_is_refused_with_402_and_the_call_is_sent_once(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, deed: str
) -> None:
    broke = gateway.mint(max_spend_usd=0)
    result = sdk.ask(deed, ASK[sdk.vendor], origin=gateway.origin, key=broke.secret)
    assert_refused(result, sdk, 402)
    assert code_of(result) == "key_cap_exceeded"
    assert CAP_REACHED in result["error"]["message"]
    assert result["error"]["headers"]["x-should-retry"] == "false"
    assert len(result.sent) == 1
    assert provider.calls == []
    assert gateway.usage(broke)["events"] == []
    if sdk.vendor == "anthropic":
        body = result["error"]["body"]
        assert body["error"]["type"] == "authentication_error"
        assert body["error"]["message"].startswith(CAP_REACHED)
        assert body["error"]["details"]["error_code"] == "key_cap_exceeded"
        assert body["request_id"] == result.request_id


def test_a_key_that_refuses_to_be_lowered_is_told_what_it_can_afford(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk
) -> None:
    strict = gateway.mint(max_spend_usd="0.01", on_cap="refuse")
    limit = {"max_tokens": 8000} if sdk.vendor == "anthropic" else {"max_completion_tokens": 8000}
    result = sdk.ask("create", {**ASK[sdk.vendor], **limit}, origin=gateway.origin, key=strict.secret)
    assert_refused(result, sdk, 402)
    assert (
        f"{CAP_REACHED} for a call of this size: 8000 output tokens asked for" in result["error"]["message"]
    )
    affordable = int(result["error"]["message"].split(" asked for, ")[1].split()[0])
    smaller = dict.fromkeys(limit, affordable)
    small = fake_anthropic.small_answer if sdk.vendor == "anthropic" else fake_openai.small_answer
    provider.script(small())
    again = sdk.ask("create", {**ASK[sdk.vendor], **smaller}, origin=gateway.origin, key=strict.secret)
    assert again["answer"]


@pytest.mark.parametrize("key_text", [UNKNOWN, "qlk_live_short", "sk-ant-somebody-elses"])
def test_a_key_nobody_minted_is_refused_with_401(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key_text: str
) -> None:
    result = sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=key_text)
    assert_refused(result, sdk, 401)
    assert code_of(result) == "invalid_key"
    assert key_text not in str(result["error"])
    assert provider.calls == []


def test_a_revoked_key_is_refused_at_its_next_call(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey
) -> None:
    assert sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=key.secret)["answer"]
    assert gateway.api("DELETE", f"/v1/keys/{key.id}").json() == {"ok": True}
    result = sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=key.secret)
    assert_refused(result, sdk, 401)
    assert code_of(result) == "revoked_key"
    assert len(provider.calls) == 1


def test_an_unknown_model_is_refused_with_404_and_the_nearest_names(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey
) -> None:
    asked = {**ASK[sdk.vendor], "model": ASK[sdk.vendor]["model"] + "x"}
    result = sdk.ask("create", asked, origin=gateway.origin, key=key.secret)
    assert_refused(result, sdk, 404)
    assert code_of(result) == "model_not_found"
    nearest = error_of(result)["message"].partition("nearest: ")[2].split(", ")
    assert len(nearest) == 3
    assert nearest[0] == ASK[sdk.vendor]["model"]
    assert provider.calls == []


def test_a_model_is_found_in_any_case_and_sent_by_its_own_name(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey
) -> None:
    model = ASK[sdk.vendor]["model"]
    result = sdk.ask(
        "create", {**ASK[sdk.vendor], "model": model.upper()}, origin=gateway.origin, key=key.secret
    )
    assert result["answer"]["model"] == model
    assert provider.last.json == ASK[sdk.vendor]
    assert gateway.event(result.request_id)["model"] == model


def test_a_request_that_makes_no_sense_is_refused_before_it_costs_anything(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey
) -> None:
    asked = {**ASK[sdk.vendor], "max_tokens": -1}
    result = sdk.ask("create", asked, origin=gateway.origin, key=key.secret)
    assert_refused(result, sdk, 400)
    assert "max_tokens" in result["error"]["message"]
    assert provider.calls == []


def test_a_model_outside_the_keys_list_is_refused_with_403(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk
) -> None:
    limited = gateway.mint(allowed_models=["sim/*"])
    result = sdk.ask("create", ASK[sdk.vendor], origin=gateway.origin, key=limited.secret)
    assert_refused(result, sdk, 403)
    assert code_of(result) == "model_not_allowed"
    assert provider.calls == []
