"""The hot path at the edge: plain ASGI, no framework. Reads a model call, hands it to the flow, carries bytes back.

One request costs one task of the server and one of the pump. What is refused before the hold is answered here in
the surface's own shape; from the hold on the pump answers, and this side only watches for the caller leaving.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from dataclasses import dataclass
from typing import Any

from qlaud.api.direct import EXTENSION, Direct
from qlaud.api.surfaces import Surface
from qlaud.api.top import ClientLeft, guarded
from qlaud.core.credentials import read_secret
from qlaud.core.errors import BadRequest, BodyTooLarge, QlaudError
from qlaud.core.ids import RequestId
from qlaud.flows.calls import Incoming
from qlaud.flows.inference import Inference
from qlaud.flows.pump import Pump
from qlaud.ports import Clock, Headers, Ids

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NO_EXTENSIONS: dict[str, Any] = {}
JSON_TYPE = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class EdgeTerms:
    """Limits of a request."""

    max_body_bytes: int
    body_timeout_s: float


class AsgiRelay:
    """The caller's side over ASGI: implements `flows.calls.Relay`."""

    __slots__ = ("_aborted", "_direct", "_head", "_on_status", "_send", "_surface", "_watcher")

    def __init__(
        self,
        send: Send,
        surface: Surface,
        head: list[tuple[bytes, bytes]],
        on_status: Callable[[str, int], None],
        *,
        direct: Direct | None,
    ) -> None:
        self._send = send
        self._direct = direct
        self._surface = surface
        self._head = head
        self._on_status = on_status
        self._watcher: asyncio.Task[object] | None = None if direct else asyncio.current_task()
        self._aborted = False

    @property
    def aborted(self) -> bool:
        """Whether the connection must be broken."""
        return self._aborted

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Head and body at once."""
        sized = [*headers, (b"content-length", b"%d" % len(body))]
        if self._direct is not None and self._direct.whole(status, [*sized, *self._head], body):
            self._on_status(self._surface.name, status)
            return
        await self.start(status, sized)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def start(self, status: int, headers: Headers) -> None:
        """The head."""
        self._on_status(self._surface.name, status)
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*headers, *self._head]}
        )

    async def write(self, chunk: bytes) -> None:
        """Part of the body."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """The clean end."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def fail(self, error: QlaudError) -> None:
        """An error of ours in the surface's shape."""
        request_id = self._head[0][1].decode()
        await self.answer(
            error.status, error_headers(error), self._surface.wire.error_body(error, request_id)
        )

    def abort(self) -> None:
        """Break the connection; without a way to it, the server breaks it when the watcher returns without an end."""
        self._aborted = True
        if self._direct is not None:
            self._direct.cut()
        elif self._watcher is not None:
            self._watcher.cancel()


class InferenceEdge:
    """Serves the model surfaces."""

    def __init__(
        self,
        inference: Inference,
        clock: Clock,
        ids: Ids,
        terms: EdgeTerms,
        on_status: Callable[[str, int], None],
    ) -> None:
        self._inference = inference
        self._clock = clock
        self._ids = ids
        self._terms = terms
        self._on_status = on_status

    async def serve(
        self, surface: Surface, scope: Scope, receive: Receive, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """One model call. `head` are the headers of every answer; the request id stands first."""
        direct: Direct | None = scope.get("extensions", NO_EXTENSIONS).get(EXTENSION)
        relay = AsgiRelay(send, surface, head, self._on_status, direct=direct)
        pump = await guarded(self._open(surface, scope, receive, relay), relay.fail, head[0][1].decode())
        if pump is None:
            return
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if not relay.aborted:
                pump.client_left()
                raise
            return
        pump.client_left()

    async def _open(self, surface: Surface, scope: Scope, receive: Receive, relay: AsgiRelay) -> Pump:
        return await self._inference.open(await read_incoming(surface, scope, receive, self._terms), relay)


async def read_incoming(surface: Surface, scope: Scope, receive: Receive, terms: EdgeTerms) -> Incoming:
    """The request to `surface`, its credential found and its body whole. Raises what is wrong with either."""
    headers: Headers = scope["headers"]
    secret = read_secret(headers, scope["path"], scope["query_string"])
    body = await read_body(receive, headers, terms)
    return Incoming(
        id=RequestId(scope["qlaud.request_id"]),
        secret=secret,
        wire=surface.wire,
        wire_name=surface.wire_name,
        surface=surface.name,
        headers=headers,
        body=body,
        query=scope["query_string"],
    )


def error_headers(error: QlaudError) -> list[tuple[bytes, bytes]]:
    """The headers of an error of ours."""
    return [JSON_TYPE, *((name.encode(), value.encode()) for name, value in error.headers.items())]


async def read_body(receive: Receive, headers: Headers, terms: EdgeTerms) -> bytes:
    """The whole body. Raises BodyTooLarge, BadRequest when it comes too slowly, ClientLeft."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > terms.max_body_bytes:
            raise BodyTooLarge(terms.max_body_bytes)
    message = await _part(receive, terms)
    if message["type"] == "http.disconnect":
        raise ClientLeft
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    size = len(body)
    while True:
        if size > terms.max_body_bytes:
            raise BodyTooLarge(terms.max_body_bytes)
        message = await _part(receive, terms)
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            if size > terms.max_body_bytes:
                raise BodyTooLarge(terms.max_body_bytes)
            return b"".join(parts)


async def _part(receive: Receive, terms: EdgeTerms) -> Message:
    """The next part of the body. One that is there already, as small bodies are, costs no timer."""
    coming = receive().__await__()
    try:
        waits_for = next(coming)
    except StopIteration as arrived:
        return arrived.value
    try:
        async with asyncio.timeout(terms.body_timeout_s):
            return await _Begun(coming, waits_for)
    except TimeoutError:
        raise BadRequest(f"the body did not arrive: nothing came for {terms.body_timeout_s:g} s") from None


class _Begun:
    """The rest of an awaitable whose first step was taken by hand."""

    def __init__(self, coming: Generator[Any, Any, Message], waits_for: Any) -> None:
        self._coming = coming
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            yield self._waits_for
        except BaseException:
            self._coming.close()
            raise
        return (yield from self._coming)
