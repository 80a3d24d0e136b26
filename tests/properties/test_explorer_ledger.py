"""Every short history of the ledger, not a sample of them: real PostgreSQL beside the model, step by step.

From each scene all histories of up to `DEPTH` operations are walked, depth first, each step in a savepoint that is
rolled back on the way up. Two histories that end in the same state are walked on from only once (the model tells
them apart by everything the future depends on, and the database was just seen to agree with it in every number), so
the walk is a search of the state graph. The counts are asserted: a walk that shrinks has lost operations.

Then two connections: every pair of operations, the second sent while the first is not committed yet, and the first
then committed or rolled back. The second must wait for the first where they touch the same money, so that it ends as
if it had come after it (or as if the first had never been), and never in a deadlock.
"""

import asyncio
import copy
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest
from tests.support.ledger_desk import LedgerDesk
from tests.support.ledger_model import DAY_MS, Model, ModelKey

DEPTH = 4
A, B, C, D, E = (UUID(int=number) for number in (0xA, 0xB, 0xC, 0xD, 0xE))


@dataclass(frozen=True)
class Operation:
    """A step: when it makes sense, and what it is."""

    name: str
    fits: Callable[[LedgerDesk], bool]
    act: Callable[[LedgerDesk], Awaitable[None]]


def _taken(*ids: UUID) -> Callable[[LedgerDesk], bool]:
    return lambda desk: all(hold_id in desk.taken for hold_id in ids)


def _fresh(*ids: UUID) -> Callable[[LedgerDesk], bool]:
    return lambda desk: not any(hold_id in desk.taken for hold_id in ids)


def _live(desk: LedgerDesk) -> bool:
    return not desk.model.keys[0].revoked


def _in_days(desk: LedgerDesk) -> bool:
    return desk.model.keys[0].period == "day"


async def _another_day(desk: LedgerDesk) -> None:
    desk.clock.at_ms += DAY_MS


async def _a_day_back(desk: LedgerDesk) -> None:
    desk.clock.at_ms -= DAY_MS


OPERATIONS = (
    Operation("hold A", _fresh(A), lambda desk: desk.hold(desk.want(0, 4000, hold_id=A))),
    Operation(
        "hold B and C at once",
        _fresh(B, C),
        lambda desk: desk.hold(
            desk.want(0, 1500, hold_id=B, waited=True),
            desk.want(0, 6000, hold_id=C, waited=True, no_limit=True),
        ),
    ),
    Operation(
        "hold D and E of the other key at once",
        _fresh(D, E),
        lambda desk: desk.hold(desk.want(1, 3000, hold_id=D), desk.want(1, 700, hold_id=E)),
    ),
    Operation("settle A below its hold", _taken(A), lambda desk: desk.settle((A, 1_000))),
    Operation("settle A at its hold", _taken(A), lambda desk: desk.settle((A, desk.taken[A].amount_micros))),
    Operation("settle A above its hold", _taken(A), lambda desk: desk.settle((A, 31_000))),
    Operation(
        "settle B above and C below, at once", _taken(B, C), lambda desk: desk.settle((C, 500), (B, 12_000))
    ),
    Operation("extend A", _taken(A), lambda desk: desk.extend(A, 9_000)),
    Operation("every worker dies", lambda desk: bool(desk.model.holds), lambda desk: desk.lose()),
    Operation("the owner of A comes back", _taken(A), lambda desk: desk.come_back(A)),
    Operation("resolve A", _taken(A), lambda desk: desk.resolve(A, 700)),
    Operation("resolve A above its hold", _taken(A), lambda desk: desk.resolve(A, 50_000)),
    Operation("void A", _taken(A), lambda desk: desk.void(A)),
    Operation("revoke the key", _live, lambda desk: desk.revoke(0)),
    Operation("lower the cap", _live, lambda desk: desk.change_cap(0, 20_000)),
    Operation("grant credit", _live, lambda desk: desk.credit(0, 10_000)),
    Operation("a day passes", _in_days, _another_day),
    Operation("the clock steps back a day", _in_days, _a_day_back),
    Operation(
        "take money out of the wallet", lambda desk: desk.model.prepaid, lambda desk: desk.pay(-20_000)
    ),
)

