"""What Linux accounts to processes: CPU time, memory, busy cores.

CPU time comes from `schedstat` (nanoseconds, per thread); `stat` (clock ticks) is the floor below which it
cannot fall, because threads that ended are counted only there, and it alone knows reaped children, so that
the time of a database session that ended between two readings is not lost. Linux only.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of `/proc/<pid>/stat`."""

    pid: int
    parent: int
    own_ticks: int
    reaped_ticks: int
    """Of children that ended and were waited for."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident and proportional set, kilobytes."""

    rss_kb: int
    pss_kb: int


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """How one core spent its time since boot, in clock ticks."""

    busy_ticks: int
    stolen_ticks: int
    """Taken by the host of a virtual machine."""


def parse_stat(line: str) -> Stat:
    """The facts of one stat line; the command may hold blanks and brackets."""
    pid, _, rest = line.partition(" (")
    fields = rest[rest.rindex(")") + 2 :].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Stat(pid=int(pid), parent=int(fields[1]), own_ticks=own, reaped_ticks=reaped)


def parse_memory(rollup: str) -> Memory:
    """Rss and Pss of a `smaps_rollup`."""
    found = {"Rss:": 0, "Pss:": 0}
    for line in rollup.splitlines():
        words = line.split()
        if words and words[0] in found:
            found[words[0]] = int(words[1])
    return Memory(rss_kb=found["Rss:"], pss_kb=found["Pss:"])


def parse_peak(status: str) -> int:
    """VmHWM of a `/proc/<pid>/status`, kilobytes; 0 where it is not told."""
    for line in status.splitlines():
        name, _, text = line.partition(":")
        if name == "VmHWM":
            return int(text.split()[0])
    return 0


def parse_core(text: str, core: int) -> CoreTimes:
    """The times of `core` in `/proc/stat`. Raises LookupError if there is no such core."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
            return CoreTimes(busy_ticks=user + nice + system + irq + softirq, stolen_ticks=steal)
    raise LookupError(f"no core {core} in /proc/stat")


def groups(roots: Mapping[str, Sequence[int]], parents: Mapping[int, int]) -> dict[str, list[int]]:
    """The processes of each named group: its roots and what descends from them.

    A process belongs to the nearest root above it, so a database started by the gateway is the database's.
    """
    owner = {pid: name for name, pids in roots.items() for pid in pids}
    found: dict[str, list[int]] = {name: [] for name in roots}
    for pid in parents:
        above, steps = pid, 0
        while above not in owner and above in parents and steps < 64:
            above, steps = parents[above], steps + 1
        if above in owner:
            found[owner[above]].append(pid)
    return found


def read_stats() -> dict[int, Stat]:
    """Every process that could be read now, by id."""
    found: dict[int, Stat] = {}
    for name in os.listdir(PROC):
        if name.isdigit():
            try:
                found[int(name)] = parse_stat((PROC / name / "stat").read_text())
            except OSError:
                continue  # it ended while we looked
    return found


def members(roots: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """The living processes of each named group."""
    return groups(roots, {pid: stat.parent for pid, stat in read_stats().items()})


def cpu_ns(roots: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """CPU time of each named group so far, with its reaped children, in nanoseconds."""
    stats = read_stats()
    found = groups(roots, {pid: stat.parent for pid, stat in stats.items()})
    return {name: sum(_process_ns(stats[pid]) for pid in pids) for name, pids in found.items()}


def memory(pids: Iterable[int]) -> Memory:
    """The sums over `pids`; one that ended counts nothing."""
    rss_kb = pss_kb = 0
    for pid in pids:
        try:
            one = parse_memory((PROC / str(pid) / "smaps_rollup").read_text())
        except OSError:
            continue
        rss_kb, pss_kb = rss_kb + one.rss_kb, pss_kb + one.pss_kb
    return Memory(rss_kb=rss_kb, pss_kb=pss_kb)


def peak_kb(pids: Iterable[int]) -> int:
    """The most resident memory each of `pids` had since its peak was forgotten, added up."""
    total = 0
    for pid in pids:
        try:
            total += parse_peak((PROC / str(pid) / "status").read_text())
        except OSError:
            continue
    return total


def forget_peaks(pids: Iterable[int]) -> None:
    """Peaks begin anew with what is resident now (proc(5), `clear_refs`)."""
    for pid in pids:
        try:
            (PROC / str(pid) / "clear_refs").write_text("5")
        except OSError:
            continue


def core_times(core: int) -> CoreTimes:
    """How `core` spent its time since boot."""
    return parse_core((PROC / "stat").read_text(), core)


def share(before_ticks: int, after_ticks: int, *, seconds: float) -> float:
    """The part of `seconds` that the ticks between two readings make up."""
    return (after_ticks - before_ticks) * TICK_NS / 1e9 / seconds if seconds > 0 else 0.0


def pin(pids: Iterable[int], core: int) -> None:
    """Keep every thread of `pids` on `core`; what they start later inherits it."""
    for pid in pids:
        try:
            for thread in os.listdir(PROC / str(pid) / "task"):
                os.sched_setaffinity(int(thread), {core})
        except (FileNotFoundError, ProcessLookupError):
            continue


def _process_ns(stat: Stat) -> int:
    return max(_threads_ns(stat.pid), stat.own_ticks * TICK_NS) + stat.reaped_ticks * TICK_NS


def _threads_ns(pid: int) -> int:
    total = 0
    try:
        for thread in os.listdir(PROC / str(pid) / "task"):
            total += int((PROC / str(pid) / "task" / thread / "schedstat").read_text().split()[0])
    except (OSError, IndexError):
        return 0  # ended, or a kernel without schedstat: the ticks count
    return total
