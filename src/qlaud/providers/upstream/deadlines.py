"""One timer for all connections of a client.

A timer per request costs more than the request's own work in the loop. Here a deadline is a number that moves
freely; the timer stands at the earliest moment any of them may pass, looks at all when it fires, and stands
again. A deadline that moved later costs nothing, one that moved before the timer moves it.
"""

import asyncio
from collections.abc import Callable
from math import inf

PAUSE_S = 0.01
"""Between two looks, so that many deadlines close together cost few looks. A timeout may be this late."""


class Deadlines:
    """Calls `sweep(now_s)` in time; it returns the next moment to look (loop time, may be inf)."""

    __slots__ = ("_at_s", "_loop", "_sweep", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, sweep: Callable[[float], float]) -> None:
        self._loop, self._sweep = loop, sweep
        self._timer: asyncio.TimerHandle | None = None
        self._at_s = inf

    def watch(self, at_s: float) -> None:
        """Look no later than at `at_s`."""
        if at_s < self._at_s:
            self._stand(at_s)

    def stop(self) -> None:
        """Look no more, until watched again."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._at_s = None, inf

    def _stand(self, at_s: float) -> None:
        self.stop()
        self._at_s = at_s
        self._timer = self._loop.call_at(at_s, self._fire)

    def _fire(self) -> None:
        now_s = self._loop.time()
        self._timer, self._at_s = None, inf
        next_s = self._sweep(now_s)
        if next_s < inf:
            self.watch(max(next_s, now_s + PAUSE_S))
