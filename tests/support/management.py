"""A management API in the test's own process, over a real database, with a clock that stands still."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI

from qlaud.api.management import build_management
from qlaud.config import Settings
from qlaud.core.catalog import Catalog
from qlaud.core.ids import uuid7
from qlaud.core.providers import Registry
from qlaud.core.records import WalletMode
from qlaud.flows.accounts import Accounts
from qlaud.flows.directory import Directory, Outlets
from qlaud.flows.doctor import Doctor
from qlaud.flows.holds import Holds
from qlaud.flows.idempotency import Idempotency
from qlaud.flows.keys import Keys
from qlaud.flows.offer import Offer
from qlaud.flows.principals import Principals
from qlaud.flows.usage import UsageReports
from qlaud.flows.wallet import Wallets
from qlaud.providers.simulator import Simulator
from qlaud.store.books import Books
from qlaud.store.pool import Pool, PoolLimits, open_pool

START_MS = 1_777_000_000_000
"""2026-04-24T03:06:40Z, a Friday."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
REQUEST_ID = UUID("0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10")


@dataclass
class FrozenClock:
    """Stands still until a test moves it."""

    at_ms: int = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def ticks_ms(self) -> float:
        return float(self.at_ms)


@dataclass
class CountingDice:
    """Bytes that never repeat, the same in every run."""

    rolled: int = 0

    def __call__(self, count: int) -> bytes:
        self.rolled += 1
        return self.rolled.to_bytes(count)


@dataclass
class CountingIds:
    """UUIDv7 in rising order."""

    made: int = 0

    def uuid(self, at_ms: int) -> UUID:
        self.made += 1
        return uuid7(at_ms, self.made.to_bytes(10))


@dataclass
class Desk:
    """What `build_management` takes."""

    settings: Settings
    accounts: Accounts
    keys: Keys
    usage: UsageReports
    holds: Holds
    wallets: Wallets
    principals: Principals
    once: Idempotency


