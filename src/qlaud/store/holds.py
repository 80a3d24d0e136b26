"""Holds as management sees them: list the living ones, end a lost one by hand. Taking and settling is the ledger's."""

from uuid import UUID

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.keys import Mode
from qlaud.core.money import Micros
from qlaud.core.records import HoldRow, HoldTotals
from qlaud.store.connection import Connection, Row

HOLD = """
SELECT id, key_id, end_user_id, thread_id, model, amount_micros, state, created_at, renewed_at, lost_at FROM holds
"""
GET = HOLD + "WHERE id = $1 AND account_id = $2 AND mode = $3"
TOTALS = """
SELECT count(*) FILTER (WHERE state = 'held') AS held, count(*) FILTER (WHERE state = 'lost') AS lost,
       COALESCE(sum(amount_micros) FILTER (WHERE state = 'held'), 0)::bigint AS held_micros,
       COALESCE(sum(amount_micros) FILTER (WHERE state = 'lost'), 0)::bigint AS lost_micros,
       (SELECT COALESCE(sum(overage_micros), 0)::bigint FROM accounts) AS overage_micros
  FROM holds
"""
RESOLVE = "SELECT ledger_resolve($1, $2, $3)"


class HoldRows:
    """Implements `ports_management.HoldRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def get(self, account_id: AccountId, mode: Mode, hold_id: UUID) -> HoldRow | None:
        """The hold, while it lives."""
        row = await self._on.fetchrow(GET, hold_id, account_id, mode)
        return None if row is None else from_row_hold(row)

    async def listing(
        self,
        account_id: AccountId,
        mode: Mode,
        *,
        state: str | None,
        key_id: KeyId | None,
        limit: int,
        after: tuple[int, UUID] | None,
    ) -> list[HoldRow]:
        """Oldest first, those behind the place `after`: (created_at, id) of a hold, which may be gone by now."""
        where = ["account_id = $1", "mode = $2"]
        args: list[object] = [account_id, mode]
        for column, value in (("state", state), ("key_id", key_id)):
            if value is not None:
                args.append(value)
                where.append(f"{column} = ${len(args)}")
        if after is not None:
            args.extend(after)
            where.append(f"(created_at, id) > (${len(args) - 1}, ${len(args)})")
        args.append(limit)
        rows = await self._on.fetch(
            f"{HOLD} WHERE {' AND '.join(where)} ORDER BY created_at, id LIMIT ${len(args)}", *args
        )
        return [from_row_hold(row) for row in rows]

    async def totals(self) -> HoldTotals:
        """Over all accounts: what is tied up, and what no key could pay."""
        row = await self._on.fetchrow(TOTALS)
        assert row is not None, "an aggregate has a row"
        return HoldTotals(
            row["held"], row["held_micros"], row["lost"], row["lost_micros"], row["overage_micros"]
        )

    async def resolve(self, hold_id: UUID, cost_micros: Micros, at_ms: int) -> bool:
        """Post `cost_micros` of a lost hold and end it. False: it is not lost (any more)."""
        return await self._on.fetchval(RESOLVE, hold_id, cost_micros, at_ms)


def from_row_hold(row: Row) -> HoldRow:
    """The hold of a row of HOLD."""
    return HoldRow(
        id=row["id"],
        key_id=KeyId(row["key_id"]),
        end_user_id=row["end_user_id"],
        thread_id=row["thread_id"],
        model=row["model"],
        amount_micros=row["amount_micros"],
        state=row["state"],
        created_at=row["created_at"],
        renewed_at=row["renewed_at"],
        lost_at=row["lost_at"],
    )
