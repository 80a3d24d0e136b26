"""The caller's side of a call under way: there, slow, or gone. The pump writes to it and need not ask which."""

import asyncio
from collections.abc import Awaitable

from qlaud.core.errors import QlaudError
from qlaud.flows.calls import Relay
from qlaud.ports import Clock, Headers


class Caller:
    """Wraps the relay: after `leave` every write is dropped, and one that blocks can be given up."""

    def __init__(self, relay: Relay, clock: Clock) -> None:
        self._relay = relay
        self._clock = clock
        self._blocked_since: float | None = None
        self._writer: asyncio.Task[object] | None = None
        self._given_up = False
        self.gone_since: float | None = None
        self.head_sent = False

    @property
    def gone(self) -> bool:
        """Whether nobody reads any more."""
        return self.gone_since is not None

    def leave(self) -> None:
        """The connection is gone."""
        if self.gone_since is None:
            self.gone_since = self._clock.ticks_ms()

    def blocked_ms(self, now_ticks_ms: float) -> float:
        """How long the write under way has been waiting for the caller to read."""
        return 0.0 if self._blocked_since is None else now_ticks_ms - self._blocked_since

    def give_up(self) -> None:
        """Take a caller who does not read for gone: the write that waits for it ends."""
        if self._writer is not None and not self._given_up:
            self._given_up = True
            self._relay.abort()
            self._writer.cancel()

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer at once."""
        self.head_sent = True
        if not self.gone:
            await self._write(self._relay.answer(status, headers, body))

    async def start(self, status: int, headers: Headers) -> None:
        """The head of an answer whose body follows."""
        self.head_sent = True
        if not self.gone:
            await self._write(self._relay.start(status, headers))

    async def write(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        if chunk and self.gone_since is None:
            await self._write(self._relay.write(chunk))

    async def end(self) -> None:
        """The clean end."""
        if not self.gone:
            await self._write(self._relay.end())

    async def fail(self, error: QlaudError) -> None:
        """An error of ours instead of an answer."""
        self.head_sent = True
        if not self.gone:
            await self._write(self._relay.fail(error))

    def abort(self) -> None:
        """Break the connection: the body is not whole."""
        if not self.gone:
            self._relay.abort()

    async def _write(self, writing: Awaitable[None]) -> None:
        self._blocked_since = self._clock.ticks_ms()
        self._writer = writer = asyncio.current_task()
        try:
            await writing
        except OSError:  # how a server says that the connection is gone
            self.leave()
        except asyncio.CancelledError:
            if not self._given_up:
                raise
            self.leave()
            if writer is not None and writer.uncancel() > 0:
                raise  # it was cut as well
        finally:
            self._blocked_since = self._writer = None
            self._given_up = False
