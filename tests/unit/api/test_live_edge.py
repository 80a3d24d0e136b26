"""A handshake that is accepted before its caller has said what it wants: it must say it soon."""

import asyncio
from typing import Any, cast

import pytest
from tests.support.fake_gemini_live import PATH

from qlaud.api import live as edge
from qlaud.api.live_protocol import CUT
from qlaud.api.live_surfaces import LiveWays
from qlaud.core.errors import RevokedKey
from qlaud.flows.live import Live
from qlaud.providers.registry import load_registry

SECRET = "qlk_live_" + "0" * 64
HEAD = ((b"x-request-id", b"01a21217-eeeb-7912-8ee0-854b360fec56"),)


class Door:
    """Lets in whom it is told to, and is asked for nothing else."""

    def __init__(self, refuses: Exception | None = None) -> None:
        self._refuses = refuses

    async def greet(self, secret: str) -> None:
        assert secret == SECRET
        if self._refuses is not None:
            raise self._refuses


def told_to_a_silent_caller(door: Door) -> list[dict[str, Any]]:
    """What a caller gets that shakes hands and says no more."""
    sent: list[dict[str, Any]] = []
    found = LiveWays(load_registry({})).find(PATH)
    assert found is not None
    scope = {
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"x-goog-api-key", SECRET.encode())],
        "subprotocols": [],
        "extensions": {CUT: lambda: None},
        "qlaud.request_id": HEAD[0][1].decode(),
    }

    async def main() -> None:
        messages = iter([{"type": "websocket.connect"}])

        async def receive() -> dict[str, Any]:
            for message in messages:
                return message
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        served = edge.LiveEdge(cast("Live", door), lambda surface, status: None)
        await served.serve(found, cast("Any", scope), cast("Any", receive), cast("Any", send), HEAD)

    asyncio.run(main())
    return sent


def test_a_caller_that_names_no_model_in_time_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "FIRST_FRAME_S", 0.01)
    accepted, closed = told_to_a_silent_caller(Door())
    assert accepted["type"] == "websocket.accept"
    assert closed == {"type": "websocket.close", "code": 1008, "reason": "invalid_request"}


def test_a_caller_who_is_not_let_in_is_not_waited_for() -> None:
    head, _ = told_to_a_silent_caller(Door(RevokedKey()))
    assert (head["type"], head["status"]) == ("websocket.http.response.start", 401)
