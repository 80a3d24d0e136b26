"""Runs every measurement on every contender, interleaved, and collects the figures.

Inside a round the contenders take turns at each measurement, so that a slow minute of the machine hits all
of them; the order turns by one each round.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import measure
from bench.contenders import Contender, launch, missing
from bench.measure import Bench, Effort, Figures
from bench.processes import Cores, NotReady, start, stop
from bench.taps.table import Taps, dearest, from_json

Say = Callable[[str], None]
TAPS_LIMIT_S = 600.0
STEPS = (measure.saturation, measure.pace, measure.streaming, measure.torrent)


def start_all(names: Sequence[str], bench: Bench, stack: ExitStack, *, say: Say) -> list[Contender]:
    """The contenders that could be started; why another is left out is said and kept as a complaint."""
    running: list[Contender] = []
    for name in names:
        reason = missing(name)
        if not reason:
            try:
                made = launch(name, upstream=bench.upstream_port, cores=bench.cores, home=bench.home)
                stack.callback(made.stop)
                running.append(made)
                say(f"{name} is up")
                continue
            except NotReady as refusal:
                reason = str(refusal)
                bench.complaints.append(f"{name} did not start")
        say(f"{name} is left out: {reason}")
        bench.left_out[name] = reason
    return running


def measure_all(
    running: Sequence[Contender], bench: Bench, effort: Effort, *, rounds: int, say: Say
) -> dict[str, Figures]:
    """The figures of every contender, one number a round; memory once, idle before and open after all load."""
    results: dict[str, Figures] = {one.name: {} for one in running}
    for one in running:
        _collect(results[one.name], measure.idle_memory(one))
    for turn in range(rounds):
        order = [*running[turn % len(running) :], *running[: turn % len(running)]]
        for step in STEPS:
            for one in order:
                found = step(bench, one, effort)
                _collect(results[one.name], found)
                say(f"round {turn + 1}/{rounds} {step.__name__:<10} {one.name:<6} {_brief(found)}")
    for one in running:
        if one.child is not None:
            found = measure.open_memory(bench, one, effort)
            _collect(results[one.name], found)
            say(f"{effort.open_streams} open streams {one.name:<6} {_brief(found)}")
    return results


def soak(contender: Contender, bench: Bench, *, count: int, slices: int, say: Say) -> list[float]:
    """Resident megabytes of the contender before and after each of `slices` equal parts of `count` requests."""
    sizes = [measure.idle_memory(contender)["idle_mb"]]
    done = 0
    for turn in range(slices):
        upto = count * (turn + 1) // slices
        out = measure.counted(bench, contender, upto - done)
        done = upto
        sizes.append(measure.idle_memory(contender)["idle_mb"])
        rate = out.requests / out.seconds if out.seconds else 0.0
        say(
            f"soak {contender.name}: {done:,} of {count:,}, {sizes[-1]:.1f} MB, {rate:,.0f} req/s, {out.errors} errors"
        )
        if out.errors:
            break
    return sizes


def measure_taps(bench: Bench, *, rounds: int, say: Say) -> Taps:
    """What taps cost, measured by a process of its own on the contender's core. If that dies, there is a complaint."""
    command, log = [sys.executable, "-m", "bench.taps", str(rounds)], bench.home / "taps.log"
    child = start(command, core=bench.cores.contender, log=log, answers=True)
    try:
        said, _ = child.communicate(timeout=TAPS_LIMIT_S)
    except subprocess.TimeoutExpired:
        said = ""
    finally:
        stop(child)
    if not said.strip():
        bench.complaints.append(f"the taps could not be measured: {log.read_text()[-500:]}")
        return Taps()
    taps = from_json(said)
    bench.complaints += taps.complaints
    bench.left_out |= taps.left_out
    if found := dearest(taps):
        say(f"taps: {len(taps.figures)} streams, {rounds} rounds; the dearest {found[1]:.2f} us ({found[0]})")
    return taps


def with_upstream(cores: Cores, home: Path, stack: ExitStack) -> Bench:
    """The bench with its fake provider up; `stack` stops it."""
    return stack.enter_context(measure.upstream(cores, home))


def _collect(figures: Figures, found: dict[str, float]) -> None:
    for name, number in found.items():
        figures.setdefault(name, []).append(number)


def _brief(found: dict[str, float]) -> str:
    return " ".join(f"{name}={number:.2f}" for name, number in found.items()) or "nothing measured"