class Stamped:
    """Puts the request id where the outer layer does."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["qlaud.request_id"] = REQUEST_ID
        await self._app(scope, receive, send)


@dataclass
class Office:
    """The API, one caller at a time, and the tables behind it."""

    app: FastAPI
    pool: Pool
    clock: FrozenClock
    desk: Desk
    doctor: Doctor
    master: str
    ready: "list[Any]" = field(default_factory=list)
    numbers: CountingIds = field(default_factory=lambda: CountingIds(10**9))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> httpx.Response:
        """One request; `key` is the master key unless given, "" sends none."""
        given = {**({} if key == "" else {"x-api-key": key or self.master}), **(headers or {})}
        content = raw if raw is not None else (None if body is None else json.dumps(body).encode())
        transport = httpx.ASGITransport(Stamped(self.app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://qlaud") as client:
            return await client.request(method, path, content=content, headers=given)

    async def mint(self, **fields: Any) -> dict[str, Any]:
        """A new key, its secret included."""
        made = await self.call("POST", "/v1/keys", {"name": "user", **fields})
        assert made.status_code == 201, made.text
        return made.json()

    async def sql(self, statement: str, *args: Any) -> list[asyncpg.Record]:
        """Straight at the tables."""
        async with self.pool.acquire() as connection:
            return await connection.fetch(statement, *args)

    async def spend(self, key_id: str, cost_micros: int, **columns: Any) -> str:
        """A settled call of the key, as the ledger would leave it: event, key and wallet in one transaction."""
        event_id = columns.pop("id", None) or self.numbers.uuid(self.clock.at_ms)
        at_ms = columns.pop("created_at", self.clock.at_ms)
        row = {**EVENT, "settled_at": at_ms, **columns}
        names, values = list(row), list(row.values())
        places = ", ".join(f"${5 + n}" for n in range(len(names)))
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                f"INSERT INTO usage_events (id, key_id, account_id, mode, cost_micros, created_at, {', '.join(names)})"
                f" SELECT $1, id, account_id, mode, $3, $4, {places} FROM keys WHERE id = $2",
                event_id, UUID(key_id), cost_micros, at_ms, *values,
            )  # fmt: skip
            await connection.execute(
                "UPDATE keys SET lifetime_micros = lifetime_micros + $2,"
                " posted_micros = posted_micros + CASE WHEN $3 >= period_start THEN $2 ELSE 0 END WHERE id = $1",
                UUID(key_id), cost_micros, at_ms,
            )  # fmt: skip
            if row["on_wallet"]:
                await connection.execute(
                    "UPDATE wallets w SET posted_micros = w.posted_micros + $2 FROM keys k"
                    " WHERE k.id = $1 AND w.account_id = k.account_id AND w.mode = k.mode",
                    UUID(key_id), cost_micros,
                )  # fmt: skip
        return str(event_id)

    async def hold(self, key_id: str, amount_micros: int, state: str = "held", **columns: Any) -> str:
        """Money set aside, as the ledger would leave it."""
        hold_id = self.numbers.uuid(self.clock.at_ms)
        at_ms = columns.pop("created_at", self.clock.at_ms)
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "INSERT INTO holds (id, key_id, account_id, mode, on_wallet, state, amount_micros, bounded, model,"
                " provider, surface, price_version, created_at, renewed_at, lost_at) SELECT $1, id, account_id, mode,"
                " false, $4, $3, true, 'claude-haiku-4-5', 'anthropic', 'messages', 'v1', $5::bigint, $5::bigint,"
                " CASE WHEN $4 = 'lost' THEN $5::bigint END FROM keys WHERE id = $2",
                hold_id, UUID(key_id), amount_micros, state, at_ms,
            )  # fmt: skip
            await connection.execute(
                f"UPDATE keys SET {state}_micros = {state}_micros + $2 WHERE id = $1",
                UUID(key_id),
                amount_micros,
            )
        return str(hold_id)


EVENT: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "provider": "anthropic",
    "surface": "messages",
    "price_version": "v1",
    "on_wallet": False,
    "hold_micros": 0,
    "overage_micros": 0,
    "provider_cost_micros": 1,
    "input_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 0,
    "latency_ms": 100,
    "status": 200,
    "stream": False,
    "estimated": False,
    "clamped": False,
    "parent_id": None,
    "end_user_id": None,
    "audio_ms": 0,
}


SIMULATOR = Simulator()
EMPTY_DIRECTORY = Directory(Catalog((), "none"), Registry({}), Outlets(SIMULATOR, SIMULATOR))
"""Nothing to call: the office has no model surfaces."""


@asynccontextmanager
async def open_office(
    dsn: str, *, wallet: WalletMode = "off", limit_bytes: int = 1 << 20
) -> AsyncIterator[Office]:
    """An office whose owner has a live master key."""
    pool = await open_pool(dsn, PoolLimits(size=8))
    clock, ids, dice = FrozenClock(), CountingIds(), CountingDice()
    books = Books(pool.acquire)
    desk = Desk(
        settings=Settings(wallet=wallet, max_body_bytes=limit_bytes),
        accounts=Accounts(books, clock, ids, dice),
        keys=Keys(books, clock, ids, dice),
        usage=UsageReports(books, clock),
        holds=Holds(books, clock),
        wallets=Wallets(books, clock, wallet),
        principals=Principals(books, clock),
        once=Idempotency(books, clock, dice),
    )
    missing: list[Any] = [None]

    async def ready() -> str | None:
        if isinstance(missing[0], Exception):
            raise missing[0]
        return missing[0]

    try:
        first = await desk.accounts.ensure_owner()
        assert first.secret is not None
        yield Office(
            build_management(desk, Offer(EMPTY_DIRECTORY, clock), ready),
            pool,
            clock,
            desk,
            Doctor(books),
            first.secret,
            missing,
        )
    finally:
        await pool.aclose()


def in_office(
    dsn: str, journey: Callable[[Office], Awaitable[None]], *, healthy: bool = True, **options: Any
) -> None:
    """Run a journey in an office of its own; in the end every sum must be the sum of its rows."""

    async def main() -> None:
        async with open_office(dsn, **options) as office:
            await journey(office)
            if healthy:
                assert await office.doctor.examine() == []

    asyncio.run(main())
