"""What was used and what it cost: the sums of a window, a key's account, one request."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from qlaud.core.clock import month_start_ms
from qlaud.core.errors import BadRequest, NotFound
from qlaud.core.ids import KeyId
from qlaud.core.keys import Key, Principal
from qlaud.core.money import Micros
from qlaud.core.records import GroupBy, HoldRow, ModelSum, UsageEvent, UsageFilter, UsageReport
from qlaud.flows.keys import visible
from qlaud.ports import Clock
from qlaud.ports_management import Books


@dataclass(frozen=True, slots=True)
class Window:
    """`from_ms <= created_at < to_ms`; None stands for the start of the UTC month, and for now."""

    from_ms: int | None = None
    to_ms: int | None = None
    key_id: KeyId | None = None
    end_user_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """A key, what its running period cost by model, and a page of its events. `before` leads to older ones."""

    key: Key
    by_model: tuple[ModelSum, ...]
    events: tuple[UsageEvent, ...]
    before: UUID | None


@dataclass(frozen=True, slots=True)
class Settled:
    """A request that has its event, and the further calls that were made for it."""

    event: UsageEvent
    calls: tuple[UUID, ...]
    total_cost_micros: Micros


class UsageReports:
    """The verbs."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books, self._clock = books, clock

    async def report(
        self, caller: Principal, window: Window, group_by: GroupBy | None
    ) -> tuple[UsageFilter, UsageReport]:
        """The window that was meant, and its sums, of the caller's account and mode. Raises BadRequest."""
        now = self._clock.now_ms()
        from_ms = month_start_ms(now) if window.from_ms is None else window.from_ms
        to_ms = now if window.to_ms is None else window.to_ms
        if from_ms > to_ms:
            raise BadRequest(
                f"the window ends before it begins: from_ms {from_ms}, to_ms {to_ms}", param="from_ms"
            )
        which = UsageFilter(
            caller.account_id,
            caller.mode,
            from_ms,
            to_ms,
            key_id=window.key_id,
            end_user_id=window.end_user_id,
            model=window.model,
        )
        async with self._books.snapshot() as session:
            return which, await session.usage.report(which, group_by)

    async def of_key(
        self, caller: Principal, key_id: KeyId, *, limit: int, before: UUID | None = None
    ) -> KeyUsage:
        """The account of one key. Raises NotFound, BadRequest for a `before` that is none of its events."""
        async with self._books.snapshot() as session:
            key = visible(caller, await session.keys.get(caller.account_id, key_id, self._clock.now_ms()))
            if before is not None and not await session.usage.has_event(key_id, before):
                raise BadRequest("`before` is not an event of this key", param="before")
            by_model = await session.usage.models_of_key(key_id, key.balance.period_start)
            events = await session.usage.events_of_key(key_id, limit=limit + 1, before=before)
        page = tuple(events[:limit])
        return KeyUsage(key, tuple(by_model), page, page[-1].id if len(events) > limit else None)

    async def request(self, caller: Principal, request_id: UUID) -> Settled | HoldRow:
        """The request, or its hold while it is in flight. A standard key finds its own, and not what they cost us.

        Raises NotFound.
        """
        async with self._books.snapshot() as session:
            event = await session.usage.event(caller.account_id, caller.mode, request_id)
            if event is None:
                hold = await session.holds.get(caller.account_id, caller.mode, request_id)
                if hold is None or _foreign(caller, hold.key_id):
                    raise NotFound("no such request")
                return hold
            if _foreign(caller, event.key_id):
                raise NotFound("no such request")
            calls = await session.usage.calls_of(caller.account_id, request_id)
        if caller.scope != "admin":
            event = replace(event, provider_cost_micros=None)
        total = Micros(event.cost_micros + sum(cost for _, cost in calls))
        return Settled(event, tuple(call for call, _ in calls), total)

    async def gauges(self) -> Mapping[str, tuple[str, float]]:
        """For the metrics page: name, what it means, and the value in the database now."""
        async with self._books.lookup() as session:
            totals = await session.holds.totals()
        return {
            "qlaud_holds": ("Calls in flight, over all workers.", totals.held),
            "qlaud_held_micros": ("Money held by calls in flight.", totals.held_micros),
            "qlaud_lost_holds": ("Lost holds that wait to be resolved; target 0.", totals.lost),
            "qlaud_lost_micros": ("Money in lost holds.", totals.lost_micros),
            "qlaud_overage_micros_total": (
                "What providers billed beyond their holds; target 0.",
                totals.overage_micros,
            ),
        }


def _foreign(caller: Principal, key_id: KeyId) -> bool:
    return caller.scope != "admin" and key_id != caller.key_id
