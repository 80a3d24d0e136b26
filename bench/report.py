"""The table, the aims and the notes, from the figures of a run. Pure: figures in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.stats import median, median_ratio

Figures = Mapping[str, Sequence[float]]
"""Names to one number a round."""
Results = Mapping[str, Figures]
"""Contenders to their figures."""

PERCENT = -1
COLUMNS = (
    ("contender", "", 0),
    ("req/s", "rps", 0),
    ("own core used", "core_share", PERCENT),
    ("req/s per core", "rps_per_core", 0),
    ("CPU us/req", "contender_us_per_request", 0),
    ("PostgreSQL us/req", "database_us_per_request", 0),
    ("CPU us/event", "contender_us_per_event", 1),
    ("us/event full speed", "contender_us_per_fast_event", 1),
    ("added p50 ms", "p50_ms", 2),
    ("added p99 ms", "p99_ms", 2),
    ("idle MB", "idle_mb", 0),
    ("1,000 streams MB", "open_mb", 0),
    ("PostgreSQL MB", "database_open_mb", 0),
)
"""Title, figure, decimals or PERCENT."""
WITH_RATIO = ("contender_us_per_request", "contender_us_per_event", "contender_us_per_fast_event")
AGAINST_DIRECT = ("p50_ms", "p99_ms")

REFERENCE, BASE, SUBJECT = "nginx", "direct", "qlaud"


@dataclass(frozen=True, slots=True)
class Aim:
    """One promise of the product and what this run says about it."""

    promise: str
    limit: float
    measured: float | None
    """None: this run did not measure it."""

    @property
    def verdict(self) -> str:
        """`met`, `NOT met` or `not measured`."""
        if self.measured is None:
            return "not measured"
        return "met" if self.measured <= self.limit else "NOT met"


def middle(results: Results, name: str, figure: str) -> float | None:
    """The median over the rounds, if the contender took part and has the figure."""
    numbers = results.get(name, {}).get(figure, ())
    return median(numbers) if numbers else None


def added(results: Results, name: str, figure: str) -> float | None:
    """The median over the rounds of what the contender added to the figure of no proxy in the same round."""
    own, base = results.get(name, {}).get(figure, ()), results.get(BASE, {}).get(figure, ())
    gaps = [a - b for a, b in zip(own, base, strict=False)]
    return median(gaps) if gaps else None


def against(results: Results, name: str, figure: str) -> float | None:
    """The median over the rounds of the ratio to nginx in the same round."""
    own, other = results.get(name, {}).get(figure, ()), results.get(REFERENCE, {}).get(figure, ())
    return median_ratio(own, other)


def aims(results: Results, *, growth_mb: float | None = None, growth_limit_mb: float = 0.0) -> list[Aim]:
    """Every aim with its verdict, in a fixed order."""

    def own(figure: str) -> float | None:
        return middle(results, SUBJECT, figure)

    ratio = against(results, SUBJECT, "contender_us_per_request")
    return [
        Aim("gateway CPU a request at saturation, us", 250, own("contender_us_per_request")),
        Aim("PostgreSQL CPU a request at saturation, us", 200, own("database_us_per_request")),
        Aim("gateway CPU a request, times nginx", 6, ratio),
        Aim("gateway CPU a streamed event at full speed, us", 4, own("contender_us_per_fast_event")),
        Aim("added latency p50 at 200 requests/s, ms", 2, added(results, SUBJECT, "p50_ms")),
        Aim("added latency p99 at 200 requests/s, ms", 8, added(results, SUBJECT, "p99_ms")),
        Aim("memory with 1,000 open streams, MB", 150, own("open_mb")),
        Aim("memory growth over the soak, MB", growth_limit_mb, growth_mb),
    ]


def rows(results: Results, titles: Mapping[str, str]) -> list[list[str]]:
    """The cells of the table, its head first; one row a contender in the order of `results`."""
    table = [[title for title, _, _ in COLUMNS]]
    for name in results:
        cells = [titles.get(name, name)]
        cells += [_cell(results, name, figure, decimals) for _, figure, decimals in COLUMNS[1:]]
        table.append(cells)
    return table


def text_table(table: Sequence[Sequence[str]]) -> str:
    """Aligned columns for a terminal; the head is broken into lines so that the table stays narrow."""
    head = [title.split(" ") for title in table[0]]
    height = max(len(words) for words in head)
    lines = [[words[row] if row < len(words) else "" for words in head] for row in range(height)]
    lines += [list(row) for row in table[1:]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table[0]))]
    shown = [_aligned(line, widths) for line in lines]
    return "\n".join([*shown[:height], "-" * len(shown[-1]), *shown[height:]])


def markdown_table(table: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    marks = ["---", *["---:" for _ in table[0][1:]]]
    return "\n".join("| " + " | ".join(row) + " |" for row in [table[0], marks, *table[1:]])


def aim_lines(found: Sequence[Aim]) -> list[str]:
    """One sentence an aim."""
    return [_aim_line(aim) for aim in found]


def _aim_line(aim: Aim) -> str:
    shown = "-" if aim.measured is None else f"{aim.measured:.2f}"
    return f"{aim.verdict:>12}  {aim.promise}: {shown} (aim: at most {aim.limit:g})"


def _cell(results: Results, name: str, figure: str, decimals: int) -> str:
    if figure in AGAINST_DIRECT and name != BASE:
        gap = added(results, name, figure)
        return "-" if gap is None else f"{gap:.{decimals}f}"
    number = middle(results, name, figure)
    if number is None:
        return "-"
    if figure in AGAINST_DIRECT:
        return f"base {number:.{decimals}f}"
    shown = f"{number:.0%}" if decimals == PERCENT else f"{number:,.{decimals}f}"
    ratio = against(results, name, figure) if figure in WITH_RATIO else None
    return shown if ratio is None else f"{shown} ({ratio:.1f}x)"


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    cells = [line[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
    return "  ".join(cells)
