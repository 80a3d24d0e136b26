"""Taking a hold, waiting for one, keeping it, and letting it go."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace
from tests.support.ledger_desk import FrozenClock
from tests.support.pump_stage import CountedMeters, ScriptedLedger, ScriptedUpstream, hold, prepared

from qlaud.core.errors import CapContended, Internal, RevokedKey, StoreUnavailable
from qlaud.core.ids import RequestId
from qlaud.core.ledger import Admission, Hold, HoldAsk, Refused, Settlement, Wait
from qlaud.core.usage import Exact, Usage
from qlaud.flows.metered import Metered
from qlaud.flows.settling import Ending, settlement_of

HOLD_WAIT_S = 5.0


class Counter:
    """A metered flow over a scripted ledger."""

    def __init__(self, *admissions: Admission) -> None:
        self.ledger = ScriptedLedger(list(admissions))
        self.ledger.commits.set()
        self.clock, self.meters = FrozenClock(), CountedMeters()
        self.calls = Metered(self.ledger, self.clock, self.meters, hold_wait_s=HOLD_WAIT_S)
        self.prepared = prepared([ScriptedUpstream()])

    def ask(self, number: int = 1) -> HoldAsk:
        return replace(self.prepared.ask, id=RequestId(uuid(number)))

    async def admit(self, number: int = 1) -> Hold:
        return await self.calls.admit(self.ask(number), since_ticks_ms=self.clock.ticks_ms())

    def end(self, taken: Hold) -> Settlement:
        return settlement_of(self.prepared, self.prepared.routes[0], taken, Ending(Exact(Usage()), 200, 1), 0)


def uuid(number: int) -> RequestId:
    return RequestId(type(hold().id)(int=number))


def held(number: int) -> Hold:
    return replace(hold(), id=uuid(number))


def play(act: Callable[[Counter], Awaitable[None]], *admissions: Admission) -> Counter:
    async def main() -> Counter:
        counter = Counter(*admissions)
        await act(counter)
        return counter

    return asyncio.run(main())


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_refusal_is_raised_and_leaves_nothing_to_renew() -> None:
    async def act(counter: Counter) -> None:
        with pytest.raises(RevokedKey):
            await counter.admit()
        assert counter.calls.in_flight() == 0

    assert play(act, Refused(RevokedKey())).meters.overheads_s == []


def test_a_call_that_may_wait_is_admitted_when_another_of_its_key_ends() -> None:
    async def act(counter: Counter) -> None:
        first = await counter.admit(1)
        waiting = asyncio.create_task(counter.admit(2))
        await turns()
        assert len(counter.ledger.asked) == 2, "it waits for the event, it does not ask again and again"
        await counter.calls.settle(counter.end(first))
        assert (await waiting).id == uuid(2)

    play(act, held(1), Wait(), held(2))


def test_those_who_wait_ask_again_in_the_order_they_came() -> None:
    async def act(counter: Counter) -> None:
        first = await counter.admit(1)
        waiting = [asyncio.create_task(counter.admit(number)) for number in range(2, 12)]
        await turns()
        await counter.calls.settle(counter.end(first))
        await asyncio.gather(*waiting)
        asked = [ask.id.int for ask, _ in counter.ledger.asked]
        assert asked[-10:] == list(range(2, 12))

    play(act, held(1), *[Wait()] * 10, *[held(number) for number in range(2, 12)])


def test_after_its_time_a_call_asks_once_more_and_takes_what_it_can_get() -> None:
    async def act(counter: Counter) -> None:
        first = await counter.admit(1)
        waiting = asyncio.create_task(counter.admit(2))
        await turns()
        counter.clock.at_ms += int(HOLD_WAIT_S * 1000)
        await counter.calls.void(first)
        with pytest.raises(CapContended):
            await waiting
        assert [waited for _, waited in counter.ledger.asked] == [False, False, False, True]
        assert counter.calls._waiting == {}

    play(act, held(1), Wait(), Wait(), Refused(CapContended()))


def test_a_caller_who_leaves_while_he_waits_is_forgotten() -> None:
    async def act(counter: Counter) -> None:
        waiting = asyncio.create_task(counter.admit(1))
        await turns()
        waiting.cancel()
        await asyncio.wait((waiting,))
        assert counter.calls._waiting == {}
        assert counter.calls.in_flight() == 0

    play(act, Wait())


def test_only_holds_that_were_not_renewed_lately_are_renewed() -> None:
    async def act(counter: Counter) -> None:
        await counter.admit(1)
        counter.clock.at_ms += 9_000
        await counter.admit(2)
        counter.clock.at_ms += 1_000
        assert await counter.calls.renew(older_than_ms=10_000) == 1
        assert counter.ledger.renewed == [uuid(1)]
        assert await counter.calls.renew(older_than_ms=10_000) == 0

    play(act, held(1), held(2))


@pytest.mark.parametrize("refusal", [None, Internal()])
def test_a_call_that_was_settled_is_renewed_no_more(refusal: Internal | None) -> None:
    """Refused for good, its hold must be found lost, or nobody would ever look at it."""

    async def act(counter: Counter) -> None:
        taken = await counter.admit()
        counter.ledger.refusal = refusal
        await asyncio.gather(counter.calls.settle(counter.end(taken)), return_exceptions=True)
        assert counter.calls.in_flight() == 0

    assert len(play(act, held(1)).meters.ends) == (1 if refusal is None else 0)


def test_a_hold_is_renewed_while_its_settlement_waits_for_the_database() -> None:
    async def act(counter: Counter) -> None:
        taken = await counter.admit()
        counter.ledger.commits.clear()
        settling = asyncio.create_task(counter.calls.settle(counter.end(taken)))
        await turns()
        counter.clock.at_ms += 10_000
        assert await counter.calls.renew(older_than_ms=10_000) == 1
        counter.ledger.commits.set()
        await settling

    play(act, held(1))


def test_a_ledger_that_is_away_grants_no_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> bool:
        raise StoreUnavailable

    async def act(counter: Counter) -> None:
        taken = await counter.admit()
        monkeypatch.setattr(counter.ledger, "extend", away)
        assert not await counter.calls.extend(taken, add_micros=taken.amount_micros, add_output=1)

    play(act, held(1))


def test_the_time_to_admission_is_reported_with_the_wait_in_it() -> None:
    async def act(counter: Counter) -> None:
        since = counter.clock.ticks_ms()
        counter.clock.at_ms += 250
        await counter.calls.admit(counter.ask(), since_ticks_ms=since)

    assert play(act, held(1)).meters.overheads_s == [0.25]
