"""The rows of API keys: policy, secret digest, and the running period's balance.

A reader shows the period that runs at `at_ms` even if no call has begun it yet: then nothing is spent in it.
Whoever changes an allowance also sets `ceiling_micros`, in the same statement. Writers hold the row's lock, as
the ledger's functions do, so a change is seen by the next hold and no spending is lost.
"""

from uuid import UUID

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.keys import Key, KeyBalance, KeyPolicy, Principal
from qlaud.core.money import Micros
from qlaud.ports_management import Credential, KeyFilter, NewKey
from qlaud.store.connection import Connection, Row

FIND_CREDENTIAL = """
SELECT id, account_id, scope, mode, revoked_at, expires_at, allowed_models FROM keys WHERE secret_sha256 = $1
"""

# $1 is the moment whose period is shown.
SELECT_KEY = """
SELECT k.id, k.account_id, k.prefix, k.name, k.scope, k.mode, k.max_spend_micros, k.cap_period, k.cap_anchor_day,
       k.on_cap, k.on_disconnect, k.rpm_limit, k.max_parallel, k.allowed_models, k.expires_at, k.external_id,
       k.metadata::text AS metadata, k.created_at, k.last_used_at, k.revoked_at, k.lifetime_micros,
       GREATEST(p.start, k.period_start) AS period_start,
       period_end(k.cap_period, k.cap_anchor_day, GREATEST($1::bigint, k.period_start)) AS period_end,
       CASE WHEN p.start > k.period_start THEN 0 ELSE k.credit_micros END AS credit_micros,
       CASE WHEN p.start > k.period_start THEN 0 ELSE k.posted_micros END AS posted_micros,
       CASE WHEN p.start > k.period_start THEN 0 ELSE k.held_micros END AS held_micros,
       CASE WHEN p.start > k.period_start THEN 0 ELSE k.lost_micros END AS lost_micros
  FROM keys k
 CROSS JOIN LATERAL (SELECT period_start(k.cap_period, k.cap_anchor_day, $1::bigint) AS start) p
"""

INSERT = """
INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros, cap_period,
                  cap_anchor_day, on_cap, on_disconnect, rpm_limit, max_parallel, allowed_models, expires_at,
                  external_id, metadata, created_at, period_start, ceiling_micros)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        period_start($9, $10::smallint, $19), $8)
"""

# A locked key enters the period that runs at $2, as the first hold in it would do.
ENTER_PERIOD = (
    "SELECT key_roll(id, period_start(cap_period, cap_anchor_day, $2::bigint)) FROM keys WHERE id = $1"
)

PUT_POLICY = """
UPDATE keys
   SET name = $2, max_spend_micros = $3, cap_period = $4, cap_anchor_day = $5, on_cap = $6, on_disconnect = $7,
       rpm_limit = $8, max_parallel = $9, allowed_models = $10, expires_at = $11, external_id = $12, metadata = $13,
       ceiling_micros = GREATEST($3::bigint + credit_micros, CASE WHEN $3::bigint IS NOT NULL THEN
                                 posted_micros + held_micros + lost_micros END)
 WHERE id = $1
"""

# Another period: what was granted, spent and held since its start is counted from the rows.
COUNT_ANEW = """
UPDATE keys k
   SET period_start = n.start, credit_micros = n.credit, posted_micros = n.posted, held_micros = n.held,
       lost_micros = n.lost,
       ceiling_micros = CASE WHEN k.max_spend_micros IS NOT NULL THEN
                             GREATEST(k.max_spend_micros + n.credit, n.posted + n.held + n.lost) END
  FROM (SELECT q.id, s.start,
               (SELECT COALESCE(sum(amount_micros), 0)::bigint FROM credits
                 WHERE key_id = q.id AND created_at >= s.start) AS credit,
               (SELECT COALESCE(sum(cost_micros), 0)::bigint FROM usage_events
                 WHERE key_id = q.id AND created_at >= s.start) AS posted,
               (SELECT COALESCE(sum(amount_micros), 0)::bigint FROM holds
                 WHERE key_id = q.id AND created_at >= s.start AND state = 'held') AS held,
               (SELECT COALESCE(sum(amount_micros), 0)::bigint FROM holds
                 WHERE key_id = q.id AND created_at >= s.start AND state = 'lost') AS lost
          FROM keys q CROSS JOIN LATERAL (SELECT period_start(q.cap_period, q.cap_anchor_day, $2::bigint) AS start) s
         WHERE q.id = $1) n
 WHERE k.id = n.id
"""

INSERT_CREDIT = """
INSERT INTO credits (id, key_id, amount_micros, created_at)
SELECT $1, id, $3, GREATEST($4, period_start) FROM keys WHERE id = $2
"""

ADD_CREDIT = """
UPDATE keys
   SET credit_micros = credit_micros + $2,
       ceiling_micros = CASE WHEN max_spend_micros IS NOT NULL THEN
                             GREATEST(max_spend_micros + credit_micros + $2,
                                      posted_micros + held_micros + lost_micros) END
 WHERE id = $1
"""

REPLACE_DIGEST = "UPDATE keys SET secret_sha256 = $2, prefix = $3 WHERE id = $1"
REVOKE = "UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"

LOCK_ADMINS = "SELECT pg_advisory_xact_lock(hashtextextended('admin keys of ' || $1::text, 0))"
COUNT_LIVE_ADMINS = """
SELECT count(*) FROM keys
 WHERE account_id = $1 AND scope = 'admin' AND mode = 'live' AND revoked_at IS NULL
   AND (expires_at IS NULL OR expires_at > $2)
"""


