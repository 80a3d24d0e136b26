"""The vendors' SDKs as programs: each kept running for the session, asked by lines of JSON."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fake_provider import Call

HERE = Path(__file__).parent
PROJECT = HERE.parents[2]
ANSWER_S = 60.0
PYTHON = {
    "python": Path(sys.executable),
    "previous python": PROJECT / ".venv-previous/bin/python",
    "vendor's python": PROJECT / ".venv-sdk/bin/python",
}
NODE = Path(sys.executable).with_name("node")
NODE_PACKAGES = PROJECT / ".node-sdks"

Name = tuple[str, str]
"""A vendor and a language."""


def python(program: str, environment: str = "vendor's python") -> list[Path]:
    """The command of an SDK for Python."""
    return [PYTHON[environment], HERE / f"python/{program}_sdk.py"]


def node(program: str) -> list[Path]:
    """The command of an SDK for Node."""
    return [NODE, HERE / f"node/{program}.mjs", NODE_PACKAGES]


FIRST: dict[Name, list[Path]] = {
    ("anthropic", "python"): python("anthropic", "python"),
    ("anthropic", "previous python"): python("anthropic", "previous python"),
    ("anthropic", "node"): node("anthropic"),
    ("openai", "python"): python("openai", "python"),
    ("openai", "previous python"): python("openai", "previous python"),
    ("openai", "node"): node("openai"),
}
"""The SDKs that the tests of errors, credentials, base URLs and hanging up run through, one and all."""
COMMANDS: dict[Name, list[Path]] = FIRST | {
    **{(name, "python"): python(name) for name in ("google", "elevenlabs", "deepgram")},
    **{(name, "python"): python(name) for name in ("mistral", "cerebras", "dashscope")},
    ("http", "python"): python("http", "python"),
    ("realtime", "python"): python("realtime", "python"),
    **{(name, "node"): node(name) for name in ("google", "elevenlabs", "deepgram", "vercel", "langchain")},
}
PACKAGES: dict[Name, str] = {
    ("anthropic", "python"): "anthropic",
    ("anthropic", "previous python"): "anthropic (previous)",
    ("anthropic", "node"): "@anthropic-ai/sdk",
    ("openai", "python"): "openai",
    ("openai", "previous python"): "openai (previous)",
    ("openai", "node"): "openai (Node)",
    ("google", "python"): "google-genai",
    ("google", "node"): "@google/genai",
    ("elevenlabs", "python"): "elevenlabs",
    ("elevenlabs", "node"): "@elevenlabs/elevenlabs-js",
    ("deepgram", "python"): "deepgram-sdk",
    ("deepgram", "node"): "@deepgram/sdk",
    ("mistral", "python"): "mistralai",
    ("cerebras", "python"): "cerebras-cloud-sdk",
    ("dashscope", "python"): "dashscope",
    ("vercel", "node"): "ai",
    ("langchain", "node"): "@langchain",
    ("http", "python"): "",
    ("realtime", "python"): "openai",
}
"""What people install."""
WITH_V1 = ("openai", "realtime")
"""SDKs whose base URL ends in `/v1`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as the SDK made it; a retry is a further one."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What the SDK gave back, and what it sent for it."""

    raw: dict[str, Any]
    sent: list[Sent]

    def __getitem__(self, name: str) -> Any:
        assert name in self.raw, f"no `{name}`: {json.dumps(self.raw)[:2000]}"
        return self.raw[name]

    @property
    def request_id(self) -> str:
        """The id the gateway gave the call."""
        headers = self["headers"] if "error" not in self.raw else self.raw["error"]["headers"]
        assert headers["x-request-id"] == headers["request-id"]
        return headers["x-request-id"]

    @property
    def classes(self) -> list[str]:
        """The class of the error that was raised, and its ancestors."""
        return self["error"]["classes"]


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK."""

    vendor: str
    language: str
    version: str
    process: "subprocess.Popen[str]"

    @property
    def is_node(self) -> bool:
        return self.language == "node"

    def ask(
        self,
        deed: str,
        args: Mapping[str, Any] | None = None,
        *,
        origin: str,
        key: str,
        base_path: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Result:
        """Create a client with this key, do one thing with it, say how it went. `options` are the client's own."""
        if base_path is None:
            base_path = "/v1" if self.vendor in WITH_V1 else ""
        call = {
            "deed": deed,
            "base_url": origin + base_path,
            "key": key,
            "args": args or {},
            "options": options or {},
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        raw = _answer(self.process)
        sent = [
            Sent(one["target"], dict(one["headers"]), base64.b64decode(one["body"]))
            for one in raw.pop("sent")
        ]
        return Result(raw, sent)


OF_THE_CONNECTION = {
    *("host", "content-length", "accept-encoding", "connection", "authorization", "x-api-key"),
    "sec-fetch-mode",  # Node says it as a browser does, of the way to the gateway
}
"""Headers that belong to one connection, or are its credential; all others are the caller's."""


def assert_untouched(sent: Sent, arrived: Call, *, credential: dict[str, str]) -> None:
    """The provider got the path, the headers and the bytes of the SDK, and the operator's credential alone."""
    assert arrived.target == sent.target
    assert arrived.body == sent.body
    of_sdk = {name: value for name, value in sent.headers.items() if name not in OF_THE_CONNECTION}
    came = [(name.lower(), value) for name, value in arrived.headers]
    assert sorted(pair for pair in came if pair[0] not in OF_THE_CONNECTION) == sorted(of_sdk.items())
    assert {name: value for name, value in came if name in ("authorization", "x-api-key")} == credential


@contextmanager
def running_sdk(vendor: str, language: str) -> Generator[Sdk]:
    """An SDK that waits for calls. A missing one fails: `make test` installs all of them."""
    command = COMMANDS[vendor, language]
    missing = [str(file) for file in command if not file.exists()]
    assert not missing, f"{', '.join(missing)}: not installed; run `make test` once"
    environ = {"PATH": os.environ["PATH"], "NO_PROXY": "*"}
    process = subprocess.Popen(
        [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
    )
    try:
        yield Sdk(vendor, language, _answer(process)["version"], process)
    finally:
        process.kill()
        process.communicate()


def _answer(process: "subprocess.Popen[str]") -> Any:
    impatience = threading.Timer(ANSWER_S, process.kill)
    impatience.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
    finally:
        impatience.cancel()
        impatience.join()
    assert line, f"the SDK's program ended with {process.wait()}; what it said is above"
    return json.loads(line)
