"""Starts the local PostgreSQL, shares it between processes, brings it back when it dies, stops it at the end.

Who is alive is told by `flock` alone, which the kernel drops with the process, however that ends; pid files are
never believed. Three files below `<data_dir>/pg`:

    lock    held while somebody starts or stops the server: one at a time
    users   held shared by every gateway that uses the server: who can take it alone was the last, and stops it
    alive   held by the postmaster and by all its children, who inherit the descriptor: who can take it knows that
            no process of a former server is left, not even an orphaned one that may still write

All functions block (seconds at a start, longer after a crash) and belong into a thread. Called by `app`.
"""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qlaud.store.embedded.cluster import (
    Cluster,
    EmbeddedPostgresFailed,
    binaries,
    ensure_made,
    has_cluster,
    locate,
    log_tail,
    trim_log,
    write_settings,
)
from qlaud.store.embedded.signs import Answer, ask, forget_dead_pid, open_lock, postmaster, try_lock

POLL_S = 0.01
SAY_FIRST_S = 1.0
SAY_EVERY_S = 5.0
STOP_TIMEOUT_S = 60.0
WATCH_INTERVAL_S = 0.5
WATCH_INTERVAL_MAX_S = 30.0


class EmbeddedPostgres:
    """One process's share of the server of a data directory. Every share must be released once."""

    def __init__(self, cluster: Cluster, *, say: Callable[[str], None], settings: Mapping[str, str]) -> None:
        self._cluster, self._say, self._settings = cluster, say, settings
        self._users = open_lock(cluster.home / "users", cluster.account)
        self._released = False

    @classmethod
    def start(
        cls, data_dir: Path, say: Callable[[str], None], *, settings: Mapping[str, str] | None = None
    ) -> "EmbeddedPostgres":
        """A share of a server that answers: a running one is joined, a missing one made and started.

        `say` is told what a wait is for. `settings` are further PostgreSQL settings, for tests and experts.
        Raises EmbeddedPostgresFailed.
        """
        with _explained(data_dir):
            share = cls(locate(data_dir, say), say=say, settings=settings or {})
            try:
                with share._alone("another qlaud is starting or stopping PostgreSQL"):
                    try_lock(share._users, fcntl.LOCK_SH)
                    ensure_made(share._cluster, say)
                    share._bring_up()
            except BaseException:
                os.close(share._users)
                raise
            return share

    @staticmethod
    def exists(data_dir: Path) -> bool:
        """Whether a database was made in this data directory."""
        return has_cluster(data_dir)

    @property
    def dsn(self) -> str:
        """The connection string of the gateway's own database, on the private socket."""
        return self._cluster.dsn

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None if it is dead (or in another container)."""
        return postmaster(self._cluster.path)

    def ensure_running(self) -> None:
        """Restart the server if it died; costs two system calls if it did not. Raises EmbeddedPostgresFailed."""
        with _explained(self._cluster.home):
            trim_log(self._cluster)
            if self.pid is not None or self._released:
                return
            with self._alone("another qlaud is restarting PostgreSQL"):
                if not self._released:
                    self._bring_up()

    async def watch(self) -> None:
        """Run `ensure_running` until cancelled, more rarely while it fails; what fails is said."""
        interval_s = WATCH_INTERVAL_S
        while True:
            await asyncio.sleep(interval_s)
            try:
                await asyncio.to_thread(self.ensure_running)
                interval_s = WATCH_INTERVAL_S
            except EmbeddedPostgresFailed as failure:
                self._say(str(failure))
                interval_s = min(interval_s * 2, WATCH_INTERVAL_MAX_S)

    def release(self) -> None:
        """Give the share back; the last one stops the server (open connections are cut). Idempotent."""
        with _explained(self._cluster.home), self._alone("another qlaud is starting or stopping PostgreSQL"):
            if self._released:
                return
            self._released = True
            try:
                # Nobody can join meanwhile: joining takes the lock that we hold.
                if try_lock(self._users, fcntl.LOCK_EX):
                    self._stop()
            finally:
                os.close(self._users)

    def _bring_up(self) -> None:
        """Return when the server answers, starting it once no process of a former one is left."""
        waiting, log_start_bytes = _Waiting(self._say), None
        while (answer := ask(self._cluster.socket)) is not Answer.READY:
            if answer is Answer.NOT_YET:
                waiting.on("PostgreSQL is recovering from an unclean stop")
            elif (alive := self._claim()) is None:
                waiting.on("the processes of the last PostgreSQL are ending")
            elif log_start_bytes is not None:
                os.close(alive)
                raise EmbeddedPostgresFailed(self._why_not(log_start_bytes))
            else:
                try:
                    log_start_bytes = self._launch(alive)
                finally:
                    os.close(alive)
            time.sleep(POLL_S)

    def _launch(self, alive: int) -> int:
        """Start the postmaster in a session of its own, holding `alive`; where its log lines begin."""
        write_settings(self._cluster, self._settings)
        log_start_bytes = self._cluster.log.stat().st_size
        forget_dead_pid(self._cluster)
        # pg_ctl detaches it, so that neither Ctrl-C nor the end of this process reaches it.
        command = [
            str(binaries() / "pg_ctl"),
            "start",
            "--no-wait",
            "--silent",
            "--log",
            self._cluster.log.name,
        ]
        self._cluster.account.run(command, cwd=self._cluster.home, keep=alive)
        return log_start_bytes

    def _stop(self) -> None:
        postmaster = self.pid
        if postmaster is not None:
            os.kill(postmaster, signal.SIGINT)  # a fast shutdown: a checkpoint, no waiting for clients
        waiting, deadline = _Waiting(self._say), time.monotonic() + STOP_TIMEOUT_S
        while (alive := self._claim()) is None:
            if time.monotonic() > deadline:
                self._say(f"PostgreSQL is still stopping after {STOP_TIMEOUT_S:g} s, it is left to itself")
                return
            waiting.on("PostgreSQL is stopping")
            time.sleep(POLL_S)
        os.close(alive)

    def _claim(self) -> int | None:
        """The locked descriptor of `alive`, or None while a process of a server lives."""
        alive = open_lock(self._cluster.home / "alive", self._cluster.account)
        if try_lock(alive, fcntl.LOCK_EX):
            return alive
        os.close(alive)
        return None

    def _why_not(self, log_start_bytes: int) -> str:
        return (
            f"PostgreSQL did not start in {self._cluster.path}. Its log ends with:\n"
            f"{log_tail(self._cluster, log_start_bytes)}\n"
            f"Look for a full disk (df -h), a lack of shared memory (df -h /dev/shm) or wrong owners "
            f"(ls -l {self._cluster.home}); the whole log is {self._cluster.log}"
        )

    @contextmanager
    def _alone(self, reason: str) -> Generator[None]:
        lock = open_lock(self._cluster.home / "lock", self._cluster.account)
        waiting = _Waiting(self._say)
        try:
            while not try_lock(lock, fcntl.LOCK_EX):
                waiting.on(reason)
                time.sleep(POLL_S)
            yield
        finally:
            os.close(lock)


class _Waiting:
    """Says what a long wait is for, every few seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._begun = say, time.monotonic()
        self._next = self._begun + SAY_FIRST_S

    def on(self, reason: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._say(f"{reason}, waiting ({now - self._begun:.0f} s)")
            self._next = now + SAY_EVERY_S


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as fault:
        where = fault.filename or path
        raise EmbeddedPostgresFailed(
            f"the local PostgreSQL cannot use {where}: {fault.strerror or fault}. Check that the disk is not full "
            f"and that the directory is writable, or set QLAUD_DATA_DIR to one that is"
        ) from fault