class KeyRows:
    """Implements `ports_management.KeyRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def find_credential(self, secret_sha256: bytes) -> Credential | None:
        """The key of this digest, revoked or not."""
        row = await self._on.fetchrow(FIND_CREDENTIAL, secret_sha256)
        if row is None:
            return None
        principal = Principal(KeyId(row["id"]), AccountId(row["account_id"]), row["scope"], row["mode"])
        allowed = row["allowed_models"]
        return Credential(
            principal, row["revoked_at"], row["expires_at"], None if allowed is None else tuple(allowed)
        )

    async def insert(self, new: NewKey) -> None:
        """Store it."""
        key = new.key
        head = (key.id, key.account_id, new.secret_sha256, key.prefix, key.policy.name, key.scope, key.mode)
        await self._on.execute(INSERT, *head, *_policy_row(key.policy)[1:], key.created_at)

    async def get(self, account_id: AccountId, key_id: KeyId, at_ms: int) -> Key | None:
        """The key, with the balance of the period that runs at `at_ms`."""
        row = await self._on.fetchrow(
            SELECT_KEY + "WHERE k.account_id = $2 AND k.id = $3", at_ms, account_id, key_id
        )
        return None if row is None else from_row_key(row)

    async def lock(self, account_id: AccountId, key_id: KeyId, at_ms: int) -> Key | None:
        """As `get`, and nobody else changes or spends until the transaction ends."""
        row = await self._on.fetchrow(
            SELECT_KEY + "WHERE k.account_id = $2 AND k.id = $3 FOR NO KEY UPDATE OF k",
            at_ms,
            account_id,
            key_id,
        )
        return None if row is None else from_row_key(row)

    async def listing(self, which: KeyFilter, at_ms: int, *, limit: int, after: KeyId | None) -> list[Key]:
        """Newest first, those older than `after`."""
        where = ["k.account_id = $2"]
        args: list[object] = [at_ms, which.account_id]
        for condition, value in (
            ("k.mode = ${}", which.mode),
            ("k.external_id = ${}", which.external_id),
            ("k.id < ${}", after),
        ):
            if value is not None:
                args.append(value)
                where.append(condition.format(len(args)))
        if which.revoked is not None:
            where.append("k.revoked_at IS NOT NULL" if which.revoked else "k.revoked_at IS NULL")
        args.append(limit)
        rows = await self._on.fetch(
            f"{SELECT_KEY} WHERE {' AND '.join(where)} ORDER BY k.id DESC LIMIT ${len(args)}", *args
        )
        return [from_row_key(row) for row in rows]

    async def put_policy(self, key_id: KeyId, policy: KeyPolicy, at_ms: int, *, new_period: bool) -> None:
        """Set the whole policy of a locked key. `new_period`: its running period is counted anew from the rows."""
        await self._on.execute(PUT_POLICY, key_id, *_policy_row(policy))
        if new_period:
            await self._on.execute(COUNT_ANEW, key_id, at_ms)

    async def add_credit(self, key_id: KeyId, credit_id: UUID, amount_micros: Micros, at_ms: int) -> None:
        """Raise the allowance of a locked key, in the period that runs at `at_ms`."""
        await self._on.execute(ENTER_PERIOD, key_id, at_ms)
        await self._on.execute(INSERT_CREDIT, credit_id, key_id, amount_micros, at_ms)
        await self._on.execute(ADD_CREDIT, key_id, amount_micros)

    async def put_secret(self, key_id: KeyId, secret_sha256: bytes, prefix: str) -> None:
        """Another secret; the old one is unknown from here on."""
        await self._on.execute(REPLACE_DIGEST, key_id, secret_sha256, prefix)

    async def revoke(self, key_id: KeyId, at_ms: int) -> None:
        """Revoke for good."""
        await self._on.execute(REVOKE, key_id, at_ms)

    async def lock_admins(self, account_id: AccountId) -> None:
        """Nobody else revokes an admin key of the account until the transaction ends."""
        await self._on.execute(LOCK_ADMINS, str(account_id))

    async def count_live_admins(self, account_id: AccountId, at_ms: int) -> int:
        """Live admin keys that are neither revoked nor expired."""
        return await self._on.fetchval(COUNT_LIVE_ADMINS, account_id, at_ms)


def from_row_key(row: Row) -> Key:
    """The key of a row of SELECT_KEY."""
    models = row["allowed_models"]
    return Key(
        id=KeyId(row["id"]),
        account_id=AccountId(row["account_id"]),
        prefix=row["prefix"],
        scope=row["scope"],
        mode=row["mode"],
        policy=KeyPolicy(
            name=row["name"],
            max_spend_micros=row["max_spend_micros"],
            cap_period=row["cap_period"],
            cap_anchor_day=row["cap_anchor_day"],
            on_cap=row["on_cap"],
            on_disconnect=row["on_disconnect"],
            rpm_limit=row["rpm_limit"],
            max_parallel=row["max_parallel"],
            allowed_models=None if models is None else tuple(models),
            expires_at=row["expires_at"],
            external_id=row["external_id"],
            metadata=row["metadata"],
        ),
        balance=KeyBalance(
            credit_micros=row["credit_micros"],
            posted_micros=row["posted_micros"],
            held_micros=row["held_micros"],
            lost_micros=row["lost_micros"],
            lifetime_micros=row["lifetime_micros"],
            period_start=row["period_start"],
            period_end=row["period_end"],
        ),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )


def _policy_row(policy: KeyPolicy) -> tuple[object, ...]:
    """The policy in the order of INSERT and PUT_POLICY, the name first."""
    return (
        policy.name,
        policy.max_spend_micros,
        policy.cap_period,
        policy.cap_anchor_day,
        policy.on_cap,
        policy.on_disconnect,
        policy.rpm_limit,
        policy.max_parallel,
        None if policy.allowed_models is None else list(policy.allowed_models),
        policy.expires_at,
        policy.external_id,
        policy.metadata,
    )
