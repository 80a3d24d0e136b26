"""The simulator as an upstream: takes a request as a provider would, answers without a socket.

The same body gets the same bytes: ids come from a hash of it, there is no randomness, and time is fixed unless
a clock is given. Owned by whoever made it; nothing is kept between calls, so one serves any number at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from urllib.parse import unquote

from msgspec.json import encode

from qlaud.ports import Clock, Headers, UpstreamRequest, UpstreamSlow
from qlaud.providers.simulator import writing_anthropic as anthropic
from qlaud.providers.simulator import writing_openai as openai
from qlaud.providers.simulator.ask import Ask, BadBody
from qlaud.providers.simulator.films import Films
from qlaud.providers.simulator.reading_anthropic import read_count, read_messages
from qlaud.providers.simulator.reading_openai import read_chat
from qlaud.providers.simulator.scripts import FAILS_MIDWAY, NO_USAGE, RATE_LIMITED, SLOW, Text, play
from qlaud.providers.simulator.surfaces import reply
from qlaud.providers.simulator.tokens import pieces

Pause = Callable[[float], Awaitable[None]]
"""Waits that many seconds."""

MESSAGES = "/v1/messages"
COUNT_TOKENS = "/v1/messages/count_tokens"
CHAT = "/v1/chat/completions"
CREATED_S = 1_790_000_000
"""When every answer was made, if no clock says better."""
PACE_S = 0.2
"""Seconds between the events of `sim/slow`."""
EVENTS_PER_READ = 16
RETRY_AFTER_S = 1
SEED_BYTES = 12
MS_PER_S = 1000
_TOO_MANY = "This request would exceed the rate limit of the simulator. Please try again in 1s."
_JSON = b"application/json"
_EVENTS = b"text/event-stream; charset=utf-8"


async def sleep(pause_s: float) -> None:
    """Waits in real time."""
    await asyncio.sleep(pause_s)


class SimulatedResponse:
    """An answer under way. Events are made as they are read, several to a read unless they are paced."""

    def __init__(
        self, status: int, headers: Headers, events: Iterable[bytes], pace_s: float, pause: Pause
    ) -> None:
        self.status = status
        self.headers = headers
        self._events: Iterator[bytes] = iter(events)
        self._pace_s, self._pause = pace_s, pause
        self._next = self._portion()

    async def read(self) -> bytes:
        """The next events, b"" at the end and after `close`."""
        if self._next:
            # Yields to the loop even when unpaced, as a socket would: a long answer must not starve the rest.
            await (self._pause(self._pace_s) if self._pace_s else asyncio.sleep(0))
        portion = self._next
        self._next = self._portion()
        return portion

    def close(self) -> None:
        """Stop the answer. Idempotent."""
        self._events = iter(())
        self._next = b""

    def _portion(self) -> bytes:
        return b"".join(islice(self._events, 1 if self._pace_s else EVENTS_PER_READ))


class Simulator:
    """An `Upstream` that is its own provider. `pace_s` is the time between two events of `sim/slow`."""

    def __init__(self, *, pace_s: float = PACE_S, pause: Pause = sleep, clock: Clock | None = None) -> None:
        self._pace_s, self._pause, self._clock = pace_s, pause, clock
        self._films = Films()

    async def send(self, request: UpstreamRequest) -> SimulatedResponse:
        """The head of the answer, whatever the origin and the credential.

        Raises UpstreamSlow if `sim/slow` is asked for a whole answer and would pass `first_byte_timeout_s`.
        """
        body = await _whole(request.body)
        seed = blake2b(body, digest_size=SEED_BYTES).hexdigest()
        path = unquote(request.target.partition(b"?")[0].decode("latin-1"))
        made = self._films.answer(request.method, path, body, seed=seed, now_ms=self._now_ms())
        if made is not None:
            fixed = [(b"content-type", made.content_type), (b"content-length", b"%d" % len(made.body))]
            return SimulatedResponse(made.status, fixed + openai.headers(seed), [made.body], 0.0, self._pause)
        speaks_openai = path == CHAT or not path.startswith(MESSAGES)
        try:
            content_type = next((value for name, value in request.headers if name == b"content-type"), b"")
            if (found := reply(path, content_type, body, seed)) is not None:
                head = [(b"content-type", found.content_type), *openai.headers(seed), *found.headers]
                return SimulatedResponse(200, head, found.parts, 0.0, self._pause)
            if path not in (MESSAGES, COUNT_TOKENS, CHAT):
                return self._refusal(404, f"Unknown path: {path}", speaks_openai, seed)
            if request.method.upper() != "POST":
                return self._refusal(405, f"Method not allowed: {request.method}", speaks_openai, seed)
            if path == COUNT_TOKENS:
                return self._answer(
                    200, [encode({"input_tokens": read_count(body)})], anthropic.headers(seed)
                )
            ask = read_chat(body, seed) if speaks_openai else read_messages(body, seed)
        except BadBody as error:
            return self._refusal(400, error.message, speaks_openai, seed, param=error.param)
        if ask.model == RATE_LIMITED:
            return self._refusal(429, _TOO_MANY, speaks_openai, seed)
        if ask.model == FAILS_MIDWAY and not ask.stream:
            return self._refusal(
                500, openai.BROKEN if speaks_openai else "Internal server error", speaks_openai, seed
            )
        if ask.stream:
            return self._stream(ask, speaks_openai)
        return await self._body(ask, speaks_openai, request.first_byte_timeout_s)

    async def aclose(self) -> None:
        """Nothing is open between calls."""

    def _stream(self, ask: Ask, speaks_openai: bool) -> SimulatedResponse:
        answer, usage, breaks = play(ask), ask.model != NO_USAGE, ask.model == FAILS_MIDWAY
        if speaks_openai:
            created_s = self._created_s()
            events = openai.completion_chunks(ask, answer, created_s=created_s, usage=usage, breaks=breaks)
            headers = openai.headers(ask.seed)
        else:
            events = anthropic.message_events(ask, answer, usage=usage, breaks=breaks)
            headers = anthropic.headers(ask.seed)
        fixed = [(b"content-type", _EVENTS), (b"cache-control", b"no-cache")]
        pace_s = self._pace_s if ask.model == SLOW else 0.0
        return SimulatedResponse(200, fixed + headers, events, pace_s, self._pause)

    async def _body(self, ask: Ask, speaks_openai: bool, timeout_s: float | None) -> SimulatedResponse:
        answer, usage = play(ask), ask.model != NO_USAGE
        if ask.model == SLOW:
            wait_s = self._pace_s * sum(
                len(pieces(part.text)) for part in answer.parts if isinstance(part, Text)
            )
            if timeout_s is not None and wait_s > timeout_s:
                await self._pause(timeout_s)
                raise UpstreamSlow("first_byte", timeout_s)
            await self._pause(wait_s)
        if speaks_openai:
            whole = openai.completion(ask, answer, created_s=self._created_s(), usage=usage)
            return self._answer(200, [whole], openai.headers(ask.seed))
        return self._answer(200, [anthropic.message(ask, answer, usage=usage)], anthropic.headers(ask.seed))

    def _refusal(
        self, status: int, text: str, speaks_openai: bool, seed: str, *, param: str | None = None
    ) -> SimulatedResponse:
        headers = openai.headers(seed) if speaks_openai else anthropic.headers(seed)
        if status == 429:
            headers = [(k, b"0" if k.endswith(b"remaining-requests") else v) for k, v in headers]
            headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        if speaks_openai:
            return self._answer(status, [openai.error_body(status, text, param=param)], headers)
        return self._answer(status, [anthropic.error_body(status, text, seed)], headers)

    def _answer(
        self, status: int, parts: list[bytes], headers: list[tuple[bytes, bytes]]
    ) -> SimulatedResponse:
        size = str(sum(map(len, parts))).encode()
        fixed = [(b"content-type", _JSON), (b"content-length", size)]
        return SimulatedResponse(status, fixed + headers, parts, 0.0, self._pause)

    def _created_s(self) -> int:
        return self._now_ms() // MS_PER_S

    def _now_ms(self) -> int:
        return CREATED_S * MS_PER_S if self._clock is None else self._clock.now_ms()


async def _whole(body: bytes | AsyncIterator[bytes] | None) -> bytes:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else b"".join([part async for part in body])
