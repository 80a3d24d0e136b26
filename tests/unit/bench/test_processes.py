"""The bench ends what it started, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from bench import processes

SLEEPER = [sys.executable, "-c", "input()"]


def _sleeper(log: Path) -> subprocess.Popen[str]:
    return processes.start(SLEEPER, core=min(os.sched_getaffinity(0)), log=log, answers=True)


def test_a_child_stays_on_its_core_and_our_own_cores_are_given_back(tmp_path: Path) -> None:
    before, core = os.sched_getaffinity(0), max(os.sched_getaffinity(0))
    child = processes.start(SLEEPER, core=core, log=tmp_path / "log", answers=True)
    try:
        assert os.sched_getaffinity(child.pid) == {core}
        assert os.sched_getaffinity(0) == before
    finally:
        processes.stop(child)


def test_a_stopped_child_is_gone_and_stopping_it_again_is_harmless(tmp_path: Path) -> None:
    child = _sleeper(tmp_path / "log")
    processes.stop(child)
    processes.stop(child)
    assert child.returncode is not None


def test_a_process_of_another_name_is_left_alone(tmp_path: Path) -> None:
    child = _sleeper(tmp_path / "log")
    try:
        processes.end_process(child.pid, named="/no/such/folder")
        assert child.poll() is None
    finally:
        processes.stop(child)


def test_the_two_cores_differ_where_there_are_two() -> None:
    cores = processes.choose_cores()
    assert (cores.contender == cores.rest) == (len(os.sched_getaffinity(0)) == 1)
