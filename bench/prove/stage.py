"""Real processes for the runs: a PostgreSQL, and gateways on it, started, killed and started again.

A gateway is the product's own program in a child process; `launch` puts a stepped clock or a planted defect into it
where a deployment asks for one. Children die with the harness.
"""

import asyncio
import json
import mmap
import os
import secrets
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from qlaud.store.embedded import EmbeddedPostgres

READY = "qlaud is ready on "
START_S = 60.0
STOP_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
FAST: Mapping[str, str] = {
    "HOLD_WAIT_S": "0.3",
    "HOLD_LOST_AFTER_S": "4",
    "HOLD_RENEW_S": "0.5",
    "FIRST_BYTE_TIMEOUT_S": "2.5",
    "IDLE_TIMEOUT_S": "2.5",
    "CONNECT_TIMEOUT_S": "3",
    "DRAIN_MAX_S": "4",
    "CLIENT_STALL_S": "2",
    "SETTLE_PATIENCE_S": "0.5",
    "STORE_TIMEOUT_S": "3",
    "SHUTDOWN_GRACE_S": "3",
    "LOG_LEVEL": "warning",
}
"""Limits of time made short, so that stalls and lost holds end within a run."""


class NotStarted(Exception):
    """A gateway did not come up; the message has the end of its log."""


class Dial:
    """How far the clocks of a deployment's gateways are moved: eight bytes that they map."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(struct.pack("<q", 0))
        with path.open("r+b") as file:
            self._cells = mmap.mmap(file.fileno(), 8)

    @property
    def offset_ms(self) -> int:
        """What is added to the machine's time."""
        return int(struct.unpack("<q", self._cells[:8])[0])

    @offset_ms.setter
    def offset_ms(self, moved_ms: int) -> None:
        self._cells[:8] = struct.pack("<q", moved_ms)


@dataclass(frozen=True, slots=True)
class Make:
    """How gateways of a deployment are started."""

    home: Path
    dsn: str
    provider_port: int
    master_key: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    defect: str | None = None
    dial: Dial | None = None


class Gateway:
    """One gateway: a parent process with its workers."""

    def __init__(self, make: Make, name: str, workers: int) -> None:
        self._make, self._log, self._workers = make, make.home / f"{name}.log", workers
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        self.killed = 0
        """How many processes of it were killed."""

    @property
    def pid(self) -> int:
        """Of the parent."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and return when it serves; on the same port again after a kill. Blocks. Raises NotStarted."""
        make = self._make
        program = ["-m", "qlaud"]
        if make.defect is not None or make.dial is not None:
            told = {"defect": make.defect, "dial": None if make.dial is None else str(make.dial.path)}
            program = ["-m", "bench.prove.launch", json.dumps(told)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, *program, "serve", "--workers", str(self._workers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=make.home,
                env=self._environment(),
                text=True,
            )
        assert self._process.stdout is not None
        self.port = self._ready(self._process.stdout)

    def workers(self) -> list[int]:
        """The worker processes; without any the parent serves itself."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def kill(self) -> None:
        """The parent ends at once, as in a crash; workers notice and stop by themselves."""
        assert self._process is not None
        self.killed += 1
        self._process.kill()
        self._wait()

    def kill_worker(self, number: int) -> None:
        """One worker ends at once; the parent starts another."""
        children = self.workers()
        self.killed += 1
        os.kill(children[number % len(children)], signal.SIGKILL)

    def stop(self) -> int:
        """End as an operator ends it; the exit code."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(STOP_S)
        finally:
            process.stdout.close()

    @property
    def log(self) -> str:
        """What it wrote to its log."""
        return self._log.read_text()

    def _environment(self) -> dict[str, str]:
        make = self._make
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        values: dict[str, object] = {
            **FAST,
            "DATABASE_URL": make.dsn,
            "DATA_DIR": make.home / "data",
            "MASTER_KEY": make.master_key,
            "PORT": self.port,
            **make.settings,
        }
        environment = kept | {f"QLAUD_{name}": str(value) for name, value in values.items()}
        base = f"http://127.0.0.1:{make.provider_port}"
        environment |= {"QLAUD_ANTHROPIC_BASE_URL": base, "QLAUD_OPENAI_BASE_URL": f"{base}/v1"}
        environment |= {"ANTHROPIC_API_KEY": "sk-operator-0001", "OPENAI_API_KEY": "sk-operator-0002"}
        return environment | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}

    def _ready(self, told: IO[str]) -> int:
        for line in told:
            if line.startswith(READY):
                return int(line.removeprefix(READY).split()[0].rpartition(":")[2])
        raise NotStarted(self.log[-2_000:])


class Database:
    """A PostgreSQL of the harness, with the product's own durability."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self._ended: int | None = None
        self._server = EmbeddedPostgres.start(folder, lambda _: None, settings=settings or {})

    @property
    def dsn(self) -> str:
        """Of its first database, for administration."""
        return self._server.dsn

    async def make(self, name: str) -> str:
        """A new empty database; its DSN."""
        admin = await asyncpg.connect(self.dsn)
        try:
            await admin.execute(f"CREATE DATABASE {name}")
        finally:
            await admin.close()
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{name}"))

    def kill(self) -> None:
        """The postmaster ends at once; its children follow without a checkpoint."""
        self._signal(signal.SIGKILL)

    def shut_down(self) -> None:
        """A fast shutdown, as for a restart: connections are cut."""
        self._signal(signal.SIGINT)

    def _signal(self, number: signal.Signals) -> None:
        self._ended = self._server.pid
        if self._ended is not None:
            os.kill(self._ended, number)

    def bring_back(self) -> None:
        """Start again once the last one is gone. Blocks until it answers."""
        deadline = time.monotonic() + STOP_S
        while self._ended is not None and self._server.pid == self._ended and time.monotonic() < deadline:
            time.sleep(0.01)
        self._server.ensure_running()

    def close(self) -> None:
        """Stop the server."""
        self._server.release()


@dataclass(slots=True)
class Deployment:
    """Gateways on one database."""

    name: str
    make: Make
    gateways: list[Gateway]
    pool: asyncpg.Pool
    markup_bp: int = 0
    prepaid: bool = False

    @property
    def ports(self) -> list[int]:
        """Where its gateways listen."""
        return [gateway.port for gateway in self.gateways]

    async def close(self) -> None:
        """Stop everything it started."""
        await asyncio.gather(*(asyncio.to_thread(gateway.stop) for gateway in self.gateways))
        self.pool.terminate()


async def deploy(name: str, make: Make, *, workers: Sequence[int] = (1,)) -> Deployment:
    """A running deployment of one gateway for each number of workers. Raises NotStarted."""
    make.home.mkdir(parents=True, exist_ok=True)
    made = [Gateway(make, f"{name}-{number}", count) for number, count in enumerate(workers)]
    await asyncio.to_thread(made[0].start)  # the first one migrates
    try:
        await asyncio.gather(*(asyncio.to_thread(gateway.start) for gateway in made[1:]))
        pool = await asyncpg.create_pool(make.dsn, min_size=0, max_size=6)
    except BaseException:
        await asyncio.gather(*(asyncio.to_thread(gateway.stop) for gateway in made))
        raise
    markup_bp = int(make.settings.get("MARKUP_BP", "0"))
    return Deployment(name, make, made, pool, markup_bp, make.settings.get("WALLET") == "prepaid")


def new_master_key() -> str:
    """A master key to install."""
    return f"qlk_live_{secrets.token_hex(32)}"
