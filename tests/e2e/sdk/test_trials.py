"""Whatever SDK an app uses: with the gateway's address and a key it works as with its vendor, and the bill is right.

Every case of every trial; `trials/` has what is asked, what must be shown, and the bill worked out by hand.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.e2e.sdk.conftest import Fakes, Sdks
from tests.e2e.sdk.sdks import PACKAGES, Result
from tests.e2e.sdk.trials.everybody import TRIALS
from tests.e2e.sdk.trials.trial import CAP, TOOL_CALL, Deed, Trial
from tests.support.fake_provider import FakeProvider, Gate
from tests.support.gateway import SETTLE_S, Gateway, MintedKey, until
from tests.support.providers_page import modalities_of

Has = Callable[[Trial], object]


def trials(case: str, has: Has = lambda trial: True) -> pytest.MarkDecorator:
    """Every trial that has this case, each with its cell."""
    params = [
        pytest.param(
            trial,
            id=trial.name,
            marks=pytest.mark.matrix(
                provider=trial.provider, modality=trial.modality, case=case, sdk=PACKAGES[trial.sdk]
            ),
        )
        for trial in TRIALS
        if has(trial)
    ]
    return pytest.mark.parametrize("trial", params)


@pytest.fixture
def provider(trial: Trial, fakes: Fakes) -> Iterator[FakeProvider]:
    assert trial.modality in modalities_of(trial.provider), "the registry has lost what this trial is about"
    yield from fakes.fresh(trial.provider)


@pytest.fixture
def sdk(trial: Trial, running_sdks: Sdks, gateway: Gateway) -> Callable[[Deed, MintedKey], Result]:
    """Does a deed of the trial, through the gateway."""

    def do(deed: Deed, key: MintedKey) -> Result:
        return running_sdks[trial.sdk].ask(
            deed.name, deed.args, origin=gateway.origin, key=key.secret, base_path=trial.path
        )

    return do


Do = Callable[[Deed, MintedKey], Result]


def assert_done(gateway: Gateway, sdk: Do, deed: Deed) -> None:
    """The deed shows what it should, and its event says what it costs, exactly."""
    key = gateway.mint()
    result = sdk(deed, key)
    shown = result["tool"] if deed.shown == TOOL_CALL else result["shown"]
    assert shown == deed.shown
    assert_billed(gateway, key, deed)


def assert_billed(gateway: Gateway, key: MintedKey, deed: Deed) -> dict[str, Any]:
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["cost_micros"] in deed.costs(event["created_at"]), event
    assert event["provider_cost_micros"] == event["cost_micros"]
    assert (event["estimated"], event["status"]) == (deed.estimated, 200)
    assert {name: event[name] for name in deed.counts} == dict(deed.counts)
    return event


@trials("call")
def test_a_call_is_answered_as_by_the_vendor_and_billed_to_the_micro(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    for deed in (trial.call, *trial.more):
        assert_done(gateway, sdk, deed)


@trials("stream", lambda trial: trial.stream)
def test_a_stream_comes_as_from_the_vendor_and_is_billed_to_the_micro(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    assert trial.stream is not None
    assert_done(gateway, sdk, trial.stream)


@trials("tools", lambda trial: trial.tools)
def test_a_tool_is_called_whole_and_in_a_stream(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    for deed in filter(None, (trial.tools, trial.streamed_tools)):
        assert_done(gateway, sdk, deed)


@trials("error", lambda trial: trial.refusal)
def test_the_vendors_error_is_the_sdks_own_exception_and_costs_nothing(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    assert trial.refusal is not None
    provider.script(trial.refusal.answer)
    key = gateway.mint()
    result = sdk(trial.call, key)
    assert trial.refusal.kind in result.classes
    assert result["error"]["status"] == trial.refusal.status
    assert "as scripted" in json.dumps(result["error"])
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["status"], event["cost_micros"]) == (trial.refusal.status, 0)


@trials("cap", lambda trial: trial.has_cap)
def test_a_reached_cap_is_a_402_in_the_vendors_words_and_the_sdk_does_not_insist(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    broke = gateway.mint(max_spend_usd=0)
    result = sdk(trial.call, broke)
    assert trial.cap_kind in result.classes
    assert result["error"]["status"] == 402
    told = json.dumps(result["error"])
    assert CAP in told
    assert "key_cap_exceeded" in told
    assert len(result.sent) == 1 + trial.warm_up
    assert [call.path for call in provider.calls if call.method == "POST"] == []
    assert gateway.usage(broke)["events"] == []


@trials("cancel", lambda trial: trial.cancel)
def test_a_call_left_in_the_middle_is_read_to_its_end_and_billed_to_the_micro(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    assert trial.cancel is not None
    key = gateway.mint(on_disconnect="drain", max_spend_usd=5)
    gate = Gate()
    provider.script(trial.cancel.script(gate))
    result = sdk(trial.cancel.deed, key)
    assert result["shown"] == trial.cancel.deed.shown
    until(lambda: gateway.key(key)["held_micros"] > 0, "the call is still held for")
    gate.open()
    assert_billed(gateway, key, trial.cancel.deed)
    assert not provider.last.hung_up.is_set()


@trials("cancel", lambda trial: trial.cancel)
def test_a_call_left_by_a_key_that_cancels_is_hung_up_and_paid_for_within_its_hold(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    assert trial.cancel is not None
    key = gateway.mint(on_disconnect="cancel", max_spend_usd=5)
    provider.script(trial.cancel.script(Gate()))
    sdk(trial.cancel.deed, key)
    assert provider.last.hung_up.wait(SETTLE_S)
    (event,) = gateway.wait_settled(key, 1)["events"]
    exact = trial.cancel.deed.costs(event["created_at"])
    assert 0 < event["cost_micros"] < 5_000_000
    assert event["estimated"] or event["cost_micros"] in exact


@trials("cancel", lambda trial: trial.left)
def test_a_job_nobody_asks_for_is_billed_when_its_record_says_that_it_is_done(
    gateway: Gateway, provider: FakeProvider, sdk: Do, trial: Trial
) -> None:
    assert trial.left is not None
    key = gateway.mint(max_spend_usd=5)
    assert sdk(trial.left, key)["shown"] == trial.left.shown
    assert gateway.key(key)["held_micros"] >= max(trial.left.costs(0))
    assert_billed(gateway, key, trial.left)
