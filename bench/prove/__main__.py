"""`python -m bench.prove`: the spending cap under fire, and the provider's bill beside the ledger. See --help.

The last line is for machines; the exit status is 0 only if everything that was run holds.
"""

import argparse
import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import machine
from bench.prove import report
from bench.prove.campaign import (
    Ground,
    Numbers,
    Outcome,
    new_home,
    run_campaign,
    run_planted,
    run_revocations,
    say_to_terminal,
)
from bench.prove.defects import DEFECTS
from bench.prove.kinds import KINDS
from bench.prove.replay import replay

RUNS, TRIALS = 400, 100
QUICK_RUNS, QUICK_TRIALS = 60, 20
SAY_EVERY_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 if all of it holds, 1 if not, 130 when stopped."""
    asked = _arguments(arguments)
    home = new_home()
    for sent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sent, signal.default_int_handler)
    try:
        return uvloop.run(_replay(asked, home) if asked.replay else _run(asked, home))
    except KeyboardInterrupt:
        say_to_terminal("stopped; everything that was started has been ended")
        return 130
    finally:
        if asked.keep:
            say_to_terminal(f"kept: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)


async def _run(asked: argparse.Namespace, home: Path) -> int:
    seed = asked.seed or datetime.now(UTC).strftime("%Y%m%d%H%M")
    outcome = Outcome(seed)
    begun = time.monotonic()
    until_s = None if asked.hours is None else begun + asked.hours * 3600
    runs, trials = (None if asked.hours and asked.runs is None else asked.runs or RUNS), asked.trials
    async with Ground(home) as ground:
        telling = asyncio.create_task(_tell(outcome, begun))
        if asked.planted:
            await run_planted(ground, outcome, tuple(DEFECTS), say_to_terminal)
        await run_revocations(ground, outcome, trials, say_to_terminal)
        await run_campaign(ground, outcome, Numbers(runs, until_s), say_to_terminal, asked.only)
        telling.cancel()
    outcome.elapsed_s = time.monotonic() - begun
    facts = ", ".join(f"{name} {text}" for name, text in machine.describe().items())
    if asked.write is not None:
        report.write_into(asked.write, outcome, facts)
    if asked.json is not None:
        asked.json.write_text(report.as_json(outcome))
    print(report.markdown_short(outcome) if asked.markdown_short else report.figures(outcome, facts))
    print()
    print(report.last_line(outcome))
    return 0 if report.holds(outcome) else 1


async def _replay(asked: argparse.Namespace, home: Path) -> int:
    async with Ground(home) as ground:
        return 1 if await replay(ground, asked.replay, asked.times, say_to_terminal) else 0


async def _tell(outcome: Outcome, begun: float) -> None:
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        total = outcome.total
        say_to_terminal(
            f"{time.monotonic() - begun:5.0f} s: {total.runs} runs, {total.calls} calls, "
            f"{len(outcome.findings)} findings"
        )


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.prove", description=__doc__)
    parser.add_argument("--runs", type=int, default=None, help=f"randomised runs ({RUNS})")
    parser.add_argument("--hours", type=float, default=None, help="run for so long instead, or at most")
    parser.add_argument("--trials", type=int, default=None, help=f"revocation trials ({TRIALS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs, {QUICK_TRIALS} trials")
    parser.add_argument(
        "--only", type=_kinds, default=tuple(KINDS), help="kinds by comma: " + ",".join(KINDS)
    )
    parser.add_argument("--seed", default=None, help="of the campaign; default: the time")
    parser.add_argument("--replay", default=None, metavar="SEED", help="one run again, as a finding names it")
    parser.add_argument("--times", type=int, default=5, help="how often to replay it (5)")
    parser.add_argument(
        "--no-planted", dest="planted", action="store_false", help="do not test the harness itself first"
    )
    parser.add_argument(
        "--write", type=Path, default=None, metavar="FILE", help="put the figures into docs/proof.md"
    )
    parser.add_argument(
        "--json", type=Path, default=None, metavar="FILE", help="also write every figure here"
    )
    parser.add_argument("--markdown-short", action="store_true", help="print the short table for the README")
    parser.add_argument("--keep", action="store_true", help="keep databases and logs")
    asked = parser.parse_args(arguments)
    if asked.quick:
        asked.runs = asked.runs or QUICK_RUNS
    asked.trials = asked.trials if asked.trials is not None else QUICK_TRIALS if asked.quick else TRIALS
    return asked


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - KINDS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {sorted(unknown)}; known: {', '.join(KINDS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
