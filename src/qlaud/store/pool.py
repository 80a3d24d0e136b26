"""Connections to PostgreSQL: a bounded pool, connections of one's own, and one meaning for every way to lose them.

Invariants: nobody waits for ever (for a connection, a place in the pool or an answer), and what is lost on the way
to the database is `StoreUnavailable`. Sessions carry no state: `SET LOCAL` only, no session locks, `LISTEN` only on
a connection of one's own. So connections are not reset between uses, which saves a round trip each time, and
PgBouncer in transaction mode works (1.21 or newer with `max_prepared_statements` above 0), except for `LISTEN`.

JSON columns travel as text. The modules of `store` use it; `app` opens and closes it.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import asyncpg

from qlaud.core.errors import StoreUnavailable

SERVER_MAJOR_MIN = 15
RETRY_PAUSE_S = 0.25

LOST = (
    OSError,  # refused, reset, no such socket, TLS; a timeout is one too
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.TransactionRollbackError,  # a deadlock: rolled back whole, worth another try
    asyncpg.ReadOnlySQLTransactionError,  # a primary that became a standby
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that was rotated
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # "not currently accepting connections"
    asyncpg.InternalClientError,  # the server's goodbye came between two statements
)
"""What asyncpg raises when the database was lost, rather than when it said no."""
_NOT_UP = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
)


class DatabaseUnusable(Exception):
    """The database cannot be used at start. The message says why and what to do; it holds no password."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What the pool may take and how long it may wait."""

    size: int = 10
    connect_timeout_s: float = 5.0
    acquire_timeout_s: float = 2.0
    """For a free connection, and for making one; then the caller is told to retry."""
    command_timeout_s: float = 30.0
    first_connect_timeout_s: float = 30.0
    """How long a start waits for a database that is not up yet."""


class Pool:
    """At most `limits.size` shared connections; those of one's own are not counted."""

    def __init__(self, dsn: str, limits: PoolLimits) -> None:
        self._dsn, self._limits = dsn, limits
        self._pool: asyncpg.Pool = asyncpg.create_pool(
            min_size=0, max_size=limits.size, connect=self._fresh, reset=_keep_session
        )

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[asyncpg.Connection]:
        """A connection for one piece of work; nobody else uses it meanwhile.

        Raises StoreUnavailable if none is free in time, or if the database is lost during the work.
        """
        with unavailable_when_lost():
            connection = await self._pool.acquire(timeout=self._limits.acquire_timeout_s)
            try:
                yield cast(asyncpg.Connection, connection)
            finally:
                await self._pool.release(connection)

    async def connect(self) -> asyncpg.Connection:
        """A fresh connection of the caller's own, who closes it. Raises StoreUnavailable."""
        with unavailable_when_lost():
            return await self._fresh()

    async def server_major(self) -> int:
        """The server's major version. Opens the pool; raises what asyncpg raises, for `open_pool` to explain."""
        await self._pool
        async with self._pool.acquire(timeout=self._limits.connect_timeout_s) as connection:
            return connection.get_server_version().major

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """Close every shared connection; those still in use after `timeout_s` are cut."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _fresh(self, *_: object, **__: object) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._dsn,
            timeout=self._limits.connect_timeout_s,
            command_timeout=self._limits.command_timeout_s,
            max_cached_statement_lifetime=0,  # the statements are few and fixed: prepare each once
            server_settings={"application_name": "qlaud"},
        )


async def open_pool(dsn: str, limits: PoolLimits | None = None) -> Pool:
    """An open pool whose database answers and is new enough. Raises DatabaseUnusable.

    A database that is not up yet is waited for: stacks start their parts in any order.
    """
    limits = limits or PoolLimits()
    pool = Pool(dsn, limits)
    deadline = asyncio.get_running_loop().time() + limits.first_connect_timeout_s
    while True:
        try:
            major = await pool.server_major()
            break
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as fault:
            if isinstance(fault, _NOT_UP) and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(RETRY_PAUSE_S)
                continue
            await pool.aclose()
            reason = str(fault) or type(fault).__name__
            raise DatabaseUnusable(
                f"cannot use the database at {public_dsn(dsn)}: {reason}; check QLAUD_DATABASE_URL"
            ) from fault
    if major < SERVER_MAJOR_MIN:
        await pool.aclose()
        raise DatabaseUnusable(
            f"the database at {public_dsn(dsn)} is PostgreSQL {major}; qlaud needs {SERVER_MAJOR_MIN} or newer"
        )
    return pool


@contextmanager
def unavailable_when_lost() -> Generator[None]:
    """Turn every way of losing the database into StoreUnavailable; its cause is kept.

    A transaction that was being committed may or may not have been: what it did must be safe to do again.
    """
    try:
        yield
    except LOST as fault:
        raise StoreUnavailable from fault
    except asyncpg.InterfaceError as fault:
        # asyncpg has one class for our own mistakes, for a closed connection, and for one of the pool whose server
        # went away while it was lent out ("has been released back to the pool").
        if not any(sign in str(fault) for sign in ("closed", "closing", "released back to the pool")):
            raise
        raise StoreUnavailable from fault


def public_dsn(dsn: str) -> str:
    """Where a database is, for messages: host, port and name, without credentials and parameters."""
    try:
        parts = urlsplit(dsn)
        where = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(unreadable URL)"
    return f"{parts.scheme}://{where}{parts.path}"


async def _keep_session(connection: object) -> None:
    """Nothing to reset, see above; asyncpg itself rolls back a transaction that was left open."""
