"""The connection breaks under a batch, before or after its commit: nobody knows which, and every item happens once."""

import asyncio
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tests.support.ledger_desk import FACTS, START_MS, CountedIds, FrozenClock

from qlaud.core.ids import RequestId
from qlaud.core.ledger import Hold, HoldAsk, Settlement
from qlaud.core.money import Micros
from qlaud.core.usage import Usage
from qlaud.flows.doctor import Doctor
from qlaud.store.books import Books
from qlaud.store.ledger import Ledger, Terms
from qlaud.store.pool import Pool, PoolLimits

SECRET = sha256(b"a key").digest()


class Breaking:
    """A connection that is lost once, with the statement done or not done."""

    def __init__(self, real: asyncpg.Connection, breaks: list[str]) -> None:
        self._real, self._breaks = real, breaks

    async def fetch(self, *args: Any, **options: Any) -> Any:
        when = self._breaks.pop(0) if self._breaks else ""
        rows = None if when == "before" else await self._real.fetch(*args, **options)
        if when:
            await self._real.close()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("cap", [None, 50_000])
@pytest.mark.parametrize("breaks", [["before"], ["after"], ["before", "after"], ["after", "before"]])
def test_a_hold_and_a_settlement_happen_once_however_the_connection_breaks(
    database_url: str, cap: int | None, breaks: list[str]
) -> None:
    async def main() -> None:
        ids, clock, left = CountedIds(), FrozenClock(), list(breaks)
        pool = Pool(database_url, PoolLimits(size=2))
        await pool.server_major()
        key = await _one_key(pool, ids, cap)

        async def connect() -> Any:
            return Breaking(await pool.connect(), left)

        ledger = Ledger(connect, pool.acquire, clock.now_ms, Terms(0, False, 5.0))
        ledger.start()
        held = await ledger.hold(_ask(ids), has_waited=False)
        assert isinstance(held, Hold)
        assert (held.amount_micros, held.bounded, held.on_wallet) == (7_500, cap is not None, False)
        left.extend(breaks)
        charged = await ledger.settle(_settled(held))
        assert (charged.cost_micros, charged.overage_micros) == (1_200, 0)
        async with pool.acquire() as connection:
            books = await connection.fetchrow(
                "SELECT posted_micros, held_micros, (SELECT count(*) FROM usage_events), (SELECT count(*) FROM holds)"
                " FROM keys WHERE id = $1",
                key,
            )
        assert tuple(books or ()) == (1_200, 0, 1, 0)
        assert await Doctor(Books(pool.acquire)).examine() == []
        await ledger.close(1.0)
        await pool.aclose()

    asyncio.run(main())


async def _one_key(pool: Pool, ids: CountedIds, cap: int | None) -> UUID:
    account, key = ids.uuid(START_MS), ids.uuid(START_MS)
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO accounts (id, name, created_at) VALUES ($1, 'a', 0)", account)
        await connection.execute(
            "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros,"
            " ceiling_micros, created_at) VALUES ($1, $2, $3, '', 'k', 'standard', 'live', $4, $4, 0)",
            key,
            account,
            SECRET,
            cap,
        )
    return key


def _ask(ids: CountedIds) -> HoldAsk:
    return HoldAsk(
        id=RequestId(ids.uuid(START_MS)),
        secret_sha256=SECRET,
        facts=FACTS,
        is_priced=True,
        unbounded_tool=None,
        want_output=1_000,
        want_micros=Micros(7_500),
        floor_micros=Micros(3_780),
        base_picos=2_500_000_000,
        slope_picos=5_000_000,
        no_limit=False,
    )


def _settled(hold: Hold) -> Settlement:
    return Settlement(
        hold=hold,
        facts=FACTS,
        usage=Usage(),
        cost_micros=Micros(1_200),
        provider_cost_micros=Micros(1_200),
        latency_ms=1,
        first_token_ms=None,
        status=200,
        stream=False,
        estimated=False,
        clamped=False,
    )
