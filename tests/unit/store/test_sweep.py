"""Which holds are taken for lost: those nobody renews, and none because somebody's clock is wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from qlaud.core.ids import RequestId
from qlaud.store.ledger import Ledger, Terms
from qlaud.store.pool import Pool, open_pool

DAY_MS = 86_400_000
BEGUN_MS = 1_790_000_000_000
HOLD = UUID(int=3)
ROWS = f"""
INSERT INTO accounts VALUES ('{UUID(int=1)}', 'a', NULL, 0, 0);
INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, created_at, held_micros)
VALUES ('{UUID(int=2)}', '{UUID(int=1)}', sha256('k'), '', 'k', 'standard', 'live', 0, 70);
INSERT INTO holds (id, key_id, account_id, mode, on_wallet, amount_micros, bounded, model, provider, surface,
                   price_version, created_at, renewed_at)
VALUES ('{HOLD}', '{UUID(int=2)}', '{UUID(int=1)}', 'live', false, 70, true, 'm', 'p', 's', '1',
        {BEGUN_MS}, {BEGUN_MS});
"""


class Worker:
    """One process's ledger, by its own clock."""

    def __init__(self, pool: Pool, ahead_ms: int = 0) -> None:
        self.at_ms = BEGUN_MS + ahead_ms
        self._ledger = Ledger(pool.connect, pool.acquire, lambda: self.at_ms, Terms(0, False, 5.0))

    async def renew(self) -> None:
        await self._ledger.renew([RequestId(HOLD)])

    async def sweep(self, lost_after_ms: int) -> list[tuple[UUID, int]]:
        return [
            (found, int(amount))
            for found, amount in await self._ledger.sweep_lost(lost_after_ms=lost_after_ms, limit=9)
        ]


@asynccontextmanager
async def one_hold(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url)
    try:
        async with pool.acquire() as connection:
            await connection.execute(ROWS)
        yield pool
    finally:
        await pool.aclose()


def on_one_hold(database_url: str, work: Callable[[Pool], Awaitable[None]]) -> None:
    async def main() -> None:
        async with one_hold(database_url) as pool:
            await work(pool)

    asyncio.run(main())


async def state(pool: Pool) -> str:
    async with pool.acquire() as connection:
        return await connection.fetchval("SELECT state FROM holds WHERE id = $1", HOLD)


def test_a_hold_nobody_renews_is_lost_once_it_was_watched(database_url: str) -> None:
    async def work(pool: Pool) -> None:
        worker = Worker(pool, ahead_ms=1_000)
        found: list[tuple[UUID, int]] = await worker.sweep(30)
        assert found == []
        async with asyncio.timeout(10):
            while not found:
                found = await worker.sweep(30)
        assert found == [(HOLD, 70)]
        assert await state(pool) == "lost"

    on_one_hold(database_url, work)


def test_a_clock_that_jumps_takes_no_living_hold_for_lost(database_url: str) -> None:
    async def work(pool: Pool) -> None:
        worker = Worker(pool)
        worker.at_ms += DAY_MS
        assert await worker.sweep(60_000) == []
        await worker.renew()
        assert await worker.sweep(60_000) == []
        assert await state(pool) == "held"

    on_one_hold(database_url, work)


def test_a_gateway_whose_clock_is_ahead_leaves_the_holds_of_others_alone(database_url: str) -> None:
    async def work(pool: Pool) -> None:
        owner, ahead = Worker(pool), Worker(pool, ahead_ms=DAY_MS)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + 1.0
        while loop.time() < until_s:
            owner.at_ms += 1
            await owner.renew()
            assert await ahead.sweep(900) == []
        assert await state(pool) == "held"

    on_one_hold(database_url, work)
