"""Runs one measurement of one contender and turns its outcome into named figures.

A figure is a float under a name with its unit; the figures of a contender are lists, one number a round.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import proc
from bench.contenders import Contender
from bench.job import Job, Outcome, outcome_from_json, to_json
from bench.processes import Cores, NotReady, call, start, stop

MODEL = "claude-haiku-4-5"
PATH = "/v1/messages"
QUESTION = "What does a gateway owe to the person whose money it spends? Answer in a few sentences. " * 9
STREAM_EVENTS, STREAM_BURST, STREAM_GAP_MS = 500, 5, 20
OPEN_EVENT_EVERY_S = 10

Figures = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: connections, seconds, streams."""

    connections: int = 256
    window_s: float = 4.0
    paced_s: float = 8.0
    streams: int = 64
    open_streams: int = 1000
    open_s: float = 12.0
    """How long the open streams stay before memory is read: longer than their event gap."""


QUICK = Effort(window_s=3.0, paced_s=4.0, open_s=2.0)


@dataclass(slots=True)
class Bench:
    """Everything that runs beside the contender under measurement."""

    upstream_port: int
    upstream_pid: int
    cores: Cores
    home: Path
    complaints: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Contenders that could not be started, and why."""


@contextmanager
def upstream(cores: Cores, home: Path) -> Iterator[Bench]:
    """The fake provider, running."""
    child = start(
        [sys.executable, "-m", "bench.upstream"], core=cores.rest, log=home / "upstream.log", answers=True
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line.strip().isdigit():
            raise NotReady((home / "upstream.log").read_text()[-2000:])
        yield Bench(upstream_port=int(line), upstream_pid=child.pid, cores=cores, home=home)
    finally:
        stop(child)


def body(steer: str = "") -> str:
    """A request of about a kilobyte; `steer` tells the fake provider to stream."""
    wanted: dict[str, object] = {"model": MODEL, "max_tokens": 1024}
    wanted["messages"] = [{"role": "user", "content": QUESTION}]
    if steer:
        wanted |= {"stream": True, "metadata": {"user_id": steer}}
    return json.dumps(wanted)


def saturation(bench: Bench, contender: Contender, effort: Effort) -> dict[str, float]:
    """Throughput and CPU a request with every connection always busy."""
    job = _job(bench, contender, mode="saturate", body=body())
    out = _run(bench, contender, replace(job, connections=effort.connections, window_s=effort.window_s))
    if not out.requests:
        return {}
    found = _shares(out) | {"rps": out.requests / out.seconds} | _per(out, out.requests, "request")
    if found["core_share"]:
        found["rps_per_core"] = found["rps"] / found["core_share"]
    return found


def pace(bench: Bench, contender: Contender, effort: Effort) -> dict[str, float]:
    """Latency at a fixed rate far below saturation."""
    job = _job(bench, contender, mode="paced", body=body())
    out = _run(bench, contender, replace(job, window_s=effort.paced_s))
    return {"p50_ms": out.p50_ms, "p99_ms": out.p99_ms} if out.requests else {}


def streaming(bench: Bench, contender: Contender, effort: Effort) -> dict[str, float]:
    """CPU an event of streams at a provider's pace, the cost of opening and settling them included."""
    return _streamed(bench, contender, effort, gap_ms=STREAM_GAP_MS)


def torrent(bench: Bench, contender: Contender, effort: Effort) -> dict[str, float]:
    """CPU an event when the provider writes as fast as it can: one read may bring many writes."""
    return _streamed(bench, contender, effort, gap_ms=0)


