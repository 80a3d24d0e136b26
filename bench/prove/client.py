"""A raw HTTP/1.1 client for callers of the gateway: it can leave at any byte, and keeps what the audit needs."""

import asyncio
import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bench.prove.scenario import Call, HangUp

PATIENCE_S = 40.0
GONE = (ConnectionError, asyncio.IncompleteReadError, EOFError)


class Left(Exception):
    """The plan said to leave here."""


@dataclass(slots=True)
class Seen:
    """What a client saw of one call."""

    call: Call
    sent_ms: int = 0
    answered_ms: int = 0
    status: int = 0
    request_id: str = ""
    code: str = ""
    body_bytes: int = 0
    whole: bool = False
    left: bool = False
    broken: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Connection:
    """One kept-alive connection to one gateway; it is opened when needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The streams, connected."""
        if self._reader is None or self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self._reader, self._writer

    def close(self, *, reset: bool = False) -> None:
        """Hang up; with `reset` as a process that dies with bytes unread."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is None:
            return
        if reset:
            line = writer.get_extra_info("socket")
            with suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    async def request(self, method: str, path: str, secret: str, body: Any = None) -> tuple[int, Any]:
        """A management call: status and JSON."""
        text = b"" if body is None else json.dumps(body).encode()
        for attempt in (1, 2):
            try:
                reader, writer = await self.open()
                writer.write(head(method, path, secret, len(text)) + text)
                status, headers = await read_head(reader)
                answer = b"".join([part async for part in read_body(reader, headers)])
                return status, json.loads(answer)
            except GONE:
                self.close()
                if attempt == 2:
                    raise
        raise AssertionError


def head(method: str, path: str, secret: str, length: int) -> bytes:
    """The head of a request."""
    return (
        f"{method} {path} HTTP/1.1\r\nhost: gateway\r\nx-api-key: {secret}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    text = await reader.readuntil(b"\r\n\r\n")
    first, *lines = text.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> Any:
    """The parts of a body as they come; ends where the body ends. Raises what breaks it."""
    if "content-length" in headers:
        left = int(headers["content-length"])
        while left:
            part = await reader.read(min(left, 65_536))
            if not part:
                raise EOFError("cut")
            left -= len(part)
            yield part
        return
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        if size:
            yield await reader.readexactly(size)
        await reader.readexactly(2)
        if not size:
            return


async def perform(connection: Connection, secret: str, call: Call) -> Seen:
    """Send one call as planned. Never raises for what a gateway or a network can do."""
    seen = Seen(call)
    seen.sent_ms = time.time_ns() // 1_000_000
    try:
        async with asyncio.timeout(PATIENCE_S):
            await _exchange(connection, secret, call, seen)
    except Left:
        seen.left = True
        plan = call.hang_up
        connection.close(reset=plan is not None and plan.reset)
    except TimeoutError:
        seen.broken = "no end within the patience of the client"
        connection.close()
    except (*GONE, OSError, ValueError) as fault:
        seen.broken = f"{type(fault).__name__}: {fault}"
        connection.close()
    seen.answered_ms = time.time_ns() // 1_000_000
    return seen


async def _exchange(connection: Connection, secret: str, call: Call, seen: Seen) -> None:
    plan = call.hang_up
    reader, writer = await connection.open()
    request = head("POST", call.path, secret, len(call.body)) + call.body
    if plan is not None and plan.stage == "body":
        writer.write(request[: max(1, len(request) - plan.after_bytes)])
        await _leave(plan)
    writer.write(request)
    if plan is not None and plan.stage == "sent":
        await _leave(plan)
    seen.status, seen.headers = await read_head(reader)
    seen.request_id = seen.headers.get("x-request-id", "")
    if plan is not None and plan.stage == "head" and seen.status == 200:
        await _leave(plan)
    refusal = bytearray()
    async for part in read_body(reader, seen.headers):
        seen.body_bytes += len(part)
        if seen.status != 200 and len(refusal) < 10_000:
            refusal += part
        if (
            plan is not None
            and plan.stage == "body_read"
            and seen.status == 200
            and seen.body_bytes >= plan.after_bytes
        ):
            await _leave(plan)
    seen.whole = True
    if refusal:
        seen.code = _code(bytes(refusal))
    if seen.headers.get("connection", "").lower() == "close":
        connection.close()


async def _leave(plan: HangUp) -> None:
    await asyncio.sleep(plan.wait_ms / 1000)
    raise Left


def _code(text: bytes) -> str:
    """The gateway's own code in a refusal; "" in a provider's."""
    try:
        error = json.loads(text).get("error")
    except ValueError:
        return ""
    return str(error.get("code") or "") if isinstance(error, dict) else ""
