"""A session of Gemini Live over a purse: whatever is said and however long the answers are, the key's cap is not
passed, the operator pays nothing, every answer is billed once, and a session ends only when no answer fits any more.
"""

import asyncio
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.support import fake_gemini_live as gemini
from tests.support.ledger_desk import FrozenClock
from tests.support.management import CountingIds
from tests.support.pump_stage import CountedMeters
from tests.support.purse import Purse

from qlaud.core.errors import QlaudError, RevokedKey
from qlaud.core.ids import RequestId
from qlaud.core.ledger import CallFacts
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.flows.live_money import Strand, StrandTerms, price_of
from qlaud.flows.metered import Metered
from qlaud.wire.live import LiveTerms
from qlaud.wire.live_gemini import HIDDEN_TOKENS, GeminiLiveMeter

SESSION = RequestId(UUID(int=77))
MOST_OUT = 100
WINDOW = 20_000
IN, OUT = 1, 5
RATES = {"input_tokens": IN, "audio_in_tokens": IN, "output_tokens": OUT, "audio_out_tokens": OUT}
CARD = RateCard(
    "google",
    "talk",
    "v1",
    {STANDARD: (Band.of(0, {name: Rate(micros * 1_000_000) for name, micros in RATES.items()}),)},
)


class Talk:
    """A session with manual turns, without a socket, and Google's side of it."""

    def __init__(self, cap: int) -> None:
        self.purse = Purse(cap)
        self.meter = GeminiLiveMeter(b"", LiveTerms(1_000, MOST_OUT, WINDOW, "talk"))
        clock = FrozenClock()
        calls = Metered(self.purse, clock, CountedMeters(), hold_wait_s=0)
        facts = CallFacts("talk", "google", "realtime", "v1")
        terms = StrandTerms(b"digest", facts, CARD, 0, SESSION, is_main=True)
        self.strand = Strand(self.meter, terms, calls, clock, CountingIds())
        self.context = 300
        self.bill = 0

    async def begin(self) -> bool:
        self.meter.offer(gemini.small(MOST_OUT))
        try:
            await self.strand.begin(0)
        except QlaudError:
            return False
        self.meter.sent()
        return True

    async def send(self, frame: str, tokens: int) -> bool:
        """Whether the message went on."""
        self.meter.offer(frame)
        try:
            await self.strand.cover()
        except QlaudError:
            self.meter.withdraw()
            return False
        self.meter.sent()
        self.context += tokens
        needed = price_of(CARD, self.meter.need(ahead=False), 0)
        assert needed is not None
        assert needed <= sum(self.purse.held.values()), "a message went on that was not covered"
        return True

    async def answer(self, out: int, thoughts: int) -> bool:
        """Google's answer; whether the session goes on."""
        self.context = min(self.context, WINDOW)
        usage = {"promptTokenCount": self.context, "responseTokenCount": out, "thoughtsTokenCount": thoughts}
        self.meter.seen(gemini.spoken())
        self.meter.seen(gemini.told(usage))
        self.bill += self.context * IN + (out + thoughts) * OUT
        self.context += out
        try:
            await self.strand.cover()
        except QlaudError:
            return False
        return True


turns = st.lists(
    st.tuples(st.text(max_size=400), st.integers(0, 3_000), st.integers(0, 60), st.integers(0, 40)),
    min_size=1,
    max_size=25,
)


@given(cap=st.integers(0, 60_000), said=turns)
def test_the_cap_holds_and_one_answer_is_all_that_may_be_left(
    cap: int, said: list[tuple[str, int, int, int]]
) -> None:
    async def main() -> None:
        talk = Talk(cap)
        if not await talk.begin():
            assert cap < (HIDDEN_TOKENS + 500) * IN + MOST_OUT * OUT
            return
        stopped = False
        for text, heard_ms, out, thoughts in said:
            heard = gemini.sound(heard_ms)
            went = await talk.send(heard, heard_ms * 25 // 1000)
            went = went and await talk.send(gemini.says(text), len(text.encode()))
            if not went or not await talk.answer(out, thoughts):
                stopped = True
                break
        left = talk.purse.free
        await talk.strand.end(clean=True)
        assert talk.purse.posted == talk.bill <= cap
        assert talk.purse.overage == 0
        assert talk.purse.held == {}
        if stopped:
            # all of the next answer, where what was sent lately may count twice
            assert left < 2 * (WINDOW * IN + MOST_OUT * OUT)

    asyncio.run(main())


def test_a_long_session_of_small_turns_is_billed_turn_by_turn() -> None:
    async def main() -> None:
        talk = Talk(10**9)
        assert await talk.begin()
        for _ in range(30):
            assert await talk.send(gemini.says("Go on."), 6)
            assert await talk.answer(20, 10)
        await talk.strand.end(clean=True)
        assert len(talk.purse.ended) == 30
        first, *others = talk.purse.ended
        assert (first.hold.id, first.facts.parent_id) == (SESSION, None)
        assert all(other.facts.parent_id == SESSION for other in others)
        assert talk.purse.posted == talk.bill

    asyncio.run(main())


def test_a_key_that_was_revoked_gets_no_further_answer() -> None:
    async def main() -> None:
        talk = Talk(10**9)
        assert await talk.begin()
        assert await talk.send(gemini.says("Hello."), 6)
        talk.purse.refuses = RevokedKey()
        assert not await talk.answer(20, 0)
        assert not await talk.send(gemini.says("More."), 6)
        await talk.strand.end(clean=False)
        assert talk.purse.posted == talk.bill
        assert talk.purse.overage == 0

    asyncio.run(main())
