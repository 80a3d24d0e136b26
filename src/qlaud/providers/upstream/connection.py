"""One connection: bytes of a request out, a response in, one exchange at a time.

Hot path: no task, no timer of its own, one write for a request whose body is bytes. `deadline_s` is a plain
number that the client's one timer compares (see `deadlines`).

What makes a connection fit for another request, all of it: the response came to its end, nothing followed it,
the server agreed to keep alive, and the request was sent whole. Anything else hangs up.
"""

import asyncio
import select
from math import inf
from typing import Protocol, cast

from qlaud.ports import UpstreamBroken, UpstreamSlow, UpstreamUnreachable
from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.reader import Refused, ResponseReader
from qlaud.providers.upstream.response import WireResponse

JOIN_LIMIT_BYTES = 65_536
"""Up to here head and body are joined: the copy is cheaper than a second piece."""


class Unanswered(UpstreamBroken):
    """A reused connection ended before any byte of an answer. Callers of the client see UpstreamBroken."""


class Owner(Protocol):
    """Who keeps the connection between exchanges."""

    def release(self, connection: "Connection") -> None:
        """The exchange is over and another one may begin."""
        ...

    def gone(self, connection: "Connection") -> None:
        """The connection is lost or hung up; called once."""
        ...

    def watch(self, at_s: float) -> None:
        """See to it that `expire` is called when `at_s` (loop time) has passed."""
        ...


class Connection(asyncio.Protocol):
    """A TCP or TLS connection to one origin."""

    __slots__ = (
        "_exchange",
        "_limits",
        "_loop",
        "_owner",
        "_paused",
        "_poll",
        "_reader",
        "_request_sent",
        "_transport",
        "_used",
        "_waited_s",
        "_write_gate",
        "deadline_s",
        "dropped",
    )

    def __init__(self, owner: Owner, limits: UpstreamLimits, loop: asyncio.AbstractEventLoop) -> None:
        self._owner, self._limits, self._loop = owner, limits, loop
        self._reader = ResponseReader(limits)
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._write_gate: asyncio.Future[None] | None = None
        self._exchange: WireResponse | None = None
        self._paused = self._used = False
        self._request_sent = True
        self._waited_s = 0.0
        self.deadline_s = inf
        self.dropped = False

    # --- the caller's side ---

    @property
    def is_closing(self) -> bool:
        """Whether the loop already knows that the connection ends."""
        return self._transport is None or self._transport.is_closing()

    @property
    def takes_body(self) -> bool:
        """Whether sending on still has a point: connected, and no answer yet."""
        return self._transport is not None and self._exchange is not None and not self._exchange.arrived

    def is_stale(self) -> bool:
        """Whether the kernel already holds an end, an error or bytes nobody asked for. One system call.

        Only of a connection that was used: right after a TLS handshake session tickets may wait to be read.
        """
        return self.is_closing or self._poll is None or bool(self._poll.poll(0))

    def begin(self, head: bytes, body: bytes | None, *, head_only: bool, timeout_s: float) -> WireResponse:
        """Write a request and return the response to wait for. Without `body` an upload follows (`write`)."""
        exchange = self._exchange = WireResponse(self, self._loop)
        self._reader.begin(exchange, head_only=head_only)
        transport = self._transport
        if transport is None:
            exchange.fail(UpstreamUnreachable("the connection was lost before the request was sent"))
            return exchange
        if body is None:
            transport.write(head)
        elif len(body) <= JOIN_LIMIT_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        self._request_sent = body is not None
        self.wait_until(timeout_s if body is not None else inf)
        return exchange

    async def write(self, piece: bytes) -> None:
        """Send a piece of an upload; return when the socket takes more. The idle timeout runs while it does not."""
        if self._transport is not None and self.takes_body:
            self._transport.write(piece)
        if self._write_gate is not None and self.takes_body:
            self.wait_until(self._limits.idle_timeout_s)
            await self._write_gate
        if self.takes_body:
            self.wait_until(inf)  # the source may take its time: that is not the provider's silence

    def body_sent(self, timeout_s: float) -> None:
        """The upload is whole: wait for the answer."""
        if self.takes_body:
            self._request_sent = True
            self.wait_until(timeout_s)

    def wait_until(self, timeout_s: float) -> None:
        """Let `expire` come `timeout_s` from now, unless moved again."""
        self._waited_s = timeout_s
        self.deadline_s = self._loop.time() + timeout_s
        self._owner.watch(self.deadline_s)

    def resume(self) -> None:
        """Read the socket again if a full buffer stopped it."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
            self.wait_until(self._limits.idle_timeout_s)

    def drop(self) -> None:
        """Hang up at once; the slot is free when this returns. Idempotent."""
        if self.dropped:
            return
        self.dropped = True
        self.deadline_s = inf
        transport, self._transport = self._transport, None
        self._reader.stop()
        self._open_gate()
        self._owner.gone(self)
        if transport is not None:
            transport.abort()

    def expire(self) -> None:
        """The deadline has passed: an idle connection leaves, an exchange fails."""
        exchange, self._exchange = self._exchange, None
        self.drop()
        if exchange is not None:
            phase = "idle" if exchange.arrived or not self._request_sent else "first_byte"
            exchange.fail(UpstreamSlow(phase, self._waited_s))

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and the socket's number for `is_stale`."""
        if self.dropped:
            cast(asyncio.Transport, transport).abort()
            return
        self._transport = cast(asyncio.Transport, transport)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Parse, then act once for everything that was in `data`."""
        exchange = self._exchange
        if exchange is None:
            self.drop()
            return
        had_arrived = exchange.arrived
        try:
            self._reader.feed(data)
        except Refused as breach:
            self._break(f"the answer breaks HTTP/1.1: {breach}")
            return
        if self._reader.complete:
            self._finish(exchange)
        elif exchange.arrived:
            if exchange.buffered_bytes > self._limits.buffer_bytes and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
                self.deadline_s = inf  # waiting for our own reader is not the provider's silence
            elif had_arrived:
                # Later than before, so the timer need not know.
                self.deadline_s = self._loop.time() + self._limits.idle_timeout_s
            else:
                self.wait_until(self._limits.idle_timeout_s)
            exchange.wake()

    def eof_received(self) -> None:
        """The server hung up: the proper end only of a body without a promised length."""
        exchange = self._exchange
        if exchange is not None and exchange.until_close:
            self._exchange = None
            exchange.ended = True
            self.drop()
            exchange.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was still under way has failed."""
        self._break(f"the connection was lost ({exc})" if exc else "the server closed the connection early")

    def pause_writing(self) -> None:
        """The socket is full: `write` waits."""
        if self._write_gate is None:
            self._write_gate = self._loop.create_future()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._open_gate()

    # --- endings ---

    def _finish(self, exchange: WireResponse) -> None:
        self._exchange = None
        exchange.ended = True
        if self._reader.keep_alive and self._request_sent and not self.is_closing:
            self._used = True
            self.resume()
            self._owner.release(self)
        else:
            self.drop()
        exchange.wake()

    def _break(self, reason: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._reader.complete:
            exchange.ended = True  # what followed the end spoils the connection, not the response
            exchange.wake()
        elif exchange is not None:
            exchange.fail(
                UpstreamBroken(reason) if exchange.touched or not self._used else Unanswered(reason)
            )
        self.drop()

    def _open_gate(self) -> None:
        gate, self._write_gate = self._write_gate, None
        if gate is not None and not gate.done():
            gate.set_result(None)
