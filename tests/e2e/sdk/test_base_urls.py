"""The base URL of an SDK: as documented, below the provider's name, and with the `/v1` that people forget or double."""

import pytest
from tests.e2e.sdk.sdks import Sdk
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey

BASES = {
    "anthropic": ["", "/", "/v1", "/anthropic"],
    "openai": ["/v1", "/v1/", "", "/openai/v1"],
}


@pytest.mark.parametrize("number", range(4))
def test_a_call_reaches_the_providers_own_path_from_any_base_url(
    gateway: Gateway, provider: FakeProvider, sdk: Sdk, key: MintedKey, number: int
) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    if sdk.vendor == "anthropic":
        asked, path = {"model": fake_anthropic.MODEL, "max_tokens": 50, "messages": messages}, "/v1/messages"
    else:
        asked, path = {"model": fake_openai.MODEL, "messages": messages}, "/v1/chat/completions"
    base = BASES[sdk.vendor][number]
    result = sdk.ask("create", asked, origin=gateway.origin, key=key.secret, base_path=base)
    assert result["answer"]["model"] == asked["model"]
    assert provider.last.target == path


@pytest.mark.parametrize("number", range(4))
def test_the_models_are_listed_from_any_base_url(
    gateway: Gateway, sdk: Sdk, key: MintedKey, number: int
) -> None:
    model = fake_anthropic.MODEL if sdk.vendor == "anthropic" else fake_openai.MODEL
    base = BASES[sdk.vendor][number]
    listed = sdk.ask("models", {"model": model}, origin=gateway.origin, key=key.secret, base_path=base)
    assert listed["found"] == model
    assert model in listed["models"]
