"""A caller of live paths: `websockets` as it is, with what a test wants to know of a socket's end."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.gateway import Gateway
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

WAIT_S = 20.0


def dial(
    gateway: Gateway,
    path: str,
    *,
    key: str = "",
    headers: Sequence[tuple[str, str]] = (),
    subprotocols: Sequence[str] = (),
    **more: Any,
) -> connect:
    """A socket to the gateway, open within a `with`; `key` goes as a bearer token."""
    given = [*headers, *([("authorization", f"Bearer {key}")] if key else [])]
    return connect(
        gateway.origin.replace("http://", "ws://") + path,
        additional_headers=given,
        subprotocols=[Subprotocol(name) for name in subprotocols] or None,
        compression=None,
        open_timeout=WAIT_S,
        **{"close_timeout": WAIT_S, **more},
    )


def refused(gateway: Gateway, path: str, **how: Any) -> tuple[int, str]:
    """Status and body of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as refusal, dial(gateway, path, **how):
        pass
    answer = refusal.value.response
    return answer.status_code, bytes(answer.body).decode()


def rest(socket: ClientConnection) -> tuple[list[str | bytes], int, str]:
    """What comes until the socket ends, and how it ended (1006: without a word)."""
    came: list[str | bytes] = []
    try:
        while True:
            came.append(socket.recv(WAIT_S))
    except ConnectionClosed as end:
        said = end.rcvd
        return came, said.code if said else 1006, said.reason if said else ""


def request_id(socket: ClientConnection) -> str:
    """The session's id, as the answer to the handshake told it."""
    assert socket.response is not None
    return socket.response.headers["x-request-id"]
