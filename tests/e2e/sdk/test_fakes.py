"""The fakes answer as the vendors' SDKs expect of the vendor: each SDK against each fake, with nothing between."""

from collections.abc import Iterator

import pytest
from tests.e2e.sdk.conftest import Fakes, Sdks
from tests.e2e.sdk.sdks import Result
from tests.e2e.sdk.trials.everybody import TRIALS
from tests.e2e.sdk.trials.trial import TOOL_CALL, Deed, Trial
from tests.support.fake_provider import FakeProvider, Gate
from tests.support.gateway import OPERATOR_KEYS


@pytest.fixture(params=TRIALS, ids=[trial.name for trial in TRIALS])
def trial(request: pytest.FixtureRequest) -> Trial:
    return request.param


def only(trials: list[Trial]) -> pytest.MarkDecorator:
    """A test for these trials alone."""
    return pytest.mark.parametrize("trial", trials, ids=[trial.name for trial in trials])


@pytest.fixture
def provider(trial: Trial, fakes: Fakes) -> Iterator[FakeProvider]:
    yield from fakes.fresh(trial.provider)


def ask(trial: Trial, sdks: Sdks, provider: FakeProvider, deed: Deed) -> Result:
    return sdks[trial.sdk].ask(
        deed.name,
        deed.args,
        origin=provider.origin,
        key=OPERATOR_KEYS[trial.provider],
        base_path=trial.own_path,
    )


def test_an_sdk_reads_what_the_fake_answers(trial: Trial, running_sdks: Sdks, provider: FakeProvider) -> None:
    deeds = [trial.call, trial.stream, trial.tools, trial.streamed_tools, trial.left, *trial.more]
    for deed in filter(None, deeds):
        result = ask(trial, running_sdks, provider, deed)
        shown = result["tool"] if deed.shown == TOOL_CALL else result["shown"]
        assert shown == deed.shown, deed.name


@only([trial for trial in TRIALS if trial.refusal is not None])
def test_an_sdk_knows_the_fakes_errors(trial: Trial, running_sdks: Sdks, provider: FakeProvider) -> None:
    assert trial.refusal is not None
    provider.script(trial.refusal.answer)
    result = ask(trial, running_sdks, provider, trial.call)
    assert trial.refusal.kind in result.classes
    assert result["error"]["status"] == trial.refusal.status


@only([trial for trial in TRIALS if trial.cancel is not None])
def test_a_stream_of_the_fake_can_be_left(trial: Trial, running_sdks: Sdks, provider: FakeProvider) -> None:
    assert trial.cancel is not None
    gate = Gate()
    provider.script(trial.cancel.script(gate))
    deed = trial.cancel.deed
    assert ask(trial, running_sdks, provider, deed)["shown"] == deed.shown
    assert provider.last.hung_up.wait(5)


def test_a_fake_takes_the_operators_key_alone(
    trial: Trial, running_sdks: Sdks, provider: FakeProvider
) -> None:
    result = running_sdks[trial.sdk].ask(
        trial.call.name, trial.call.args, origin=provider.origin, key="somebody's", base_path=trial.own_path
    )
    if trial.provider == "minimax" and trial.modality != "text (messages)":
        assert not result["shown"]  # its errors are answers of status 200
        return
    assert result["error"]["status"] in (400, 401), "as each vendor has it"
