"""The client: `ports.Upstream` over HTTP/1.1, TLS and keep-alive.

When is a request sent twice? A provider that may have begun to work bills, so only when it cannot have:

1. Before a pooled connection is used, the kernel is asked whether the server has hung up on it (an end, a reset
   or stray bytes wait to be read). If so it is discarded with nothing written, and another connection is taken.
   This finds every hang-up that has reached this machine.
2. What remains is a hang-up still on its way while the request goes out. Once the request was handed to the
   kernel, nothing that comes back proves it was not read: a clean end may follow the reading of it, and so may
   a reset (a crash, a load balancer that lost its backend). So a POST fails as UpstreamBroken, `started` true.
   `idle_keepalive_s` is kept below what servers grant, which makes this rare.
3. GET, HEAD and OPTIONS without a streamed body change nothing and cost nothing, so they are retried once, on a
   fresh connection, if a reused one ended before a byte of the answer. On a fresh connection nothing is retried.

Used by `flows` through the port; built by `app` alone. One client per event loop.
"""

import asyncio
import ssl
from math import inf

from qlaud.ports import UpstreamRequest, UpstreamUnreachable
from qlaud.providers.upstream.connection import Connection, Unanswered
from qlaud.providers.upstream.deadlines import Deadlines
from qlaud.providers.upstream.dial import Dialler
from qlaud.providers.upstream.head import encode_head
from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.origin import parse_origin
from qlaud.providers.upstream.pool import Counts, OriginPool
from qlaud.providers.upstream.proxy import ProxyRule
from qlaud.providers.upstream.response import WireResponse
from qlaud.providers.upstream.tls import checked_context, verified_context
from qlaud.providers.upstream.upload import start_upload

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class HttpUpstream:
    """Sends calls over HTTP/1.1. Implements `ports.Upstream`.

    `tls` adds trust (a private CA); it must verify, or ValueError is raised. `counts` holds running totals.
    """

    def __init__(
        self,
        limits: UpstreamLimits | None = None,
        *,
        proxy: ProxyRule | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = limits or UpstreamLimits()
        self._proxy = proxy
        self._tls = verified_context() if tls is None else checked_context(tls)
        self._pools: dict[str, tuple[OriginPool, bytes]] = {}
        self._deadlines: Deadlines | None = None
        self._closed = False
        self.counts = Counts()

    @property
    def open_connections(self) -> int:
        """Connections that stand now, idle ones included."""
        return sum(len(pool.connections) for pool, _ in self._pools.values())

    @property
    def idle_connections(self) -> int:
        """Connections that wait in the pools now."""
        return sum(len(pool.idle) for pool, _ in self._pools.values())

    async def send(self, request: UpstreamRequest) -> WireResponse:
        """The response, once its head has arrived. Read it to the end or close it.

        Raises UpstreamUnreachable, UpstreamSlow, UpstreamBroken (their `started` says whether it may be
        billed), and whatever the body's iterator raises. Cancelled, it hangs up.
        """
        if self._closed:
            raise UpstreamUnreachable("this client is closed")
        pool, host_header = self._pools.get(request.origin) or self._add_pool(request.origin)
        head = encode_head(request, host_header)
        connection = pool.take() or await pool.acquire()
        try:
            return await self._exchange(connection, request, head)
        except Unanswered:
            if request.method not in REPEATABLE or not isinstance(request.body, bytes | None):
                raise
        self.counts.retried += 1
        return await self._exchange(await pool.acquire(fresh=True), request, head)

    async def aclose(self) -> None:
        """Hang up every idle connection and refuse new calls. Exchanges under way go on to their end."""
        self._closed = True
        for pool, _ in self._pools.values():
            pool.close()
        await asyncio.sleep(0)  # one turn of the loop, in which the sockets close

    async def _exchange(self, connection: Connection, request: UpstreamRequest, head: bytes) -> WireResponse:
        timeout_s = request.first_byte_timeout_s or self._limits.first_byte_timeout_s
        body = request.body
        upload = None
        whole = b"" if body is None else body if isinstance(body, bytes) else None
        response = connection.begin(head, whole, head_only=request.method == "HEAD", timeout_s=timeout_s)
        if body is not None and not isinstance(body, bytes):
            upload = start_upload(
                connection, response, body, length=request.content_length, timeout_s=timeout_s
            )
        handed_over = False
        try:
            await response.head()
            handed_over = True
        finally:
            if not handed_over:
                response.close()
            if upload is not None and not upload.done():
                upload.cancel()
                await asyncio.wait((upload,))  # the source is free again when send returns
        return response

    def _add_pool(self, text: str) -> tuple[OriginPool, bytes]:
        origin = parse_origin(text)
        if self._deadlines is None:
            self._deadlines = Deadlines(asyncio.get_running_loop(), self._sweep)
        proxy = self._proxy if self._proxy is not None and self._proxy.covers(origin) else None
        dial = Dialler(origin, proxy, self._tls, self._limits)
        pool = OriginPool(dial, limits=self._limits, deadlines=self._deadlines, counts=self.counts)
        self._pools[text] = (pool, origin.host_header)
        return self._pools[text]

    def _sweep(self, now_s: float) -> float:
        return min((pool.sweep(now_s) for pool, _ in self._pools.values()), default=inf)
