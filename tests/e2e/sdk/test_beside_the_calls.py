"""What an SDK asks beside its model calls: lists, counts, the version of its API. It costs nothing, and works."""

from collections.abc import Iterator

import pytest
from tests.e2e.sdk.conftest import Fakes, Sdks
from tests.support import fake_google
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey


@pytest.fixture
def google(fakes: Fakes) -> Iterator[FakeProvider]:
    yield from fakes.fresh("google")


@pytest.mark.parametrize("path", ["", "/google"])
@pytest.mark.parametrize("language", ["python", "node"])
def test_gemini_counts_tokens_for_nothing(
    gateway: Gateway, google: FakeProvider, running_sdks: Sdks, key: MintedKey, language: str, path: str
) -> None:
    asked = {"model": fake_google.MODEL, "contents": "Hello"}
    sdk = running_sdks["google", language]
    counted = sdk.ask("count", asked, origin=gateway.origin, key=key.secret, base_path=path)
    assert counted["shown"] == 31
    assert gateway.usage(key)["events"] == []


def test_geminis_models_are_listed_in_its_own_shape(
    gateway: Gateway, running_sdks: Sdks, key: MintedKey
) -> None:
    sdk = running_sdks["google", "python"]
    listed = sdk.ask("models", {}, origin=gateway.origin, key=key.secret)["shown"]
    assert f"models/{fake_google.MODEL}" in listed
    assert all(name.startswith("models/") for name in listed)


def test_the_version_that_older_sdks_of_gemini_ask_for_works_as_well(
    gateway: Gateway, google: FakeProvider, running_sdks: Sdks, key: MintedKey
) -> None:
    asked = {"model": fake_google.MODEL, "contents": "Hello"}
    sdk = running_sdks["google", "python"]
    result = sdk.ask(
        "stream", asked, origin=gateway.origin, key=key.secret, options={"api_version": "v1beta"}
    )
    assert result["shown"] == fake_google.TEXT
    assert google.last.path == f"/v1beta/models/{fake_google.MODEL}:streamGenerateContent"
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["cost_micros"] == fake_google.COST_MICROS
