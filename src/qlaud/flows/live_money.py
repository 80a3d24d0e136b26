"""The money of a live session: slices, each with a hold of its own, settled one after the other.

A strand is one model of a session: its price, its meter, and the hold of the slice under way. Before a frame goes on,
`cover` sees to it that the hold is large enough for all that may be billed and is not settled. When it is not:

    grow   the hold grows by a slice; what the provider has told by then is settled, and a new hold takes the rest
    count  it cannot grow: all that was sent is settled by count, and a new hold is asked for; refused, it is the end
    end    what the meter says last is settled under the last hold

Settlement and next hold are sent together, so that one commit frees the one and takes the other. Each hold ends in
one settlement, or is given back where nothing was used under it; a crash leaves it to be found lost.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass

from msgspec.structs import replace

from qlaud.core.demand import Demand
from qlaud.core.errors import SessionOutOfMoney
from qlaud.core.ids import RequestId
from qlaud.core.ledger import CallFacts, Charged, Hold, HoldAsk, Settlement
from qlaud.core.money import Micros
from qlaud.core.pricing import NotPriced, RateCard
from qlaud.core.usage import Metered as Outcome
from qlaud.core.usage import Nothing
from qlaud.flows.metered import Metered
from qlaud.flows.settling import priced
from qlaud.ports import Clock, Ids
from qlaud.wire.live import Meter, Need, SecondMeter

logger = logging.getLogger("qlaud.live")

SILENT_SLICES = 4
"""So often a hold grows without word from the provider; then what was sent is settled by count, and the key read."""
EASED_AT = 2
"""A hold larger than so many times the need is made smaller."""
SWITCHING = 101
"""The status of a session's events: what its handshake was answered with."""


@dataclass(frozen=True, slots=True)
class StrandTerms:
    """What stays the same for all slices."""

    secret_sha256: bytes
    facts: CallFacts
    """Of the first slice."""
    card: RateCard | None
    markup_bp: int
    session_id: RequestId
    is_main: bool
    """Its first slice has the session's own id."""


