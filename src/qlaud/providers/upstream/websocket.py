"""WebSockets to providers: `ports.LiveUpstream` over the same way out as every call (TLS, proxy, limits).

The protocol is the library's (`websockets`); connecting is ours, so that a proxy, a private CA and the rule that
plain text never leaves the machine hold here too. Nothing is compressed, no redirect is followed, and what waits to
be read is bounded by messages and bytes.
"""

import asyncio
import logging
import ssl
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from qlaud.ports import (
    Headers,
    LiveEnd,
    LiveRefused,
    LiveRequest,
    UpstreamBroken,
    UpstreamSlow,
    UpstreamUnreachable,
)
from qlaud.providers.upstream.dial import Dialler
from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.origin import parse_origin
from qlaud.providers.upstream.proxy import ProxyRule
from qlaud.providers.upstream.tls import checked_context, verified_context
from qlaud.wire.live import Frame

QUEUE_MESSAGES = 4
"""Messages kept for a slow caller before the socket is no longer read."""
PING_S = 20.0
"""Between two signs of life; a provider that gives none for as long again is taken for gone."""
CLOSE_S = 5.0
VANISHED = 1006
"""The code of a connection that ended without saying so (RFC 6455, 7.1.5). Never sent."""

logger = logging.getLogger("qlaud.websocket")
logger.setLevel(logging.WARNING)  # the library logs frames below it, and frames hold what callers say


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What one socket may carry."""

    message_bytes: int


class WebSocketUpstream:
    """Opens sockets to providers. Implements `ports.LiveUpstream`. One per event loop."""

    def __init__(
        self,
        limits: UpstreamLimits,
        live: LiveLimits,
        *,
        proxy: ProxyRule | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits, self._live, self._proxy = limits, live, proxy
        self._tls = verified_context() if tls is None else checked_context(tls)

    async def connect(self, request: LiveRequest) -> "Socket":
        """A socket the provider has accepted.

        Raises UpstreamUnreachable, UpstreamSlow, UpstreamBroken, and LiveRefused when it answers with a status.
        """
        origin = parse_origin(request.origin)
        path, _, query = request.target.decode("ascii").partition("?")
        protocol = ClientProtocol(
            WebSocketURI(origin.tls, origin.host, origin.port, path, query),
            subprotocols=[Subprotocol(name) for name in request.subprotocols] or None,
            max_size=self._live.message_bytes,
            logger=logger,
        )
        connection = ClientConnection(
            protocol,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=CLOSE_S,
            max_queue=QUEUE_MESSAGES,
        )
        proxy = self._proxy if self._proxy is not None and self._proxy.covers(origin) else None
        await Dialler(origin, proxy, self._tls, self._limits).open(connection)
        try:
            await self._shake_hands(connection, request.headers)
        except BaseException:
            connection.transport.abort()
            raise
        connection.start_keepalive()
        return Socket(connection)

    async def _shake_hands(self, connection: ClientConnection, headers: Headers) -> None:
        timeout_s = self._limits.connect_timeout_s
        pairs = [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
        try:
            async with asyncio.timeout(timeout_s):
                await connection.handshake(pairs, user_agent_header=None)
        except TimeoutError:
            raise UpstreamSlow("first_byte", timeout_s) from None
        except InvalidStatus as refused:
            answer = refused.response
            raise LiveRefused(answer.status_code, _pairs(connection), bytes(answer.body)) from None
        except InvalidMessage as breach:
            raise UpstreamUnreachable(f"the socket was not accepted: {breach}") from None
        except (InvalidHandshake, ConnectionClosed, EOFError, OSError) as breach:
            raise UpstreamBroken(f"the socket was not accepted: {breach}") from None


class Socket:
    """One open socket. Implements `ports.LiveSocket`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.headers: Headers = _pairs(connection)
        self.subprotocol: str | None = connection.subprotocol

    async def receive(self) -> Frame | LiveEnd:
        """The next message, or how the socket ended. May be cancelled without losing one."""
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            return self._end()

    async def send(self, frame: Frame) -> bool:
        """Send a message; returns when the socket takes more, False when it has ended."""
        try:
            await self._connection.send(frame)
        except ConnectionClosed:
            return False
        return True

    async def close(self, code: int, reason: str = "") -> None:
        """End it in good manners, within CLOSE_S. Idempotent, never raises."""
        await self._connection.close(code, reason)

    def abort(self) -> None:
        """End it at once."""
        self._connection.transport.abort()

    def _end(self) -> LiveEnd:
        said = self._connection.protocol.close_rcvd
        if said is None:
            return LiveEnd(VANISHED, "")
        return LiveEnd(said.code, said.reason)


def _pairs(connection: ClientConnection) -> Headers:
    answer = connection.response
    if answer is None:
        return ()
    return [
        (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in answer.headers.raw_items()
    ]
