"""The task that owns the money of one call, from its hold to its settlement.

It sends the call, reads the provider's answer to its end, lets the tap read the usage, and relays what it reads
to the caller while there is one. A caller that leaves, a provider that dies and a shutdown each end here, in
exactly one settlement (`call_books`); a crash leaves the hold, which is found lost.

    whole    the answer is buffered (up to a limit), settled, then relayed with its cost in a header
    stream   relayed as it comes, settled before its end; when it runs past its hold, the hold grows or it is cut
    refused  the provider's error: the hold is released, unless the body says that it billed
    job      the call began one: its hold is handed over, the answer goes out, and the job's own record settles it
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from qlaud.core.errors import Internal, ProviderRefused, QlaudError, ShuttingDown
from qlaud.core.ledger import Hold
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing
from qlaud.flows.answers import answer_headers, fault_error, provider_error, tell_cost
from qlaud.flows.call_books import CallBooks
from qlaud.flows.caller import Caller
from qlaud.flows.calls import Prepared, Relay
from qlaud.flows.decoding import Decoder, Identity, decoder_for
from qlaud.flows.limit import OutputLimit
from qlaud.flows.metered import Metered as Calls
from qlaud.flows.reach import NotReached, reach
from qlaud.flows.read_answer import ERROR_BODY_LIMIT_BYTES
from qlaud.ports import Clock, Headers, UpstreamFault, UpstreamResponse
from qlaud.wire.array_tap import inserted
from qlaud.wire.sse import split_events
from qlaud.wire.types import AnswerHead, Tap

logger = logging.getLogger("qlaud.pump")

ENCODED = frozenset((b"content-encoding", b"content-length"))
LENGTH = frozenset((b"content-length",))
CLIENT_CLOSED_REQUEST = 499
"""What the event of a call says whose caller left before there was an answer; nobody is sent it."""

Cut = Literal["client left", "drained too long", "shutdown"]


@dataclass(frozen=True, slots=True)
class PumpTerms:
    """What the deployment says about calls under way."""

    markup_bp: int
    buffer_bytes: int
    """Whole answers up to this size wait for their settlement and carry their cost."""
    drain_max_ms: float
    client_stall_ms: float
    settle_patience_ms: float
    """How long a whole answer waits for a ledger that does not answer."""
    drain_by_default: bool


class Pump:
    """One call under way. `run` is its task; the edge tells it when the caller has left."""

    def __init__(
        self, prepared: Prepared, hold: Hold, relay: Relay, calls: Calls, clock: Clock, *, terms: PumpTerms
    ) -> None:
        self._prepared, self._calls = prepared, calls
        self._clock, self._terms = clock, terms
        self._caller = Caller(relay, clock)
        self._books = CallBooks(prepared, hold, calls, clock, markup_bp=terms.markup_bp)
        self._response: UpstreamResponse | None = None
        self._decoder: Decoder = Identity()
        self._tap: Tap | None = None
        self._task: asyncio.Task[None] | None = None
        self._cut: Cut | None = None
        self._status = 200
        self._parting: Callable[[], Awaitable[None]] | None = None
        """What the caller of a whole answer or stream gets last, once it is settled."""
        self._late: asyncio.Task[None] | None = None
        self._running = False

    def start(self) -> "asyncio.Task[None]":
        """Begin. The task never raises."""
        self._task = asyncio.create_task(self.run())
        return self._task

    def client_left(self) -> None:
        """The caller's connection is gone: drain or cancel, as its key says."""
        if not self._caller.gone:
            self._caller.leave()
            if self._cancels_when_left():
                self._cut_off("client left")

    def shut_down(self) -> None:
        """No more time: settle with what was seen."""
        self._cut_off("shutdown")

    def tick(self) -> None:
        """Look after the limits that pass with time. Called about once a second; waits for nobody."""
        now = self._clock.ticks_ms()
        gone_since = self._caller.gone_since
        if gone_since is not None and self._cancels_when_left():
            self._cut_off("client left")  # one who was given up
        elif gone_since is not None and now - gone_since > self._terms.drain_max_ms:
            self._cut_off("drained too long")
        elif self._caller.blocked_ms(now) > self._terms.client_stall_ms:
            self._caller.give_up()
        elif self._parting is not None and self._books.settling_ms(now) > self._terms.settle_patience_ms:
            self._late = asyncio.create_task(self._part())

    async def run(self) -> None:
        """The whole life of the call."""
        self._running = True
        try:
            await self._until_cut()
        except Exception:
            logger.exception("a call broke", extra={"request_id": str(self._books.hold.id)})
            self._tap = None  # it may be what broke
            await self._end_broken(Internal())
        finally:
            if self._response is not None:
                self._response.close()
            self._books.abandon()
            if self._prepared.incoming.upload is not None:
                self._prepared.incoming.upload.close()

    async def _until_cut(self) -> None:
        try:
            if self._cut is not None or self._caller.gone:
                await self._never_leave()
            else:
                await self._serve()
            if self._late is not None:
                await self._late
        except asyncio.CancelledError:
            if self._cut is None or self._books.settled:
                raise
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            logger.info("a call was cut", extra={"request_id": str(self._books.hold.id), "reason": self._cut})
            given = self._status if self._response is not None else CLIENT_CLOSED_REQUEST
            await self._end_broken(ShuttingDown(), None if self._cut == "shutdown" else given)

    async def _never_leave(self) -> None:
        """The caller left, or the gateway stops, before anything was sent: as if it had not been asked."""
        await self._books.void()
        await self._caller.fail(ShuttingDown())

    async def _serve(self) -> None:
        books = self._books
        reached = await reach(self._prepared, books.hold)
        if isinstance(reached, NotReached):
            books.route = reached.route
            error = fault_error(reached.route, reached.fault)
            await books.settle(books.as_asked() if reached.fault.started else Nothing(), error.status)
            await self._caller.fail(error)
            return
        self._response = response = reached.response
        self._status = response.status
        self._decoder = decoder_for(response.headers)
        books.served(reached.route, response.headers)
        self._tap = tap = self._prepared.incoming.wire.tap(
            self._prepared.call,
            strip_usage=self._prepared.call.stream and not self._prepared.call.wants_usage,
            head=AnswerHead(response.status, response.headers),
        )
        try:
            if response.status >= 300:
                await self._refused(response, tap)
            elif tap.as_it_comes:
                await self._stream(response, tap)
            else:
                await self._whole(response, tap)
        except UpstreamFault as fault:
            await self._end_broken(fault_error(books.route, fault))

    async def _refused(self, response: UpstreamResponse, tap: Tap) -> None:
        decoder = self._decoder
        body = b""
        while len(body) < ERROR_BODY_LIMIT_BYTES and (chunk := await response.read()):
            body += decoder.decode(chunk)
        tap.feed(body)
        tap.finish()
        outcome = self._outcome(tap)  # a refusal costs what it tells itself, never an estimate
        charged = await self._books.settle(
            outcome if isinstance(outcome, Exact) else Nothing(), response.status
        )
        error = provider_error(
            self._prepared.incoming.wire, self._books.route, response.status, response.headers, body
        )
        if isinstance(error, ProviderRefused) and response.status < 500 and response.status != 429:
            headers = self._headers(response.headers, ENCODED)
            if charged is not None:
                tell_cost(headers, self._books.hold, charged)
            await self._caller.answer(response.status, headers, body)
        else:
            await self._caller.fail(error)

    async def _whole(self, response: UpstreamResponse, tap: Tap) -> None:
        decoder = self._decoder
        parts: list[bytes] = []
        size = 0
        while chunk := await response.read():
            tap.feed(decoder.decode(chunk))
            size += len(chunk)
            if size <= self._terms.buffer_bytes:
                parts.append(chunk)
                continue
            if not self._caller.head_sent:
                await self._caller.start(self._status, self._headers(response.headers, frozenset()))
            await self._caller.write(b"".join((*parts, chunk)))
            parts.clear()
        tap.finish()
        await self._books.note_owner(tap)
        headers = self._headers(response.headers, LENGTH)
        if self._caller.head_sent:
            self._parting = self._caller.end
        else:
            self._parting = partial(self._caller.answer, self._status, headers, b"".join(parts))
        charged = await self._books.settle(self._outcome(tap), response.status)
        if charged is not None:
            tell_cost(headers, self._books.hold, charged)
        await self._part()

    async def _stream(self, response: UpstreamResponse, tap: Tap) -> None:
        decoder = self._decoder
        books, caller = self._books, self._caller
        limit = OutputLimit(books.hold, self._prepared)
        await caller.start(
            self._status,
            self._headers(response.headers, LENGTH if isinstance(decoder, Identity) else ENCODED),
        )
        while chunk := await response.read():
            relayed = tap.feed(decoder.decode(chunk))
            if books.keeps:
                await books.note_owner(tap)
            if tap.started and books.first_token_ms is None:
                books.note_first_token()
            if tap.output_floor > limit.tokens:
                if not await limit.grow(self._calls, tap.output_floor):
                    await self._end_at_cap(response, tap, relayed)
                    return
                books.hold = limit.hold
            await caller.write(relayed)
        await caller.write(tap.finish())
        self._parting = caller.end
        await books.settle(self._outcome(tap), response.status)
        await self._part()

    async def _end_at_cap(self, response: UpstreamResponse, tap: Tap, relayed: bytes) -> None:
        """The provider ran past its limit and no more can be held: end with the format's own length stop.

        `relayed` was not written yet: an event that has only begun in it is left out.
        """
        response.close()
        outcome = self._outcome(tap)
        used = outcome.usage if isinstance(outcome, (AtLeast, Exact)) else None
        if not tap.at_boundary:
            relayed = b"".join(split_events(relayed)[0])
        await self._caller.write(relayed)
        whole = tap.at_boundary or relayed != b""
        if whole:
            await self._caller.write(self._prepared.incoming.wire.length_stop(tap, used))
        await self._books.settle(outcome, self._status)
        if whole:
            await self._caller.end()
        else:
            self._caller.abort()

    async def _end_broken(self, error: QlaudError, status: int | None = None) -> None:
        """The answer stopped before its end: settle what was seen, and do not let it look whole.

        `status` is what the event says where that is not the error's.
        """
        if self._response is not None:
            self._response.close()
        if self._books.settled:
            if self._late is not None:
                await self._late
            elif self._parting is not None:  # whole, and billed by the provider: only our books are late
                await self._part()
            else:
                self._caller.abort()
            return
        tap = self._tap
        tail = tap.finish() if tap is not None else b""
        outcome = self._outcome(tap) if tap is not None else self._books.as_asked()
        if isinstance(outcome, Nothing) and self._status < 400:
            outcome = self._books.as_asked()  # the provider had taken the call
        await self._books.settle(outcome, status or error.status)
        if not self._caller.head_sent:
            await self._caller.fail(error)
        elif tap is not None and tap.at_boundary and (event := self._error_event(tap, error)):
            await self._caller.write(tail + event)
            await self._caller.end()
        else:
            self._caller.abort()

    def _error_event(self, tap: Tap, error: QlaudError) -> bytes:
        """An error in mid-stream in the caller's format, b"" where the format has none."""
        if not self._prepared.call.stream:
            return b""
        return inserted(tap, self._prepared.incoming.wire.error_event(error, str(self._books.hold.id)))

    async def _part(self) -> None:
        """Give the caller what is left for him, once."""
        parting, self._parting = self._parting, None
        if parting is not None:
            await parting()

    def _outcome(self, tap: Tap) -> Metered:
        return self._books.outcome(tap, blind=self._decoder.blind and self._status < 400)

    def _headers(self, upstream: Headers, drop: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
        return answer_headers(self._prepared, self._books.route, self._books.hold, upstream, drop=drop)

    def _cut_off(self, reason: Cut) -> None:
        if self._cut is None and not self._books.settled and self._task is not None:
            self._cut = reason
            if self._running:  # a task cancelled before its first step would never run, and never settle
                self._task.cancel()

    def _cancels_when_left(self) -> bool:
        policy = self._books.hold.on_disconnect
        return policy == "cancel" or (policy is None and not self._terms.drain_by_default)
