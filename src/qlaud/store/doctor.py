"""Every projection recomputed from the rows it stands for, and put right.

    keys.credit, posted, held, lost    credits, usage events, holds of the running period (created_at >= period_start)
    keys.lifetime                      all usage events of the key
    keys.ceiling                       never below the allowance, never below what is spent and held
    wallets.paid_in                    wallet entries
    wallets.posted, held, lost         usage events and holds that were taken on the wallet
    accounts.overage                   usage events of the account
    jobs                               one that ended has nothing held

The ledger moves a row and its projections in one transaction, so a difference is a defect or a damaged database.
"""

from qlaud.ports_management import Difference
from qlaud.store.connection import Connection

KEYS = """
SELECT k.id, k.period_start, k.max_spend_micros,
       COALESCE(c.credit, 0)::bigint AS credit_micros, COALESCE(e.posted, 0)::bigint AS posted_micros,
       COALESCE(h.held, 0)::bigint AS held_micros, COALESCE(h.lost, 0)::bigint AS lost_micros,
       COALESCE(e.lifetime, 0)::bigint AS lifetime_micros
  FROM keys k
  LEFT JOIN (SELECT c.key_id, sum(c.amount_micros) AS credit
               FROM credits c JOIN keys q ON q.id = c.key_id AND c.created_at >= q.period_start GROUP BY c.key_id) c
         ON c.key_id = k.id
  LEFT JOIN (SELECT e.key_id, sum(e.cost_micros) AS lifetime,
                    sum(e.cost_micros) FILTER (WHERE e.created_at >= q.period_start) AS posted
               FROM usage_events e JOIN keys q ON q.id = e.key_id GROUP BY e.key_id) e
         ON e.key_id = k.id
  LEFT JOIN (SELECT h.key_id, sum(h.amount_micros) FILTER (WHERE h.state = 'held') AS held,
                    sum(h.amount_micros) FILTER (WHERE h.state = 'lost') AS lost
               FROM holds h JOIN keys q ON q.id = h.key_id AND h.created_at >= q.period_start GROUP BY h.key_id) h
         ON h.key_id = k.id
"""

WALLETS = """
SELECT w.account_id, w.mode, COALESCE(n.paid_in, 0)::bigint AS paid_in_micros,
       COALESCE(e.posted, 0)::bigint AS posted_micros,
       COALESCE(h.held, 0)::bigint AS held_micros, COALESCE(h.lost, 0)::bigint AS lost_micros
  FROM wallets w
  LEFT JOIN (SELECT account_id, mode, sum(amount_micros) AS paid_in FROM wallet_entries GROUP BY account_id, mode) n
         USING (account_id, mode)
  LEFT JOIN (SELECT account_id, mode, sum(cost_micros) AS posted FROM usage_events WHERE on_wallet
              GROUP BY account_id, mode) e
         USING (account_id, mode)
  LEFT JOIN (SELECT account_id, mode, sum(amount_micros) FILTER (WHERE state = 'held') AS held,
                    sum(amount_micros) FILTER (WHERE state = 'lost') AS lost
               FROM holds WHERE on_wallet GROUP BY account_id, mode) h
         USING (account_id, mode)
"""

ACCOUNTS = """
SELECT a.id, COALESCE(e.overage, 0)::bigint AS overage_micros
  FROM accounts a
  LEFT JOIN (SELECT account_id, sum(overage_micros) AS overage FROM usage_events GROUP BY account_id) e
         ON e.account_id = a.id
"""

