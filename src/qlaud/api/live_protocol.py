"""How one upgraded connection is read: uvicorn's WebSocket over the `websockets` library, made quiet and patient.

It reads one message at a time and no further until the application has taken it, and it writes no faster than its
caller reads, so that what a session keeps is bounded by the size of a message. Nothing is compressed.
"""

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

logger = logging.getLogger("qlaud.websocket")
logger.setLevel(logging.WARNING)  # below it the library logs queries and frames

CUT = "qlaud.cut"
"""The key in the scope's extensions: what breaks the connection at once."""
LINGER_S = 15.0
"""How long a socket may take to close whose session is over."""


class LiveProtocol(WebSocketsSansIOProtocol):
    """One socket of a caller."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger = logger
        self.conn.logger = logger

    async def run_asgi(self) -> None:
        """As uvicorn; in the end the connection closes in good manners, or is cut from a caller who does not read."""
        self.scope["extensions"][CUT] = self.transport.abort  # type: ignore[index]
        await super().run_asgi()
        self.loop.call_later(LINGER_S, self.transport.abort)

    async def send(self, message: Any) -> None:
        """As uvicorn; a handshake that was refused with a status is complete, which uvicorn forgets."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def shutdown(self) -> None:
        """The server stops: the session is told by who owns it, and ends within the grace."""
