"""Opening a connection: name lookup, TCP, the proxy's tunnel, TLS, all within the connect timeout.

Every failure here is before the request: UpstreamUnreachable, or UpstreamSlow in phase `connect`.
"""

import asyncio
import ssl
from dataclasses import dataclass

from qlaud.ports import UpstreamSlow, UpstreamUnreachable
from qlaud.providers.upstream.connection import Connection, Owner
from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.origin import Origin
from qlaud.providers.upstream.proxy import ConnectHandshake, ProxyRule, connect_request


@dataclass(frozen=True, slots=True)
class Dialler:
    """Opens connections to one origin. Callable, see `pool.Dial`."""

    origin: Origin
    proxy: ProxyRule | None
    """None: go there directly."""
    tls: ssl.SSLContext
    limits: UpstreamLimits

    async def __call__(self, owner: Owner) -> Connection:
        """A connection on which a request may be written at once."""
        connection = Connection(owner, self.limits, asyncio.get_running_loop())
        await self.open(connection)
        return connection

    async def open(self, connection: asyncio.Protocol) -> None:
        """Connect, and give the transport to `connection`. Raises UpstreamUnreachable, UpstreamSlow."""
        loop = asyncio.get_running_loop()
        where = self.origin.authority.decode()
        try:
            async with asyncio.timeout(self.limits.connect_timeout_s):
                if self.proxy is not None:
                    await self._tunnel(connection, self.proxy, loop)
                else:
                    await self._direct(connection, loop)
        except TimeoutError:
            raise UpstreamSlow("connect", self.limits.connect_timeout_s) from None
        except (OSError, UnicodeError) as error:  # ssl.SSLError and socket.gaierror are OSErrors
            raise UpstreamUnreachable(f"could not connect to {where}: {error}") from error

    async def _direct(self, connection: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
        origin = self.origin
        if origin.tls:
            await loop.create_connection(
                lambda: connection, origin.host, origin.port, ssl=self.tls, server_hostname=origin.host
            )
        else:
            await loop.create_connection(lambda: connection, origin.host, origin.port)

    async def _tunnel(
        self, connection: asyncio.Protocol, proxy: ProxyRule, loop: asyncio.AbstractEventLoop
    ) -> None:
        request = connect_request(proxy, self.origin)
        limit_bytes = self.limits.header_limit_bytes
        raw, handshake = await loop.create_connection(
            lambda: ConnectHandshake(request, limit_bytes, loop), proxy.host, proxy.port
        )
        secure: asyncio.Transport | None = None
        try:
            await handshake.opened
            secure = await loop.start_tls(raw, connection, self.tls, server_hostname=self.origin.host)
        finally:
            if secure is None:
                raw.abort()
        if secure is not None:
            connection.connection_made(secure)
