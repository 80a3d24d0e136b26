"""Drives the simulator directly, and over a loopback socket for the vendors' own SDKs."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from qlaud.ports import UpstreamRequest
from qlaud.providers.simulator import Simulator

MESSAGES = b"/v1/messages"
COUNT = b"/v1/messages/count_tokens"
CHAT = b"/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello there, how are you?"}]
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
ANTHROPIC_TOOL = {"name": "look_up", "description": "Look it up", "input_schema": SCHEMA}
OPENAI_TOOL = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}


@dataclass
class Got:
    """An answer read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    reads: list[bytes]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The data of each event, `[DONE]` left out."""
        lines = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]
        return [json.loads(line) for line in lines if line != b"[DONE]"]


class Pauses:
    """Counts the pauses instead of making them."""

    def __init__(self) -> None:
        self.made_s: list[float] = []

    async def __call__(self, pause_s: float) -> None:
        self.made_s.append(pause_s)


def request(target: bytes, body: Any, **more: Any) -> UpstreamRequest:
    raw = body if isinstance(body, bytes) or hasattr(body, "__aiter__") else json.dumps(body).encode()
    return UpstreamRequest("POST", "http://simulator", target, [], raw, **more)


def ask(target: bytes, body: Any, simulator: Simulator | None = None) -> Got:
    async def main() -> Got:
        response = await (simulator or Simulator(pause=Pauses())).send(request(target, body))
        reads: list[bytes] = []
        while portion := await response.read():
            reads.append(portion)
        headers = {name.decode(): value.decode() for name, value in response.headers}
        return Got(response.status, headers, b"".join(reads), reads)

    return asyncio.run(main())


def messages(model: str = "sim/echo", **fields: Any) -> Got:
    return ask(MESSAGES, {"model": model, "max_tokens": 100, "messages": HELLO, **fields})


def chat(model: str = "sim/echo", **fields: Any) -> Got:
    return ask(CHAT, {"model": model, "messages": HELLO, **fields})


@asynccontextmanager
async def served(simulator: Simulator) -> AsyncIterator[str]:
    """The origin of a loopback server that hands every request to the simulator."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        method, target, _ = first.split(" ")
        response = await simulator.send(
            UpstreamRequest(method, "http://simulator", target.encode(), [], body)
        )
        writer.write(b"HTTP/1.1 %d OK\r\nconnection: close\r\n" % response.status)
        writer.writelines(b"%b: %b\r\n" % pair for pair in response.headers)
        writer.write(b"\r\n")
        while portion := await response.read():
            writer.write(portion)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
