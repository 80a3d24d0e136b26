"""How one client connection is read: uvicorn's HTTP/1.1, with the guards it lacks.

    head      limited in bytes while it arrives, and in seconds; beyond: 431, or closed
    upgrade   only to a WebSocket on a live path, by a request that has no body and waits for no other answer; any
              other is served as it stands, its body included
    early     answered before its body was whole: the rest is dropped for a while, then the connection closed
    HTTP/1.0  knows no chunks: an answer of unknown length ends where the connection ends

What is not HTTP at all is answered in JSON, without a request id: there was no request.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from qlaud.api.direct import EXTENSION, Direct
from qlaud.core.errors import BadRequest
from qlaud.wire.errors import anthropic_error

HEAD_LIMIT_BYTES = 65_536
HEAD_TIMEOUT_S = 30.0
LINGER_S = 5.0
"""How long a refused caller may go on sending: long enough to read the answer, too short to camp here."""
FRAMING = (b"content-length", b"transfer-encoding")
NOT_HTTP = "this is not an HTTP/1.1 request; the connection is closed"
HEAD_TOO_LARGE = f"the request's head is larger than {HEAD_LIMIT_BYTES} bytes; send shorter headers"


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    _heads = 0
    _head_bytes = 0
    _head_whole = True
    _head_timer: asyncio.TimerHandle | None = None
    _body_whole = True
    _linger_timer: asyncio.TimerHandle | None = None
    _replaying = False
    _upgrading = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A connection must bring its first head in time."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to wait for."""
        self._head_arrived()
        self._stop_lingering()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the caller. Only the begin of a request resets the keep-alive time."""
        heads, was_idle = self._heads, self._head_whole and self._body_whole
        try:
            self._feed(data)
        except httptools.HttpParserError:
            if not self.transport.is_closing():
                self._refuse(b"400 Bad Request", NOT_HTTP)
            return
        if not self._head_whole and self._heads - heads <= was_idle:  # nothing but the begin of one head
            self._head_bytes += len(data)
            self._check_head()

    def on_message_begin(self) -> None:
        """The first byte of a head was seen."""
        if self._replaying:
            return
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self._heads += 1
        self._head_bytes = 0
        self._head_whole = False
        if self._head_timer is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        if not self._replaying:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count what was sent so far."""
        if self._replaying:
            return
        self._head_bytes += len(name) + len(value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._replaying:
            return
        self._head_arrived()
        self._head_whole = True
        self._head_bytes += len(self.url)
        if self._check_head():
            if self._asks_for_socket():
                self._upgrading = True
                self.scope["method"] = "GET"
                return
            self._body_whole = False
            super().on_headers_complete()
            if self.expect_100_continue:
                self.cycle.keep_alive = (
                    False  # refused early, the caller may never send the body it announced
                )
            if self.scope["http_version"] == "1.0":
                self.cycle.send = _ended_by_closing(self.cycle)
            elif self.scope["method"] == "POST":
                extensions = {EXTENSION: Direct(self.cycle)}
                cast("dict[str, Any]", self.scope)["extensions"] = extensions

    def on_message_complete(self) -> None:
        """The body is whole; but not where the parser skipped it for an upgrade."""
        if self._upgrading or self.parser.should_upgrade():
            return
        self._body_whole = True
        self._stop_lingering()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is out, perhaps before its request was whole."""
        super().on_response_complete()
        if self.cycle.response_complete and not self._body_whole and not self.transport.is_closing():
            self._linger_timer = self.loop.call_later(LINGER_S, self.transport.close)

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._upgrading:
                    self._hand_over(data)
                    return
                self._replay_framing()

    def _should_upgrade_to_ws(self) -> bool:
        """What uvicorn asks wherever it would leave a request to a WebSocket."""
        return self._upgrading

    def _asks_for_socket(self) -> bool:
        """Whether this request becomes a WebSocket: a live path, a whole handshake, nothing else under way."""
        if not self.parser.should_upgrade():
            return False
        headers = dict(self.headers)
        return (
            self.ws_protocol_class is not None
            and self._get_upgrade() == b"websocket"
            and self.parser.get_method() == b"GET"
            and headers.get(b"sec-websocket-version") == b"13"
            and b"sec-websocket-key" in headers
            and not any(name in headers for name in FRAMING)
            and not self.pipeline
            and (not self.cycle or self.cycle.response_complete)
            and not self._is_full()
            and self._is_live(unquote(self.url.partition(b"?")[0].decode("ascii")))
        )

    def _is_live(self, path: str) -> bool:
        is_live: Callable[[str], bool] | None = getattr(self.config.app, "is_live", None)
        return is_live is not None and is_live(path)

    def _is_full(self) -> bool:
        limit = self.limit_concurrency
        return limit is not None and (len(self.connections) >= limit or len(self.tasks) >= limit)

    def _hand_over(self, early: bytes) -> None:
        """The connection is the WebSocket's from here on; what the caller sent too early goes with it."""
        self._unset_keepalive_if_required()
        self.handle_websocket_upgrade()
        if early:
            cast("asyncio.Protocol", self.transport.get_protocol()).data_received(early)

    def _replay_framing(self) -> None:
        """Read on behind an ignored upgrade: a new parser is told how long the body is."""
        framing = b"".join(b"%b: %b\r\n" % pair for pair in self.headers if pair[0] in FRAMING)
        self.parser = httptools.HttpRequestParser(self)
        self._replaying = True
        try:
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
        finally:
            self._replaying = False

    def _check_head(self) -> bool:
        if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", HEAD_TOO_LARGE)
        return not self.transport.is_closing()

    def _refuse(self, status: bytes, message: str) -> None:
        if not self._is_answering():
            body = msgspec.json.encode(anthropic_error(BadRequest(message), ""))
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(head % (status, len(body)) + body)
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether an answer is under way, which no other may cut into."""
        if not self.cycle:
            return False
        return bool(self.pipeline) or (self.cycle.response_started and not self.cycle.response_complete)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_lingering(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None


def _ended_by_closing(cycle: RequestResponseCycle) -> Any:
    send = cycle.send
    unknown_length = False

    async def send_unchunked(message: Any) -> None:
        nonlocal unknown_length
        if message["type"] == "http.response.start":
            unknown_length = not any(name == b"content-length" for name, _ in message["headers"])
            if unknown_length:
                cycle.chunked_encoding = False
        elif unknown_length:
            cycle.expected_content_length = len(message["body"])
        await send(message)

    return send_unchunked