SCENES = {
    "one cap for life, clamped": Model(False, 0, [ModelKey(40_000), ModelKey(30_000)]),
    "a cap a day, refused, with markup": Model(
        False, 700, [ModelKey(40_000, "day", "refuse"), ModelKey(None, max_parallel=1)]
    ),
    "a wallet below the cap, refused": Model(
        True, 0, [ModelKey(90_000, "lifetime", "refuse"), ModelKey(None)], 45_000
    ),
    "a wallet beside a cap a day": Model(True, 333, [ModelKey(40_000, "day"), ModelKey(None)], 55_000),
}

STEPS = {
    "one cap for life, clamped": 1356,
    "a cap a day, refused, with markup": 3599,
    "a wallet below the cap, refused": 1799,
    "a wallet beside a cap a day": 5156,
}
"""How many there were in 2026-11, each checked in every number; 11910 in all."""


@dataclass
class Walk:
    """The search: what was seen, and the way to where it is."""

    desk: LedgerDesk
    connection: asyncpg.Connection
    seen: dict[object, int] = field(default_factory=dict)
    steps: int = 0
    path: list[str] = field(default_factory=list)

    async def on(self, depth: int) -> None:
        """Walk every history of up to `depth` more operations from here."""
        desk = self.desk
        here = (desk.model.state(), desk.clock.at_ms)
        if self.seen.get(here, -1) >= depth:
            return
        self.seen[here] = depth
        if depth == 0:
            return
        for operation in OPERATIONS:
            if operation.fits(desk):
                await self._step(operation, depth)

    async def _step(self, operation: Operation, depth: int) -> None:
        desk = self.desk
        before = copy.deepcopy(desk.model), desk.clock.at_ms, dict(desk.taken)
        self.path.append(operation.name)
        self.steps += 1
        savepoint = self.connection.transaction()
        await savepoint.start()
        try:
            await operation.act(desk)
            await desk.assert_books()
        except Exception as difference:
            difference.add_note("after: " + ", then ".join(self.path))
            raise
        await self.on(depth - 1)
        await savepoint.rollback()
        desk.model, desk.clock.at_ms, desk.taken = before
        self.path.pop()


def hand(
    connection: asyncpg.Connection,
) -> tuple[
    Callable[[], Awaitable[asyncpg.Connection]], Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]
]:
    """`connect` and `acquire` that both give this one connection, so that the test owns its transaction."""

    async def connect() -> asyncpg.Connection:
        return connection

    @asynccontextmanager
    async def acquire() -> AsyncGenerator[asyncpg.Connection]:
        yield connection

    return connect, acquire


@pytest.mark.parametrize("scene", SCENES)
def test_every_short_history_does_what_the_model_says(database_url: str, scene: str) -> None:
    async def main() -> Walk:
        connection = await asyncpg.connect(database_url)
        transaction = connection.transaction()
        await transaction.start()
        desk = LedgerDesk(*hand(connection), copy.deepcopy(SCENES[scene]))
        await desk.open()
        await desk.assert_books()
        walk = Walk(desk, connection)
        await walk.on(DEPTH)
        await desk.leave()
        await connection.close()
        return walk

    steps = asyncio.run(main()).steps
    assert steps >= STEPS[scene], f"only {steps} steps: operations have become impossible"


SEES_NO_MORE = {
    ("hold D and E of the other key at once", "every worker dies"),
    ("the owner of A comes back", "every worker dies"),
    ("every worker dies", "the owner of A comes back"),
}
"""Pairs that may pass each other, to no harm: a hold that is being taken or renewed is not old enough to be lost, and
a renewal waits for nobody, so a hold that is being lost is held again by the next one."""


