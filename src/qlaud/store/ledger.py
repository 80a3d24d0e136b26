"""The ledger's transitions over PostgreSQL (`migrations/0002_ledger.sql`): holds, settlements, extensions.

Every transition is durable when its answer comes. The rules stand in SQL, under the lock of the key's row; this
module carries values in and out, in batches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import cast
from uuid import UUID

import asyncpg
import msgspec

from qlaud.core.errors import StoreUnavailable
from qlaud.core.ids import AccountId, KeyId, RequestId
from qlaud.core.ledger import Admission, Charged, Hold, HoldAsk, Limits, Refused, Settlement, Wait, refusal
from qlaud.core.money import Micros
from qlaud.core.usage import QUANTITIES, Usage
from qlaud.store.batch import Answer, Batcher, Item, Row
from qlaud.store.pool import unavailable_when_lost
from qlaud.store.sweeping import StaleHolds

APPLY = "SELECT * FROM ledger_apply($1, $2, $3, $4, $5, $6, $7, $8, $9)"
RENEW = "SELECT ledger_renew($1, $2)"
VOID = "SELECT ledger_void($1)"
STALE = """
SELECT h.id, h.renewed_at FROM holds h
 WHERE h.state = 'held' AND h.renewed_at < $1
   AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = h.id AND j.state = 'running') -- a job's hold is nobody's to renew
 ORDER BY h.renewed_at, h.id LIMIT $2
"""
LOSE = "SELECT * FROM ledger_move_holds($1, 'held', 'lost', $2, $3)"
DROP_S = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What the deployment says about money."""

    markup_bp: int
    is_prepaid: bool
    give_up_s: float
    """How long a caller waits for a database that does not answer."""


COLUMNS = frozenset(
    (
        "input_tokens",
        "cache_read_tokens",
        "output_tokens",
        "reasoning_tokens",
        "audio_ms",
        "video_ms",
        "characters",
        "images",
    )
)
"""Quantities with a column of their own; cache writes share one. All others go to `quantities`."""
USUAL = frozenset(("standard", "default", "global", "not_available"))
"""Price contexts of a plain call, in the providers' words: not worth a note."""
OTHERS = tuple(name for name in QUANTITIES if name not in COLUMNS)
_others = cast("attrgetter[tuple[int, ...]]", attrgetter(*OTHERS))

Connect = Callable[[], Awaitable[asyncpg.Connection]]
Acquire = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]


