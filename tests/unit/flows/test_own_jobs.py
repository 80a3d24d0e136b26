"""Whose a job is: its key's, and an admin's of the same account; nobody else learns that there is one."""

import asyncio
from uuid import UUID

import pytest
from tests.support.jobs_desk import ACCOUNT, JobsDesk, jobs_desk

from qlaud.core.errors import NotFound
from qlaud.core.keys import secret_digest
from qlaud.flows.own_jobs import OwnJobs
from qlaud.flows.owned import Owned
from qlaud.flows.principals import Principals
from qlaud.store.books import Books
from qlaud.store.jobs import Jobs as JobStore

OTHER_ACCOUNT = UUID(int=77)
KEYS = {
    "admin of the account": (UUID(int=11), ACCOUNT, "admin"),
    "another key of it": (UUID(int=12), ACCOUNT, "standard"),
    "admin of another": (UUID(int=13), OTHER_ACCOUNT, "admin"),
    "key of another": (UUID(int=14), OTHER_ACCOUNT, "standard"),
}


async def mint(desk: JobsDesk) -> Principals:
    await desk.sql("INSERT INTO accounts VALUES ($1, 'b', NULL, 0, 0)", OTHER_ACCOUNT)
    for secret, (key_id, account, scope) in KEYS.items():
        await desk.sql(
            "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, created_at)"
            " VALUES ($1, $2, $3, '', 'k', $4, 'live', 0)",
            key_id,
            account,
            secret_digest(secret),
            scope,
        )
    return Principals(Books(desk.pool.acquire), desk.clock)


def test_a_job_is_found_by_its_own_account_alone(database_url: str) -> None:
    async def run() -> None:
        async with jobs_desk(database_url) as desk:
            job = await desk.begun("video_1")
            principals = await mint(desk)
            worker = desk.worker()
            own = OwnJobs(
                worker.directory,
                worker.jobs,
                worker.records,
                worker.store,
                principals=principals,
                clock=desk.clock,
            )
            assert (await own.find("admin of the account", "video_1")).id == job.id
            for secret in KEYS.keys() - {"admin of the account"}:
                for provider in ("", "acme"):
                    with pytest.raises(NotFound):
                        await own.find(secret, "video_1", provider)

    asyncio.run(run())


def test_an_answer_that_is_kept_is_found_by_its_own_account_alone(database_url: str) -> None:
    async def run() -> None:
        async with jobs_desk(database_url) as desk:
            await desk.begun("video_1")
            principals = await mint(desk)
            owned = Owned(JobStore(desk.pool.acquire))
            for secret in KEYS:
                principal = await principals.of(secret)
                found = await owned.provider_of(principal, "video_1", ["other", "acme"])
                assert found == ("acme" if secret == "admin of the account" else ""), secret

    asyncio.run(run())
