"""Sessions over the pool: `ports_management.Books` on PostgreSQL. Made by `app` with `Pool.acquire`."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from qlaud.store.accounts import AccountRows
from qlaud.store.connection import Connection
from qlaud.store.doctor import DoctorRows
from qlaud.store.holds import HoldRows
from qlaud.store.idempotency import IdempotencyRows
from qlaud.store.keys import KeyRows
from qlaud.store.usage import UsageRows
from qlaud.store.wallet import WalletRows


class Transactional(Protocol):
    """What a session needs of a connection beside its statements."""

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[Any]: ...


class Session:
    """One transaction, or single statements, on one connection."""

    def __init__(self, connection: Any) -> None:
        self._transactional: Transactional = connection
        statements: Connection = connection
        self.keys = KeyRows(statements)
        self.usage = UsageRows(statements)
        self.holds = HoldRows(statements)
        self.accounts = AccountRows(statements)
        self.wallets = WalletRows(statements)
        self.idempotency = IdempotencyRows(statements)
        self.doctor = DoctorRows(statements)

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """What happens inside is undone if it raises; the transaction goes on."""
        async with self._transactional.transaction():
            yield


class Books:
    """Opens sessions on connections of the pool."""

    def __init__(self, acquire: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._acquire = acquire

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Session]:
        """Commits when its block ends, rolls back when it raises."""
        async with self._acquire() as connection, connection.transaction():
            yield Session(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Session]:
        """Reads that all see the same moment."""
        async with (
            self._acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Session(connection)

    @asynccontextmanager
    async def lookup(self) -> AsyncGenerator[Session]:
        """Single statements, each by itself."""
        async with self._acquire() as connection:
            yield Session(connection)
