"""How tests share the local PostgreSQL, from here, from other processes and as other users, and kill it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

import qlaud
from qlaud.store.embedded import EmbeddedPostgres, EmbeddedPostgresFailed
from qlaud.store.embedded.signs import postmaster

DEADLINE_S = 20.0
STRANGER = 65534  # nobody
IS_ROOT = os.geteuid() == 0

HOLDER = """
import sys
from pathlib import Path
from qlaud.store.embedded import EmbeddedPostgres
share = EmbeddedPostgres.start(Path(sys.argv[1]), lambda line: None)
print(share.pid, flush=True)
sys.stdin.read()
share.release()
"""


def quiet(_: str) -> None:
    pass


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.005)  # sleep: polls, with a deadline


def run_sql(dsn: str, statement: str) -> object:
    async def main() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(main())


def server_of(data_dir: Path) -> int | None:
    return postmaster(data_dir.resolve() / "pg" / "cluster")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid), f"process {pid} is dead")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def sharing(data_dir: Path, **settings: str) -> Iterator[EmbeddedPostgres]:
    share = EmbeddedPostgres.start(data_dir, quiet, settings=settings)
    try:
        yield share
    finally:
        share.release()


@contextmanager
def holder(data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process with a share; it releases when its input ends."""
    source = str(Path(qlaud.__file__).parents[1])
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source, "QLAUD_SECRET_MARK": "s3cret"},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def pid_told_by(child: "subprocess.Popen[str]") -> int:
    assert child.stdout is not None
    return int(child.stdout.readline())


def as_stranger(work: Callable[[], str]) -> str:
    """What `work` returns in a process of an ordinary user, or the failure it ended with."""
    if not IS_ROOT:
        return _outcome(work)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            os.write(writer, _outcome(work).encode())
        finally:
            os._exit(0)  # the rest of the test is the parent's
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


def _outcome(work: Callable[[], str]) -> str:
    try:
        return work()
    except (EmbeddedPostgresFailed, OSError, AssertionError) as fault:
        return f"{type(fault).__name__}: {fault}"
