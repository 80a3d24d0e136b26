"""The proof of the cap in its quick form, its planted defects, and the runs that once found something."""

import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop
from bench.prove.campaign import Ground, Outcome, run_planted
from bench.prove.defects import DEFECTS
from bench.prove.found import FOUND, Found
from bench.prove.kinds import KINDS, Kind

ROOT = Path(__file__).parents[2]
SEED = "1"
LINE = re.compile(
    r"prove: runs=(\d+) overspend_micros=0 unaccounted_micros=0 wrongful_refusals_pct=0\.[0-4] "
    r"revoked_successes=0 planted_caught=0/0 seed=1"
)


def on_ground(folder: Path, work: Callable[[Ground], Coroutine[object, object, None]]) -> None:
    folder.chmod(0o755)

    async def main() -> None:
        async with Ground(folder) as ground:
            await work(ground)

    uvloop.run(main())


def test_the_quick_form_of_the_proof_holds() -> None:
    command = [sys.executable, "-m", "bench.prove", "--quick", "--no-planted", "--seed", SEED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    told = LINE.fullmatch(last)
    assert told is not None, last
    assert int(told[1]) == 60


def test_every_planted_defect_is_caught(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = Outcome(SEED)
    on_ground(tmp_path, lambda ground: run_planted(ground, outcome, tuple(DEFECTS), said.append, at_once=3))
    assert len(DEFECTS) >= 6
    assert set(outcome.caught) == set(DEFECTS), said


def test_the_runs_that_catch_the_defects_find_nothing_without_them(tmp_path: Path) -> None:
    found: list[str] = []

    async def work(ground: Ground) -> None:
        async with ground.stage("control", KINDS["one"]) as stage:
            for name, defect in DEFECTS.items():
                sound = replace(stage, kind=Kind(defect.mistake, (1,), defect.shape, 0))
                verdict = await ground.perform(sound, f"{SEED}:control:{name}")
                found.extend(verdict.findings)

    on_ground(tmp_path, work)
    assert not found


@pytest.mark.parametrize("case", FOUND, ids=[case.seed for case in FOUND])
def test_what_the_harness_once_found_stays_fixed(case: Found, tmp_path: Path) -> None:
    found: list[str] = []

    async def work(ground: Ground) -> None:
        kind = replace(KINDS[case.kind], shape=case.shape)
        async with ground.stage("found", kind) as stage:
            for number in range(case.runs):
                verdict = await ground.perform(stage, f"{case.seed}:{number}", case.death)
                found.extend(verdict.findings)

    on_ground(tmp_path, work)
    assert not found
