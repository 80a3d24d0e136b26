"""The HTTP server: uvicorn with two guards it lacks, a limit on request heads in bytes and in seconds."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_BYTES = 65_536
HEAD_TIMEOUT_S = 30.0
KEEP_ALIVE_S = 75
"""Longer than the idle time of common load balancers, so that they hang up first."""


class GuardedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is too large or does not arrive."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A connection must bring its first head in time."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to wait for."""
        self._head_arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a further head was seen."""
        super().on_message_begin()
        self._head_bytes = 0
        if self._head_timer is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count what was sent so far."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_LIMIT_BYTES:
            self.transport.close()
            return
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_arrived()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def server_config(app: Any, *, shutdown_grace_s: float, max_connections: int, **more: Any) -> uvicorn.Config:
    """How every worker runs: uvloop, httptools, no access log, no server header."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=GuardedProtocol,
        ws="none",
        interface="asgi3",
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, int(shutdown_grace_s)),
        limit_concurrency=max_connections,
        backlog=4096,
        **more,
    )


class Server(uvicorn.Server):
    """One worker. `on_ready` is called when it takes requests, `on_stop` when it was told to stop."""

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[int], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """As uvicorn, then tell."""
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            bound = [sock for server in self.servers for sock in server.sockets] or (sockets or [])
            self._on_ready(bound[0].getsockname()[1])

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Tell, then as uvicorn: running answers may end within the grace."""
        self._on_stop()
        await super().shutdown(sockets=sockets)
