"""Batches are settled from their results, line by line, each at its own model's price, all of them rounded once."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace as changed
from fractions import Fraction
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.jobs_desk import ACME, DAY_MS, JobsDesk, Page, Worker, jobs_desk

from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.jobs import LONGEST_PAUSE_MS, Job
from qlaud.core.ledger import CallFacts
from qlaud.core.paths import PathPattern
from qlaud.core.pricing import STANDARD, Axis, RateCard, Terms
from qlaud.core.providers import JobPaths, Wire
from qlaud.core.rates import Band, Rate
from qlaud.core.usage import Usage
from qlaud.flows.jobs import LEAST_ATTEMPTS, LINES_LEASE_MS
from qlaud.flows.tally import Tally
from qlaud.ports import UpstreamBroken
from qlaud.store.jobs import Jobs as JobStore
from qlaud.wire.jobs import Line

HELD_MICROS = 1_000_000
PLANNED = Usage(input_tokens=1000, output_tokens=4000, tier="batch")
TERMS = Terms(tier=Axis({"": "", "batch": "batch"}, {"": ("",), "batch": ("batch",)}))


def card(model: str, read: int, written: int) -> RateCard:
    """A price in picos a token, half of it in batches."""
    whole = Band.of(0, {"input_tokens": Rate(read), "output_tokens": Rate(written)})
    half = Band.of(0, {"input_tokens": Rate(read, 2), "output_tokens": Rate(written, 2)})
    return RateCard("bats", model, "9", {STANDARD: (whole,), ("batch", "", "", ""): (half,)}, TERMS)


CARDS = {"dear": card("dear", 4_000_001, 20_000_000), "cheap": card("cheap", 1_000_001, 5_000_000)}
MODELS = tuple(
    Model(name, (Host("bats", name, ("anthropic_batches",), (one,)),)) for name, one in CARDS.items()
)
BATS = changed(
    ACME,
    slug="bats",
    base_path="",
    wires={
        "anthropic_batches": Wire(
            "anthropic_batches",
            (PathPattern("/v1/messages/batches"),),
            kind="job",
            jobs=JobPaths(PathPattern("/v1/messages/batches/{job}")),
        )
    },
)
RECORD, RESULTS = "/v1/messages/batches/msgbatch_1", "/v1/messages/batches/msgbatch_1/results"


async def begun(desk: JobsDesk) -> Job:
    """A batch whose hold was handed over, of the model `dear` by its first request."""
    desk.catalog, desk.others = Catalog(MODELS, "9"), (BATS,)
    hold = await desk.hold(HELD_MICROS)
    facts = CallFacts("dear", "bats", "messages", "9")
    job = desk.job(hold, "msgbatch_1", planned=PLANNED, host="bats", facts=facts, upstream_model="dear")
    job = replace(job, provider="bats", wire="anthropic_batches")
    store = JobStore(desk.pool.acquire)
    assert await store.begin(job, now_ms=desk.clock.at_ms, due_ms=desk.clock.at_ms)
    return job


def says(desk: JobsDesk, status: str, **counts: int) -> None:
    body = {
        "type": "message_batch",
        "id": "msgbatch_1",
        "processing_status": status,
        "request_counts": counts,
    }
    desk.provider.records[RECORD] = Page(200, json.dumps(body).encode())


def line(model: str, read: int, written: int, kind: str = "succeeded") -> dict[str, Any]:
    usage = {"input_tokens": read, "output_tokens": written, "service_tier": "batch"}
    return {"custom_id": "x", "result": {"type": kind, "message": {"model": model, "usage": usage}}}


def results(desk: JobsDesk, *lines: object, status: int = 200) -> None:
    text = "\n".join(json.dumps(one) for one in lines)
    desk.provider.records[RESULTS] = Page(status, text.encode())


def at_desk(database_url: str, work: Callable[[JobsDesk], Awaitable[None]]) -> None:
    async def main() -> None:
        async with jobs_desk(database_url) as desk:
            await work(desk)
            await desk.check_healthy()

    asyncio.run(main())


async def look(desk: JobsDesk, worker: Worker, times: int = 1) -> None:
    for _ in range(times):
        await worker.round()
        await desk.passes(max(LONGEST_PAUSE_MS, LINES_LEASE_MS))


def test_what_a_batch_costs_is_the_sum_of_its_lines_rounded_once(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await begun(desk)
        says(desk, "ended", succeeded=3, errored=1)
        results(
            desk, line("dear", 1, 1), line("dear", 9, 9, "errored"), line("cheap", 1, 1), line("dear", 1, 0)
        )
        await look(desk, desk.worker())
        # (24000001 + 6000001 + 4000001) / 2 = 17000001.5 picos: 18 micros; rounded line by line it would be 12 + 4 + 3
        assert await desk.events() == [(job.id, 18, False)]
        (row,) = await desk.sql("SELECT model, input_tokens, output_tokens, status FROM usage_events")
        assert tuple(row) == ("dear", 3, 2, 200)
        assert await desk.key() == (18, 0, 0)

    at_desk(database_url, work)


def test_a_batch_runs_as_long_as_its_record_says_so(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        await begun(desk)
        worker = desk.worker()
        for status in ("in_progress", "canceling"):
            says(desk, status, processing=3)
            await look(desk, worker)
            assert (await desk.events(), await desk.key()) == ([], (0, HELD_MICROS, 0))
        says(desk, "ended", canceled=3, succeeded=0)
        await look(desk, worker)
        ((_, cost, estimated),) = await desk.events()
        assert (cost, estimated) == (0, False)

    at_desk(database_url, work)


@pytest.mark.parametrize("trouble", ["refused", "broken", "short"])
def test_results_that_do_not_come_whole_are_asked_for_again(database_url: str, trouble: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await begun(desk)
        says(desk, "ended", succeeded=2)
        if trouble == "broken":
            desk.provider.records[RESULTS] = UpstreamBroken("as scripted")
        else:
            results(desk, line("dear", 1, 1), status=500 if trouble == "refused" else 200)
        worker = desk.worker()
        await look(desk, worker, 2)
        assert (await desk.events(), await desk.key()) == ([], (0, HELD_MICROS, 0))
        assert not await worker.jobs.close_books(job), "nor may the provider forget them"
        await desk.passes(LINES_LEASE_MS)
        results(desk, line("dear", 1, 1), line("dear", 1, 1))
        await look(desk, worker)
        assert await desk.events() == [(job.id, 25, False)]  # 24.000001

    at_desk(database_url, work)


def test_books_are_closed_with_the_results(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await begun(desk), desk.worker()
        says(desk, "in_progress", processing=1)
        assert await worker.jobs.close_books(job)
        assert await desk.events() == []
        says(desk, "ended", succeeded=1)
        results(desk, line("cheap", 2, 2))
        assert await worker.jobs.close_books(job)
        await look(desk, worker, 2)
        assert await desk.events() == [(job.id, 7, False)]  # (2000002 + 10000000) / 2

    at_desk(database_url, work)


@pytest.mark.parametrize(
    "strange", [line("unheard", 1, 1), {"result": {"type": "succeeded", "message": {"model": "dear"}}}, "?"]
)
def test_what_nobody_can_price_or_read_costs_the_whole_hold(database_url: str, strange: object) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await begun(desk)
        says(desk, "ended", succeeded=2)
        results(desk, line("dear", 1, 1), strange)
        await look(desk, desk.worker())
        ((found, cost, estimated),) = await desk.events()
        if strange != line("unheard", 1, 1):
            assert (found, cost, estimated) == (job.id, HELD_MICROS, True)
        else:  # by the price of the model that was asked
            assert (found, cost, estimated) == (job.id, 25, False)

    at_desk(database_url, work)


def test_a_batch_that_is_lost_costs_what_it_asked_for_within_its_hold(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job, worker = await begun(desk), desk.worker(silence_ms=DAY_MS)
        await look(desk, worker, LEAST_ATTEMPTS + 1)
        # (1000 x 4000001 + 4000 x 20000000) / 2 = 42000000500 picos
        assert await desk.events() == [(job.id, 42_001, True)]

    at_desk(database_url, work)


def test_two_workers_read_the_same_results_and_bill_them_once(database_url: str) -> None:
    async def work(desk: JobsDesk) -> None:
        job = await begun(desk)
        says(desk, "ended", succeeded=1)
        results(desk, line("dear", 1, 1))
        workers = [desk.worker() for _ in range(3)]
        await asyncio.gather(*(worker.jobs.close_books(job) for worker in workers), look(desk, workers[0]))
        assert await desk.events() == [(job.id, 13, False)]

    at_desk(database_url, work)


def test_a_tally_is_the_exact_sum() -> None:
    tally = Tally(CARDS.get)
    for _ in range(1000):
        tally.add(Line("cheap", Usage(input_tokens=1, tier="batch")))
    assert tally.charge(0).cost_micros == -(-Fraction(1_000_001 * 1000, 2) // 1_000_000)
    assert (tally.usage.input_tokens, tally.lines, tally.is_priced) == (1000, 1000, True)
    tally.add(Line("nothing like it", Usage(input_tokens=1)))
    assert not tally.is_priced