DIFFERENCES = f"""
WITH k AS ({KEYS}), w AS ({WALLETS}), a AS ({ACCOUNTS})
SELECT d.* FROM (
    SELECT 'keys' AS tab, s.id::text AS id, c.name, c.stored, c.actual
      FROM keys s JOIN k USING (id)
     CROSS JOIN LATERAL (VALUES
           ('credit_micros', s.credit_micros, k.credit_micros), ('posted_micros', s.posted_micros, k.posted_micros),
           ('held_micros', s.held_micros, k.held_micros), ('lost_micros', s.lost_micros, k.lost_micros),
           ('lifetime_micros', s.lifetime_micros, k.lifetime_micros),
           ('ceiling_micros', s.ceiling_micros,
            GREATEST(s.ceiling_micros, s.max_spend_micros + s.credit_micros,
                     s.posted_micros + s.held_micros + s.lost_micros))
           ) AS c (name, stored, actual)
     WHERE c.name <> 'ceiling_micros' OR s.max_spend_micros IS NOT NULL
    UNION ALL
    SELECT 'wallets', s.account_id::text || ' ' || s.mode, c.name, c.stored, c.actual
      FROM wallets s JOIN w USING (account_id, mode)
     CROSS JOIN LATERAL (VALUES
           ('paid_in_micros', s.paid_in_micros, w.paid_in_micros), ('posted_micros', s.posted_micros, w.posted_micros),
           ('held_micros', s.held_micros, w.held_micros), ('lost_micros', s.lost_micros, w.lost_micros),
           ('ceiling_micros', s.ceiling_micros,
            GREATEST(s.ceiling_micros, s.paid_in_micros, s.posted_micros + s.held_micros + s.lost_micros))
           ) AS c (name, stored, actual)
    UNION ALL
    SELECT 'accounts', s.id::text, 'overage_micros', s.overage_micros, a.overage_micros
      FROM accounts s JOIN a USING (id)
    UNION ALL
    SELECT 'jobs', j.id::text, 'held_micros', 0, h.amount_micros
      FROM jobs j JOIN holds h USING (id) WHERE j.state = 'ended'
) AS d WHERE d.stored <> d.actual ORDER BY d.tab, d.id, d.name
"""

LOCK_KEYS = "SELECT count(*) FROM (SELECT 1 FROM keys ORDER BY id FOR NO KEY UPDATE) AS locked"
LOCK_WALLETS = (
    "SELECT count(*) FROM (SELECT 1 FROM wallets ORDER BY account_id, mode FOR NO KEY UPDATE) AS locked"
)
LOCK_ACCOUNTS = "SELECT count(*) FROM (SELECT 1 FROM accounts ORDER BY id FOR NO KEY UPDATE) AS locked"

MEND_KEYS = f"""
UPDATE keys s
   SET credit_micros = k.credit_micros, posted_micros = k.posted_micros, held_micros = k.held_micros,
       lost_micros = k.lost_micros, lifetime_micros = k.lifetime_micros,
       ceiling_micros = CASE WHEN s.max_spend_micros IS NOT NULL THEN
           GREATEST(s.max_spend_micros + k.credit_micros, k.posted_micros + k.held_micros + k.lost_micros) END
  FROM ({KEYS}) k WHERE k.id = s.id
"""
MEND_WALLETS = f"""
UPDATE wallets s
   SET paid_in_micros = w.paid_in_micros, posted_micros = w.posted_micros, held_micros = w.held_micros,
       lost_micros = w.lost_micros,
       ceiling_micros = GREATEST(w.paid_in_micros, w.posted_micros + w.held_micros + w.lost_micros)
  FROM ({WALLETS}) w WHERE w.account_id = s.account_id AND w.mode = s.mode
"""
MEND_ACCOUNTS = (
    f"UPDATE accounts s SET overage_micros = a.overage_micros FROM ({ACCOUNTS}) a WHERE a.id = s.id"
)

MEND_JOBS = """
UPDATE jobs j SET state = 'running', ended_at = NULL, due_at = 0
  FROM holds h WHERE h.id = j.id AND j.state = 'ended' -- it is looked at again, and settled
"""


class DoctorRows:
    """Implements `ports_management.DoctorRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def differences(self) -> list[Difference]:
        """Where a stored sum is not the sum."""
        rows = await self._on.fetch(DIFFERENCES)
        return [Difference(row["tab"], row["id"], row["name"], row["stored"], row["actual"]) for row in rows]

    async def lock_all(self) -> None:
        """Stop every ledger movement until the transaction ends. In the ledger's own order: keys, wallets."""
        for statement in (LOCK_KEYS, LOCK_WALLETS, LOCK_ACCOUNTS):
            await self._on.execute(statement)

    async def mend(self) -> None:
        """Write the recomputed sums. Needs `lock_all`."""
        for statement in (MEND_KEYS, MEND_WALLETS, MEND_ACCOUNTS, MEND_JOBS):
            await self._on.execute(statement)
