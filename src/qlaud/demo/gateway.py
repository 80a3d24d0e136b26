"""The demo's gateway: a real `qlaud serve` on a database that is thrown away, and its management API.

The process is in a session of its own, so Ctrl-C reaches the demo alone; it ends with the demo, however that ends.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

HOST = "127.0.0.1"
READY = "qlaud is ready on http://"
MASTER_KEY = "master key (shown once, keep it): "
UNSAID = "applying migration"
API_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 60.0
SETTLE_TRIES, SETTLE_PAUSE_S = 500, 0.02


class NoGateway(Exception):
    """The gateway did not start, or died; what it said stands above."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the management API answered."""

    status: int
    body: dict[str, Any]


class Gateway:
    """A gateway that serves, and the master key of its first start."""

    def __init__(self, process: "subprocess.Popen[str]", address: str, master_key: str) -> None:
        self.process = process
        self.address = address
        self.master_key = master_key

    @property
    def origin(self) -> str:
        """Its base URL."""
        return f"http://{self.address}"

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """One call of the management API with the master key, or with `key`. Raises NoGateway."""
        connection = HTTPConnection(self.address, timeout=API_TIMEOUT_S)
        try:
            headers = {"x-api-key": self.master_key if key is None else key}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return Answer(answer.status, json.loads(answer.read()))
        except (OSError, HTTPException, ValueError) as fault:
            raise NoGateway(f"{method} {path} was not answered: {fault}") from fault
        finally:
            connection.close()

    def event(self, request_id: str) -> dict[str, Any]:
        """The usage event of a request, once it is settled."""
        path = f"/v1/requests/{request_id}"
        for _ in range(SETTLE_TRIES):
            answer = self.call("GET", path)
            if answer.status == 200:
                return answer.body
            time.sleep(SETTLE_PAUSE_S)
        raise NoGateway(f"GET {path} shows no event: the call was not settled")


@contextmanager
def own_gateway(port: int, environ: Mapping[str, str]) -> Generator[Gateway]:
    """A gateway while the block lasts, with a new database that is removed afterwards. Raises NoGateway."""
    folder = tempfile.mkdtemp(prefix="qlaud-demo-")
    life_read, life_write = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "qlaud", "serve", "--life-fd", str(life_read)],
            env=_alone(environ, folder, port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(life_read,),
            start_new_session=True,
        )
        try:
            yield _ready(process, folder)
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
    finally:
        os.close(life_read)
        os.close(life_write)
        shutil.rmtree(folder, ignore_errors=True)


def _alone(environ: Mapping[str, str], folder: str, port: int) -> dict[str, str]:
    """The environment without settings of another qlaud; the providers' keys stay."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("QLAUD_") or name.endswith("_BASE_URL")
    }
    own = {"CONFIG": os.devnull, "DATA_DIR": os.path.join(folder, "data"), "HOST": HOST, "PORT": str(port)}
    return {**kept, **{f"QLAUD_{name}": value for name, value in own.items()}}


def _ready(process: "subprocess.Popen[str]", folder: str) -> Gateway:
    """The gateway, when it serves. What it does in its own folder is nobody's concern."""
    assert process.stdout is not None, "opened as a pipe"
    master_key = ""
    for line in process.stdout:
        if line.startswith(MASTER_KEY):
            master_key = line.removeprefix(MASTER_KEY).strip()
        elif line.startswith(READY):
            threading.Thread(target=_pass_on, args=(process,), name="gateway-output", daemon=True).start()
            return Gateway(process, line.removeprefix(READY).split()[0], master_key)
        elif not line.startswith(UNSAID) and folder not in line:
            print(line, end="", flush=True)
    raise NoGateway('the gateway did not start; if its port is taken: make demo ARGS="--port 0"')


def _pass_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None, "opened as a pipe"
    for line in process.stdout:
        print(line, end="", flush=True)
