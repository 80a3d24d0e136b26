"""The load generator: reads one job from standard input, prints one outcome.

`saturate`: every connection sends again as soon as its answer ended; counts what ends within the window.
`paced`: open loop; requests are due at fixed times whatever the answers do, latency counts from the due time.
`count`: as `saturate`, but until so many answers have ended.
`hold`: opens streams, prints `open`, keeps them until the provider ends them.
It reads the CPU time of the watched processes itself, at the very ends of its window.
"""

import asyncio
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from bench import proc
from bench.client import Connection, request_bytes
from bench.job import Job, Outcome, job_from_json, to_json
from bench.stats import percentile

MAX_ERRORS = 1000
PACED_CONNECTIONS = 32
RAMP = 50
RAMP_POLLS = 500

OnAnswer = Callable[[Connection, str], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """Every counter at one end of the window."""

    at_s: float
    answers: int
    errors: int
    events: int
    cpu_ns: dict[str, int]
    own_ns: int
    core: proc.CoreTimes


class Load:
    """One job under way."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = [request_bytes(job.port, job.path, key, job.body) for key in job.keys]
        self._connections: list[Connection] = []
        self._answers = self._errors = 0
        self._complaint = ""
        self._stopping = False
        self._finished = asyncio.Event()
        self._latencies_s: list[float] = []
        self._idle: deque[Connection] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Outcome:
        """The outcome of the job; every connection is closed afterwards."""
        modes = {"saturate": self._saturate, "paced": self._paced, "count": self._count, "hold": self._hold}
        try:
            async with asyncio.timeout(self._job.limit_s):
                return await modes[self._job.mode]()
        except TimeoutError:
            said = self._complaint or "no complaint before"
            return Outcome(errors=1, complaint=f"did not end within {self._job.limit_s:g} s: {said}")
        finally:
            self._stopping = True
            for connection in self._connections:
                connection.close()

    async def _saturate(self) -> Outcome:
        await self._fill()
        await self._wait(self._job.warmup_s)
        before = self._reading()
        await self._wait(self._job.window_s)
        return self._outcome(before, self._reading())

    async def _count(self) -> Outcome:
        before = self._reading()
        await self._fill()
        await self._finished.wait()
        return self._outcome(before, self._reading())

    async def _hold(self) -> Outcome:
        before = self._reading()
        for start in range(0, self._job.connections, RAMP):
            ramp = range(start, min(start + RAMP, self._job.connections))
            opened = [await self._connect(self._on_held) for _ in ramp]
            for connection in opened:
                connection.send()
            for _ in range(RAMP_POLLS):
                if self._finished.is_set() or all(one.has_events for one in opened):
                    break
                await asyncio.sleep(0.02)
        print("open", flush=True)
        await self._finished.wait()
        return self._outcome(before, self._reading())

    async def _paced(self) -> Outcome:
        for _ in range(PACED_CONNECTIONS):
            self._idle.append(await self._connect(self._on_paced))
        loop, gap_s = asyncio.get_running_loop(), 1 / self._job.rate_per_s
        total = int((self._job.warmup_s + self._job.window_s) * self._job.rate_per_s)
        first, sent = time.perf_counter() + gap_s, 0

        def due() -> None:
            nonlocal sent
            now = time.perf_counter()
            while sent < total and first + sent * gap_s <= now:
                self._send_paced(first + sent * gap_s)
                sent += 1

        # The event loop's timers are whole milliseconds; an interval signal is exact to microseconds.
        loop.add_signal_handler(signal.SIGALRM, due)
        signal.setitimer(signal.ITIMER_REAL, gap_s, gap_s)
        try:
            await self._wait(self._job.warmup_s)
            self._latencies_s.clear()
            before = self._reading()
            await self._wait(self._job.window_s)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0, 0)
            loop.remove_signal_handler(signal.SIGALRM)
        return self._outcome(before, self._reading())

    def _send_paced(self, due_at: float) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.alive:
                connection.started_at = due_at
                connection.send()
                return
        task = asyncio.create_task(self._send_on_fresh(due_at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_on_fresh(self, due_at: float) -> None:
        connection = await self._connect(self._on_paced)
        connection.started_at = due_at
        connection.send()

    async def _fill(self) -> None:
        """Opens every connection and sends on each, spread over the warm-up so that streams interleave."""
        gap_s = min(0.03, self._job.warmup_s / 2 / self._job.connections)
        for _ in range(self._job.connections):
            connection = await self._connect(self._on_saturated)
            connection.send()
            await asyncio.sleep(gap_s)

    async def _connect(self, on_answer: OnAnswer) -> Connection:
        request = self._requests[len(self._connections) % len(self._requests)]
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(request, on_answer), "127.0.0.1", self._job.port
        )
        self._connections.append(connection)
        return connection

    def _on_saturated(self, connection: Connection, complaint: str) -> None:
        if not self._take(complaint):
            return
        if connection.alive:
            connection.send()
        else:
            task = asyncio.create_task(self._replace())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        (await self._connect(self._on_saturated)).send()

    def _on_paced(self, connection: Connection, complaint: str) -> None:
        if self._take(complaint):
            self._latencies_s.append(time.perf_counter() - connection.started_at)
            self._idle.append(connection)

    def _on_held(self, connection: Connection, complaint: str) -> None:
        self._take(complaint)

    def _take(self, complaint: str) -> bool:
        """Counts one answer; whether the run goes on."""
        if self._stopping:
            return False
        if complaint:
            self._errors += 1
            self._complaint = self._complaint or complaint
        else:
            self._answers += 1
        held = self._job.connections if self._job.mode == "hold" else 0
        limit = self._job.count or held
        if self._errors >= MAX_ERRORS or (limit and self._answers + self._errors >= limit):
            self._stopping = True
            self._finished.set()
        return not self._stopping

    async def _wait(self, seconds: float) -> None:
        """Waits, but not on after too many errors."""
        try:
            async with asyncio.timeout(seconds):
                await self._finished.wait()
        except TimeoutError:
            return

    def _reading(self) -> Reading:
        return Reading(
            at_s=time.perf_counter(),
            answers=self._answers,
            errors=self._errors,
            events=sum(connection.events for connection in self._connections),
            cpu_ns=proc.cpu_ns(self._job.watch),
            own_ns=time.process_time_ns(),
            core=proc.core_times(self._job.core),
        )

    def _outcome(self, before: Reading, after: Reading) -> Outcome:
        cpu_us = {name: (after.cpu_ns[name] - ns) / 1000 for name, ns in before.cpu_ns.items()}
        cpu_us["load"] = (after.own_ns - before.own_ns) / 1000
        ordered = sorted(self._latencies_s)
        seconds = after.at_s - before.at_s
        return Outcome(
            requests=after.answers - before.answers,
            errors=after.errors - before.errors,
            events=after.events - before.events,
            seconds=seconds,
            p50_ms=percentile(ordered, 50) * 1000 if ordered else 0.0,
            p99_ms=percentile(ordered, 99) * 1000 if ordered else 0.0,
            cpu_us=cpu_us,
            core_busy=proc.share(before.core.busy_ticks, after.core.busy_ticks, seconds=seconds),
            core_stolen=proc.share(before.core.stolen_ticks, after.core.stolen_ticks, seconds=seconds),
            complaint=self._complaint,
        )


def main() -> None:
    """One job in, one outcome out."""
    job = job_from_json(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(_run(job))
    print(to_json(outcome), flush=True)


async def _run(job: Job) -> Outcome:
    return await Load(job).run()


if __name__ == "__main__":
    main()
