"""The task that owns one live session, from its handshake to its last settlement.

    up      caller → provider: a frame is offered to the meter, its money is covered, then it goes on
    down    provider → caller: a frame is read by the meter and goes on; who reads slowly is waited for
    keep    once a second, and when the provider said something about money: settle, hold, cover time that passes

Whichever ends first ends the session: the caller leaves, the provider ends, no money is left, the gateway stops. Then
the provider is asked for its last word, if it has one, and every slice is settled. Frames are never changed but for a
credential that stands in one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from msgspec import Struct

from qlaud.core.errors import Internal, QlaudError, ShuttingDown
from qlaud.flows.live_calls import LiveCaller
from qlaud.flows.live_money import SWITCHING, Strand
from qlaud.ports import Clock, Headers, LiveEnd, LiveSocket
from qlaud.wire.live import Frame, Meter, SecondMeter
from qlaud.wire.live_partings import is_sendable
from qlaud.wire.live_shelf import LiveWire

logger = logging.getLogger("qlaud.live")

KEEP_S = 1.0
LAST_WORD_S = 5.0
"""How long a provider is waited for that has still to say what it billed."""
CLOSE_S = 2.0
"""How long its close frame is waited for; then the connection is cut."""
NORMAL = 1000
GOING_AWAY = 1001
NO_CODE = 1005
VANISHED = 1006
BAD_GATEWAY = 502


class CallerLeft(Struct, frozen=True, gc=False):
    """The caller closed its side, or vanished."""

    end: LiveEnd


class ProviderEnded(Struct, frozen=True, gc=False):
    """The provider closed its side, or vanished."""

    end: LiveEnd


class Refused(Struct, frozen=True, gc=False):
    """It cannot go on: no money, a revoked key, the gateway stops."""

    error: QlaudError


CheckForeign = Callable[[str], Awaitable[None]]
"""Raises what refuses a caller who names something of the operator's account."""

Why = CallerLeft | ProviderEnded | Refused


OpenSecond = Callable[[str, SecondMeter], Awaitable[Strand]]
"""A strand, with its first slice, for a model that a session begins to use on the way. Raises what refuses it."""


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What the deployment says about sessions."""

    client_stall_s: float
    drain_by_default: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What a session is made of."""

    wire: LiveWire
    meter: Meter
    strand: Strand
    """The money of its model."""
    socket: LiveSocket
    open_second: OpenSecond
    check_foreign: CheckForeign
    opening: Frame | None = None
    """A message of the caller that goes first: offered to the meter and covered already."""


