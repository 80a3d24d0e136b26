"""Jobs and owned objects over PostgreSQL (`migrations/0004_jobs.sql`): begun, claimed, put off, ended, found.

A claim moves `due_at` on before anybody looks at the job, so two workers do not look at one job at a time, and a
worker that dies leaves it due again. Which of two looks settles it does not matter: the ledger does it once.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, cast

import msgspec

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.jobs import Job, JobTerms, Owner
from qlaud.store.connection import Connection, Row

logger = logging.getLogger("qlaud.jobs")

BEGIN = "SELECT job_begin($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
JOB = "j.provider, j.wire, j.upstream_id, j.terms, j.content_key, j.answered_at, j.attempts, j.state"
CLAIM = f"""
UPDATE jobs j SET due_at = $2
 WHERE j.id IN (SELECT id FROM jobs WHERE state = 'running' AND due_at <= $1 ORDER BY due_at, id LIMIT $3
                   FOR UPDATE SKIP LOCKED)
RETURNING {JOB}
"""
PUT_OFF = """
UPDATE jobs SET due_at = $2, attempts = attempts + 1, answered_at = COALESCE($3, answered_at)
 WHERE id = $1 AND state = 'running'
"""
END = "UPDATE jobs SET state = 'ended', ended_at = $2 WHERE id = $1 AND state = 'running'"
FIND = f"""
SELECT {JOB}, o.key_id, o.account_id, o.created_at AS owned_at
  FROM jobs j JOIN owned o USING (provider, upstream_id)
 WHERE j.upstream_id = $1 AND ($2 = '' OR j.provider = $2)
 ORDER BY j.created_at DESC
"""
OWN = "INSERT INTO owned VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
OWNER = "SELECT key_id, account_id, created_at FROM owned WHERE provider = $1 AND upstream_id = $2"
DISOWN = "DELETE FROM owned WHERE provider = $1 AND upstream_id = $2"
FORGET_JOBS = """
DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE state = 'ended' AND ended_at < $1 ORDER BY ended_at LIMIT $2)
"""
FORGET_OWNED = """
DELETE FROM owned o WHERE (o.provider, o.upstream_id) IN (
    SELECT w.provider, w.upstream_id FROM owned w
     WHERE w.created_at < $1
       AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.provider = w.provider AND j.upstream_id = w.upstream_id)
     ORDER BY w.created_at LIMIT $2)
"""
_terms = cast("Callable[[str], JobTerms]", msgspec.json.Decoder(JobTerms).decode)


class Jobs:
    """Implements `ports.JobStore` on connections of the pool."""

    def __init__(self, acquire: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._acquire = acquire

    async def begin(self, job: Job, *, now_ms: int, due_ms: int) -> bool:
        """Whether its hold is the job's now, durably. Again with the same job: the same answer."""
        hold = job.terms.hold
        async with self._acquire() as connection:
            return await connection.fetchval(
                BEGIN,
                job.id,
                job.provider,
                job.wire,
                job.upstream_id,
                msgspec.json.encode(job.terms).decode(),
                hold.key_id,
                hold.account_id,
                job.created_at,
                now_ms,
                due_ms,
            )

    async def claim(self, *, now_ms: int, until_ms: int, limit: int) -> list[Job]:
        """Running jobs that are due, at most `limit`; nobody else is given them before `until_ms`."""
        async with self._acquire() as connection:
            rows: Sequence[Row] = await connection.fetch(CLAIM, now_ms, until_ms, limit)
        jobs: list[Job] = []
        for row in rows:
            try:
                jobs.append(from_row_job(row))
            except msgspec.ValidationError as gap:  # of a newer gateway: one that can read it will take it
                logger.error(
                    "a job cannot be read here", extra={"job": row["upstream_id"], "reason": str(gap)}
                )
        return jobs

    async def put_off(self, job: Job, *, due_ms: int, answered_ms: int | None) -> None:
        """It runs on: look again at `due_ms`. `answered_ms` is when the provider knew it, if it did."""
        async with self._acquire() as connection:
            await connection.execute(PUT_OFF, job.id, due_ms, answered_ms)

    async def end(self, job: Job, *, now_ms: int) -> None:
        """It is settled: look at it no more."""
        async with self._acquire() as connection:
            await connection.execute(END, job.id, now_ms)

    async def find(self, upstream_id: str, provider: str) -> list[tuple[Job, Owner]]:
        """The jobs of that id, newest first, and whose they are; of one provider, or of any where it is empty."""
        async with self._acquire() as connection:
            rows: Sequence[Row] = await connection.fetch(FIND, upstream_id, provider)
        return [
            (from_row_job(row), Owner(KeyId(row["key_id"]), AccountId(row["account_id"]), row["owned_at"]))
            for row in rows
        ]

    async def own(self, provider: str, upstream_id: str, owner: Owner) -> None:
        """Write down whose it is. Whoever is written down first stays."""
        async with self._acquire() as connection:
            await connection.execute(
                OWN, provider, upstream_id, owner.key_id, owner.account_id, owner.created_at
            )

    async def owner(self, provider: str, upstream_id: str) -> Owner | None:
        """Whose it is, None if that was never written down, or is forgotten."""
        async with self._acquire() as connection:
            row = await connection.fetchrow(OWNER, provider, upstream_id)
        return (
            None
            if row is None
            else Owner(KeyId(row["key_id"]), AccountId(row["account_id"]), row["created_at"])
        )

    async def disown(self, provider: str, upstream_id: str) -> None:
        """The object is deleted."""
        async with self._acquire() as connection:
            await connection.execute(DISOWN, provider, upstream_id)

    async def forget(self, *, before_ms: int, limit: int) -> bool:
        """Erase at most `limit` jobs that ended before that, and as many owned objects that are older.

        Returns whether none is left.
        """
        async with self._acquire() as connection:
            statements: Connection = connection
            jobs = await statements.execute(FORGET_JOBS, before_ms, limit)
            owned = await statements.execute(FORGET_OWNED, before_ms, limit)
        return f"DELETE {limit}" not in (jobs, owned)


def from_row_job(row: Row) -> Job:
    """The job of a row."""
    return Job(
        provider=row["provider"],
        wire=row["wire"],
        upstream_id=row["upstream_id"],
        terms=_terms(row["terms"]),
        content_key=row["content_key"],
        answered_at=row["answered_at"],
        attempts=row["attempts"],
        ended=row["state"] == "ended",
    )
