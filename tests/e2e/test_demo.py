"""The tour of `make demo`, as a user runs it: a real process that ends with a verdict."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.embedded import is_alive
from tests.support.gateway import until

import qlaud.demo.__main__ as program
from qlaud.demo.gateway import Gateway, NoGateway
from qlaud.demo.tour import StepFailed, Tour, expect

TOUR_S = 60.0


def environ(folder: Path) -> dict[str, str]:
    """What would mislead the tour if it listened: another qlaud's settings, other keys, a proxy that is not there."""
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "QLAUD_PORT": "1",
        "QLAUD_WALLET": "prepaid",
        "QLAUD_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "ANTHROPIC_API_KEY": "sk-ant-none-0123456789",
        "ANTHROPIC_AUTH_TOKEN": "none",
        "OPENAI_API_KEY": "sk-none-0123456789",
        "OPENAI_BASE_URL": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }


def demo(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "qlaud", "demo", *words],
        env=environ(folder),
        capture_output=True,
        text=True,
        timeout=TOUR_S,
        check=False,
    )


def micros(text: str) -> int:
    return int(text.replace(".", ""))


def test_the_tour_ends_with_0_and_leaves_nothing_behind(tmp_path: Path) -> None:
    shown = demo(tmp_path, "--once", "--port", "0")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stderr == ""
    assert [int(number) for number in re.findall(r"^(\d)\. ", shown.stdout, re.MULTILINE)] == [*range(1, 8)]
    spent = re.search(r"spent \$([\d.]+) of \$0\.050000, \$0\.000000 still held", shown.stdout)
    assert spent is not None
    assert 45_000 < micros(spent[1]) <= 50_000
    bills = dict(re.findall(r"^ +(user_\d+|total) .* \$([\d.]+)$", shown.stdout, re.MULTILINE))
    assert micros(bills["user_42"]) == micros(spent[1])
    assert micros(bills["user_42"]) + micros(bills["user_43"]) == micros(bills["total"])
    assert "401 " in shown.stdout
    assert "All 7 steps did what they say." in shown.stdout
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:" in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_ends_with_1_and_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        shown = demo(tmp_path, "--once", "--port", str(taken.getsockname()[1]))
    assert shown.returncode == 1
    assert 'make demo ARGS="--port 0"' in shown.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "after"),
    [
        (signal.SIGINT, "goes on until Ctrl-C"),
        (signal.SIGHUP, "It serves on"),
        (signal.SIGKILL, "It serves on"),
    ],
)
def test_the_gateway_ends_with_the_demo_however_that_ends(
    tmp_path: Path, number: signal.Signals, after: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "qlaud.demo", "--port", "0"],
        env=environ(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any(after in line for line in lines)
            gateway = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
            process.send_signal(number)
            assert process.wait(TOUR_S) == (-number if number == signal.SIGKILL else 0)
        finally:
            process.kill()
    until(lambda: not is_alive(gateway), "the gateway has ended")
    assert number == signal.SIGKILL or list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [StepFailed("this does not hold: anything"), NoGateway("no answer")])
def test_a_step_that_does_not_do_what_it_says_ends_with_1(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def nowhere(*_: object) -> Generator[Gateway]:
        with subprocess.Popen(["true"], stdout=subprocess.DEVNULL, text=True) as process:
            yield Gateway(process, "127.0.0.1:1", "qlk_live_" + "0" * 64)

    def walk(_: Tour) -> int:
        raise failure

    monkeypatch.setattr(sys, "argv", ["qlaud demo", "--once"])
    monkeypatch.setattr(program, "own_gateway", nowhere)
    monkeypatch.setattr(program, "_forget_others", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(Tour, "walk", walk)
    assert program.main() == 1
    assert str(failure) in capsys.readouterr().err


def test_what_does_not_hold_fails_a_step() -> None:
    expect(True, "this holds")
    with pytest.raises(StepFailed, match="nothing above the cap"):
        expect(50_001 <= 50_000, "nothing above the cap")
