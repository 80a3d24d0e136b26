"""Jobs in the database: handed over once, claimed by one worker at a time, owned, forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from msgspec.structs import replace
from tests.support.jobs_desk import ACCOUNT, DAY_MS, KEY, PLANNED_MICROS, JobsDesk, jobs_desk

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.jobs import Owner
from qlaud.store.jobs import Jobs


def at_desk(database_url: str, work: Callable[[JobsDesk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with jobs_desk(database_url) as desk:
            await work(desk)
            await desk.check_healthy()

    asyncio.run(main())


def test_a_job_comes_back_as_it_was_handed_over(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")
        (read,) = await Jobs(desk.pool.acquire).claim(
            now_ms=desk.clock.at_ms, until_ms=desk.clock.at_ms + 1, limit=9
        )
        assert replace(read, content_key=b"") == job
        assert len(read.content_key) == 32
        assert await desk.key() == (0, PLANNED_MICROS, 0)

    at_desk(database_url, work)


def test_a_hand_over_whose_answer_got_lost_can_be_made_again(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")
        assert await Jobs(desk.pool.acquire).begin(job, now_ms=desk.clock.at_ms, due_ms=desk.clock.at_ms)
        assert await desk.states() == ["running"]

    at_desk(database_url, work)


def test_an_id_that_a_provider_gives_twice_belongs_to_the_first_call(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        first = await desk.begun("video_1")
        second = desk.job(await desk.hold(), "video_1")
        store = Jobs(desk.pool.acquire)
        assert not await store.begin(second, now_ms=desk.clock.at_ms, due_ms=desk.clock.at_ms)
        ((found, owner),) = await store.find("video_1", "acme")
        assert (found.id, owner) == (first.id, Owner(KEY, ACCOUNT, first.created_at))

    at_desk(database_url, work)


def test_two_workers_do_not_get_the_same_jobs_until_a_lease_runs_out(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        for number in range(6):
            await desk.begun(f"video_{number}", amount_micros=1000)
        now = desk.clock.at_ms
        one, other = Jobs(desk.pool.acquire), Jobs(desk.pool.acquire)
        claims = await asyncio.gather(
            *(store.claim(now_ms=now, until_ms=now + 60_000, limit=2) for store in (one, other, one, other))
        )
        taken = [job.upstream_id for claim in claims for job in claim]
        assert sorted(taken) == [f"video_{number}" for number in range(6)]
        assert await one.claim(now_ms=now + 59_999, until_ms=now + 90_000, limit=9) == []
        assert len(await one.claim(now_ms=now + 60_000, until_ms=now + 90_000, limit=9)) == 6

    at_desk(database_url, work)


def test_a_row_that_another_worker_holds_is_passed_over_and_not_waited_for(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        await desk.begun("video_1", amount_micros=1000)
        free = await desk.begun("video_2", amount_micros=1000)
        async with desk.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT 1 FROM jobs WHERE upstream_id = 'video_1' FOR UPDATE")
            now = desk.clock.at_ms
            async with asyncio.timeout(5):
                (claimed,) = await Jobs(desk.pool.acquire).claim(now_ms=now, until_ms=now + 1, limit=9)
        assert claimed.id == free.id

    at_desk(database_url, work)


def test_the_hold_of_a_running_job_is_never_taken_for_lost(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1", amount_micros=1000)
        orphan = await desk.hold(2000)
        desk.clock.at_ms += 30 * DAY_MS
        lost: list[UUID] = []
        async with asyncio.timeout(10):
            while not lost:
                lost = [hold_id for hold_id, _ in await desk.ledger.sweep_lost(lost_after_ms=30, limit=9)]
        assert lost == [orphan.id]
        assert await desk.key() == (0, 1000, 2000)
        await Jobs(desk.pool.acquire).end(job, now_ms=desk.clock.at_ms)
        lost = []
        async with asyncio.timeout(10):
            while not lost:
                lost = [hold_id for hold_id, _ in await desk.ledger.sweep_lost(lost_after_ms=30, limit=9)]
        assert lost == [job.id], "a hold that a job left behind must be found"

    async def main() -> None:
        async with jobs_desk(database_url) as desk:
            await work(desk)

    asyncio.run(main())


def test_a_hold_that_was_lost_while_its_owner_slept_is_held_again_by_the_hand_over(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        hold = await desk.hold()
        await desk.sql("UPDATE holds SET state = 'lost', lost_at = 1")
        await desk.sql("UPDATE keys SET held_micros = 0, lost_micros = $1", PLANNED_MICROS)
        store = Jobs(desk.pool.acquire)
        assert await store.begin(desk.job(hold, "video_1"), now_ms=desk.clock.at_ms, due_ms=desk.clock.at_ms)
        assert await desk.key() == (0, PLANNED_MICROS, 0)

    at_desk(database_url, work)


def test_what_is_old_and_over_is_forgotten_and_what_runs_is_not(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        store = Jobs(desk.pool.acquire)
        await desk.begun("video_old", amount_micros=1000)
        ended = await desk.begun("video_over", amount_micros=1000)
        await desk.sql("DELETE FROM holds WHERE id = $1", ended.id)
        await desk.sql("UPDATE keys SET held_micros = 1000")
        await store.end(ended, now_ms=desk.clock.at_ms)
        old = Owner(KeyId(UUID(int=8)), AccountId(UUID(int=9)), desk.clock.at_ms)
        await store.own("openai", "resp_1", old)
        await store.own("openai", "resp_1", replace(old, key_id=KeyId(UUID(int=10))))
        assert await store.owner("openai", "resp_1") == old, "whoever was first stays"
        assert await store.owner("xai", "resp_1") is None
        later = desk.clock.at_ms + 1
        await store.own("openai", "resp_2", replace(old, created_at=later))
        assert not await store.forget(before_ms=later, limit=1), "there may be more"
        assert await store.forget(before_ms=later, limit=500)
        assert [row["upstream_id"] for row in await desk.sql("SELECT upstream_id FROM jobs")] == ["video_old"]
        left = await desk.sql("SELECT upstream_id FROM owned ORDER BY upstream_id")
        assert [row["upstream_id"] for row in left] == ["resp_2", "video_old"]
        await store.disown("openai", "resp_2")
        assert await store.owner("openai", "resp_2") is None

    at_desk(database_url, work)


def test_a_job_that_only_a_newer_gateway_can_read_is_left_to_it(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        await desk.begun("video_1", amount_micros=1000)
        good = await desk.begun("video_2", amount_micros=1000)
        await desk.sql("""UPDATE jobs SET terms = '{"hold": "elsewhere"}' WHERE upstream_id = 'video_1'""")
        now = desk.clock.at_ms
        assert [job.id for job in await Jobs(desk.pool.acquire).claim(now_ms=now, until_ms=now, limit=9)] == [
            good.id
        ]

    at_desk(database_url, work)
