"""What the bench reads from /proc."""

import os

import pytest
from bench import proc

STAT = (
    "4711 (a (b) c) S 12 4711 4711 0 -1 4194304 1 2 3 4 150 25 7 3 20 0 1 0 1000 2000 3000 "
    "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0"
)
CORES = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 10 20 30 40 50 60 70 80 0 0\nintr 1\n"


def test_a_command_with_brackets_and_blanks_does_not_shift_the_fields() -> None:
    assert proc.parse_stat(STAT) == proc.Stat(pid=4711, parent=12, own_ticks=175, reaped_ticks=10)


def test_memory_is_read_by_name_not_by_line() -> None:
    rollup = "0-1 ---p 0 00:00 0 [rollup]\nPss:   340 kB\nPss_Dirty: 112 kB\nRss:  1784 kB\n"
    assert proc.parse_memory(rollup) == proc.Memory(rss_kb=1784, pss_kb=340)


def test_a_core_counts_what_is_neither_idle_nor_stolen_as_busy() -> None:
    assert proc.parse_core(CORES, 1) == proc.CoreTimes(busy_ticks=10 + 20 + 30 + 60 + 70, stolen_ticks=80)


def test_an_unknown_core_is_refused() -> None:
    with pytest.raises(LookupError):
        proc.parse_core(CORES, 2)


def test_a_process_belongs_to_the_nearest_root_above_it() -> None:
    parents = {1: 0, 10: 1, 11: 10, 20: 11, 21: 20, 30: 1}
    found = proc.groups({"contender": [10], "database": [20]}, parents)
    assert found == {"contender": [10, 11], "database": [20, 21]}


def test_a_daemon_that_left_its_parent_still_counts_when_it_is_a_root() -> None:
    found = proc.groups({"contender": [10], "database": [20]}, {10: 1, 20: 1, 21: 20, 1: 0})
    assert found == {"contender": [10], "database": [20, 21]}


def test_a_root_that_ended_is_an_empty_group() -> None:
    assert proc.groups({"contender": [99]}, {1: 0}) == {"contender": []}


def test_our_own_cpu_time_is_read_and_never_falls() -> None:
    before = proc.cpu_ns({"me": [os.getpid()]})["me"]
    sum(number * number for number in range(200_000))
    assert proc.cpu_ns({"me": [os.getpid()]})["me"] > before > 0


def test_our_own_memory_is_read() -> None:
    assert proc.memory([os.getpid()]).rss_kb >= proc.memory([os.getpid()]).pss_kb > 1000


def test_ticks_become_a_share_of_the_window() -> None:
    assert proc.share(100, 100 + os.sysconf("SC_CLK_TCK"), seconds=4) == pytest.approx(0.25)
    assert proc.share(1, 2, seconds=0) == 0
