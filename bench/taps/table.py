"""The table of the taps, and their aim. Pure: figures in, text out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.report import Aim
from bench.stats import median

LIMIT_US = 4.0
FORMS = ("alone_us", "together_us", "cut_us")
HEAD = ["tap of", "bytes an event", "us an event", "us, 5 a chunk", "us, cut anywhere"]
NOTES = """\
2,000 events a stream; CPU of the process, medians of the rounds. "us an event": each is a chunk of its own, as a
provider that flushes sends it; then five a chunk; then chunks of 4 KB that end wherever they do. Live sessions have
messages and nothing else."""

Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Taps:
    """Everything that was measured of taps."""

    figures: Mapping[tuple[str, str], Figures] = field(default_factory=dict[tuple[str, str], Figures])
    """By wire and stream."""
    event_bytes: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    complaints: Sequence[str] = ()


def from_json(line: str) -> Taps:
    """What `python -m bench.taps` printed."""
    told = json.loads(line)
    rows = {(row["wire"], row["name"]): row for row in told["rows"]}
    return Taps(
        figures={key: row["figures"] for key, row in rows.items()},
        event_bytes={key: row["event_bytes"] for key, row in rows.items()},
        left_out=told["left_out"],
        complaints=told["complaints"],
    )


def dearest(taps: Taps) -> tuple[str, float] | None:
    """The stream whose events cost most, in the form that costs most, and that."""
    costs = [
        (median(numbers), f"{wire}, {name}")
        for (wire, name), figures in taps.figures.items()
        for numbers in figures.values()
    ]
    cost, name = max(costs, default=(0.0, ""))
    return (name, cost) if costs else None


def aims(taps: Taps) -> list[Aim]:
    """One for all: the dearest counts."""
    found = dearest(taps)
    named = f"CPU of a tap, of the dearest stream{f' ({found[0]})' if found else ''}, us an event"
    return [Aim(named, LIMIT_US, found[1] if found else None)]


def rows(taps: Taps) -> list[list[str]]:
    """The cells of the table, its head first, in the order they were measured."""
    table = [list(HEAD)]
    for (wire, name), figures in taps.figures.items():
        cells = [f"{median(figures[form]):.1f}" if figures.get(form) else "-" for form in FORMS]
        table.append([f"{wire}, {name}", f"{taps.event_bytes[wire, name]:,}", *cells])
    return table
