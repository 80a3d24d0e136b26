"""The campaign: many runs on several deployments beside each other, each audited as it ends.

A run is named `<campaign seed>:<number>`; its kind follows from the number, everything else from the name. Runs go on
until their count or the time is used up. A finding never stops a campaign; it is printed with the seed that replays it.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.prove import deaths, revocation
from bench.prove.audit import Audit
from bench.prove.client import GONE
from bench.prove.deaths import DeathRunner
from bench.prove.defects import DEFECTS, Defect
from bench.prove.kinds import KINDS, Kind, kind_of
from bench.prove.run import CannotRun, Runner, rows
from bench.prove.scenario import draw
from bench.prove.stage import Database, Deployment, Dial, Make, deploy, new_master_key
from bench.prove.tally import Tally, Verdict
from bench.prove.upstream import Provider
from bench.prove.watch import LOST, Watch

RUN_LIMIT_S = 180.0
"""A run that takes longer hangs, and that is a finding."""
CLIENTS_AT_ONCE = 400
TURNS_S = 0.05
"""Turns of the loop in which closed sockets end."""
BROKE = "the run broke"
Say = Callable[[str], None]


@dataclass(slots=True)
class Stage:
    """One deployment with all that is needed to run on it."""

    kind: Kind
    deployment: Deployment
    runner: Runner
    watch: Watch
    deaths: DeathRunner | None
    looking: "asyncio.Task[None]"


@dataclass(slots=True)
class Outcome:
    """Everything a campaign showed."""

    seed: str
    begun: float = field(default_factory=time.time)
    elapsed_s: float = 0.0
    by_kind: dict[str, Tally] = field(default_factory=dict[str, Tally])
    by_death: dict[str, int] = field(default_factory=dict[str, int])
    findings: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(seed, text)"""
    revocation_trials: int = 0
    revocation_calls: int = 0
    revoked_successes: int = 0
    caught: dict[str, str] = field(default_factory=dict[str, str])
    """Planted defects that were found, with the first thing that gave them away."""
    planted: int = 0

    @property
    def total(self) -> Tally:
        """All kinds together."""
        whole = Tally()
        for tally in self.by_kind.values():
            whole.add(tally)
        return whole


class Room:
    """Lets runs begin while not too many clients are at work: provider and clients share one loop."""

    def __init__(self, clients: int) -> None:
        self._free = self._most = clients
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, clients: int) -> AsyncIterator[None]:
        """Room for so many clients, or all there is."""
        clients = min(clients, self._most)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= clients)
            self._free -= clients
        try:
            yield
        finally:
            async with self._changed:
                self._free += clients
                self._changed.notify_all()


