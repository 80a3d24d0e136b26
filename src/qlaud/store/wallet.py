"""Wallets: the balance, what moved it, and money that comes in or goes out other than by usage.

A movement is one row with a primary key of its own, written in the statement that moves the balance, so a
repeated one moves nothing. Usage is not copied: the entries of type `usage` are the events themselves, at the
moment they were settled.
"""

from qlaud.core.ids import AccountId
from qlaud.core.keys import Mode
from qlaud.core.money import Micros
from qlaud.core.records import Wallet, WalletEntry
from qlaud.store.connection import Connection

GET = "SELECT paid_in_micros, posted_micros, held_micros, lost_micros FROM wallets WHERE account_id = $1 AND mode = $2"

LOCK = """
SELECT 1 FROM wallets WHERE account_id = $1 AND mode = $2 FOR NO KEY UPDATE
"""
MAKE = "INSERT INTO wallets (account_id, mode) VALUES ($1, $2) ON CONFLICT DO NOTHING"

MOVE = """
WITH written AS (
    INSERT INTO wallet_entries (id, account_id, mode, type, amount_micros, balance_after_micros, note, created_at)
    SELECT $3, account_id, mode, $4, $5, paid_in_micros - posted_micros + $5, $6, $7
      FROM wallets WHERE account_id = $1 AND mode = $2
    ON CONFLICT (id) DO NOTHING
    RETURNING amount_micros
)
UPDATE wallets w
   SET paid_in_micros = w.paid_in_micros + n.amount_micros,
       ceiling_micros = GREATEST(w.paid_in_micros + n.amount_micros, w.posted_micros + w.held_micros + w.lost_micros)
  FROM written n WHERE w.account_id = $1 AND w.mode = $2
RETURNING true
"""

# $5, $6: the place of the entry before, or NULL. Text and uuid ids share one order by being text.
ENTRIES = """
SELECT * FROM (
    (SELECT id, type, amount_micros, created_at FROM wallet_entries
      WHERE account_id = $1 AND mode = $2 AND ($4::bigint IS NULL OR (created_at, id) < ($4, $5))
      ORDER BY created_at DESC, id DESC LIMIT $3)
    UNION ALL
    (SELECT id::text, 'usage', -cost_micros, settled_at FROM usage_events
      WHERE account_id = $1 AND mode = $2 AND on_wallet AND cost_micros > 0
        AND ($4::bigint IS NULL OR (settled_at, id::text) < ($4, $5))
      ORDER BY settled_at DESC, id::text DESC LIMIT $3)
) AS e ORDER BY created_at DESC, id DESC LIMIT $3
"""


class WalletRows:
    """Implements `ports_management.WalletRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def get(self, account_id: AccountId, mode: Mode) -> Wallet:
        """The wallet; an account that never had one has an empty one."""
        row = await self._on.fetchrow(GET, account_id, mode)
        if row is None:
            return Wallet(mode, Micros(0), Micros(0))
        held = Micros(row["held_micros"] + row["lost_micros"])
        return Wallet(mode, Micros(row["paid_in_micros"] - row["posted_micros"]), held)

    async def entries(
        self, account_id: AccountId, mode: Mode, *, limit: int, before: tuple[int, str] | None
    ) -> list[WalletEntry]:
        """Newest first: top-ups, refunds, adjustments, and one `usage` entry per call that cost something."""
        at_ms, entry_id = before or (None, None)
        rows = await self._on.fetch(ENTRIES, account_id, mode, limit, at_ms, entry_id)
        return [
            WalletEntry(row["id"], row["type"], Micros(row["amount_micros"]), row["created_at"])
            for row in rows
        ]

    async def credit(self, account_id: AccountId, mode: Mode, entry: WalletEntry, note: str | None) -> bool:
        """Move money in or out and write the entry. False: an entry of this id exists, nothing was done."""
        await self._on.execute(MAKE, account_id, mode)
        await self._on.execute(LOCK, account_id, mode)
        moved = await self._on.fetchval(
            MOVE, account_id, mode, entry.id, entry.type, entry.amount_micros, note, entry.created_at
        )
        return moved is True
