"""The HTTP server: uvicorn, reading connections by `protocol`, telling when it is ready and when it must stop."""

import asyncio
import math
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from qlaud.api.live_protocol import LiveProtocol
from qlaud.api.protocol import GuardedProtocol

KEEP_ALIVE_S = 75
"""Longer than the idle time of common load balancers, so that they hang up first."""

LAST_ANSWERS_S = 10
"""After the grace, when calls that were cut are settled and told; then connections are cut."""


def server_config(
    app: Any, *, shutdown_grace_s: float, max_connections: int, live_message_bytes: int, **more: Any
) -> uvicorn.Config:
    """How every worker runs: uvloop, httptools, no access log, no server header, no compression of sockets."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=GuardedProtocol,
        ws=LiveProtocol,
        ws_max_size=live_message_bytes,
        ws_per_message_deflate=False,
        interface="asgi3",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(shutdown_grace_s) + LAST_ANSWERS_S,
        limit_concurrency=max_connections,
        backlog=4096,
        **more,
    )


class Server(uvicorn.Server):
    """One worker. `on_ready` is called when it takes requests, `on_stop` when it was told to stop, `on_hurry` when it
    is told again: uvicorn would leave everything as it is then, and money with it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[int], None],
        on_stop: Callable[[], None],
        on_hurry: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._on_hurry = on_hurry
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A stop signal. It comes between any two steps of the loop, so it only leaves word."""
        self._captured_signals.append(sig)
        if self.should_exit and self._loop is not None:
            self._loop.call_soon_threadsafe(self._on_hurry)
        self.should_exit = True

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """As uvicorn, then tell."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            bound = [sock for server in self.servers for sock in server.sockets] or (sockets or [])
            self._on_ready(bound[0].getsockname()[1])

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Tell, then as uvicorn: running answers may end within the grace."""
        self._on_stop()
        await super().shutdown(sockets=sockets)
