"""The load generator's HTTP client: one kept-alive connection as an asyncio Protocol, little work per byte.

It reads only what it must: the status, where the answer ends, and how many events went by (MARK bytes).
"""

import asyncio
from collections.abc import Callable
from typing import cast

from bench.answers import MARK

LAST_CHUNK = b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    """Sends one request at a time; calls `on_answer(connection, complaint)` when its answer has ended.

    `complaint` is empty for a good answer. A connection that breaks under a request is such an answer too.
    """

    def __init__(self, request: bytes, on_answer: Callable[["Connection", str], None]) -> None:
        self.request = request
        self.started_at = 0.0
        """When the request was due, for the caller's own use."""
        self.events = 0
        """Streamed events seen on this connection so far."""
        self.alive = False
        self.has_events = False
        """Whether the answer under way has brought an event."""
        self._on_answer = on_answer
        self._busy = False
        self._head = b""
        self._tail = b""
        self._left = -1
        """Body bytes still to come; -1: reading the head; -2: chunked."""
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses
        self.alive = True

    def connection_lost(self, exc: Exception | None) -> None:
        """A break under a request is an answer with a complaint."""
        self.alive = False
        if self._busy:
            self._busy = False
            self._on_answer(self, f"connection lost: {exc or 'closed by peer'}")

    def send(self) -> None:
        """Sends the request; the answer before must have ended."""
        self._busy, self._left, self.has_events = True, -1, False
        self._transport.write(self.request)

    def close(self) -> None:
        """Hangs up without a word to the caller."""
        self._busy = False
        if self.alive:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Follows the answer to its end."""
        if not self._busy:
            return
        if self._left == -1:
            data = self._read_head(data)
            if self._left == -1:
                return
        if self._left == -2:
            marks = data.count(MARK)
            if marks:
                self.events += marks
                self.has_events = True
            tail = (self._tail + data)[-7:] if len(data) < 7 else data[-7:]
            self._tail = tail
            ended = tail == LAST_CHUNK
        else:
            self._left -= len(data)
            ended = self._left <= 0
        if ended:
            self._busy = False
            self._on_answer(self, "" if self._status == 200 else f"status {self._status}: {data[:200]!r}")

    def _read_head(self, data: bytes) -> bytes:
        """The body bytes in `data`, once the head is complete; `_left` tells."""
        data = self._head + data if self._head else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return b""
        self._head, self._tail = b"", b"\r\n"
        head = data[:end].lower()
        self._status = int(head[9:12])
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            line_end = head.find(b"\r\n", at + 2)
            self._left = int(head[at + 17 : line_end if line_end > 0 else len(head)])
        else:
            self._left = -2
        return data[end + 4 :]


def request_bytes(port: int, path: str, key: str, body: str) -> bytes:
    """A whole request as the Anthropic SDK would send it, less its decorations."""
    payload = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n"
        "anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\naccept: application/json\r\n"
        f"user-agent: bench\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload
