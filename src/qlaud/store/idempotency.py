"""First answers of management POSTs, sealed. A row is written in the transaction that did the work.

So an answer is kept exactly when its effects are, and a crash leaves neither. Who runs at the same time is
told by a lock that ends with the transaction, not by a row.
"""

from qlaud.ports_management import Remembered, Slot
from qlaud.store.connection import Connection

CLAIM = """
SELECT pg_try_advisory_xact_lock(hashtextextended(concat_ws(E'\\x1f', 'idempotency', $1::text, $2::text, $3::text), 0))
"""
RECALL = """
SELECT body_sha256, status, answer FROM idempotency
 WHERE key_id = $1 AND path = $2 AND idem_key = $3 AND created_at > $4
"""
REMEMBER = """
INSERT INTO idempotency (key_id, path, idem_key, body_sha256, status, answer, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (key_id, path, idem_key) DO UPDATE
   SET body_sha256 = EXCLUDED.body_sha256, status = EXCLUDED.status, answer = EXCLUDED.answer,
       created_at = EXCLUDED.created_at
"""
ERASE = """
WITH gone AS (
    DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT $2))
    RETURNING 1)
SELECT count(*) FROM gone
"""


class IdempotencyRows:
    """Implements `ports_management.IdempotencyRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def claim(self, slot: Slot) -> bool:
        """Whether this transaction has the slot to itself until it ends; False: another request runs in it."""
        return await self._on.fetchval(CLAIM, str(slot.key_id), slot.path, slot.idem_key)

    async def recall(self, slot: Slot, since_ms: int) -> Remembered | None:
        """The answer kept in the slot, if it is younger than `since_ms`."""
        row = await self._on.fetchrow(RECALL, slot.key_id, slot.path, slot.idem_key, since_ms)
        return None if row is None else Remembered(row["body_sha256"], row["status"], row["answer"])

    async def remember(self, slot: Slot, answer: Remembered, at_ms: int) -> None:
        """Keep the answer, in place of an expired one."""
        await self._on.execute(
            REMEMBER,
            slot.key_id,
            slot.path,
            slot.idem_key,
            answer.body_sha256,
            answer.status,
            answer.sealed,
            at_ms,
        )

    async def erase(self, before_ms: int, limit: int) -> int:
        """Erase at most `limit` answers that are not younger than `before_ms`; how many."""
        return await self._on.fetchval(ERASE, before_ms, limit)
