"""Jobs are followed to their end and settled once, on real PostgreSQL, by whichever worker looks."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace as changed
from typing import cast

import pytest
from msgspec.structs import replace
from tests.support.jobs_desk import (
    DAY_MS,
    FILM,
    PLANNED_MICROS,
    JobsDesk,
    Page,
    RecordKeeper,
    Worker,
    jobs_desk,
)

from qlaud.core.catalog import Catalog
from qlaud.core.jobs import FIRST_LOOK_MS, LONGEST_PAUSE_MS, pause_ms
from qlaud.core.providers import Registry, Secret
from qlaud.flows.directory import Directory, Outlets
from qlaud.flows.doctor import Doctor
from qlaud.flows.jobs import AT_ONCE, LEASE_MS, LEAST_ATTEMPTS
from qlaud.flows.keyring import KeyRing
from qlaud.flows.records import Records
from qlaud.ports import UpstreamBroken, UpstreamRequest, UpstreamUnreachable
from qlaud.store.books import Books

Work = Callable[[JobsDesk], Awaitable[None]]


def at_desk(database_url: str, work: Work) -> None:
    async def main() -> None:
        async with jobs_desk(database_url) as desk:
            await work(desk)
            await desk.check_healthy()

    asyncio.run(main())


async def looks(desk: JobsDesk, worker: Worker, times: int) -> None:
    """So many rounds, each after the longest pause."""
    for _ in range(times):
        await worker.round()
        await desk.passes(LONGEST_PAUSE_MS)


def test_a_job_is_settled_by_its_record_though_nobody_asks(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.says("video_1", "in_progress")
        await worker.round()
        assert (await desk.events(), await desk.key()) == ([], (0, PLANNED_MICROS, 0))
        desk.provider.says("video_1", "completed", seconds="6")
        await desk.passes()
        await worker.round()
        assert await desk.events() == [(job.id, 600_000, False)]
        assert await desk.key() == (600_000, 0, 0)
        assert await desk.states() == ["ended"]
        (row,) = await desk.sql("SELECT * FROM usage_events")
        assert (row["video_ms"], row["status"], row["latency_ms"], row["surface"], row["price_version"]) == (
            6000, 200, FIRST_LOOK_MS, "videos", "9",
        )  # fmt: skip

    at_desk(database_url, work)


def test_a_record_is_asked_for_with_the_operators_key_and_less_and_less_often(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        await desk.begun("video/1?x")
        desk.provider.records["/v1/videos/video%2F1%3Fx"] = Page(200, b'{"status":"queued"}')
        worker = desk.worker()
        waits: list[int] = []
        for _ in range(14):
            await worker.round()
            (row,) = await desk.sql("SELECT due_at FROM jobs")
            waits.append(row["due_at"] - desk.clock.at_ms)
            await desk.passes(waits[-1] - 1)
            await worker.round()
            assert len(desk.provider.asked) == len(waits), "not before it is due"
            await desk.passes(1)
        assert waits[:4] == [2000, 3000, 4500, 6750]
        assert waits[-2:] == [60_000, 60_000]
        asked = desk.provider.asked[0]
        assert (asked.method, asked.origin, asked.target) == (
            "GET", "https://acme.example", b"/v1/videos/video%2F1%3Fx",
        )  # fmt: skip
        assert (b"authorization", b"Bearer sk-acme") in asked.headers

    at_desk(database_url, work)


def test_a_failed_job_costs_nothing(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")
        desk.provider.says("video_1", "failed", error={"code": "x", "message": "no"})
        await desk.worker().round()
        assert await desk.events() == [(job.id, 0, False)]
        assert await desk.key() == (0, 0, 0)
        (row,) = await desk.sql("SELECT status, video_ms FROM usage_events")
        assert (row["status"], row["video_ms"]) == (502, 0)

    at_desk(database_url, work)


def test_a_job_that_costs_more_than_its_hold_takes_what_is_free_and_no_more(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        await desk.begun("video_1")
        await desk.hold(4_100_000)
        desk.provider.says("video_1", "completed", seconds="12")
        await desk.worker().round()
        (row,) = await desk.sql("SELECT cost_micros, overage_micros FROM usage_events")
        assert (row["cost_micros"], row["overage_micros"]) == (900_000, 300_000)
        assert await desk.key() == (900_000, 4_100_000, 0)

    at_desk(database_url, work)


def test_two_workers_that_look_at_the_same_time_settle_once(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")
        desk.provider.says("video_1", "completed")
        one, other = desk.worker(), desk.worker()
        await asyncio.gather(one.jobs.look(job), other.jobs.look(job), one.round(), other.round())
        assert await desk.events() == [(job.id, PLANNED_MICROS, False)]
        assert await desk.key() == (PLANNED_MICROS, 0, 0)

    at_desk(database_url, work)


def test_a_caller_who_looks_settles_the_job_and_the_next_look_changes_nothing(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.says("video_1", "completed")
        for _ in range(20):
            looked = await worker.jobs.look(job)
            assert looked.status == 200
        assert await desk.events() == [(job.id, PLANNED_MICROS, False)]
        await desk.passes(LEASE_MS)
        await worker.round()
        assert len(desk.provider.asked) == 20, "it has ended: nobody looks any more"

    at_desk(database_url, work)


def test_a_worker_that_died_in_a_look_is_followed_by_another(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, died, other = await desk.begun("video_1"), desk.worker(), desk.worker()
        assert await died.store.claim(now_ms=desk.clock.at_ms, until_ms=desk.clock.at_ms + LEASE_MS, limit=9)
        desk.provider.says("video_1", "completed")
        await other.round()
        assert await desk.events() == []
        await desk.passes(LEASE_MS)
        await other.round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, False)]

    at_desk(database_url, work)


def test_a_worker_that_died_between_settling_and_ending_leaves_nothing_to_settle(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.says("video_1", "completed")
        await worker.round()
        await desk.sql("UPDATE jobs SET state = 'running', ended_at = NULL, due_at = 0")
        desk.provider.says("video_1", "completed", seconds="12")
        await worker.round()
        assert (await desk.events(), await desk.states()) == ([(job.id, PLANNED_MICROS, False)], ["ended"])
        assert await desk.key() == (PLANNED_MICROS, 0, 0)

    at_desk(database_url, work)


TROUBLES = [
    UpstreamUnreachable("refused"),
    UpstreamBroken("reset"),
    Page(500, b"oops"),
    Page(401, b"{}"),
    Page(429, b"{}"),
    Page(200, b"<html>"),
    Page(200, b"x" * 2_000_000),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: str(getattr(trouble, "status", trouble)))
def test_a_provider_that_is_silent_for_too_long_is_paid_what_was_asked_for(
    database_url: str, trouble: Page | Exception
) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.fails("video_1", cast("Page", trouble))
        await looks(desk, worker, LEAST_ATTEMPTS + 1)
        assert await desk.events() == [], "not before its time"
        await desk.passes(DAY_MS)
        await worker.round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, True)]

    at_desk(database_url, work)


def test_a_provider_that_answers_again_is_believed_however_late(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.fails("video_1", UpstreamBroken("reset"))
        await looks(desk, worker, LEAST_ATTEMPTS + 1)
        await desk.passes(3 * DAY_MS)
        desk.provider.says("video_1", "completed", seconds="2")
        await worker.round()
        assert await desk.events() == [(job.id, 200_000, False)]

    at_desk(database_url, work)


def test_a_job_that_runs_is_waited_for_longer_than_a_silent_one_but_not_for_ever(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.says("video_1", "in_progress")
        await looks(desk, worker, LEAST_ATTEMPTS + 1)
        await desk.passes(6 * DAY_MS)
        await worker.round()
        assert await desk.events() == []
        await desk.passes(DAY_MS)
        await worker.round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, True)]

    at_desk(database_url, work)


def test_a_clock_that_jumps_gives_no_job_up(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        worker = desk.worker()
        desk.clock.at_ms -= 30 * DAY_MS
        await desk.begun("video_1")
        desk.clock.at_ms += 30 * DAY_MS
        desk.provider.fails("video_1", UpstreamUnreachable("refused"))
        await worker.round()
        assert await desk.events() == []

    at_desk(database_url, work)


@pytest.mark.parametrize("status", [404, 410])
def test_a_job_the_provider_does_not_know_any_more_is_paid_as_asked_after_some_looks(
    database_url: str, status: int
) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        desk.provider.fails("video_1", Page(status, b"{}"))
        await looks(desk, worker, LEAST_ATTEMPTS)
        assert await desk.events() == [], "a provider may need a moment to know its own job everywhere"
        await worker.round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, True)]

    at_desk(database_url, work)


def test_an_estimate_never_costs_more_than_was_held(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        hold = await desk.hold(700_000)
        store = desk.worker().store
        now = desk.clock.at_ms
        assert await store.begin(desk.job(hold, "video_1"), now_ms=now, due_ms=now)
        await looks(desk, desk.worker(), LEAST_ATTEMPTS + 1)
        assert await desk.events() == [(hold.id, 700_000, True)]

    at_desk(database_url, work)


def test_a_job_whose_price_is_gone_costs_its_hold_and_is_never_free(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")
        (host,) = FILM.hosts
        desk.catalog = Catalog((changed(FILM, hosts=(changed(host, cards=()),)),), "10")
        desk.provider.says("video_1", "completed", seconds="2")
        await desk.worker().round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, True)]

    at_desk(database_url, work)


def test_a_job_of_a_model_that_never_had_a_price_is_counted_and_costs_nothing(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        hold = await desk.hold(0)
        job = desk.job(hold, "video_1")
        terms = replace(job.terms, facts=replace(job.terms.facts, model="unheard", price_version="unpriced"))
        now = desk.clock.at_ms
        worker = desk.worker()
        assert await worker.store.begin(replace(job, terms=terms), now_ms=now, due_ms=now)
        desk.provider.says("video_1", "completed", model="unheard")
        await worker.round()
        (row,) = await desk.sql("SELECT cost_micros, video_ms, price_version FROM usage_events")
        assert (row["cost_micros"], row["video_ms"], row["price_version"]) == (0, 8000, "unpriced")

    at_desk(database_url, work)


def test_a_key_of_the_operators_that_does_not_know_a_job_is_not_the_last_one_asked(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")
        acme = changed(desk.acme, api_keys=(Secret("sk-one"), Secret("sk-two")))

        class Choosy(RecordKeeper):
            async def send(self, request: UpstreamRequest) -> Page:
                self.asked.append(request)
                mine = (b"authorization", b"Bearer sk-two") in request.headers
                return Page(200, b'{"status":"completed","seconds":"8"}') if mine else Page(404, b"{}")

        keeper = Choosy()
        outlets = Outlets(http=keeper, simulator=keeper)
        rings = {"acme": KeyRing(acme, desk.clock)}
        looked = await Records(Directory(desk.catalog, Registry({"acme": acme}), outlets, rings)).ask(job)
        assert (looked.status, len(keeper.asked)) == (200, 2)

    at_desk(database_url, work)


def test_a_worker_looks_at_a_bounded_number_of_jobs_at_once_and_a_slow_one_blocks_no_other(
    database_url: str,
) -> None:
    async def work(desk: JobsDesk) -> None:
        gate, started = asyncio.Event(), 0

        class Slow(RecordKeeper):
            async def send(self, request: UpstreamRequest) -> Page:
                nonlocal started
                started += 1
                await gate.wait()
                return await RecordKeeper.send(self, request)

        desk.provider = Slow()
        for number in range(AT_ONCE + 4):
            await desk.begun(f"video_{number}", amount_micros=1000)
        worker = desk.worker()
        await worker.jobs.tick()
        await worker.jobs.tick()
        for _ in range(50):
            await asyncio.sleep(0)
        assert started == AT_ONCE
        other = desk.worker()
        await other.jobs.tick()
        gate.set()
        await asyncio.gather(worker.jobs.settled(), other.jobs.settled())
        assert started == AT_ONCE + 4

    at_desk(database_url, work)


def test_a_stop_breaks_off_looks_and_the_next_start_goes_on(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await desk.begun("video_1")

        class Stuck(RecordKeeper):
            async def send(self, request: UpstreamRequest) -> Page:
                await asyncio.Event().wait()
                raise AssertionError

        desk.provider = Stuck()
        worker = desk.worker()
        await worker.jobs.tick()
        await asyncio.sleep(0)
        await worker.jobs.close()
        desk.provider = RecordKeeper()
        desk.provider.says("video_1", "completed")
        await desk.passes(LEASE_MS)
        await desk.worker().round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, False)]

    at_desk(database_url, work)


def test_the_doctor_finds_a_job_that_ended_with_its_money_still_held_and_mends_it(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await desk.begun("video_1"), desk.worker()
        await worker.store.end(job, now_ms=desk.clock.at_ms)
        doctor = Doctor(Books(desk.pool.acquire))
        (wrong,) = await doctor.mend()
        assert (wrong.table, wrong.id, wrong.column, wrong.stored, wrong.actual) == (
            "jobs", str(job.id), "held_micros", 0, PLANNED_MICROS,
        )  # fmt: skip
        desk.provider.says("video_1", "completed")
        await worker.round()
        assert await desk.events() == [(job.id, PLANNED_MICROS, False)]

    at_desk(database_url, work)


def test_pauses_grow_from_two_seconds_to_a_minute() -> None:
    pauses = [pause_ms(attempts) for attempts in range(40)]
    assert (pauses[0], pauses[-1], pauses == sorted(pauses)) == (2000, 60_000, True)
