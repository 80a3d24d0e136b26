"""`python -m bench`: one table in one run. See --help; results are for the machine they were made on."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report, rounds
from bench.contenders import KEYS, NAMES, TITLES
from bench.measure import QUICK, STREAM_BURST, STREAM_EVENTS, STREAM_GAP_MS, Bench, Effort
from bench.processes import choose_cores
from bench.stats import growth_mb

SOAK_SLICES = 20
GROWTH_LIMIT_MB = 4.0
NOISY = 0.1
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
    wanted = asked.only or (["qlaud"] if asked.soak else list(NAMES))
    running = rounds.start_all(wanted, bench, stack, say=_say)
    if not running:
        return 2
    sizes_mb: dict[str, list[float]] = {}
    results: dict[str, dict[str, list[float]]] = {}
    if asked.soak:
        for one in running:
            if one.child is not None:
                sizes_mb[one.name] = rounds.soak(one, bench, count=asked.soak, slices=SOAK_SLICES, say=_say)
    else:
        results = rounds.measure_all(running, bench, effort, rounds=asked.rounds, say=_say)
    growths = {name: growth_mb(sizes) for name, sizes in sizes_mb.items() if len(sizes) > SOAK_SLICES}
    found = report.aims(results, growth_mb=growths.get(report.SUBJECT), growth_limit_mb=GROWTH_LIMIT_MB)
    facts = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), **machine.describe()}
    _print(asked, bench, results, found, facts)
    for name, growth in growths.items():
        first_mb, last_mb = sizes_mb[name][0], sizes_mb[name][-1]
        print(
            f"soak {name}: {first_mb:.1f} MB at first, {last_mb:.1f} MB at last, {growth:+.2f} MB once warm"
        )
    if asked.json:
        whole = {"machine": facts, "results": results, "soak_mb": sizes_mb, "left_out": bench.left_out}
        whole["aims"] = [
            {"promise": aim.promise, "limit": aim.limit, "measured": aim.measured} for aim in found
        ]
        asked.json.write_text(json.dumps(whole | {"complaints": bench.complaints}, indent=2) + "\n")
    return 1 if bench.complaints else 0


def _print(
    asked: argparse.Namespace,
    bench: Bench,
    results: report.Results,
    found: list[report.Aim],
    facts: dict[str, str],
) -> None:
    print("\n" + ", ".join(f"{name}: {text}" for name, text in facts.items()))
    if results:
        table = report.rows(results, TITLES)
        print("\n" + (report.markdown_table(table) if asked.markdown else report.text_table(table)))
        print("\n" + NOTES + "\n")
    for name, reason in bench.left_out.items():
        print(f"left out: {name}: {reason}")
    if report.SUBJECT in results or asked.soak:
        print("\n".join(report.aim_lines([aim for aim in found if aim.measured is not None or results])))
    for complaint in bench.complaints:
        print(f"FAILED: {complaint}")
    print(_noise(results))


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
    parser.add_argument(
        "--json", type=Path, default=None, metavar="FILE", help="also write every figure here"
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
