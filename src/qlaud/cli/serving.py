"""`qlaud serve`: database, first key, listening socket, workers. Also what one worker process runs.

The parent opens the database, listens and watches; with one worker it serves itself, with more it starts as many
processes on the same socket, starts again those that die, and passes the stop signal on. A worker whose parent is
gone stops by itself.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from qlaud.app import load_shelf, open_desk, run_gateway
from qlaud.app_database import database
from qlaud.cli.desk import announce
from qlaud.config import Settings, unknown_variables
from qlaud.flows.accounts import FirstStart
from qlaud.telemetry import set_up_logging

logger = logging.getLogger("qlaud.serve")

RESTART_PAUSE_S = 1.0
BACKLOG = 4096
STOPPING = (signal.SIGTERM, signal.SIGINT)

Say = Callable[[str], None]


class CannotServe(Exception):
    """The start failed; the message says why and what to do."""


def serve(settings: Settings, environ: Mapping[str, str], *, workers: int, say: Say) -> None:
    """Serve until a stop signal. Raises CannotServe, what opening the database raises, and what SHELF_FAILED lists."""
    set_up_logging(settings.log_level, settings.log_format)
    stop_cleanly()
    for name in unknown_variables(environ):
        logger.warning("unknown variable, ignored", extra={"variable": name})
    listening = listen(settings)
    with listening, database(settings, say) as dsn:
        first = asyncio.run(_prepare(settings, dsn, say))
        announce(first, say)
        # Once here: a bad file is told in a sentence, and the workers find the prices compiled.
        load_shelf(settings, environ)
        settings = replace(settings, database_url=dsn)
        url = f"http://{_shown(listening)}"
        if workers == 1:
            run_worker(settings, environ, listening, lambda: say(f"qlaud is ready on {url}"))
        else:
            Workers(
                environ,
                listening,
                dsn,
                workers,
                lambda: say(f"qlaud is ready on {url} with {workers} workers"),
            ).run()


def run_worker(
    settings: Settings, environ: Mapping[str, str], listening: socket.socket, ready: Callable[[], None]
) -> None:
    """Serve from this process until a stop signal."""
    for number in STOPPING:
        signal.signal(
            number, _not_now
        )  # the server has its own handlers, and sends the signal again when it is done
    if not run_gateway(settings, environ, listening, ready):
        raise CannotServe("the gateway could not start; the log above says why")


def stop_cleanly() -> None:
    """Let a stop signal end the start by way of every `finally`; a lost terminal is a stop signal too."""
    for number in STOPPING:
        signal.signal(number, _leave)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # not under nohup
        signal.signal(signal.SIGHUP, _hung_up)


def end_with(life_fd: int) -> None:
    """Stop this process when whoever holds the other end of the pipe is gone."""

    def wait() -> None:
        os.read(life_fd, 1)  # returns at the end: nobody writes
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="life", daemon=True).start()


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises CannotServe when the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError as fault:
        listening.close()
        is_taken = fault.errno == errno.EADDRINUSE
        way_out = (
            "stop what uses it, or set QLAUD_PORT (0 takes a free port)" if is_taken else "see QLAUD_HOST"
        )
        raise CannotServe(
            f"cannot listen on {settings.host}:{settings.port}: {fault.strerror}; {way_out}"
        ) from fault
    listening.set_inheritable(True)
    return listening


class Workers:
    """N worker processes on one socket."""

    def __init__(
        self,
        environ: Mapping[str, str],
        listening: socket.socket,
        dsn: str,
        count: int,
        ready: Callable[[], None],
    ) -> None:
        self._environ = {**environ, "QLAUD_DATABASE_URL": dsn}
        self._listening = listening
        self._count = count
        self._ready = ready
        self._stopping = threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._life_read, self._life_write = os.pipe()
        self._news_read, self._news_write = os.pipe()

    def run(self) -> None:
        """Until a stop signal; returns when every worker has ended."""
        for number in STOPPING:
            signal.signal(number, self._stop)
        self._processes = [self._spawn() for _ in range(self._count)]
        threading.Thread(target=self._await_ready, daemon=True).start()
        while not self._stopping.wait(0.2):
            for position, process in enumerate(self._processes):
                if process.poll() is not None:
                    logger.error(
                        "a worker died, starting another",
                        extra={"pid": process.pid, "code": process.returncode},
                    )
                    if self._stopping.wait(RESTART_PAUSE_S):
                        break
                    self._processes[position] = self._spawn()
        self._listening.close()  # or callers would wait at a door that nobody opens
        self._tell_to_stop()
        for process in self._processes:
            process.wait()

    def _stop(self, *_: object) -> None:
        if self._stopping.is_set():
            self._tell_to_stop()  # again: each cuts its calls
        self._stopping.set()

    def _tell_to_stop(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)

    def _spawn(self) -> subprocess.Popen[bytes]:
        fds = (self._listening.fileno(), self._life_read, self._news_write)
        command = [sys.executable, "-m", "qlaud", "worker", *map(str, fds)]
        # A session of its own: Ctrl-C reaches the parent alone, which lets running calls end.
        return subprocess.Popen(command, env=self._environ, pass_fds=fds, start_new_session=True)

    def _await_ready(self) -> None:
        seen = 0
        while seen < self._count:
            seen += len(os.read(self._news_read, 1))
        self._ready()


def serve_as_worker(settings: Settings, environ: Mapping[str, str], fds: tuple[int, int, int]) -> None:
    """What a worker process runs: the listening socket, the parent's life and its ear come as descriptors."""
    set_up_logging(settings.log_level, settings.log_format)
    listening_fd, life_fd, news_fd = fds

    end_with(life_fd)
    run_worker(settings, environ, socket.socket(fileno=listening_fd), lambda: _tell(news_fd))


def _tell(news_fd: int) -> None:
    os.write(news_fd, b"!")


def _leave(*_: object) -> None:
    raise SystemExit(0)


def _hung_up(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _not_now(*_: object) -> None:
    """What remains is to give the database back, which ends by itself."""


async def _prepare(settings: Settings, dsn: str, say: Say) -> FirstStart:
    async with open_desk(settings, say=say, dsn=dsn) as desk:
        return await desk.accounts.ensure_owner(settings.master_key or None)


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
