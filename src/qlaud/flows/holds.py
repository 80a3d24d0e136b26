"""Holds by hand: see what is tied up, and end a lost one with what its call really cost."""

from dataclasses import dataclass, replace
from uuid import UUID

from qlaud.core.errors import BadRequest, HoldNotLost, NotFound
from qlaud.core.ids import KeyId
from qlaud.core.keys import Principal
from qlaud.core.money import Micros
from qlaud.core.records import HoldRow
from qlaud.ports import Clock
from qlaud.ports_management import Books, Session


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds to list. None means: all."""

    state: str | None = None
    key_id: KeyId | None = None


@dataclass(frozen=True, slots=True)
class HoldPage:
    """A part of a list; `after` is where the next part begins, None at the end."""

    holds: tuple[HoldRow, ...]
    after: tuple[int, UUID] | None


class Holds:
    """The verbs."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books, self._clock = books, clock

    async def page(
        self, caller: Principal, which: HoldFilter, *, limit: int, after: tuple[int, UUID] | None = None
    ) -> HoldPage:
        """Holds of the caller's account and mode, oldest first."""
        async with self._books.lookup() as session:
            rows = await session.holds.listing(
                caller.account_id,
                caller.mode,
                state=which.state,
                key_id=which.key_id,
                limit=limit + 1,
                after=after,
            )
        page = tuple(rows[:limit])
        return HoldPage(page, (page[-1].created_at, page[-1].id) if len(rows) > limit else None)

    async def resolve(
        self, session: Session, caller: Principal, hold_id: UUID, cost_micros: Micros
    ) -> HoldRow:
        """The hold, resolved: its cost is posted and its event written. Raises NotFound, HoldNotLost, BadRequest."""
        hold = await session.holds.get(caller.account_id, caller.mode, hold_id)
        if hold is None:
            raise NotFound("no such hold")
        if hold.state != "lost":
            raise HoldNotLost
        if not 0 <= cost_micros <= hold.amount_micros:
            raise BadRequest(
                f"cost_micros must be between 0 and the amount held, {hold.amount_micros}",
                param="cost_micros",
            )
        if not await session.holds.resolve(hold_id, cost_micros, self._clock.now_ms()):
            raise HoldNotLost
        return replace(hold, state="resolved")
