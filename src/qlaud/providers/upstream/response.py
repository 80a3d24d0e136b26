"""One answer: its head, the body bytes waiting to be read, and how it ended.

The connection fills it, the caller empties it. Invariants: buffered bytes are delivered before the end or the
fault is told; a fault, once told, is told again on every read; after `close` nothing more arrives.
"""

import asyncio
from typing import Protocol

from qlaud.ports import Headers, UpstreamBroken


class Feed(Protocol):
    """What a response needs of its connection."""

    def resume(self) -> None:
        """Read from the socket again: the buffer is empty."""
        ...

    def drop(self) -> None:
        """Hang up at once. Idempotent."""
        ...


class WireResponse:
    """Implements `ports.UpstreamResponse`. One reader at a time."""

    __slots__ = (
        "arrived",
        "buffered_bytes",
        "chunks",
        "ended",
        "fault",
        "feed",
        "headers",
        "loop",
        "status",
        "touched",
        "until_close",
        "waiter",
    )

    def __init__(self, feed: Feed, loop: asyncio.AbstractEventLoop) -> None:
        self.feed, self.loop = feed, loop
        self.status: int = 0
        self.headers: Headers = ()
        self.until_close = False
        """No length was promised: the end is the hang-up, and a body cut short cannot be told from a whole one."""
        self.touched = False
        """At least one byte of an answer came."""
        self.arrived = False
        """The head is complete: status and headers are set."""
        self.ended = False
        """The body came to its end on the wire."""
        self.fault: BaseException | None = None
        self.chunks: list[bytes] = []
        self.buffered_bytes = 0
        self.waiter: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """Everything that has arrived since the last read, b"" at the end.

        One chunk is handed over as it came, without a copy. Raises UpstreamBroken, UpstreamSlow.
        """
        while True:
            chunks = self.chunks
            if chunks:
                body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
                chunks.clear()
                self.buffered_bytes = 0
                if not self.ended:  # an ended response's connection may serve another one by now
                    self.feed.resume()
                return body
            if self.fault is not None:
                raise self.fault
            if self.ended:
                return b""
            await self._progress()

    async def head(self) -> None:
        """Return once the head has arrived. Raises the fault that came instead."""
        while not self.arrived:
            if self.fault is not None:
                raise self.fault
            await self._progress()

    def close(self) -> None:
        """Hang up unless the body came to its end; drop what was not read. A read under way raises UpstreamBroken."""
        self.chunks.clear()
        self.buffered_bytes = 0
        if not self.ended and self.fault is None:
            self.fail(UpstreamBroken("the response was closed before its end"))
            self.feed.drop()

    def fail(self, fault: BaseException) -> None:
        """Record why no more will come. The first reason stays."""
        if self.fault is None and not self.ended:
            self.fault = fault
            self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _progress(self) -> None:
        if self.waiter is not None:
            raise RuntimeError("two readers on one response")
        self.waiter = self.loop.create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None