class Duel:
    """Two transactions on one account, whose operations the model does one after the other."""

    def __init__(
        self, first: asyncpg.Connection, second: asyncpg.Connection, watch: asyncpg.Connection
    ) -> None:
        self._first, self._second, self._watch = first, second, watch
        self.waited = self.fought = 0

    async def fight(
        self, scene: Model, before: tuple[Operation, ...], pair: tuple[Operation, Operation]
    ) -> None:
        """Both ends of one pair: the first commits, the first rolls back."""
        for commits in (True, False):
            desk = LedgerDesk(*hand(self._first), copy.deepcopy(scene))
            await desk.open()
            for operation in before:
                await operation.act(desk)
            await self._fight(desk, pair, commits=commits)
            await desk.leave()
            await self._first.execute("DELETE FROM holds; DELETE FROM usage_events")

    async def _fight(self, desk: LedgerDesk, pair: tuple[Operation, Operation], *, commits: bool) -> None:
        one, other = pair
        if not one.fits(desk):
            return
        model_before, taken_before = copy.deepcopy(desk.model), dict(desk.taken)
        transaction = self._first.transaction()
        await transaction.start()
        await one.act(desk)
        if not commits:
            desk.model, desk.taken = model_before, taken_before
        rival = desk.by(*hand(self._second))
        if other.fits(rival):
            acting = asyncio.ensure_future(other.act(rival))
            self.waited += await self._waits(acting)
            await (transaction.commit() if commits else transaction.rollback())
            async with asyncio.timeout(10.0):
                await acting
            self.fought += 1
        else:
            await transaction.rollback()
            rival.model = model_before
        await rival.assert_books()
        await rival.leave()

    async def _waits(self, acting: "asyncio.Future[None]") -> bool:
        """Whether the second came to wait for the first, before it was done."""
        pid = self._second.get_server_pid()
        while not acting.done():
            if await self._watch.fetchval("SELECT cardinality(pg_blocking_pids($1)) > 0", pid):
                return True
        return False


@pytest.mark.parametrize("lost", [False, True], ids=["held", "lost"])
def test_every_pair_of_operations_is_as_if_one_came_after_the_other(database_url: str, lost: bool) -> None:
    by_name = {operation.name: operation for operation in OPERATIONS}
    before = (by_name["hold A"], by_name["hold B and C at once"])
    if lost:
        before = (*before, by_name["every worker dies"])
    moves = [operation for operation in OPERATIONS if operation.act not in (_another_day, _a_day_back)]

    async def main() -> Duel:
        async with asyncio.timeout(120.0):
            hands = [await asyncpg.connect(database_url) for _ in range(3)]
            duel = Duel(*hands)
            for one in moves:
                for other in moves:
                    if (one.name, other.name) in SEES_NO_MORE:
                        continue
                    try:
                        await duel.fight(SCENES["a wallet beside a cap a day"], before, (one, other))
                    except Exception as difference:
                        difference.add_note(f"{one.name}, and before it has committed: {other.name}")
                        raise
            for connection in hands:
                await connection.close()
            return duel

    duel = asyncio.run(main())
    assert duel.fought >= 440, "pairs have become impossible"
    assert duel.waited >= 360, "transitions of one key no longer wait for each other"


@pytest.mark.parametrize("backwards", [False, True], ids=["as they come", "backwards"])
def test_keys_are_locked_in_one_order_whatever_order_they_are_named_in(
    database_url: str, backwards: bool
) -> None:
    """Whoever waits for the first key of a batch holds none of the others, so two batches never wait in a circle."""

    async def main() -> None:
        owner, batch, watch = [await asyncpg.connect(database_url) for _ in range(3)]
        desk = LedgerDesk(*hand(owner), copy.deepcopy(SCENES["a wallet beside a cap a day"]))
        await desk.open()
        low, high = sorted(desk.key_ids)
        named = [high, low] if backwards else [low, high]
        async with asyncio.timeout(10.0):
            async with owner.transaction():
                await owner.execute("SELECT 1 FROM keys WHERE id = $1 FOR NO KEY UPDATE", low)
                locking = asyncio.ensure_future(batch.execute("SELECT ledger_lock('{}', $1, true)", named))
                while not await watch.fetchval(
                    "SELECT cardinality(pg_blocking_pids($1)) > 0", batch.get_server_pid()
                ):
                    assert not locking.done()
                await owner.execute("SELECT 1 FROM keys WHERE id = $1 FOR NO KEY UPDATE NOWAIT", high)
                await owner.execute("SELECT 1 FROM wallets FOR NO KEY UPDATE NOWAIT")
            await locking
        await desk.leave()
        for connection in (owner, batch, watch):
            await connection.close()

    asyncio.run(main())
