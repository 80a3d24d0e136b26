"""Every short history of the ledger, not a sample of them: real PostgreSQL beside the model, step by step.

From each scene all histories of up to `DEPTH` operations are walked, depth first, each step in a savepoint that is
rolled back on the way up. Two histories that end in the same state are walked on from only once (the model tells
them apart by everything the future depends on, and the database was just seen to agree with it in every number), so
the walk is a search of the state graph. The counts are asserted: a walk that shrinks has lost operations.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import pytest
from tests.support.ledger_desk import LedgerDesk
from tests.support.ledger_model import DAY_MS, Model, ModelKey

DEPTH = 4
A, B, C, D = (UUID(int=number) for number in (0xA, 0xB, 0xC, 0xD))


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


async def _another_day(desk: LedgerDesk) -> None:
    desk.clock.at_ms += DAY_MS


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
    Operation("hold D, of the other key", _fresh(D), lambda desk: desk.hold(desk.want(1, 3000, hold_id=D))),
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
    Operation("void A", _taken(A), lambda desk: desk.void(A)),
    Operation("revoke the key", _live, lambda desk: desk.revoke(0)),
    Operation("lower the cap", _live, lambda desk: desk.change_cap(0, 20_000)),
    Operation("grant credit", _live, lambda desk: desk.credit(0, 10_000)),
    Operation("a day passes", lambda desk: desk.model.keys[0].period == "day", _another_day),
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


@pytest.mark.parametrize("scene", SCENES)
def test_every_short_history_does_what_the_model_says(database_url: str, scene: str) -> None:
    async def main() -> Walk:
        connection = await asyncpg.connect(database_url)

        async def connect() -> asyncpg.Connection:
            return connection

        @asynccontextmanager
        async def acquire() -> AsyncIterator[asyncpg.Connection]:
            yield connection

        transaction = connection.transaction()
        await transaction.start()
        desk = LedgerDesk(connect, acquire, copy.deepcopy(SCENES[scene]))
        await desk.open()
        await desk.assert_books()
        walk = Walk(desk, connection)
        await walk.on(DEPTH)
        await desk.ledger.close(1.0)
        return walk

    walk = asyncio.run(main())
    print(scene, len(walk.seen), walk.steps)
    assert len(walk.seen) > 0