class Strand:
    """One model's slices."""

    def __init__(
        self, meter: Meter | SecondMeter, terms: StrandTerms, calls: Metered, clock: Clock, ids: Ids
    ) -> None:
        self._meter, self._terms, self._calls = meter, terms, calls
        self._clock, self._ids = clock, ids
        self._hold: Hold | None = None
        self._last: Hold | None = None
        """The hold taken last, also when it is gone."""
        self._began = 0.0
        self._slices = 0
        self._grown = 0
        self._moving: asyncio.Task[None] | None = None
        self._settlements: set[asyncio.Task[Charged]] = set()
        self.upstream_request_id: str | None = None

    @property
    def last_hold(self) -> Hold:
        """The hold taken last. Only after `begin`."""
        assert self._last is not None, "a strand begins with a hold"
        return self._last

    async def begin(self, since_ticks_ms: float) -> None:
        """Take the first slice. Raises the QlaudError that refuses it."""
        await self._take_hold(since_ticks_ms)

    async def cover(self) -> None:
        """Return when all that may be billed is held. Raises the QlaudError that ends the session."""
        while (moving := self._under_way) is not None or self._is_short() or self._meter.due:
            await asyncio.shield(moving or self._begun(self._move()))

    async def ease(self) -> None:
        """Give back what is held far beyond need: the caller has lowered what a response may cost."""
        if self._under_way is None and self._hold is not None:
            wanted = self._price(ahead=True)
            if self._hold.amount_micros > EASED_AT * wanted:
                await asyncio.shield(self._begun(self._shrink(self._hold, wanted)))

    async def end(self, *, clean: bool, status: int = SWITCHING) -> None:
        """Settle what is left. Returns when all slices are settled, durably."""
        if self._moving is not None:
            await asyncio.wait((self._moving,))
        outcome = self._meter.end(clean=clean)
        hold, self._hold = self._hold, None
        if hold is None:
            await self._settle_uncovered(outcome, status)
        elif isinstance(outcome, Nothing) and (self._slices > 1 or not self._terms.is_main):
            await self._calls.void(hold)
        else:
            await self._calls.settle(self._settlement(hold, outcome, status))
        if self._settlements:
            await asyncio.wait(self._settlements)

    async def settle(self, outcome: Outcome, status: int) -> None:
        """End the slice with this outcome, where the session did not come about."""
        hold, self._hold = self._hold, None
        if hold is not None:
            await self._calls.settle(self._settlement(hold, outcome, status))

    async def void(self) -> None:
        """Nothing has left: give the slice back."""
        hold, self._hold = self._hold, None
        if hold is not None:
            await self._calls.void(hold)

    def forget(self) -> None:
        """The session broke: its hold must be found lost."""
        if self._hold is not None:
            self._calls.forget(self._hold)

    def _is_short(self) -> bool:
        return self._hold is None or self._price(ahead=False) > self._hold.amount_micros

    async def _move(self) -> None:
        """Settle and hold anew, or let the hold grow."""
        hold = self._hold
        if hold is None:
            raise SessionOutOfMoney
        if self._meter.due and self._meter.ready:
            await self._turn(hold, everything=False)
            return
        wanted = self._price(ahead=True)
        more = Micros(wanted - hold.amount_micros)
        silent = self._grown >= SILENT_SLICES and self._meter.countable
        if not silent and await self._calls.extend(hold, add_micros=more, add_output=0):
            self._grown += 1
            self._hold = self._last = replace(hold, amount_micros=wanted)
            if self._meter.ready:
                await self._turn(self._hold, everything=False)
        elif self._meter.countable:
            await self._turn(hold, everything=True)
        else:
            raise SessionOutOfMoney

    async def _shrink(self, hold: Hold, wanted: Micros) -> None:
        less = Micros(wanted - hold.amount_micros)
        if await self._calls.extend(hold, add_micros=less, add_output=0):
            self._hold = self._last = replace(hold, amount_micros=wanted)

    async def _turn(self, hold: Hold, *, everything: bool) -> None:
        """The slice is over: settle it, and take the next in the same breath."""
        self._hold = None
        self._settle_soon(self._settlement(hold, self._meter.take(everything=everything), SWITCHING))
        await asyncio.sleep(
            0
        )  # the settlement stands in the queue before the hold does, and frees money for it
        await self._take_hold(self._clock.ticks_ms())

    async def _take_hold(self, since_ticks_ms: float) -> None:
        now_ms = self._clock.now_ms()
        own = self._terms.is_main and not self._slices
        session = self._terms.session_id
        facts = self._terms.facts if own else replace(self._terms.facts, parent_id=session)
        amount = self._price(ahead=True)
        ask = HoldAsk(
            id=session if own else RequestId(self._ids.uuid(now_ms)),
            secret_sha256=self._terms.secret_sha256,
            facts=facts,
            is_priced=self._is_priced(),
            unbounded_tool=self._meter.need(ahead=True).unbounded_tool,
            want_output=None,
            want_micros=amount,
            floor_micros=amount,
            base_picos=0,
            slope_picos=0,
            no_limit=False,
        )
        self._hold = self._last = await self._calls.admit(ask, since_ticks_ms=since_ticks_ms)
        self._began = self._clock.ticks_ms()
        self._slices += 1
        self._grown = 0

    def _settle_soon(self, settlement: Settlement) -> None:
        task = asyncio.create_task(self._calls.settle(settlement))
        self._settlements.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[Charged]) -> None:
        self._settlements.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            logger.error(
                "a slice could not be settled",
                exc_info=defect,
                extra={"request_id": str(self._terms.session_id)},
            )

    @property
    def _under_way(self) -> "asyncio.Task[None] | None":
        """The move that nobody may move beside. One that is done is over, also if nobody was told of it yet."""
        return None if self._moving is None or self._moving.done() else self._moving

    def _begun(self, move: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        self._moving = task = asyncio.create_task(move)
        task.add_done_callback(_told)
        return task

    async def _settle_uncovered(self, outcome: Outcome, status: int) -> None:
        """What was told after the last hold was refused: billed from what is free, else to the operator."""
        if isinstance(outcome, Nothing) or self._last is None:
            return
        now_ms = self._clock.now_ms()
        rest = replace(
            self._last,
            id=RequestId(self._ids.uuid(now_ms)),
            amount_micros=Micros(0),
            created_at=now_ms,
        )
        self._slices += 1
        await self._calls.settle(self._settlement(rest, outcome, status))

    def _settlement(self, hold: Hold, outcome: Outcome, status: int) -> Settlement:
        terms = self._terms
        usage, charge, estimated = priced(outcome, terms.card, hold, terms.markup_bp)
        facts = terms.facts
        if hold.id != terms.session_id:
            facts = replace(facts, parent_id=terms.session_id)
        return Settlement(
            hold=hold,
            facts=facts,
            usage=usage,
            cost_micros=charge.cost_micros,
            provider_cost_micros=charge.provider_cost_micros,
            latency_ms=int(self._clock.ticks_ms() - self._began),
            first_token_ms=None,
            status=status,
            stream=True,
            estimated=estimated,
            clamped=False,
            upstream_request_id=self.upstream_request_id,
        )

    def _price(self, *, ahead: bool) -> Micros:
        return price_of(self._terms.card, self._meter.need(ahead=ahead), self._terms.markup_bp) or Micros(0)

    def _is_priced(self) -> bool:
        return price_of(self._terms.card, self._meter.need(ahead=True), self._terms.markup_bp) is not None


def _told(move: asyncio.Task[None]) -> None:
    if not move.cancelled():
        move.exception()  # whoever waits for it is told


def price_of(card: RateCard | None, need: Need, markup_bp: int) -> Micros | None:
    """The most what is needed can cost; None where a part of it has no price."""
    if card is None:
        return None
    demand = Demand(input_tokens=need.input_tokens, most=need.most, grade=need.grade)
    try:
        worst = card.worst(demand, context_window=None, markup_bp=markup_bp)
    except NotPriced:
        return None
    return worst.micros(need.output_tokens)
