"""Jobs on the real ledger: a key, calls whose holds are taken, and a provider that keeps the records of what it began.

    async with jobs_desk(database_url) as desk:
        job = await desk.begun("video_1")          # a hold, handed over to a job of 8 seconds at $0.10
        desk.provider.says("video_1", "completed")
        await desk.worker().round()
        assert await desk.events() == [(job.id, 800_000, False)]

The model is `film` of the provider `acme`, which speaks OpenAI's videos: 100 micros a millisecond of 720p.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.support.ledger_desk import CountedIds, FrozenClock
from tests.support.pump_stage import CountedMeters

from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.ids import AccountId, KeyId, RequestId
from qlaud.core.jobs import FIRST_LOOK_MS, Job, JobTerms
from qlaud.core.ledger import CallFacts, Hold, HoldAsk
from qlaud.core.money import Micros
from qlaud.core.paths import PathPattern
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.providers import JobPaths, Provider, Registry, Secret, Wire
from qlaud.core.rates import Band, Rate
from qlaud.core.usage import Usage
from qlaud.flows.billing import Bills
from qlaud.flows.directory import Directory, Outlets
from qlaud.flows.doctor import Doctor
from qlaud.flows.jobs import JobRules, Jobs
from qlaud.flows.metered import Metered
from qlaud.flows.records import Records
from qlaud.ports import Headers, UpstreamFault, UpstreamRequest
from qlaud.store.books import Books
from qlaud.store.jobs import Jobs as JobStore
from qlaud.store.ledger import Ledger, Terms
from qlaud.store.pool import Pool, PoolLimits, open_pool

DAY_MS = 86_400_000
SECRET = b"j" * 32
PLANNED = Usage(video_ms=8000, grade="720p")
PLANNED_MICROS = 800_000
CARD = RateCard("acme", "film", "9", {STANDARD: (Band.of(0, {"video_ms": Rate(100_000_000)}),)})
"""100 micros a millisecond: $0.10 a second."""
FILM = Model("film", (Host("acme", "film", ("openai_video",), (CARD,)),))
ACME = Provider(
    slug="acme",
    display_name="Acme",
    origin="https://acme.example",
    base_path="/v1",
    wires={
        "openai_video": Wire(
            "openai_video",
            (PathPattern("/videos"),),
            kind="job",
            jobs=JobPaths(PathPattern("/videos/{job}")),
        )
    },
    auth_header="authorization",
    auth_format="Bearer {key}",
    key_variable="ACME_API_KEY",
    api_keys=(Secret("sk-acme"),),
)


@dataclass(slots=True)
class Page:
    """One answer of the provider."""

    status: int
    body: bytes
    headers: Headers = ((b"content-type", b"application/json"),)
    pieces: int = 1

    async def read(self) -> bytes:
        piece, self.body = self.body, b""
        return piece

    def close(self) -> None:
        pass


@dataclass(slots=True)
class RecordKeeper:
    """A provider that knows its jobs. What it does not know is 404."""

    records: dict[str, Page | UpstreamFault] = field(default_factory=dict)
    asked: list[UpstreamRequest] = field(default_factory=list)

    def says(self, job: str, status: str, **more: object) -> None:
        """The record of a job from now on."""
        facts = {
            "id": job,
            "object": "video",
            "status": status,
            "seconds": "8",
            "size": "720p",
            "model": "film",
        }
        self.records[f"/v1/videos/{job}"] = Page(200, json.dumps({**facts, **more}).encode())

    def fails(self, job: str, answer: Page | UpstreamFault) -> None:
        """No record, but this."""
        self.records[f"/v1/videos/{job}"] = answer

    async def send(self, request: UpstreamRequest) -> Page:
        self.asked.append(request)
        answer = self.records.get(request.target.decode(), Page(404, b"{}"))
        if isinstance(answer, UpstreamFault):
            raise answer
        return Page(answer.status, answer.body, answer.headers)

    async def aclose(self) -> None:
        pass


class Worker:
    """One process that follows jobs."""

    def __init__(self, desk: "JobsDesk", *, silence_ms: int = DAY_MS) -> None:
        outlets = Outlets(http=desk.provider, simulator=desk.provider)
        self.directory = directory = Directory(
            desk.catalog, Registry({one.slug: one for one in (desk.acme, *desk.others)}), outlets
        )
        self.store = JobStore(desk.pool.acquire)
        self.calls = Metered(desk.ledger, desk.clock, CountedMeters(), hold_wait_s=0, jobs=self.store)
        self.records = Records(directory)
        self.jobs = Jobs(
            self.records,
            Bills(desk.catalog, markup_bp=0),
            self.calls,
            self.store,
            clock=desk.clock,
            rules=JobRules(silence_ms),
        )

    async def round(self) -> None:
        """Look at all that is due, to the end."""
        await self.jobs.tick()
        await self.jobs.settled()


@dataclass
class JobsDesk:
    """One account with one key, capped at $5."""

    pool: Pool
    ledger: Ledger
    clock: FrozenClock
    ids: CountedIds = field(default_factory=CountedIds)
    provider: RecordKeeper = field(default_factory=RecordKeeper)
    catalog: Catalog = field(default_factory=lambda: Catalog((FILM,), "9"))
    acme: Provider = ACME
    others: tuple[Provider, ...] = ()

    def worker(self, **terms: Any) -> Worker:
        """A process of its own."""
        return Worker(self, **terms)

    async def hold(self, amount_micros: int = PLANNED_MICROS) -> Hold:
        """A hold, taken."""
        facts = CallFacts("film", "acme", "videos", "9")
        ask = HoldAsk(
            id=RequestId(self.ids.uuid(self.clock.at_ms)), secret_sha256=SECRET, facts=facts, is_priced=True,
            unbounded_tool=None, want_output=None, want_micros=Micros(amount_micros),
            floor_micros=Micros(amount_micros), base_picos=amount_micros * 1_000_000, slope_picos=0, no_limit=False,
        )  # fmt: skip
        taken = await self.ledger.hold(ask, has_waited=True)
        assert isinstance(taken, Hold), taken
        return taken

    def job(self, hold: Hold, upstream_id: str, **terms: object) -> Job:
        """A job on that hold; not yet written down."""
        facts = CallFacts("film", "acme", "videos", "9")
        kept: dict[str, Any] = {"hold": hold, "facts": facts, "planned": PLANNED, "host": "acme", **terms}
        return Job(
            provider="acme",
            wire="openai_video",
            upstream_id=upstream_id,
            terms=JobTerms(**{"upstream_model": "film", **kept}),
            answered_at=self.clock.at_ms,
        )

    async def begun(self, upstream_id: str, *, amount_micros: int = PLANNED_MICROS) -> Job:
        """A job whose hold was handed over; it is due at once."""
        job = self.job(await self.hold(amount_micros), upstream_id)
        store = JobStore(self.pool.acquire)
        assert await store.begin(job, now_ms=self.clock.at_ms, due_ms=self.clock.at_ms)
        return job

    async def passes(self, ms: int = FIRST_LOOK_MS) -> None:
        """Time goes by."""
        self.clock.at_ms += ms

    async def sql(self, statement: str, *args: object) -> list[Any]:
        """Straight at the tables."""
        async with self.pool.acquire() as connection:
            return await connection.fetch(statement, *args)

    async def events(self) -> list[tuple[UUID, int, bool]]:
        """Every event: its id, cost, and whether it is an estimate."""
        rows = await self.sql("SELECT id, cost_micros, estimated FROM usage_events ORDER BY id")
        return [(row["id"], row["cost_micros"], row["estimated"]) for row in rows]

    async def key(self) -> tuple[int, int, int]:
        """What the key has posted, held and lost."""
        (row,) = await self.sql("SELECT posted_micros, held_micros, lost_micros FROM keys")
        return row["posted_micros"], row["held_micros"], row["lost_micros"]

    async def states(self) -> list[str]:
        """Of every job, in the order they were begun."""
        return [row["state"] for row in await self.sql("SELECT state FROM jobs ORDER BY id")]

    async def check_healthy(self) -> None:
        """Every sum is the sum of its rows."""
        assert await Doctor(Books(self.pool.acquire)).examine() == []


@asynccontextmanager
async def jobs_desk(database_url: str) -> AsyncGenerator[JobsDesk]:
    """The desk, open."""
    pool = await open_pool(database_url, PoolLimits(size=6))
    clock = FrozenClock()
    ledger = Ledger(pool.connect, pool.acquire, clock.now_ms, Terms(0, False, 5.0))
    try:
        async with pool.acquire() as connection:
            await connection.execute("INSERT INTO accounts VALUES ($1, 'a', NULL, 0, 0)", ACCOUNT)
            await connection.execute(
                "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros,"
                " ceiling_micros, created_at) VALUES ($1, $2, $3, '', 'k', 'standard', 'live', 5000000, 5000000, 0)",
                KEY, ACCOUNT, SECRET,
            )  # fmt: skip
        ledger.start()
        yield JobsDesk(pool, ledger, clock)
    finally:
        await ledger.close(1.0)
        await pool.aclose()


ACCOUNT, KEY = AccountId(UUID(int=1)), KeyId(UUID(int=2))
