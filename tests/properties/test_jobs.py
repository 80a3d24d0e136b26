"""However looks at a job interleave, it is settled once, and by what its record said when it first had ended.

A history is a list of moves, some of them at the same time: workers that go their round, callers that ask, a worker
that dies with its claim or between settling and ending, a provider that falls silent or changes its mind after the end.
On real PostgreSQL; each history has a job of its own in one database.
"""

import asyncio
from contextlib import suppress

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.jobs_desk import PLANNED_MICROS, JobsDesk, Page, Worker, jobs_desk

from qlaud.core.jobs import LONGEST_PAUSE_MS, Job
from qlaud.flows.jobs import LEASE_MS, LEAST_ATTEMPTS
from qlaud.ports import UpstreamBroken

COSTS = {"2": 200_000, "8": 800_000, "12": 1_200_000}
LOOKS = ("round of one", "round of other", "a caller asks", "a caller asks with an old copy")
WORLD = (
    "runs",
    "is silent",
    "is unknown",
    "done 2",
    "done 8",
    "done 12",
    "fails",
    "time",
    "lease",
    "a worker dies",
)
MOVES = st.one_of(
    st.sampled_from(WORLD),
    st.lists(st.sampled_from((*LOOKS, "a worker dies after settling")), min_size=1, max_size=3).map(tuple),
)
HISTORIES = st.lists(MOVES, min_size=1, max_size=9)


class History:
    """One job, and what may happen to it."""

    def __init__(self, desk: JobsDesk, job: Job) -> None:
        self.desk, self.job = desk, job
        self.one, self.other = desk.worker(), desk.worker()
        self.costs: list[int] = []
        """Of the endings that the provider has told so far, in the order it told them."""

    async def play(self, move: str | tuple[str, ...]) -> None:
        if isinstance(move, tuple):
            await asyncio.gather(*(self._look(look) for look in move))
            return
        name, keeper = self.job.upstream_id, self.desk.provider
        match move.split():
            case ["done", seconds]:
                keeper.says(name, "completed", seconds=seconds)
            case ["fails"]:
                keeper.says(name, "failed")
            case ["runs"]:
                keeper.says(name, "in_progress")
            case ["is", "silent"]:
                keeper.fails(name, UpstreamBroken("reset"))
            case ["is", "unknown"]:
                keeper.fails(name, Page(404, b"{}"))
            case ["time"]:
                await self.desk.passes(LONGEST_PAUSE_MS)
            case ["lease"]:
                await self.desk.passes(LEASE_MS)
            case _:
                now = self.desk.clock.at_ms
                await self.one.store.claim(now_ms=now, until_ms=now + LEASE_MS, limit=9)

    async def _look(self, look: str) -> None:
        match look:
            case "round of one":
                await self.one.round()
            case "round of other":
                await self.other.round()
            case "a worker dies after settling":
                await self.desk.sql(
                    "UPDATE jobs SET state = 'running', ended_at = NULL, due_at = 0 WHERE id = $1",
                    self.job.id,
                )
            case _:
                await asks(self.one, self.job)

    async def event(self) -> tuple[int, bool] | None:
        rows = await self.desk.sql(
            "SELECT cost_micros, estimated FROM usage_events WHERE id = $1", self.job.id
        )
        assert len(rows) <= 1
        return (rows[0]["cost_micros"], rows[0]["estimated"]) if rows else None

    async def held(self) -> int:
        rows = await self.desk.sql("SELECT amount_micros FROM holds WHERE id = $1", self.job.id)
        return rows[0]["amount_micros"] if rows else 0


async def asks(worker: Worker, job: Job) -> None:
    """A caller asks for the record; a provider that gives none is his trouble."""
    with suppress(UpstreamBroken):
        await worker.jobs.look(job)


async def check(history: History, moves: list[str | tuple[str, ...]]) -> None:
    told: tuple[int, bool] | None = None
    said: int | None = None
    """What the record of the moment would cost; None while it tells of no end."""
    for move in moves:
        if isinstance(move, str) and move.startswith(("done", "fails", "runs", "is")):
            said = COSTS[move.split()[1]] if move.startswith("done") else 0 if move == "fails" else None
        await history.play(move)
        event = await history.event()
        if told is None and event is not None:
            assert event == (said, False), "settled by what the record says, and by nothing else"
            told = event
        assert event == told, "settled once"
        assert await history.held() == (0 if event else PLANNED_MICROS)
    history.desk.provider.says(history.job.upstream_id, "completed", seconds="2")
    for _ in range(2 * LEAST_ATTEMPTS):
        await history.desk.passes(LEASE_MS)
        await history.other.round()
    assert await history.event() == (told or (200_000, False))
    assert await history.held() == 0


def test_any_interleaving_of_looks_settles_a_job_once(database_url: str) -> None:
    number = 0
    with asyncio.Runner() as runner:
        opened = jobs_desk(database_url)
        desk = runner.run(opened.__aenter__())

        @settings(
            max_examples=100,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(HISTORIES)
        def walk(moves: list[str | tuple[str, ...]]) -> None:
            async def main() -> None:
                nonlocal number
                number += 1
                await desk.sql("UPDATE keys SET max_spend_micros = NULL, ceiling_micros = NULL")
                job = await desk.begun(f"video_{number}")
                await check(History(desk, job), moves)

            runner.run(main())

        try:
            walk()
            runner.run(desk.check_healthy())
        finally:
            runner.run(opened.__aexit__(None, None, None))
    assert number >= 90