def _streamed(bench: Bench, contender: Contender, effort: Effort, *, gap_ms: int) -> dict[str, float]:
    unit = "event" if gap_ms else "fast_event"
    steer = f"bench:stream:{STREAM_EVENTS}:{STREAM_BURST}:{gap_ms}"
    # Streams begin one by one over half of the warm-up, so that they neither start nor settle in step.
    warmup_s = max(1.0, 1.5 * STREAM_EVENTS / STREAM_BURST * gap_ms / 1000)
    job = _job(bench, contender, mode="saturate", body=body(steer))
    out = _run(
        bench,
        contender,
        replace(job, connections=effort.streams, window_s=effort.window_s, warmup_s=warmup_s),
    )
    if not out.events:
        return {}
    return {f"{unit}s_per_s": out.events / out.seconds} | _per(out, out.events, unit)


def idle_memory(contender: Contender) -> dict[str, float]:
    """Memory now, in megabytes: resident set of the contender, proportional set of its database."""
    sizes = {name: proc.memory(pids) for name, pids in proc.members(contender.roots).items()}
    found = {"idle_mb": sizes["contender"].rss_kb / 1024} if "contender" in sizes else {}
    if "database" in sizes:
        found["database_idle_mb"] = sizes["database"].pss_kb / 1024
    return found


def open_memory(bench: Bench, contender: Contender, effort: Effort) -> dict[str, float]:
    """Memory while many streams are open, each with an event now and then."""
    job = _job(bench, contender, mode="hold", body=body(f"bench:open:{OPEN_EVENT_EVERY_S}"))
    job = replace(job, connections=effort.open_streams)
    child = _start(bench, job)
    try:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
        found: dict[str, float] = {}
        if line == "open":
            _pause(child, effort.open_s)
            found = {name.replace("idle", "open"): size for name, size in idle_memory(contender).items()}
            call(bench.upstream_port, "POST", "/bench/release")
            line = child.stdout.readline()
        out = outcome_from_json(line)
        _note(bench, contender, job, out)
        return found if out.errors == 0 else {}
    finally:
        stop(child)


def counted(bench: Bench, contender: Contender, count: int) -> Outcome:
    """The outcome of exactly `count` answers at saturation."""
    job = _job(bench, contender, mode="count", body=body())
    return _run(bench, contender, replace(job, count=count, limit_s=600.0))


def _job(bench: Bench, contender: Contender, *, mode: str, body: str) -> Job:
    return Job(
        mode=mode,
        port=contender.port,
        path=PATH,
        body=body,
        keys=contender.keys,
        core=bench.cores.contender,
        watch={**contender.roots, "upstream": [bench.upstream_pid]},
    )


def _start(bench: Bench, job: Job) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.load"]
    child = start(command, core=bench.cores.rest, log=bench.home / "load.log", answers=True)
    assert child.stdin is not None
    child.stdin.write(to_json(job) + "\n")
    child.stdin.flush()
    return child


def _run(bench: Bench, contender: Contender, job: Job) -> Outcome:
    child = _start(bench, job)
    try:
        said, _ = child.communicate(timeout=job.limit_s + 30)
    finally:
        stop(child)
    if not said.strip():
        raise NotReady("the load generator died: " + (bench.home / "load.log").read_text()[-2000:])
    out = outcome_from_json(said)
    _note(bench, contender, job, out)
    return out


def _note(bench: Bench, contender: Contender, job: Job, out: Outcome) -> None:
    if out.errors or out.complaint:
        bench.complaints.append(f"{contender.name}, {job.mode}: {out.errors} errors; first: {out.complaint}")


def _pause(child: subprocess.Popen[str], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _per(out: Outcome, count: int, unit: str) -> dict[str, float]:
    return {f"{group}_us_per_{unit}": spent / count for group, spent in out.cpu_us.items()}


def _shares(out: Outcome) -> dict[str, float]:
    own = out.cpu_us.get("contender", 0.0) / 1e6 / out.seconds
    rest = sum(spent for group, spent in out.cpu_us.items() if group != "contender") / 1e6 / out.seconds
    foreign = max(0.0, out.core_busy - own) + out.core_stolen
    return {"core_share": own, "rest_share": rest, "foreign_share": foreign}
