"""Lists of models: all of a provider's own from itself, and to keys that may use some models no more than those."""

import httpx
import pytest
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey

SOME = ["claude-haiku-4-5", "gpt-4o-mini", "gemini-2.5-*"]


@pytest.fixture
def some(gateway: Gateway) -> MintedKey:
    """A key for a few models."""
    return gateway.mint(max_spend_usd=1, allowed_models=SOME)


def ask(gateway: Gateway, key: MintedKey, path: str) -> httpx.Response:
    headers = {"x-api-key": key.secret}
    return httpx.get(gateway.origin + path, headers=headers, trust_env=False, timeout=20)


@pytest.mark.parametrize(
    ("path", "model"),
    [("/anthropic/v1/models", fake_anthropic.MODEL), ("/openai/v1/models", fake_openai.MODEL)],
)
def test_a_provider_lists_its_own_models_below_its_name(
    gateway: Gateway,
    key: MintedKey,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
    path: str,
    model: str,
) -> None:
    assert [row["id"] for row in ask(gateway, key, path).json()["data"]] == [model]
    assert ask(gateway, key, f"{path}/{model}").json()["id"] == model
    asked = [*anthropic_provider.calls, *openai_provider.calls]
    assert [call.path for call in asked] == ["/v1/models", f"/v1/models/{model}"]


def test_a_key_for_some_models_sees_those_of_the_provider_and_nothing_of_its_account(
    gateway: Gateway,
    some: MintedKey,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
    google_provider: FakeProvider,
) -> None:
    of_openai = ask(gateway, some, "/openai/v1/models").json()
    assert [row["id"] for row in of_openai["data"]] == ["gpt-4o-mini"]
    of_anthropic = ask(gateway, some, "/anthropic/v1/models").json()
    assert [row["id"] for row in of_anthropic["data"]] == ["claude-haiku-4-5"] == [of_anthropic["first_id"]]
    names = [row["name"] for row in ask(gateway, some, "/google/v1beta/models").json()["models"]]
    assert "models/gemini-2.5-flash" in names
    assert all(name.startswith("models/gemini-2.5-") for name in names)
    assert ask(gateway, some, "/google/v1beta/models/gemini-2.5-flash").json()["name"] in names
    refused = ask(gateway, some, "/openai/v1/models/gpt-5.4")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    elsewhere = ask(gateway, some, "/openai/v1/models/claude-haiku-4-5")
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (404, "model_not_found")
    assert [*anthropic_provider.calls, *openai_provider.calls, *google_provider.calls] == []


def test_a_test_key_is_shown_the_catalogs_models_of_a_provider(
    gateway: Gateway, sim_key: MintedKey, openai_provider: FakeProvider
) -> None:
    listed = [row["id"] for row in ask(gateway, sim_key, "/openai/v1/models").json()["data"]]
    assert "gpt-4o-mini" in listed
    assert "claude-haiku-4-5" not in listed
    assert openai_provider.calls == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages/count_tokens", {"model": "claude-opus-4-7", "messages": []}),
        ("/v1beta/models/gemini-3.5-flash:countTokens", {"contents": []}),
        ("/google/v1beta/models/nobody-1:countTokens", {"contents": []}),
    ],
)
def test_tokens_are_counted_for_the_models_of_the_key_only(
    gateway: Gateway,
    some: MintedKey,
    anthropic_provider: FakeProvider,
    google_provider: FakeProvider,
    path: str,
    body: dict[str, object],
) -> None:
    refused = httpx.post(
        gateway.origin + path, json=body, headers={"x-api-key": some.secret}, trust_env=False
    )
    assert (refused.status_code, "model_not_allowed" in refused.text) == (403, True)
    assert [*anthropic_provider.calls, *google_provider.calls] == []


def test_nobody_without_a_key_is_shown_a_list(gateway: Gateway, openai_provider: FakeProvider) -> None:
    for path in ("/openai/v1/models", "/openai/v1/models/gpt-4o-mini"):
        answer = httpx.get(gateway.origin + path, trust_env=False)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_key")
    assert openai_provider.calls == []
