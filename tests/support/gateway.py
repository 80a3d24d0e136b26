"""A real `qlaud serve` process for tests: on a database of the test, with providers that are fakes on loopback.

    with gateway_process(database_url, folder, providers={"anthropic": fake.origin}) as gateway:
        key = gateway.mint(max_spend_usd="0.05")
        ...an SDK with gateway.origin and key.secret...
        event = gateway.event(request_id)

The process knows the provider credentials in `OPERATOR_KEYS` and nothing of the caller's environment. `folder` may be
shared by many gateways: compiled prices are kept in it, which saves half of a start.
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from qlaud.providers.registry import load_registry

START_S, STOP_S, SETTLE_S = 60.0, 60.0, 30.0
READY = "qlaud is ready on "
OPERATOR_KEYS = {"anthropic": "sk-ant-operator-0123456789", "openai": "sk-operator-0123456789"} | {
    slug: f"operator-of-{slug}-0123456789"
    for slug in (
        *("google", "elevenlabs", "deepgram", "xai", "qwen", "moonshot", "minimax", "deepseek", "mistral"),
        *("cerebras", "groq", "perplexity", "openrouter", "cartesia"),
    )
}
"""What the gateway signs in with at the fake providers, by the provider's slug."""

REGISTRY = load_registry({}).providers
"""Every provider that the product ships."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A key as `POST /v1/keys` answered."""

    id: str
    secret: str


class Gateway:
    """One running process. Its methods speak the management API with the master key."""

    def __init__(
        self, process: "subprocess.Popen[str]", origin: str, environ: Mapping[str, str], log_file: Path
    ) -> None:
        self.process = process
        self.origin = origin
        self.master_key = master_key = environ["QLAUD_MASTER_KEY"]
        self._environ = environ
        self._log_file = log_file
        self._client = httpx.Client(
            base_url=origin, headers={"x-api-key": master_key}, timeout=SETTLE_S, trust_env=False
        )

    @property
    def log(self) -> str:
        """Everything the process has written to standard error."""
        return self._log_file.read_text()

    def api(self, method: str, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        """One call with the master key, or with `key`."""
        headers = {} if key is None else {"x-api-key": key}
        return self._client.request(method, path, json=body, headers=headers)

    def read(self, path: str) -> Any:
        """The JSON of a GET that succeeds."""
        return _succeeded(self.api("GET", path))

    def mint(self, name: str = "user", **fields: object) -> MintedKey:
        """A new standard key; `fields` are those of `POST /v1/keys`."""
        made = _succeeded(self.api("POST", "/v1/keys", {"name": name, **fields}))
        return MintedKey(made["id"], made["secret"])

    def key(self, key: MintedKey) -> Any:
        """The key's own row, with what it has spent and holds."""
        return self.read(f"/v1/keys/{key.id}")

    def usage(self, key: MintedKey) -> Any:
        """The key's usage: totals and its last events, newest first."""
        return self.read(f"/v1/keys/{key.id}/usage")

    def request(self, request_id: str, *, key: MintedKey | None = None) -> httpx.Response:
        """What `GET /v1/requests/:id` answers right now: 202 while the call is in flight."""
        return self.api("GET", f"/v1/requests/{request_id}", key=key and key.secret)

    def event(self, request_id: str, *, key: MintedKey | None = None) -> Any:
        """The usage event of a request, when it is settled. The master key sees no event of a test key."""
        answer = until(
            lambda: (answer := self.request(request_id, key=key)).status_code != 202 and answer,
            f"request {request_id} is settled",
        )
        return _succeeded(answer)

    def wait_settled(self, key: MintedKey, events: int) -> Any:
        """The key's usage once it has that many events and holds nothing."""
        return until(
            lambda: (
                (usage := self.usage(key))["held_micros"] == 0 and len(usage["events"]) == events and usage
            ),
            f"key {key.id} has {events} events and holds nothing",
        )

    def doctor(self) -> None:
        """Fails the test if a stored sum is not the sum of its rows. Also after the process has ended."""
        told = subprocess.run(
            [sys.executable, "-m", "qlaud", "doctor"],
            cwd=self._log_file.parent,
            env=dict(self._environ),
            capture_output=True,
            text=True,
            timeout=START_S,
        )
        assert told.returncode == 0, told.stdout + told.stderr

    def stop(self) -> int:
        """Stop it as an operator does; returns the exit code."""
        self._client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._client.close()
        self.process.kill()
        self.process.wait(STOP_S)


def base_url_at(origin: str, slug: str) -> str:
    """The base URL of a provider that stands on `origin` instead of where its vendor has it."""
    return origin + REGISTRY[slug].usual_base_path


@contextmanager
def gateway_process(
    database_url: str,
    folder: Path,
    *,
    providers: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    master_key: str | None = None,
    workers: int = 1,
    operator_keys: Mapping[str, str] = OPERATOR_KEYS,
) -> Generator[Gateway]:
    """A gateway that serves when the block begins, and is stopped when it ends.

    `providers` are base URLs by slug; one that is not named has no credential. `settings` are QLAUD_* variables
    without the prefix, in lower case. To start again on the same database give the same `master_key`.
    """
    environ = {
        name: os.environ[name]
        for name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
        if name in os.environ
    }
    values: dict[str, object] = {
        "database_url": database_url,
        "data_dir": folder / "data",
        "master_key": master_key or f"qlk_live_{secrets.token_hex(32)}",
        "port": 0,
        **(settings or {}),
    }
    environ |= {f"QLAUD_{name.upper()}": str(value) for name, value in values.items()}
    for slug, base_url in (providers or {}).items():
        environ[f"QLAUD_{slug.upper()}_BASE_URL"] = base_url
        environ[REGISTRY[slug].key_variable] = operator_keys[slug]
    folder.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix="gateway-", suffix=".log", dir=folder)
    with os.fdopen(number, "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "qlaud", "serve", "--workers", str(workers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environ,
            text=True,
        )
    try:
        gateway = Gateway(process, _origin(process, Path(name)), environ, Path(name))
        try:
            yield gateway
        finally:
            gateway.stop()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(found: Callable[[], T | bool | None], what: str, *, within_s: float = SETTLE_S) -> T:
    """The first value of `found` that is true. Fails the test with `what` when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        value = found()
        if value:
            return value  # type: ignore[return-value]
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.01)  # sleep: polls, with a deadline


def _origin(process: "subprocess.Popen[str]", log_file: Path) -> str:
    """Reads the line that says where it serves."""
    impatience = threading.Timer(START_S, process.kill)
    impatience.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(READY):
                return line.removeprefix(READY).split()[0]
    finally:
        impatience.cancel()
        impatience.join()
    raise AssertionError(f"the gateway did not start; it said:\n{log_file.read_text()}")


def _succeeded(answer: httpx.Response) -> Any:
    assert answer.is_success, (
        f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    )
    return answer.json()
