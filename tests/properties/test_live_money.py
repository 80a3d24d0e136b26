"""Whatever is sent and whenever the provider tells of it: money is held before what it pays for, a slice is all that
can be left of a cap, and the bill is the provider's own, split as it may be.
"""

import asyncio
import json
import signal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.support.ledger_desk import FrozenClock
from tests.support.management import CountingIds
from tests.support.pump_stage import CountedMeters
from tests.support.purse import Purse

from qlaud.core.errors import QlaudError, RevokedKey
from qlaud.core.ids import RequestId
from qlaud.core.ledger import CallFacts
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.flows.live_money import SILENT_SLICES, Strand, StrandTerms, price_of
from qlaud.flows.metered import Metered
from qlaud.wire.live import LiveTerms
from qlaud.wire.live_deepgram import ListenMeter

SLICE_MS = 1_000
MICROS_PER_MS = 3
BYTES_PER_MS = 32
SESSION = RequestId(UUID(int=77))
CARD = RateCard(
    "deepgram", "ear", "v1", {STANDARD: (Band.of(0, {"audio_ms": Rate(MICROS_PER_MS * 1_000_000)}),)}
)


class Ear:
    """A listening session over a purse, without a socket."""

    def __init__(self, cap: int) -> None:
        self.purse = Purse(cap)
        self.meter = ListenMeter(b"encoding=linear16&sample_rate=16000", LiveTerms(slice_ms=SLICE_MS))
        clock = FrozenClock()
        calls = Metered(self.purse, clock, CountedMeters(), hold_wait_s=0)
        terms = StrandTerms(
            b"digest",
            CallFacts("ear", "deepgram", "audio_transcription", "v1"),
            CARD,
            0,
            SESSION,
            is_main=True,
        )
        self.strand = Strand(self.meter, terms, calls, clock, CountingIds())
        self.sent_ms = 0

    async def begin(self) -> bool:
        try:
            await self.strand.begin(0)
        except QlaudError:
            return False
        return True

    async def send(self, ms: int) -> bool:
        """Whether the frame went on."""
        self.meter.offer(bytes(ms * BYTES_PER_MS))
        try:
            await self.strand.cover()
        except QlaudError:
            self.meter.withdraw()
            return False
        self.meter.sent()
        self.sent_ms += ms
        needed = price_of(CARD, self.meter.need(ahead=False), 0)
        assert needed is not None
        assert needed <= sum(self.purse.held.values()), "a frame went on that was not covered"
        return True

    def tell(self, ms: int) -> None:
        self.meter.seen(json.dumps({"type": "Results", "start": 0, "duration": ms / 1000}))

    async def end(self) -> None:
        self.meter.seen(json.dumps({"type": "Metadata", "duration": self.sent_ms / 1000, "channels": 1}))
        await self.strand.end(clean=True)

    def billed_ms(self) -> int:
        return sum(settlement.usage.audio_ms for settlement in self.purse.ended)


steps = st.lists(
    st.tuples(st.integers(1, 1500), st.one_of(st.none(), st.integers(0, 100))), min_size=1, max_size=40
)


@given(cap=st.integers(0, 60_000), moves=steps)
def test_the_cap_holds_and_a_slice_is_all_that_may_be_left(
    cap: int, moves: list[tuple[int, int | None]]
) -> None:
    async def main() -> None:
        ear = Ear(cap)
        if not await ear.begin():
            assert cap < SLICE_MS * MICROS_PER_MS
            assert ear.purse.ended == []
            return
        refused_ms = 0
        for ms, told_percent in moves:
            if not await ear.send(ms):
                refused_ms = ms
                break
            if told_percent is not None:
                ear.tell(ear.sent_ms * told_percent // 100)
        await ear.end()
        bill = ear.sent_ms * MICROS_PER_MS
        assert bill <= cap
        assert ear.purse.overage == 0
        assert ear.purse.held == {}
        assert ear.billed_ms() == ear.sent_ms
        assert ear.purse.posted == bill
        if refused_ms:
            assert cap - bill < (SLICE_MS + refused_ms) * MICROS_PER_MS

    asyncio.run(main())


@given(moves=steps)
def test_the_first_slice_has_the_sessions_id_and_the_others_name_it(
    moves: list[tuple[int, int | None]],
) -> None:
    async def main() -> None:
        ear = Ear(10**9)
        assert await ear.begin()
        for ms, told_percent in moves:
            assert await ear.send(ms)
            if told_percent is not None:
                ear.tell(ear.sent_ms * told_percent // 100)
        await ear.end()
        first, *others = ear.purse.ended
        assert (first.hold.id, first.facts.parent_id) == (SESSION, None)
        assert all(other.facts.parent_id == SESSION for other in others)
        assert [ask.id for ask in ear.purse.asks][: len(ear.purse.ended)] == [
            settlement.hold.id for settlement in ear.purse.ended
        ]

    asyncio.run(main())


def test_a_provider_that_tells_nothing_is_billed_by_count_after_some_slices_and_the_key_is_read_anew() -> (
    None
):
    async def main() -> None:
        ear = Ear(10**9)
        assert await ear.begin()
        while len(ear.purse.asks) == 1:
            assert await ear.send(900)
            assert ear.sent_ms < 3 * SILENT_SLICES * SLICE_MS
        assert ear.purse.ended[0].estimated
        ear.purse.refuses = RevokedKey()
        sent = 0
        while await ear.send(900):
            sent += 1
        assert sent < 3 * SILENT_SLICES
        await ear.end()
        assert ear.billed_ms() == ear.sent_ms

    asyncio.run(main())


def test_what_is_told_after_the_last_hold_was_refused_is_billed_all_the_same() -> None:
    async def main() -> None:
        ear = Ear(10**9)
        assert await ear.begin()
        assert await ear.send(900)
        ear.tell(500)
        ear.purse.refuses = RevokedKey()
        assert not await ear.send(900)
        assert ear.purse.held == {}
        await ear.end()
        assert [settlement.usage.audio_ms for settlement in ear.purse.ended] == [500, 400]
        assert ear.purse.posted == 900 * MICROS_PER_MS

    asyncio.run(main())


def test_a_slice_nothing_was_used_in_leaves_no_event() -> None:
    async def main() -> None:
        ear = Ear(10**9)
        assert await ear.begin()
        assert await ear.send(SLICE_MS)
        ear.tell(SLICE_MS)
        await ear.strand.cover()
        assert len(ear.purse.asks) == 2
        await ear.end()
        (only,) = ear.purse.ended
        assert only.usage.audio_ms == SLICE_MS
        assert ear.purse.held == {}

    asyncio.run(main())


def test_who_comes_while_a_move_is_over_and_nobody_was_told_yet_gives_way() -> None:
    """Waiting for what is done gives way to nobody: then the whole gateway would stand still."""

    def stands_still(*_: object) -> None:
        raise AssertionError("the event loop stands still")

    async def main() -> None:
        ear = Ear(60_000)
        assert await ear.begin()

        async def late() -> None:
            await asyncio.sleep(0)  # sleep: one turn, in which the move of the other runs to its end
            await ear.strand.cover()

        assert await asyncio.gather(ear.send(3 * SLICE_MS), late()) == [True, None]
        await ear.end()
        assert ear.purse.held == {}

    before = signal.signal(signal.SIGALRM, stands_still)
    signal.setitimer(signal.ITIMER_REAL, 20)
    try:
        asyncio.run(main())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
