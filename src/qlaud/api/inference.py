"""The hot path at the edge: plain ASGI, no framework. Reads a model call, hands it to the flow, carries bytes back.

One request costs one task of the server and one of the pump. What is refused before the hold is answered here in
the surface's own shape; from the hold on the pump answers, and this side only watches for the caller leaving.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from qlaud.api.bodies import EdgeTerms, Receive, Scope, Send, read_body
from qlaud.api.direct import EXTENSION, Direct
from qlaud.api.surfaces import Found, Surface
from qlaud.api.top import guarded
from qlaud.core.credentials import read_secret
from qlaud.core.errors import QlaudError
from qlaud.core.ids import RequestId
from qlaud.flows.calls import Incoming, Relay
from qlaud.flows.inference import Inference
from qlaud.flows.passing import Passing
from qlaud.flows.pump import Pump
from qlaud.ports import Clock, Headers, Ids, Upload
from qlaud.wire.errors import error_json
from qlaud.wire.form import Form
from qlaud.wire.media import duration_ms
from qlaud.wire.types import Asked

NO_EXTENSIONS: dict[str, Any] = {}
JSON_TYPE = (b"content-type", b"application/json")


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
            error.status,
            error_headers(error),
            error_json(self._surface.error_shape, error, request_id),
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
        passing: Passing,
        clock: Clock,
        ids: Ids,
        terms: EdgeTerms,
        on_status: Callable[[str, int], None],
    ) -> None:
        self._inference = inference
        self._passing = passing
        self._clock = clock
        self._ids = ids
        self._terms = terms
        self._on_status = on_status

    async def serve(
        self, found: Found, scope: Scope, receive: Receive, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """One model call. `head` are the headers of every answer; the request id stands first."""
        relay = self.relay(found.surface, scope, send, head)
        await self.carry(self._open(found, scope, receive, relay), relay, receive, head[0][1].decode())

    def relay(self, surface: Surface, scope: Scope, send: Send, head: list[tuple[bytes, bytes]]) -> AsgiRelay:
        """The caller's side of one request."""
        direct: Direct | None = scope.get("extensions", NO_EXTENSIONS).get(EXTENSION)
        return AsgiRelay(send, surface, head, self._on_status, direct=direct)

    async def carry(
        self, opening: Awaitable[Pump], relay: AsgiRelay, receive: Receive, request_id: str
    ) -> None:
        """Open a call and tell its pump when the caller leaves; what refuses it is told in the surface's shape."""
        pump = await guarded(opening, relay.fail, request_id)
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

    async def pass_on(
        self, found: Found, scope: Scope, receive: Receive, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """A path that costs nothing: asked at the provider, answered as it answers."""
        relay = self.relay(found.surface, scope, send, head)
        await guarded(self._pass_on(found, scope, receive, relay), relay.fail, head[0][1].decode())

    async def _pass_on(self, found: Found, scope: Scope, receive: Receive, relay: AsgiRelay) -> None:
        incoming = await read_incoming(found, scope, receive, self._terms)
        try:
            await self._passing.pass_on(incoming, relay)
        finally:
            if incoming.upload is not None:
                incoming.upload.close()

    async def _open(self, found: Found, scope: Scope, receive: Receive, relay: AsgiRelay) -> Pump:
        incoming = await read_incoming(found, scope, receive, self._terms)
        if incoming.upload is None:  # as nearly every call: one step less
            return await self._inference.open(incoming, relay)
        return await self.open(incoming, relay)

    async def open(self, incoming: Incoming, relay: Relay) -> Pump:
        """The pump of an admitted call. Raises the QlaudError that refuses it; then its upload is closed."""
        try:
            return await self._inference.open(incoming, relay)
        except BaseException:
            if incoming.upload is not None:
                incoming.upload.close()
            raise


async def read_incoming(found: Found, scope: Scope, receive: Receive, terms: EdgeTerms) -> Incoming:
    """The request, its credential found and its body whole. Raises what is wrong with either."""
    surface = found.surface
    headers: Headers = scope["headers"]
    query: bytes = scope["query_string"]
    secret = read_secret(headers, scope["path"], query)
    body = await read_body(receive, headers, terms, takes_form=surface.wire.takes_form, upload=surface.upload)
    upload = body.upload
    media_ms = None if upload is None else await _media_ms(upload, body.form, surface)
    raw: bytes = scope["raw_path"] if surface.provider else b""
    return Incoming(
        id=RequestId(scope["qlaud.request_id"]),
        secret=secret,
        wire=surface.wire,
        wire_name=surface.wire_name,
        surface=surface.name,
        headers=headers,
        asked=Asked(
            body=body.json,
            model=found.model,
            query=query,
            headers=headers,
            stream=surface.is_stream,
            form=body.form,
            upload_bytes=upload.size if upload is not None and body.form is None else 0,
            media_ms=media_ms,
            media_most_ms=terms.audio_max_ms,
        ),
        provider=surface.provider,
        target=raw[len(found.prefix) :],
        pattern=surface.pattern,
        method=surface.method,
        is_metered=surface.is_metered,
        upload=upload,
    )


async def _media_ms(upload: Upload, form: Form | None, surface: Surface) -> int | None:
    """How long what was uploaded plays, where that costs; None where it cannot be read."""
    if surface.upload != "audio":
        return None
    try:
        return await asyncio.to_thread(_playing_time, upload, form)
    except BaseException:
        upload.close()
        raise


def _playing_time(upload: Upload, form: Form | None) -> int | None:
    """Of a raw upload, or of the only file of a form; None where it cannot be read. May read a disk."""
    if form is None:
        return duration_ms(upload.read_at, upload.size)
    if len(form.files) != 1:
        return None
    file = form.files[0]

    def read_at(offset: int, length: int) -> bytes:
        return upload.read_at(file.offset + offset, max(0, min(length, file.size - offset)))

    return duration_ms(read_at, file.size)


def error_headers(error: QlaudError) -> list[tuple[bytes, bytes]]:
    """The headers of an error of ours."""
    return [JSON_TYPE, *((name.encode(), value.encode()) for name, value in error.headers.items())]
