"""Large bodies through a contender: how fast, what CPU, and how far its memory rises above where it stood.

Memory is the peak that the kernel kept, not what a sampler happened to see: a body that is held whole for a moment
shows. One contender at a time, warmed up with small bodies, so that no freed memory is there to hide a large one.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from bench import proc
from bench.cargo import CARGOES
from bench.contenders import Contender
from bench.haul import LIMIT_S, Errand, Haul
from bench.measure import Bench, Figures
from bench.processes import NotReady, start, stop
from bench.report import Aim
from bench.stats import median

Say = Callable[[str], None]
Carried = Mapping[str, Mapping[str, Figures]]
"""Contenders to cargoes to figures, one number a round."""

CONTENDERS = ("direct", "nginx", "qlaud")
IN_TURN, AT_ONCE = 20, 8
LAPS = 3
"""How often each of those at once goes."""
RISE_IN_TURN_MB, RISE_EACH_MB = 4.0, 3.0
"""What memory may rise while transfers follow each other, and for each of those under way at once."""
NOTES = f"""\
{IN_TURN} transfers one after the other, then {AT_ONCE} at a time, {LAPS} times each; all bodies pass the gateway's \
money, spool and tap.
CPU: of the contender, one after the other. Rise: peak resident memory above what was resident before."""


def measure_all(
    running: Sequence[Contender], bench: Bench, *, rounds: int, say: Say
) -> dict[str, dict[str, Figures]]:
    """The figures of every contender that can take part; what fails is a complaint."""
    found: dict[str, dict[str, Figures]] = {
        one.name: {name: {} for name in CARGOES} for one in running if one.name in CONTENDERS
    }
    for turn in range(rounds):
        for name in CARGOES:
            for one in running:
                if one.name in found:
                    figures = _measure(bench, one, name)
                    for figure, number in figures.items():
                        found[one.name][name].setdefault(figure, []).append(number)
                    shown = " ".join(f"{figure}={number:.2f}" for figure, number in figures.items())
                    say(f"round {turn + 1}/{rounds} {CARGOES[name].title:<20} {one.name:<6} {shown}")
    return found


def aims(carried: Carried) -> list[Aim]:
    """Constant memory, whichever way and however many: what a body held whole in memory would break at once."""
    own = carried.get("qlaud", {})

    def most(figure: str) -> float | None:
        return max((median(one[figure]) for one in own.values() if one.get(figure)), default=None)

    return [
        Aim("memory rise over large transfers in turn, MB", RISE_IN_TURN_MB, most("turn_rise_mb")),
        Aim(
            f"memory rise for each of {AT_ONCE} large transfers at once, MB",
            RISE_EACH_MB,
            most("each_rise_mb"),
        ),
    ]


def rows(carried: Carried, titles: Mapping[str, str]) -> list[list[str]]:
    """The cells of the table, its head first."""
    table = [["transfer", "MB/s", "CPU ms each", "MB/s, 8 at once", "rise MB", "rise MB, 8 at once"]]
    for name, cargo in CARGOES.items():
        for contender, figures in carried.items():
            one = figures[name]
            shown = [
                _cell(one, figure, decimals)
                for figure, decimals in (
                    ("turn_mb_per_s", 0),
                    ("turn_cpu_ms", 0),
                    ("once_mb_per_s", 0),
                    ("turn_rise_mb", 1),
                    ("once_rise_mb", 1),
                )
            ]
            table.append([f"{cargo.title}: {titles.get(contender, contender)}", *shown])
    return table


def _cell(figures: Mapping[str, Sequence[float]], figure: str, decimals: int) -> str:
    numbers = figures.get(figure, ())
    return f"{median(numbers):,.{decimals}f}" if numbers else "-"


def _measure(bench: Bench, contender: Contender, name: str) -> dict[str, float]:
    warming = Errand(contender.port, contender.keys[0], name, 4 * AT_ONCE, AT_ONCE, is_small=True)
    if _haul(bench, contender, warming).complaint:
        return {}
    found = _figures("turn", *_watched(bench, contender, name, count=IN_TURN, parallel=1), name)
    at_once = _figures(
        "once", *_watched(bench, contender, name, count=AT_ONCE * LAPS, parallel=AT_ONCE), name
    )
    if "once_rise_mb" in at_once:
        at_once["each_rise_mb"] = at_once["once_rise_mb"] / AT_ONCE
    return found | at_once


def _watched(
    bench: Bench, contender: Contender, name: str, *, count: int, parallel: int
) -> tuple[Haul, float, float | None]:
    """What became of it, CPU nanoseconds, and the rise of memory in kilobytes: None without a process to watch."""
    pids = proc.members(contender.roots).get("contender", [])
    roots = {"contender": contender.roots.get("contender", [])}
    proc.forget_peaks(pids)
    before_kb, before_ns = proc.memory(pids).rss_kb, proc.cpu_ns(roots)["contender"]
    told = _haul(bench, contender, Errand(contender.port, contender.keys[0], name, count, parallel))
    spent_ns = proc.cpu_ns(roots)["contender"] - before_ns
    return told, spent_ns, proc.peak_kb(pids) - before_kb if pids else None


def _figures(prefix: str, told: Haul, spent_ns: float, rise_kb: float | None, name: str) -> dict[str, float]:
    if not told.carried:
        return {}
    found = {f"{prefix}_mb_per_s": told.carried * CARGOES[name].megabytes / told.seconds}
    if rise_kb is not None:
        found[f"{prefix}_cpu_ms"] = spent_ns / 1e6 / told.carried
        found[f"{prefix}_rise_mb"] = max(0.0, rise_kb / 1024)
    return found


def _haul(bench: Bench, contender: Contender, errand: Errand) -> Haul:
    child = start(
        [sys.executable, "-m", "bench.haul"], core=bench.cores.rest, log=bench.home / "haul.log", answers=True
    )
    try:
        said, _ = child.communicate(json.dumps(asdict(errand)) + "\n", timeout=LIMIT_S + 30)
    except subprocess.TimeoutExpired:
        said = ""
    finally:
        stop(child)
    if not said.strip():
        raise NotReady("the carrier of large bodies died: " + (bench.home / "haul.log").read_text()[-2000:])
    told = Haul(**json.loads(said))
    if told.complaint:
        bench.complaints.append(f"{contender.name}, {CARGOES[errand.cargo].title}: {told.complaint}")
    return told
