"""The edge of live sessions: reads a handshake, hands it to the flow, carries messages over ASGI.

What is refused before the handshake is answered is told as plain HTTP, so that SDKs see a status. A handshake without
a credential is accepted where the first message may carry it (ElevenLabs), one of a known key where the first message
names the model (Google); what is refused then is told in the provider's own form.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from qlaud.api.bodies import Message, Receive, Scope, Send
from qlaud.api.inference import error_headers
from qlaud.api.live_protocol import CUT
from qlaud.api.live_surfaces import FoundLive
from qlaud.api.top import ClientLeft, guarded
from qlaud.core.credentials import read_secret, secret_of
from qlaud.core.errors import BadRequest, CapContended, MissingKey, OutOfMoney, QlaudError
from qlaud.core.ids import RequestId
from qlaud.flows.live import Live
from qlaud.flows.live_calls import LiveIncoming
from qlaud.ports import Headers, LiveEnd
from qlaud.wire.errors import error_json
from qlaud.wire.live import Frame
from qlaud.wire.live_credentials import offered, read_subprotocols
from qlaud.wire.live_partings import close_code, fitting

FIRST_FRAME_S = 10.0
"""How long a socket may stay without a credential, or without a model."""
VANISHED = 1006
CAP = "key_cap_exceeded"


class AsgiCaller:
    """The caller's side over ASGI: implements `flows.live_calls.LiveCaller`."""

    def __init__(self, found: FoundLive, scope: Scope, receive: Receive, send: Send, head: Headers) -> None:
        self._found, self._receive, self._send, self._head = found, receive, send, head
        self._cut: Callable[[], None] = scope["extensions"][CUT]
        self._offers = offered(tuple(scope["subprotocols"]))
        self._waiting: Frame | None = None
        self.accepted = False
        self.status = 101

    async def accept(self, subprotocol: str | None, headers: Headers) -> None:
        """Answer the handshake; of what was offered, what the provider chose, else the first name that is no key."""
        if self.accepted:
            return
        self.accepted = True
        chosen = subprotocol if subprotocol in self._offers else next(iter(self._offers), None)
        message: Message = {"type": "websocket.accept", "headers": [*headers, *self._head]}
        if chosen is not None:
            message["subprotocol"] = chosen
        await self._send(message)

    async def receive(self) -> Frame | LiveEnd:
        """The next message, or how the caller left."""
        if (frame := self._waiting) is not None:
            self._waiting = None
            return frame
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return LiveEnd(message.get("code", VANISHED), message.get("reason") or "")
        text = message.get("text")
        return text if text is not None else message.get("bytes", b"")

    def put_back(self, frame: Frame) -> None:
        """What `receive` gives next."""
        self._waiting = frame

    async def send(self, frame: Frame) -> None:
        """Send a message; returns when the caller's side takes more."""
        if isinstance(frame, str):
            await self._send({"type": "websocket.send", "text": frame})
        else:
            await self._send({"type": "websocket.send", "bytes": frame})

    async def close(self, code: int, reason: str) -> None:
        """End it in good manners."""
        await self._send({"type": "websocket.close", "code": code, "reason": fitting(reason)})

    def cut(self) -> None:
        """Break the connection."""
        self._cut()

    async def fail(self, error: QlaudError) -> None:
        """Tell an error: as plain HTTP before the handshake is answered, else in the provider's own form."""
        request_id = self._head[0][1].decode()
        wire = self._found.surface.wire
        if self.accepted:
            if (last := wire.parting(error, request_id)) is not None:
                await self.send(last)
            money = isinstance(error, OutOfMoney | CapContended)
            await self.close(close_code(error), CAP if money else error.code)
            return
        self.status = error.status
        body = error_json(wire.error_shape, error, request_id)
        head = [*error_headers(error), (b"content-length", b"%d" % len(body)), *self._head]
        await self._send({"type": "websocket.http.response.start", "status": error.status, "headers": head})
        await self._send({"type": "websocket.http.response.body", "body": body})


class LiveEdge:
    """Serves the live surfaces."""

    def __init__(self, live: Live, on_status: Callable[[str, int], None]) -> None:
        self._live = live
        self._on_status = on_status

    async def serve(
        self, found: FoundLive, scope: Scope, receive: Receive, send: Send, head: Headers
    ) -> None:
        """One handshake and the session that follows. `head` are the headers of every answer, the request id first."""
        await receive()  # websocket.connect
        caller = AsgiCaller(found, scope, receive, send, head)
        with suppress(OSError):  # the caller left while it was told something
            session = await guarded(self._open(found, scope, caller), caller.fail, head[0][1].decode())
            self._on_status(found.surface.name, caller.status)
            if session is not None:
                await asyncio.shield(session)

    async def _open(self, found: FoundLive, scope: Scope, caller: AsgiCaller) -> "asyncio.Task[None]":
        surface, query = found.surface, scope["query_string"]
        of_protocols, others = read_subprotocols(tuple(scope["subprotocols"]))
        try:
            secret = read_secret(scope["headers"], scope["path"], query, also=of_protocols)
        except MissingKey:
            if surface.wire.secrets_in is None:
                raise
            secret = await self._secret_of_first_frame(caller, surface.wire.secrets_in)
        first, model = None, found.model
        if surface.wire.model_in is not None:
            await self._live.greet(secret)
            first = await self._first_frame(caller, "that says what model to talk to")
            model = surface.wire.model_in(first)
        raw: bytes = scope["raw_path"]
        incoming = LiveIncoming(
            id=RequestId(scope["qlaud.request_id"]),
            secret=secret,
            wires=surface.wires,
            surface=surface.name,
            headers=scope["headers"],
            query=query,
            subprotocols=others,
            model=model,
            provider=surface.provider,
            target=found.target(raw) if surface.provider else b"",
            pattern=surface.pattern,
            first=first,
        )
        return await self._live.open(incoming, caller)

    async def _secret_of_first_frame(
        self, caller: AsgiCaller, secrets_in: Callable[[Frame], tuple[str, ...]]
    ) -> str:
        """The credential of the first message. It is kept: what goes on is the session's business."""
        first = await self._first_frame(caller, "with a key")
        caller.put_back(first)
        return secret_of(secrets_in(first))

    async def _first_frame(self, caller: AsgiCaller, what: str) -> Frame:
        """The first message of a caller whose handshake is accepted for it. Raises BadRequest if none comes in time."""
        await caller.accept(None, ())
        try:
            async with asyncio.timeout(FIRST_FRAME_S):
                first = await caller.receive()
        except TimeoutError:
            raise BadRequest(f"no message {what} came for {FIRST_FRAME_S:g} s") from None
        if isinstance(first, LiveEnd):
            raise ClientLeft
        return first
