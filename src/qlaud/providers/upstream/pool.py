"""The connections of one origin: taken last-in first-out, limited, waited for in order.

Invariants: open connections plus those being opened never pass the limit; nobody waits while a connection is
idle or a slot is free; a slot that is given up, for whatever reason, goes to the one who waits longest.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from qlaud.ports import UpstreamUnreachable
from qlaud.providers.upstream.connection import Connection, Owner
from qlaud.providers.upstream.deadlines import Deadlines
from qlaud.providers.upstream.limits import UpstreamLimits

Dial = Callable[[Owner], Awaitable[Connection]]


@dataclass(slots=True)
class Counts:
    """Totals of a client since its start."""

    opened: int = 0
    reused: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class Waiter:
    """One who waits: resolved with a connection, or with None for a slot to open one in."""

    granted: "asyncio.Future[Connection | None]"
    until_s: float


class OriginPool:
    """Owner of every connection to one origin."""

    def __init__(self, dial: Dial, *, limits: UpstreamLimits, deadlines: Deadlines, counts: Counts) -> None:
        self._dial, self._limits, self._deadlines, self._counts = dial, limits, deadlines, counts
        self._waiters: deque[Waiter] = deque()
        self._opening = 0
        self._closed = False
        self.connections: set[Connection] = set()
        self.idle: list[Connection] = []

    def take(self) -> Connection | None:
        """The idle connection used last that the server has not hung up on; None if there is none."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.is_stale():
                self._counts.reused += 1
                return connection
            connection.drop()
        return None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection ready for a request; with `fresh` one that served none before.

        Raises UpstreamUnreachable (no connection, or none free in time), UpstreamSlow (connect).
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._limits.pool_wait_s
        while True:
            if self._closed:
                raise UpstreamUnreachable("this client is closed")
            if not fresh and (connection := self.take()) is not None:
                return connection
            if fresh and self.idle and self._is_full():
                self.idle.pop(0).drop()
            if not self._is_full():
                self._opening += 1
                return await self._open()
            connection = await self._wait(Waiter(loop.create_future(), until_s))
            if connection is None:
                return await self._open()
            if not fresh and not connection.is_stale():
                self._counts.reused += 1
                return connection
            connection.drop()

    def release(self, connection: Connection) -> None:
        """Take back a connection that is fit for another exchange."""
        if connection.dropped:
            return  # lost meanwhile: its slot was given on by `gone`
        waiter = self._first_waiter()
        if waiter is not None:
            connection.deadline_s = inf
            waiter.granted.set_result(connection)
        elif self._closed or len(self.idle) >= self._limits.max_idle_per_origin:
            connection.drop()
        else:
            self.idle.append(connection)
            connection.wait_until(self._limits.idle_keepalive_s)

    def gone(self, connection: Connection) -> None:
        """Forget a connection; its slot goes to the first who waits."""
        if connection in self.connections:
            self.connections.remove(connection)
            if connection in self.idle:
                self.idle.remove(connection)
            self._grant_slot()

    def watch(self, at_s: float) -> None:
        """Look at the deadlines no later than `at_s`."""
        self._deadlines.watch(at_s)

    def sweep(self, now_s: float) -> float:
        """Let everything fail whose time has passed; the next moment to look."""
        next_s = inf
        for connection in tuple(self.connections):
            if connection.deadline_s <= now_s:
                connection.expire()
            elif connection.deadline_s < next_s:
                next_s = connection.deadline_s
        while self._waiters and (self._waiters[0].until_s <= now_s or self._waiters[0].granted.done()):
            waiter = self._waiters.popleft()
            if not waiter.granted.done():
                limit = self._limits.max_connections_per_origin
                reason = f"all {limit} connections were busy for {self._limits.pool_wait_s:g} s"
                waiter.granted.set_exception(UpstreamUnreachable(reason))
        return min(next_s, self._waiters[0].until_s) if self._waiters else next_s

    def close(self) -> None:
        """Hang up what is idle, refuse who waits. Exchanges under way go on and hang up when they end."""
        self._closed = True
        while (waiter := self._first_waiter()) is not None:
            waiter.granted.set_exception(UpstreamUnreachable("this client is closed"))
        for connection in tuple(self.idle):
            connection.drop()

    async def _open(self) -> Connection:
        """Open a connection in the slot that was counted in `_opening`."""
        opened = False
        try:
            connection = await self._dial(self)
            opened = not connection.is_closing
        finally:
            self._opening -= 1
            if not opened:
                self._grant_slot()
        if not opened:
            connection.drop()
            raise UpstreamUnreachable("the server closed the connection before the request was sent")
        self.connections.add(connection)
        self._counts.opened += 1
        return connection

    async def _wait(self, waiter: Waiter) -> Connection | None:
        self._waiters.append(waiter)
        self._deadlines.watch(waiter.until_s)
        granted = waiter.granted
        try:
            return await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._give_back(granted.result())
            raise

    def _give_back(self, connection: Connection | None) -> None:
        if connection is not None:
            self.release(connection)
        else:
            self._opening -= 1
            self._grant_slot()

    def _grant_slot(self) -> None:
        waiter = None if self._is_full() else self._first_waiter()
        if waiter is not None:
            self._opening += 1
            waiter.granted.set_result(None)

    def _first_waiter(self) -> Waiter | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.granted.done():
                return waiter
        return None

    def _is_full(self) -> bool:
        return len(self.connections) + self._opening >= self._limits.max_connections_per_origin
