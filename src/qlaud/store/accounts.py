"""Accounts: read, made, and the lock that lets only one gateway make the first one."""

from qlaud.core.ids import AccountId
from qlaud.core.records import Account
from qlaud.store.connection import Connection, Row

LOCK_FIRST_START = "SELECT pg_advisory_xact_lock(hashtextextended('first start of qlaud', 0))"
GET = "SELECT id, name, email FROM accounts WHERE id = $1"
OWNER = "SELECT id, name, email FROM accounts ORDER BY created_at, id LIMIT 1"
INSERT = "INSERT INTO accounts (id, name, email, created_at) VALUES ($1, $2, $3, $4)"
INSERT_WALLETS = "INSERT INTO wallets (account_id, mode) VALUES ($1, 'live'), ($1, 'test')"


class AccountRows:
    """Implements `ports_management.AccountRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def lock_first_start(self) -> None:
        """No other gateway makes the first account until the transaction ends."""
        await self._on.execute(LOCK_FIRST_START)

    async def get(self, account_id: AccountId) -> Account | None:
        """The account."""
        return _account(await self._on.fetchrow(GET, account_id))

    async def owner(self) -> Account | None:
        """The oldest account, None before the first start."""
        return _account(await self._on.fetchrow(OWNER))

    async def insert(self, account: Account, at_ms: int) -> None:
        """Store it, with an empty wallet of each mode."""
        await self._on.execute(INSERT, account.id, account.name, account.email, at_ms)
        await self._on.execute(INSERT_WALLETS, account.id)


def _account(row: Row | None) -> Account | None:
    return None if row is None else Account(AccountId(row["id"]), row["name"], row["email"])