class Ledger:
    """Implements `ports.LedgerStore`. `connect` gives a connection of its own, `acquire` one of the pool."""

    def __init__(self, connect: Connect, acquire: Acquire, now_ms: Callable[[], int], terms: Terms) -> None:
        self._connect = connect
        self._acquire = acquire
        self._now_ms = now_ms
        self._terms = terms
        self._connection: asyncpg.Connection | None = None
        self._stale = StaleHolds()
        self._batcher = Batcher(self._apply, give_up_s=terms.give_up_s)

    def start(self) -> None:
        """Begin to serve. Needs the running loop."""
        self._batcher.start()

    async def close(self, timeout_s: float) -> None:
        """Commit what is queued, then close. What could not be committed stays as holds, found lost later."""
        await self._batcher.close(timeout_s)
        with suppress(StoreUnavailable):
            await self.void_orphans()
        if self._connection is not None:
            self._connection.terminate()

    async def hold(self, ask: HoldAsk, *, has_waited: bool) -> Admission:
        """Take the hold, or say why not. Raises StoreUnavailable when the database does not answer in time."""
        future = self._submit("hold", _ask_row(ask, has_waited), None, self._terms.is_prepaid)
        try:
            answer = await future
        except asyncio.CancelledError:
            self._batcher.abandon(ask.id, future)
            raise
        assert answer is not None, "every hold has an answer"
        return _admission(answer, ask)

    async def settle(self, settlement: Settlement) -> Charged:
        """Post the cost, release the rest, write the event: once per hold, and not before it is durable."""
        hold = settlement.hold
        answer = await self._submit("settle", _settlement_row(settlement), hold.key_id, hold.on_wallet)
        if answer is None:
            return Charged(settlement.cost_micros, Micros(0))
        return Charged(Micros(answer["amount_micros"]), Micros(answer["overage_micros"]))

    async def extend(self, hold: Hold, *, add_micros: Micros, add_output: int) -> bool:
        """Whether the hold grew by this much."""
        answer = await self._submit(
            "extend", (hold.id, hold.key_id, add_micros, add_output), hold.key_id, hold.on_wallet
        )
        return answer is not None and answer["outcome"] == "extended"

    async def renew(self, ids: Sequence[RequestId]) -> None:
        """Say that the calls behind these holds are still ours."""
        async with self._acquire() as connection:
            await connection.execute(RENEW, ids, self._now_ms())

    async def sweep_lost(self, *, lost_after_ms: int, limit: int) -> list[tuple[UUID, Micros]]:
        """Mark holds nobody renewed as lost; returns (id, amount) of each.

        Lost is what looks stale by the wall clock and stayed as it was while this process watched it.
        """
        before_ms = self._now_ms() - lost_after_ms
        now_s = asyncio.get_running_loop().time()
        async with self._acquire() as connection:
            rows = await connection.fetch(STALE, before_ms, limit)
            stale = ((row["id"], row["renewed_at"]) for row in rows)
            ripe = self._stale.ripe(stale, now_s, lost_after_ms=lost_after_ms)
            if not ripe:
                return []
            lost = await connection.fetch(LOSE, ripe, self._now_ms(), before_ms)
        return [(row["id"], Micros(row["amount_micros"])) for row in lost]

    async def void_orphans(self) -> int:
        """Give back holds whose caller left before the answer came; returns how many."""
        orphans = self._batcher.take_orphans()
        if not orphans:
            return 0
        try:
            async with self._acquire() as connection:
                return await connection.fetchval(VOID, orphans)
        except BaseException:
            self._batcher.give_back(orphans)
            raise

    async def void(self, hold: Hold) -> None:
        """Give back the hold of a call that never left this machine: now, or when the database is back."""
        self._batcher.give_back([hold.id])
        with suppress(StoreUnavailable):
            await self.void_orphans()

    def _submit(self, kind: str, row: Row, key_id: KeyId | None, on_wallet: bool) -> "asyncio.Future[Answer]":
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        return self._batcher.submit(Item(kind, row, key_id, on_wallet, future))

    async def _apply(self, batch: list[Item]) -> dict[object, asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        asks = [_marked(item) for item in batch if item.kind == "hold"]
        try:
            with unavailable_when_lost():
                rows = await self._connection.fetch(
                    APPLY,
                    self._now_ms(),
                    self._terms.markup_bp,
                    self._terms.is_prepaid,
                    any(item.on_wallet for item in batch),
                    [row[1] for row in asks],
                    [item.key_id for item in batch if item.key_id is not None],
                    asks,
                    [item.row for item in batch if item.kind == "settle"],
                    [item.row for item in batch if item.kind == "extend"],
                    timeout=self._terms.give_up_s,
                )
        except StoreUnavailable:
            await self._drop()
            raise
        return {(KINDS.get(row["outcome"], "hold"), row["id"]): row for row in rows}

    async def _drop(self) -> None:
        """Leave a connection whose last command may hang; its server is asked to stop it."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            await connection.close(timeout=DROP_S)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()


KINDS = {"posted": "settle", "extended": "extend", "refused": "extend"}
"""Which kind of transition an outcome answers; every other outcome answers a hold."""


def _marked(item: Item) -> Row:
    return (*item.row[:2], item.is_retry, *item.row[3:])


def _ask_row(ask: HoldAsk, has_waited: bool) -> Row:
    facts = ask.facts
    return (
        ask.id,
        ask.secret_sha256,
        False,
        has_waited,
        facts.model,
        facts.provider,
        facts.surface,
        facts.price_version,
        ask.is_priced,
        ask.unbounded_tool is None,
        ask.want_output,
        ask.want_micros,
        ask.floor_micros,
        ask.base_picos,
        ask.slope_picos,
        ask.no_limit,
        facts.end_user_id,
        facts.thread_id,
        facts.parent_id,
    )


def _admission(answer: asyncpg.Record, ask: HoldAsk) -> Admission:
    outcome: str = answer["outcome"]
    if outcome == "held":
        return Hold(
            id=ask.id,
            key_id=KeyId(answer["key_id"]),
            account_id=AccountId(answer["account_id"]),
            mode=answer["mode"],
            on_wallet=answer["on_wallet"],
            amount_micros=Micros(answer["amount_micros"]),
            max_output=answer["max_output"],
            bounded=answer["bounded"],
            on_disconnect=answer["on_disconnect"],
            created_at=answer["created_at"],
            remaining_micros=answer["remaining_micros"],
            rpm_limit=answer["rpm_limit"],
            rpm_used=answer["rpm_used"],
        )
    if outcome == "wait":
        return Wait()
    limits = Limits(
        cap_micros=answer["cap_micros"] or 0,
        spent_micros=answer["spent_micros"] or 0,
        in_flight_micros=answer["in_flight_micros"] or 0,
        affordable_output=answer["affordable_output"],
        rpm_limit=answer["rpm_limit"],
        retry_after_ms=answer["retry_after_ms"],
        max_parallel=answer["max_parallel"],
    )
    return Refused(refusal(outcome, ask, limits))


def _settlement_row(settlement: Settlement) -> Row:
    hold, facts, usage = settlement.hold, settlement.facts, settlement.usage
    return (
        hold.id,
        hold.key_id,
        hold.account_id,
        hold.mode,
        hold.on_wallet,
        hold.amount_micros,
        hold.created_at,
        facts.model,
        facts.provider,
        facts.surface,
        facts.price_version,
        facts.end_user_id,
        facts.thread_id,
        facts.parent_id,
        settlement.cost_micros,
        settlement.provider_cost_micros,
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.audio_ms,
        usage.video_ms,
        usage.characters,
        usage.images,
        _quantities(usage, facts.model),
        settlement.latency_ms,
        settlement.first_token_ms,
        settlement.status,
        settlement.stream,
        settlement.estimated,
        settlement.clamped,
        settlement.upstream_request_id,
    )


def _quantities(usage: Usage, model: str) -> str | None:
    """What has no column, as JSON text; None for the plain call that has none of it."""
    others: dict[str, object] = {}
    counts = _others(usage)
    if any(counts):
        others = {name: count for name, count in zip(OTHERS, counts, strict=True) if count}
    for name in ("tier", "speed", "geo"):
        if (word := getattr(usage, name)) and word not in USUAL:
            others[name] = word
    if usage.served_model not in ("", model):
        others["served_model"] = usage.served_model
    others.update(usage.detail)
    return msgspec.json.encode(others).decode() if others else None