class Session:
    """One open session. `run` is its task."""

    def __init__(self, parts: Parts, clock: Clock, terms: SessionTerms) -> None:
        self._wire, self._meter, self._strand = parts.wire, parts.meter, parts.strand
        self._socket, self._open_second = parts.socket, parts.open_second
        self._check_foreign, self._opening_frame = parts.check_foreign, parts.opening
        self._clock, self._terms = clock, terms
        self._others: dict[str, Strand] = {}
        self._opening = asyncio.Lock()
        self._began = clock.ticks_ms()
        self._over: asyncio.Future[Why] = asyncio.get_running_loop().create_future()
        self._told = asyncio.Event()
        self._reads = True
        """Whether the caller still gets what the provider sends."""
        self._ended = False
        """The provider's side is over."""

    def shut_down(self) -> None:
        """No more time: settle with what was seen."""
        self._end(Refused(ShuttingDown()))

    async def run(self, caller: LiveCaller, headers: Headers) -> None:
        """The whole life of the session, from the answer to the handshake on.

        Never raises but when cancelled; then its holds are found lost.
        """
        await self._told_caller(caller.accept(self._socket.subprotocol, headers))
        up = asyncio.create_task(self._guarded(self._upwards(caller)))
        down = asyncio.create_task(self._guarded(self._downwards(caller)))
        keep = asyncio.create_task(self._guarded(self._keep()))
        try:
            why = await self._over
            await _stopped(up, keep)
            await self._finish(why, caller, down)
        except BaseException:
            self._forget()
            raise
        finally:
            await _stopped(up, down, keep)
            self._socket.abort()

    async def _guarded(self, work: Awaitable[None]) -> None:
        """`work`; what breaks it ends the session."""
        try:
            await work
        except QlaudError as error:
            self._end(Refused(error))
        except Exception:
            logger.exception("a live session broke", extra={"request_id": str(self._strand.last_hold.id)})
            self._end(Refused(Internal()))

    def _end(self, why: Why) -> None:
        if not self._over.done():
            self._over.set_result(why)

    # --- the two directions ---

    async def _upwards(self, caller: LiveCaller) -> None:
        cleaned = self._wire.cleaned
        if self._opening_frame is not None:
            self._meter.sent()
            if not await self._socket.send(self._opening_frame):
                return
        while True:
            frame = await caller.receive()
            if isinstance(frame, LiveEnd):
                self._end(CallerLeft(frame))
                return
            if cleaned is not None:
                frame = cleaned(frame)
            self._meter.offer(frame)
            try:
                await check_offered(self._meter, self._check_foreign)
                await self._cover()
            except BaseException:
                self._meter.withdraw()
                raise
            self._meter.sent()
            if not await self._socket.send(frame):
                return  # the other direction knows how it ended

    async def _downwards(self, caller: LiveCaller) -> None:
        while True:
            frame = await self._socket.receive()
            if isinstance(frame, LiveEnd):
                self._ended = True
                self._end(ProviderEnded(frame))
                self._told.set()
                return
            if self._meter.seen(frame):
                self._told.set()
            if self._reads:
                await self._relay(caller, frame)

    async def _relay(self, caller: LiveCaller, frame: Frame) -> None:
        try:
            async with asyncio.timeout(self._terms.client_stall_s):
                await caller.send(frame)
        except (OSError, TimeoutError):
            caller.cut()
            self._reads = False
            self._end(CallerLeft(LiveEnd(VANISHED, "")))

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_S):
                    await self._told.wait()
            self._told.clear()
            self._pass_time()
            await self._cover()
            await self._strand.ease()

    async def _cover(self) -> None:
        """Return when the money of everything offered and begun is held."""
        await self._strand.cover()
        second = self._meter.second
        if second is not None:
            name, meter = second
            async with self._opening:
                if name not in self._others:
                    self._others[name] = await self._open_second(name, meter)
            await self._others[name].cover()

    def _pass_time(self) -> None:
        self._meter.passed(int(self._clock.ticks_ms() - self._began))

    # --- the end ---

    async def _finish(self, why: Why, caller: LiveCaller, down: asyncio.Task[None]) -> None:
        clean, code = False, NORMAL
        match why:
            case ProviderEnded(end):
                clean = end.code != VANISHED
                await _stopped(down)
                await self._pass_on(caller, end)
            case Refused(error):
                self._reads = False
                await self._told_caller(caller.fail(error))
                clean = await self._last_word(down)
            case CallerLeft(end):
                self._reads = False
                code = end.code if is_sendable(end.code) else GOING_AWAY
                clean = await self._last_word(down)
        await self._settle(clean=clean, broke=isinstance(why, ProviderEnded) and not clean)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close(code)

    async def _last_word(self, down: asyncio.Task[None]) -> bool:
        """Ask the provider for what it has still to say. Whether it ended by itself."""
        if self._drains() and not self._meter.told_all:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD_S):
                    for frame in self._meter.farewell():
                        await self._socket.send(frame)
                    while not self._meter.told_all and not self._ended:
                        await self._told.wait()
                        self._told.clear()
        self._pass_time()
        await _stopped(down)
        return self._ended

    async def _settle(self, *, clean: bool, broke: bool) -> None:
        status = BAD_GATEWAY if broke else SWITCHING
        self._pass_time()
        await self._strand.end(clean=clean, status=status)
        for strand in self._others.values():
            await strand.end(clean=clean)

    async def _pass_on(self, caller: LiveCaller, end: LiveEnd) -> None:
        """Close the caller's side as the provider closed its own; one that vanished is no end that can be said."""
        if end.code == NO_CODE:
            await self._told_caller(caller.close(NORMAL, ""))
        elif is_sendable(end.code):
            await self._told_caller(caller.close(end.code, end.reason))

    async def _told_caller(self, telling: Awaitable[None]) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(LAST_WORD_S):
                await telling

    def _drains(self) -> bool:
        policy = self._strand.last_hold.on_disconnect
        return policy == "drain" or (policy is None and self._terms.drain_by_default)

    def _forget(self) -> None:
        for strand in (self._strand, *self._others.values()):
            strand.forget()


async def check_offered(meter: Meter, check_foreign: CheckForeign) -> None:
    """Raises the QlaudError of a frame that may not go on, however much money there is."""
    if meter.refused is not None:
        raise meter.refused
    if meter.foreign is not None:
        await check_foreign(meter.foreign)


async def _stopped(*tasks: asyncio.Task[None]) -> None:
    """Return when these tasks have ended, cancelled if need be."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