class Ground:
    """What every deployment of a campaign stands on: the provider, two PostgreSQL servers, a folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.provider = Provider()
        self._room = Room(CLIENTS_AT_ONCE)
        self._databases: dict[str, Database] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Ground":
        await self.provider.open()
        self._stack.push_async_callback(self.provider.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def database(self, name: str, settings: Mapping[str, str] | None = None) -> Database:
        """A server by name, made when first asked for."""
        if name not in self._databases:
            made = await asyncio.to_thread(Database, self.home / f"pg-{name}", settings)
            self._stack.push_async_callback(asyncio.to_thread, made.close)
            self._databases[name] = made
        return self._databases[name]

    @asynccontextmanager
    async def stage(self, name: str, kind: Kind, defect: str | None = None) -> AsyncIterator[Stage]:
        """A running deployment of this kind, on a database of its own."""
        server = "deaths" if kind.dies else "calm"
        database = await self.database(
            server, deaths.DATABASE_SETTINGS if kind.dies else {"max_connections": "200"}
        )
        dial = Dial(self.home / f"dial-{name}") if kind.has_dial else None
        make = Make(
            home=self.home / "gateways",
            dsn=await database.make(name.replace("-", "_")),
            provider_port=self.provider.port,
            master_key=new_master_key(),
            settings=kind.settings,
            defect=defect,
            dial=dial,
        )
        deployment = await deploy(name, make, workers=kind.workers)
        watch = Watch(deployment.pool, deployment.prepaid)
        looking = asyncio.create_task(watch.run())
        runner = Runner(deployment, self.provider, watch)
        death = DeathRunner(runner, database) if kind.dies else None
        try:
            yield Stage(kind, deployment, runner, watch, death, looking)
        finally:
            looking.cancel()
            runner.close()
            await deployment.close()
            await asyncio.sleep(TURNS_S)

    async def perform(self, stage: Stage, seed: str, death: str | None = None) -> Verdict:
        """One run with its audit."""
        scenario = draw(seed, stage.kind.shape)
        dial = stage.deployment.make.dial
        if dial is not None:
            dial.offset_ms = 0
        try:
            async with self._room.taken(len(scenario.clients)), asyncio.timeout(RUN_LIMIT_S):
                if stage.deaths is not None and death is not None:
                    ran = await stage.deaths.run(scenario, death)
                else:
                    ran = await stage.runner.run(scenario)
                found = await rows(stage.deployment.pool, [key.id for key in ran.keys])
                verdict = Audit(ran, self.provider.books, found).judge()
                if stage.deaths is not None:
                    verdict.findings += await stage.deaths.resolve(ran, self.provider.books)
        except TimeoutError:
            verdict = Verdict(seed, Tally(runs=1), [f"{BROKE}: no end within {RUN_LIMIT_S:g} s"])
        except (CannotRun, ExceptionGroup, *GONE, *LOST) as fault:
            causes = fault.exceptions if isinstance(fault, ExceptionGroup) else (fault,)
            verdict = Verdict(seed, Tally(runs=1), [f"{BROKE}: {causes!r}"])
        finally:
            self.provider.books.forget([call.tag for call in scenario.calls])
        return verdict


class Numbers:
    """Hands out run numbers by kind until the count or the time is used up."""

    def __init__(self, runs: int | None, until_s: float | None) -> None:
        self._runs, self._until_s = runs, until_s
        self._next = dict.fromkeys(KINDS, 0)

    def of(self, name: str) -> Iterator[int]:
        """The numbers of this kind, shared by all who ask."""
        while self._until_s is None or time.monotonic() < self._until_s:
            number = self._next[name]
            while kind_of(number) != name:
                number += 1
            if self._runs is not None and number >= self._runs:
                return
            self._next[name] = number + 1
            yield number


async def run_campaign(
    ground: Ground, outcome: Outcome, numbers: Numbers, say: Say, only: Sequence[str] = tuple(KINDS)
) -> None:
    """All kinds, or those named, beside each other."""
    async with AsyncExitStack() as stack:
        stages: list[tuple[str, Stage]] = []
        for name in only:
            outcome.by_kind[name] = Tally()
            for copy in range(KINDS[name].copies):
                opened = ground.stage(f"{name}-{copy}", KINDS[name])
                stages.append((name, await stack.enter_async_context(opened)))
        async with asyncio.TaskGroup() as group:
            for name, stage in stages:
                for _ in range(stage.kind.at_once):
                    group.create_task(_keep_running(ground, outcome, numbers, (name, stage), say))
        for name, stage in stages:
            outcome.by_kind[name].samples += stage.watch.samples


async def _keep_running(
    ground: Ground, outcome: Outcome, numbers: Numbers, what: tuple[str, Stage], say: Say
) -> None:
    name, stage = what
    for number in numbers.of(name):
        seed = f"{outcome.seed}:{number}"
        death = random.Random(seed).choice(deaths.KINDS) if stage.kind.dies else None
        verdict = await ground.perform(stage, seed, death)
        outcome.by_kind[name].add(verdict.tally)
        if death is not None:
            outcome.by_death[death] = outcome.by_death.get(death, 0) + 1
        for text in verdict.findings:
            outcome.findings.append((seed, text))
            say(f"FOUND {name}{f' ({death})' if death else ''} {seed}: {text}")


async def run_revocations(ground: Ground, outcome: Outcome, trials: int, say: Say) -> None:
    """Trials on a gateway with workers and on a pair of gateways, half of them each."""
    for name, kind in (("revoke-workers", KINDS["workers"]), ("revoke-pair", KINDS["pair"])):
        async with ground.stage(name, kind) as stage:
            for number in range(trials // 2):
                seed = f"{outcome.seed}:{name}:{number}"
                late, calls, findings = await revocation.trial(stage.runner, seed)
                outcome.revocation_trials += 1
                outcome.revocation_calls += calls
                outcome.revoked_successes += late
                for text in findings:
                    outcome.findings.append((seed, text))
                    say(f"FOUND {text}")


async def run_planted(
    ground: Ground, outcome: Outcome, names: Sequence[str], say: Say, *, at_once: int = 2
) -> None:
    """Each planted defect in a deployment of its own, until something gives it away."""
    turn = asyncio.Semaphore(at_once)

    async def one(name: str) -> None:
        async with turn:
            found = await first_sign(ground, name, DEFECTS[name], outcome.seed)
        if found is None:
            say(f"NOT CAUGHT: {DEFECTS[name].mistake}")
        else:
            outcome.caught[name] = found
            say(f"caught: {DEFECTS[name].mistake}: {found}")

    outcome.planted += len(names)
    async with asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(name))


async def first_sign(ground: Ground, name: str, defect: Defect, seed: str) -> str | None:
    """What gave the defect away, None if nothing did in all its runs."""
    settings = deaths.SETTINGS if defect.kills else {}
    workers = (1, 1) if defect.kills else (1,)
    kind = Kind(defect.mistake, workers, defect.shape, 0, settings=settings, dies=defect.kills)
    async with ground.stage(f"planted-{name}", kind, name) as stage:
        if defect.sql is not None:
            await stage.deployment.pool.execute(defect.sql)
        for number in range(defect.runs):
            verdict = await ground.perform(
                stage, f"{seed}:planted:{name}:{number}", "gateway" if defect.kills else None
            )
            broken = [
                gateway.log
                for gateway in stage.deployment.gateways
                if "bench/prove/defects.py" in gateway.log
            ]
            if broken:
                raise RuntimeError(
                    f"the defect {name} does not fit the product any more:\n{broken[0][-2000:]}"
                )
            signs = [text for text in verdict.findings if not text.startswith(BROKE)]
            if signs:
                return signs[0]
    return None


def new_home() -> Path:
    """A folder of the campaign's own that a database server may enter."""
    home = Path(tempfile.mkdtemp(prefix="qlaud-prove-"))
    home.chmod(0o755)
    return home


def say_to_terminal(text: str) -> None:
    """A line, at once."""
    print(text, file=sys.stderr, flush=True)


def cores() -> int:
    """Processors this may use."""
    return len(os.sched_getaffinity(0))
