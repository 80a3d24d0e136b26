"""One key in any form that an SDK sends it, on the real server; and test keys, which never reach a provider."""

import secrets

import httpx
import pytest
from tests.e2e.sdk.sdks import Sdk
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey

FORMS = [
    ("x-api-key", "{}"),
    ("authorization", "Bearer {}"),
    ("authorization", "bearer {}"),
    ("authorization", "Token {}"),
    ("xi-api-key", "{}"),
    ("x-goog-api-key", "{}"),
    ("api-key", "{}"),
]
ASK = {
    "/v1/messages": {
        "model": fake_anthropic.MODEL,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Hello"}],
    },
    "/v1/chat/completions": {
        "model": fake_openai.MODEL,
        "messages": [{"role": "user", "content": "Hello"}],
    },
}


def post(
    gateway: Gateway, path: str, headers: list[tuple[str, str]], query: str = "", body: object = None
) -> httpx.Response:
    return httpx.post(
        f"{gateway.origin}{path}{query}", headers=headers, json=body or ASK[path], trust_env=False
    )


@pytest.mark.parametrize("path", ASK)
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_key_is_accepted_in_every_form(
    gateway: Gateway,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
    key: MintedKey,
    path: str,
    name: str,
    form: str,
) -> None:
    answer = post(gateway, path, [(name, form.format(key.secret))])
    assert answer.status_code == 200
    (call,) = anthropic_provider.calls + openai_provider.calls
    assert key.secret not in repr(call)


def test_two_different_keys_are_refused_and_the_same_one_twice_is_fine(
    gateway: Gateway, anthropic_provider: FakeProvider, key: MintedKey
) -> None:
    other = f"qlk_live_{secrets.token_hex(32)}"
    mixed = post(gateway, "/v1/messages", [("x-api-key", key.secret), ("authorization", f"Bearer {other}")])
    assert (mixed.status_code, mixed.json()["error"]["code"]) == (401, "conflicting_credentials")
    assert anthropic_provider.calls == []
    same = [("x-api-key", key.secret), ("authorization", f"Bearer {key.secret}"), ("api-key", key.secret)]
    assert post(gateway, "/v1/messages", same).status_code == 200


def test_a_key_in_the_query_is_not_read(
    gateway: Gateway, anthropic_provider: FakeProvider, key: MintedKey
) -> None:
    answer = post(gateway, "/v1/messages", [], f"?key={key.secret}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_key")
    assert anthropic_provider.calls == []
    assert "?key=" not in gateway.log


@pytest.mark.parametrize("deed", ["create", "stream"])
def test_a_test_key_reaches_the_simulator_whatever_model_it_names(
    gateway: Gateway,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
    sdk: Sdk,
    deed: str,
) -> None:
    key = gateway.mint(mode="test", max_spend_usd=1)
    asked = ASK["/v1/messages" if sdk.vendor == "anthropic" else "/v1/chat/completions"]
    result = sdk.ask(deed, asked, origin=gateway.origin, key=key.secret)
    event = gateway.event(result.request_id, key=key)
    assert (event["model"], event["provider_slug"]) == (asked["model"], "sim")
    assert event["cost_micros"] > 0
    assert anthropic_provider.calls + openai_provider.calls == []
    assert gateway.request(result.request_id).status_code == 404  # the live master key sees no test money
