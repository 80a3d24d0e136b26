"""`qlaud serve` as an operator sees it: how it starts, what it says, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.commands import Commands
from tests.support.embedded import is_alive, server_of
from tests.support.gateway import until

READY = "qlaud is ready on "
END_S = 40.0
SLOW = {
    "model": "sim/slow",
    "max_tokens": 12,
    "stream": True,
    "messages": [{"role": "user", "content": "take your time " * 20}],
}


def start(settings: dict[str, str], *words: str, stderr: int = subprocess.DEVNULL) -> "subprocess.Popen[str]":
    own = {name: value for name, value in os.environ.items() if not name.startswith("QLAUD_")}
    own |= {f"QLAUD_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "qlaud", "serve", "--port", "0", *words],
        env=own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


@contextmanager
def serving(
    settings: dict[str, str], *words: str
) -> Generator[tuple["subprocess.Popen[str]", str, list[str]]]:
    """The process, its origin, and the lines it wrote before it was ready."""
    process = start(settings, *words)
    impatience = threading.Timer(END_S, process.kill)
    impatience.start()
    said: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith(READY):
                yield process, line.removeprefix(READY).split()[0], said
                return
        raise AssertionError(f"it was never ready; it said {said}")
    finally:
        impatience.cancel()
        process.kill()
        process.communicate()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {"database_url": database_url, "data_dir": str(tmp_path), "master_key": f"qlk_live_{'7' * 64}"}


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_well(origin: str) -> bool:
    return httpx.get(f"{origin}/healthz", trust_env=False).status_code == 200


def takes_calls(origin: str) -> bool:
    try:
        return is_well(origin)
    except httpx.TransportError:  # refused, or reset while it waited for a server that is closing its door
        return False


def failed(settings: dict[str, str], *words: str) -> str:
    """What a start that must fail writes to standard error: one line."""
    process = start(settings, *words, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=END_S)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1), f"{process.returncode}\n{out}\n{err}"
    return err


@pytest.mark.parametrize("words", [(), ("--workers", "2")])
def test_a_stop_signal_lets_a_running_stream_finish(settings: dict[str, str], words: tuple[str, ...]) -> None:
    with serving(settings, *words) as (process, origin, _):
        headers = {"x-api-key": settings["master_key"]}
        with httpx.stream(
            "POST", f"{origin}/v1/messages", json=SLOW, headers=headers, trust_env=False
        ) as answer:
            lines = answer.iter_lines()
            first = next(line for line in lines if "content_block_delta" in line)
            process.send_signal(signal.SIGTERM)
            events = [json.loads(line[6:])["type"] for line in lines if line.startswith("data: ")]
        assert first
        assert events[-1] == "message_stop"
        assert process.wait(END_S) == 0
        with pytest.raises(httpx.ConnectError):
            is_well(origin)


@pytest.mark.parametrize(("words", "settled_s"), [((), "30"), (("--workers", "2"), "30"), ((), "0")])
def test_a_stream_that_outlives_the_grace_or_a_second_signal_is_cut_and_settled(
    settings: dict[str, str], tmp_path: Path, words: tuple[str, ...], settled_s: str
) -> None:
    commands = Commands(settings["database_url"], tmp_path)
    with serving({**settings, "shutdown_grace_s": settled_s}, *words) as (process, origin, _):
        secret = commands.json("keys", "mint", "u", "--cap", "1")["secret"]
        body = {**SLOW, "max_tokens": 2000, "messages": [{"role": "user", "content": "slow " * 2000}]}
        with httpx.stream(
            *("POST", f"{origin}/v1/messages"), json=body, headers={"x-api-key": secret}, trust_env=False
        ) as answer:
            lines = answer.iter_lines()
            next(line for line in lines if "content_block_delta" in line)
            process.send_signal(signal.SIGTERM)
            if settled_s != "0":
                until(lambda: not takes_calls(origin), "no more calls are taken")
                process.send_signal(signal.SIGTERM)
            last = [line for line in lines if line.startswith("data: ")][-1]
        assert json.loads(last[6:])["error"]["code"] == "shutting_down"
        assert process.wait(END_S) == 0
    assert commands.json("holds", "list")["data"] == []
    used = commands.json("usage")
    assert used["request_count"] == 1
    assert 0 < used["total_cost_micros"] < 10_000


def test_a_worker_that_is_killed_is_replaced(settings: dict[str, str]) -> None:
    with serving(settings, "--workers", "2") as (process, origin, _):
        before = children(process.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)

        def replaced() -> bool:
            return len(set(children(process.pid)) - set(before)) == 1

        until(replaced, "another worker was started")
        assert all(is_well(origin) for _ in range(10))
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0


def test_workers_end_when_their_parent_is_killed(settings: dict[str, str]) -> None:
    with serving(settings, "--workers", "2") as (process, _, _):
        workers = children(process.pid)
        process.kill()
        process.wait()
        until(lambda: not any(is_alive(pid) for pid in workers), "the workers have ended")


def test_the_embedded_database_ends_with_the_last_gateway_that_uses_it(data_dir: Path) -> None:
    settings = {"data_dir": str(data_dir)}
    with serving(settings) as (first, _, said), serving(settings) as (second, origin, said_later):
        assert len([line for line in said if line.startswith("master key")]) == 1
        assert len(said_later) == 1
        first.send_signal(signal.SIGTERM)
        assert first.wait(END_S) == 0
        assert server_of(data_dir) is not None
        assert httpx.get(f"{origin}/readyz", trust_env=False).json()["ready"] is True
        second.send_signal(signal.SIGINT)
        assert second.wait(END_S) == 0
    assert server_of(data_dir) is None


def test_a_killed_gateway_starts_again_on_its_database(data_dir: Path) -> None:
    settings = {"data_dir": str(data_dir)}
    with serving(settings) as (process, _, _):
        process.kill()
        process.wait()
    with serving(settings) as (process, origin, said):
        assert is_well(origin)
        assert [line for line in said if line.startswith("master key")] == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0


def test_a_taken_port_is_told_with_the_way_out(settings: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = failed(settings, "--port", str(taken.getsockname()[1]))
    assert "cannot listen on 127.0.0.1:" in said
    assert "QLAUD_PORT" in said


def test_an_address_that_is_not_ours_is_told_by_its_setting(settings: dict[str, str]) -> None:
    assert "QLAUD_HOST" in failed(settings, "--host", "192.0.2.1")


def test_a_broken_price_file_is_told_by_its_name(settings: dict[str, str], tmp_path: Path) -> None:
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / "mine.toml").write_text("model = [")
    assert "mine.toml" in failed({**settings, "prices_dir": str(prices)})


def test_a_data_directory_that_cannot_be_is_told_by_its_setting() -> None:
    assert "QLAUD_DATA_DIR" in failed({"data_dir": "/proc/none"})
