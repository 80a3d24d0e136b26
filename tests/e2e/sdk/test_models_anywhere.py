"""One base URL for all: `/v1` of the gateway takes any vendor's chat model, and asks the vendor who has it."""

from collections.abc import Iterator

import pytest
from tests.e2e.sdk.conftest import Fakes, Sdks
from tests.e2e.sdk.trials.chat import TRIALS
from tests.e2e.sdk.trials.trial import Trial
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey
from tests.support.providers_page import modalities_of

RESOLD = ("groq", "openrouter", "cerebras")
"""Whose models others have too, so that the cheapest is asked."""
CHAT = {trial.provider: trial for trial in TRIALS if trial.provider not in RESOLD}


@pytest.fixture(params=CHAT)
def trial(request: pytest.FixtureRequest) -> Trial:
    return CHAT[request.param]


@pytest.fixture
def provider(trial: Trial, fakes: Fakes) -> Iterator[FakeProvider]:
    assert trial.modality in modalities_of(trial.provider), "the registry has lost what this trial is about"
    yield from fakes.fresh(trial.provider)


@pytest.mark.parametrize("deed", ["create", "stream"])
def test_a_model_is_found_by_its_name_alone(
    gateway: Gateway, provider: FakeProvider, running_sdks: Sdks, key: MintedKey, trial: Trial, deed: str
) -> None:
    sdk = running_sdks["openai", "python"]
    result = sdk.ask(deed, trial.call.args, origin=gateway.origin, key=key.secret)
    assert result["shown"] == trial.call.shown
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["provider_slug"] == trial.provider
    assert event["cost_micros"] in trial.call.costs(event["created_at"])
    assert len(provider.calls) == 1
