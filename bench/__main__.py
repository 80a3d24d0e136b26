"""`python -m bench`: every figure in one run. See --help; results are for the machine they were made on."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, page, report, rounds, transfers
from bench.contenders import KEYS, NAMES, TITLES
from bench.measure import QUICK, STREAM_BURST, STREAM_EVENTS, STREAM_GAP_MS, Bench, Effort
from bench.processes import choose_cores
from bench.stats import growth_mb
from bench.taps import table
from bench.taps.table import Taps

SOAK_SLICES = 20
GROWTH_LIMIT_MB = 4.0
NOISY = 0.1
CALLS, TRANSFERS, TAPS, SOAK = "calls", "transfers", "taps", "soak"
TAP_ROUNDS = 3
"""Rounds over the taps for each of the others: they are short."""
NOTES = f"""\
One contender at a time works, alone on its core; load generator, fake provider and PostgreSQL share another.
Medians of the rounds; (n x): ratio to nginx in the same round; added: less no proxy at all in the same round.
Saturation: 256 connections, about 1 KB asked, 1.2 KB answered; latency at 200 requests/s, counted from the time
a request was due. qlaud: {KEYS} capped keys in turn, every call authenticated, held, settled, recorded durably.
CPU is what Linux accounts to the processes (user and system). "own core used" below 100 %: the limit was the
other core (load generator, provider, PostgreSQL) or other work; "req/s per core" is what a whole core would do.
Events: about 130 bytes, {STREAM_EVENTS} a stream, {STREAM_BURST} a write; 64 streams, on each a write every \
{STREAM_GAP_MS} ms; full speed: no pause.
Memory: resident set of the contender after all rounds; of PostgreSQL the proportional set."""


@dataclass(slots=True)
class Found:
    """Everything that one run measured."""

    results: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    carried: transfers.Carried = field(default_factory=dict)
    taps: Taps = field(default_factory=Taps)
    sizes_mb: dict[str, list[float]] = field(default_factory=dict)

    @property
    def growths(self) -> dict[str, float]:
        """How much memory grew over a whole soak."""
        return {name: growth_mb(sizes) for name, sizes in self.sizes_mb.items() if len(sizes) > SOAK_SLICES}


def main() -> int:
    """The exit status: 0, 1 if something failed, 2 if nothing could be measured."""
    asked = _arguments()
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, signal.default_int_handler)  # also where a shell started us with SIGINT ignored
    home = Path(tempfile.mkdtemp(prefix="qlaud-bench-"))
    home.chmod(0o755)
    try:
        with ExitStack() as stack:
            bench = rounds.with_upstream(choose_cores(), home, stack)
            return _run(asked, bench, stack)
    except KeyboardInterrupt:
        _say("stopped; everything that was started has been ended")
        return 130
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _run(asked: argparse.Namespace, bench: Bench, stack: ExitStack) -> int:
    effort: Effort = QUICK if asked.quick else Effort()
    parts = _parts(asked)
    found = Found()
    if parts != {TAPS}:
        wanted = asked.only or (
            ["qlaud"] if asked.soak else NAMES if CALLS in parts else transfers.CONTENDERS
        )
        running = rounds.start_all(list(wanted), bench, stack, say=_say)
        if not running and TAPS not in parts:
            return 2
        if SOAK in parts:
            for one in running:
                if one.child is not None:
                    sizes = rounds.soak(one, bench, count=asked.soak, slices=SOAK_SLICES, say=_say)
                    found.sizes_mb[one.name] = sizes
        if CALLS in parts:
            found.results = rounds.measure_all(running, bench, effort, rounds=asked.rounds, say=_say)
        if TRANSFERS in parts:
            found.carried = transfers.measure_all(running, bench, rounds=asked.rounds, say=_say)
    if TAPS in parts:
        found.taps = rounds.measure_taps(bench, rounds=TAP_ROUNDS * asked.rounds, say=_say)
    facts = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), **machine.describe()}
    _print(asked, bench, found, facts)
    if asked.json:
        _write(asked.json, bench, found, facts)
    if asked.write:
        noise = _noise(found.results)
        asked.write.write_text(page.text(facts, _sections(found), _aims(found), noise=noise))
    return 1 if bench.complaints else 0


def _parts(asked: argparse.Namespace) -> set[str]:
    """What to measure: what was asked for by name, or everything."""
    named = {part for part, is_asked in ((TAPS, asked.taps), (TRANSFERS, asked.transfers)) if is_asked}
    if asked.soak:
        return named | {SOAK}
    return named or ({CALLS} if asked.only else {CALLS, TRANSFERS, TAPS})


def _print(asked: argparse.Namespace, bench: Bench, found: Found, facts: dict[str, str]) -> None:
    show = report.markdown_table if asked.markdown else report.text_table
    print("\n" + ", ".join(f"{name}: {text}" for name, text in facts.items()))
    for section in _sections(found):
        print("\n" + show(section.rows) + "\n\n" + section.notes)
    print()
    for name, reason in bench.left_out.items():
        print(f"left out: {name}: {reason}")
    print("\n".join(report.aim_lines(_aims(found))))
    for complaint in bench.complaints:
        print(f"FAILED: {complaint}")
    print(_noise(found.results))
    for name, growth in found.growths.items():
        sizes = found.sizes_mb[name]
        print(
            f"soak {name}: {sizes[0]:.1f} MB at first, {sizes[-1]:.1f} MB at last, {growth:+.2f} MB once warm"
        )


def _sections(found: Found) -> list[page.Section]:
    """The tables of what was measured."""
    sections = (
        page.Section("Calls", report.rows(found.results, TITLES), NOTES),
        page.Section(
            "Large uploads and answers",
            transfers.rows(found.carried, TITLES) if found.carried else [],
            transfers.NOTES,
        ),
        page.Section("Taps", table.rows(found.taps) if found.taps.figures else [], table.NOTES),
    )
    return [section for section in sections if len(section.rows) > 1]


def _aims(found: Found) -> list[report.Aim]:
    """The aims of what was measured; in a run over everything also the one that was not."""
    growth = found.growths.get(report.SUBJECT)
    calls = report.aims(found.results, growth_mb=growth, growth_limit_mb=GROWTH_LIMIT_MB)
    if report.SUBJECT not in found.results:
        calls = [aim for aim in calls if aim.measured is not None]
    carried = transfers.aims(found.carried) if found.carried else []
    return [*calls, *carried, *(table.aims(found.taps) if found.taps.figures else [])]


def _write(file: Path, bench: Bench, found: Found, facts: dict[str, str]) -> None:
    taps = {f"{wire}, {name}": figures for (wire, name), figures in found.taps.figures.items()}
    aims = [{"promise": aim.promise, "limit": aim.limit, "measured": aim.measured} for aim in _aims(found)]
    whole = {
        "machine": facts,
        "results": found.results,
        "transfers": found.carried,
        "taps": taps,
        "soak_mb": found.sizes_mb,
        "aims": aims,
        "left_out": bench.left_out,
        "complaints": bench.complaints,
    }
    file.write_text(json.dumps(whole, indent=2) + "\n")


def _noise(results: report.Results) -> str:
    measured = [figures for name, figures in results.items() if name != report.BASE]
    shares = [share for figures in measured for share in figures.get("foreign_share", ())]
    if not shares:
        return ""
    said = f"other work on the contender's core while it was saturated: {max(shares):.0%} at most"
    return (
        said if max(shares) < NOISY else said + "; req/s and latency of this run say little, CPU figures more"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=0, help="rounds of every measurement (3; 1 with --quick)"
    )
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--only", type=_names, default=None, help="contenders, by comma: " + ",".join(NAMES))
    parser.add_argument(
        "--soak", type=int, default=0, metavar="N", help="memory over N requests instead of the table"
    )
    parser.add_argument("--taps", action="store_true", help="nothing but what taps cost an event")
    parser.add_argument(
        "--transfers", action="store_true", help="nothing but large uploads and audio answers"
    )
    parser.add_argument(
        "--json", type=Path, default=None, metavar="FILE", help="also write every figure here"
    )
    parser.add_argument(
        "--write", type=Path, default=None, metavar="FILE", help="also write a page of it (docs/speed.md)"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (1 if asked.quick else 3)
    return asked


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown contender {unknown[0]}; known: {', '.join(NAMES)}")
    return names


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
