"""A call that begins a job: its hold goes over to the job, its answer goes out, and nothing is billed yet."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.support.jobs_desk import ACME, CARD
from tests.support.pump_stage import ENDS, WHOLE_HEAD, Head, Stage, provider

from qlaud.core.errors import StoreUnavailable
from qlaud.core.jobs import Job, Owner
from qlaud.core.usage import Usage
from qlaud.flows.metered import Metered
from qlaud.flows.pump import Pump
from qlaud.ports import JobStore
from qlaud.wire.openai_video import OPENAI_VIDEO
from qlaud.wire.types import Asked

ANSWER = b'{"id":"video_1","object":"video","status":"queued","seconds":"8","size":"720p"}'
ASKED = Asked(body=b'{"model":"m-1","prompt":"x","seconds":"8","size":"1280x720"}')


@dataclass
class Store:
    """Takes jobs over, as told."""

    takes: bool = True
    away: int = 0
    jobs: list[Job] = field(default_factory=list)

    async def begin(self, job: Job, *, now_ms: int, due_ms: int) -> bool:
        assert due_ms > now_ms
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        self.jobs.append(job)
        return self.takes

    async def owner(self, provider: str, upstream_id: str) -> Owner | None:
        return None


class VideoStage(Stage):
    """A stage whose call begins a job."""

    def __init__(self, store: Store | None) -> None:
        super().__init__(stream=False)
        self.store = store
        jobs: JobStore | None = store  # type: ignore[assignment]
        self.calls = Metered(self.ledger, self.clock, self.meters, hold_wait_s=5.0, jobs=jobs)
        incoming = replace(self.prepared.incoming, wire=OPENAI_VIDEO, wire_name="openai_video", asked=ASKED)
        route = replace(self.prepared.routes[0], provider=provider(wires=ACME.wires), card=CARD)
        call = OPENAI_VIDEO.read_call(ASKED)
        self.prepared = replace(self.prepared, incoming=incoming, call=call, routes=(route,), input_bound=0)
        self.pump = Pump(self.prepared, self.hold, self.relay, self.calls, self.clock, terms=self.pump._terms)


def play(act: Callable[[VideoStage], Awaitable[None]], store: Store | None) -> VideoStage:
    async def main() -> VideoStage:
        stage = VideoStage(store)
        await act(stage)
        return stage

    return asyncio.run(main())


async def answered(stage: VideoStage, *moves: Head | bytes) -> None:
    """The provider answers, and the call ends."""
    await stage.begin()
    await stage.answers(*(moves or (WHOLE_HEAD, ANSWER)), ENDS)
    assert stage.task is not None
    async with asyncio.timeout(10):
        await stage.task


def test_the_hold_goes_over_to_the_job_and_the_answer_goes_out_without_a_bill() -> None:
    stage = play(answered, store := Store())
    assert (stage.relay.status, stage.relay.body, stage.relay.ended) == (200, ANSWER, True)
    assert b"x-qlaud-cost-micros" not in stage.relay.headers
    assert stage.relay.headers[b"x-qlaud-budget-remaining-micros"] == b"%d" % (
        stage.hold.remaining_micros or 0
    )
    assert (stage.ledger.settlements, stage.ledger.voided, stage.calls.in_flight()) == ([], [], 0)
    (job,) = store.jobs
    assert (job.id, job.provider, job.wire, job.upstream_id) == (
        UUID(int=1), "anthropic", "openai_video", "video_1",
    )  # fmt: skip
    terms = job.terms
    assert (terms.hold, terms.planned) == (stage.hold, Usage(video_ms=8000, grade="1280x720"))
    assert (terms.host, terms.upstream_model, terms.upstream_request_id) == ("anthropic", "m-1", "req_theirs")


def test_a_hold_that_was_handed_over_is_renewed_here_no_more() -> None:
    async def act(stage: VideoStage) -> None:
        await answered(stage)
        assert await stage.calls.renew(older_than_ms=0) == 0

    assert play(act, Store()).ledger.renewed == []


def test_a_refusal_begins_nothing_and_costs_nothing() -> None:
    async def act(stage: VideoStage) -> None:
        await answered(stage, Head(400, b"application/json"), b'{"error":{"message":"no"}}')

    stage = play(act, store := Store())
    assert (store.jobs, stage.ledger.only_settlement().cost_micros, stage.relay.status) == ([], 0, 400)


def test_a_database_that_is_away_for_a_moment_does_not_cost_the_exact_bill() -> None:
    stage = play(answered, store := Store(away=2))
    assert (len(store.jobs), stage.ledger.settlements, stage.relay.status) == (1, [], 200)


def test_a_hand_over_that_cannot_be_written_is_settled_as_planned_and_flagged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qlaud.flows.metered.HAND_OVER_PAUSES_S", (0.0, 0.0))
    stage = play(answered, store := Store(away=9))
    settled = stage.ledger.only_settlement()
    assert (store.jobs, settled.estimated, settled.usage) == (
        [],
        True,
        Usage(video_ms=8000, grade="1280x720"),
    )
    assert (stage.relay.status, stage.calls.in_flight()) == (200, 0)


def test_an_id_that_another_call_has_is_settled_as_planned() -> None:
    settled = play(answered, Store(takes=False)).ledger.only_settlement()
    assert (settled.estimated, settled.usage.video_ms) == (True, 8000)


def test_a_gateway_that_keeps_no_jobs_settles_as_planned() -> None:
    settled = play(answered, None).ledger.only_settlement()
    assert (settled.estimated, settled.usage.video_ms) == (True, 8000)


def test_an_answer_whose_job_cannot_be_read_is_charged_as_asked_and_never_free() -> None:
    async def act(stage: VideoStage) -> None:
        await answered(stage, WHOLE_HEAD, b'{"unheard":"of"}')

    settled = play(act, Store()).ledger.only_settlement()
    assert (settled.estimated, settled.usage.video_ms, settled.cost_micros) == (
        True,
        8000,
        settled.hold.amount_micros,
    )


def test_a_caller_who_leaves_does_not_lose_his_job() -> None:
    async def act(stage: VideoStage) -> None:
        await stage.begin()
        await stage.leaves()
        await stage.answers(WHOLE_HEAD, ANSWER, ENDS)

    stage = play(act, store := Store())
    assert (len(store.jobs), stage.ledger.settlements, stage.relay.written_after_leaving) == (1, [], 0)


def test_a_call_that_was_taken_up_and_never_answered_is_charged_what_it_asked_for() -> None:
    async def act(stage: VideoStage) -> None:
        await stage.begin()
        await stage.answers(WHOLE_HEAD, ANSWER[:20])
        stage.pump.shut_down()
        await stage.rest()

    settled = play(act, store := Store()).ledger.only_settlement()
    assert (store.jobs, settled.estimated, settled.usage.video_ms) == ([], True, 8000)
