"""How far a stream may run before its hold must grow."""

import asyncio

from tests.support.ledger_desk import FrozenClock
from tests.support.pump_stage import (
    MAX_OUTPUT,
    CountedMeters,
    ScriptedLedger,
    ScriptedUpstream,
    hold,
    prepared,
)

from qlaud.core.ledger import Hold
from qlaud.flows.limit import GROWTH_TOKENS, OutputLimit
from qlaud.flows.metered import Metered


def grown(taken: Hold, *, grows: bool, seen: int) -> tuple[OutputLimit, bool, list[int]]:
    async def main() -> tuple[OutputLimit, bool, list[int]]:
        ledger = ScriptedLedger(grows=grows)
        calls = Metered(ledger, FrozenClock(), CountedMeters(), hold_wait_s=0.0)
        limit = OutputLimit(taken, prepared([ScriptedUpstream()]))
        return limit, await limit.grow(calls, seen), ledger.extensions

    return asyncio.run(main())


def test_a_few_more_events_than_tokens_are_no_sign_of_a_runaway() -> None:
    limit, _, _ = grown(hold(max_output=100), grows=False, seen=0)
    assert 100 < limit.tokens < 120


def test_a_call_nobody_bounds_is_never_cut() -> None:
    limit, _, _ = grown(hold(bounded=False), grows=False, seen=0)
    assert limit.tokens == float("inf")


def test_a_hold_grows_by_what_was_seen_and_some_more() -> None:
    limit, could, extensions = grown(hold(), grows=True, seen=MAX_OUTPUT + 50)
    assert could
    assert extensions == [5 * (50 + GROWTH_TOKENS)]
    assert limit.hold.amount_micros == hold().amount_micros + extensions[0]
    assert limit.hold.max_output == MAX_OUTPUT, "what was sent stays what was sent"
    assert limit.tokens > MAX_OUTPUT + 50 + GROWTH_TOKENS


def test_a_hold_that_cannot_grow_stays_as_it_was() -> None:
    limit, could, _ = grown(hold(), grows=False, seen=MAX_OUTPUT + 50)
    assert not could
    assert limit.hold == hold()
