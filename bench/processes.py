"""Starts and stops the processes of the bench: pinned to a core, tied to the life of the bench.

A child runs in a session of its own, so Ctrl-C reaches the bench alone and the bench stops its children in
order. Where `setpriv` exists the kernel stops them too should the bench itself be killed.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
ROOT = Path(__file__).resolve().parent.parent


class NotReady(Exception):
    """A process did not come up; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the contender has for itself, and which one everything else shares."""

    contender: int
    rest: int


def choose_cores() -> Cores:
    """The first core this process may use for the contender, the second for the rest.

    With one core only, both are the same, and the figures mean little.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(contender=allowed[0], rest=allowed[min(1, len(allowed) - 1)])


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started inside inherits `core`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    command: Sequence[str],
    *,
    core: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    answers: bool = False,
) -> subprocess.Popen[str]:
    """A child on `core` with a pipe as standard input; what it says goes to `log`.

    With `answers` its standard output is a pipe too, which the caller must read.
    """
    tie = shutil.which("setpriv")
    whole = [tie, "--pdeathsig", "TERM", "--", *command] if tie else list(command)
    with on_core(core), log.open("ab") as errors:
        return subprocess.Popen(
            whole,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if answers else errors,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=None if env is None else dict(env),
            start_new_session=True,
        )


def stop(child: subprocess.Popen[str]) -> None:
    """Ends a child: politely, then not."""
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                continue  # it left first
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(port: int, method: str, path: str, *, key: str = "", body: str = "") -> tuple[int, bytes]:
    """Status and body of one plain HTTP call on loopback; raises OSError when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            method, path, body=body.encode() or None, headers={"x-api-key": key} if key else {}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_ready(child: subprocess.Popen[str], port: int, path: str, *, log: Path) -> None:
    """Returns once `path` answers 200. Raises NotReady if the child ends or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            if call(port, "GET", path)[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass  # not listening yet
        time.sleep(0.05)
    end = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise NotReady(f"nothing answers {path} on port {port}:\n{end}")


def end_process(pid: int, *, named: str) -> None:
    """Ends a process that is not our child, politely first; nothing if `named` is not in its command line."""
    for sent in (signal.SIGINT, signal.SIGKILL):
        if not _runs(pid, named):
            return
        with suppress(ProcessLookupError):  # it may end this moment
            os.kill(pid, sent)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while _runs(pid, named) and time.monotonic() < deadline:
            time.sleep(0.05)


def _runs(pid: int, named: str) -> bool:
    try:
        return named.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
