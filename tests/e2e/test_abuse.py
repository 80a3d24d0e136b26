"""Callers who mean harm: connections that say nothing, drip, flood or lie. They are cut, and others do not notice."""

import asyncio
import json
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.support.gateway import Gateway, gateway_process, until
from tests.support.rawhttp import RawConnection, connected, request

import qlaud.api.protocol
import qlaud.api.server
from qlaud.api.server import server_config

BODY = json.dumps(
    {"model": "sim/echo", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
).encode()


@contextmanager
def serving_shortly(patch: pytest.MonkeyPatch) -> Generator[str]:
    """The product's server with short patience, around an application that answers `ok` at once."""
    patch.setattr(qlaud.api.protocol, "HEAD_TIMEOUT_S", 0.4)
    patch.setattr(qlaud.api.protocol, "LINGER_S", 0.4)
    patch.setattr(qlaud.api.server, "KEEP_ALIVE_S", 0.8)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    server = uvicorn.Server(
        server_config(app, shutdown_grace_s=0, max_connections=100, live_message_bytes=1 << 20, port=0)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    until(lambda: server.started, "the server serves")
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def seconds_until_cut(connection: RawConnection, drop: bytes) -> float:
    """How long the server listens to somebody who drips."""
    began = time.monotonic()
    try:
        while time.monotonic() - began < 10:
            connection.send(drop)
            time.sleep(0.05)  # sleep: the pace is what is tested
    except ConnectionError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize("drop", [b"", b"x", b"x-a: b\r\n"])
def test_a_head_that_never_ends_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch, drop: bytes) -> None:
    with serving_shortly(monkeypatch) as origin, connected(origin) as connection:
        connection.send(b"GET / HTTP/1.1\r\n" if drop else b"")
        if drop:
            assert seconds_until_cut(connection, drop) < 3
        else:
            began = time.monotonic()
            assert connection.closed()
            assert 0.3 < time.monotonic() - began < 3


def test_a_second_head_on_a_connection_is_as_limited_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_shortly(monkeypatch) as origin, connected(origin) as connection:
        connection.send(request("GET", "/"))
        assert connection.reply().body == b"ok"
        connection.send(b"GET / HTT")
        assert seconds_until_cut(connection, b"x") < 3


def test_empty_lines_do_not_keep_an_idle_connection_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_shortly(monkeypatch) as origin, connected(origin) as connection:
        connection.send(request("GET", "/"))
        assert connection.reply().body == b"ok"
        assert seconds_until_cut(connection, b"\r\n") < 3


@pytest.mark.parametrize("announced", ["content-length: 1000000", "transfer-encoding: chunked"])
def test_a_body_that_drips_on_behind_its_answer_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, announced: str
) -> None:
    with serving_shortly(monkeypatch) as origin, connected(origin) as connection:
        connection.send(request("POST", "/", announced))
        assert connection.reply().body == b"ok"
        drop = b"x" if "length" in announced else b"1\r\nx\r\n"
        assert seconds_until_cut(connection, drop) < 3


def served_in(gateway: Gateway, secret: str) -> float:
    """How long a small call takes."""
    began = time.monotonic()
    with connected(gateway.origin) as connection:
        connection.send(request("POST", "/v1/messages", key=secret, body=BODY))
        assert connection.reply().status == 200
    return time.monotonic() - began


def test_a_crowd_of_slow_and_false_connections_does_not_keep_others_from_being_served(
    database_url: str, tmp_path: Path
) -> None:
    with gateway_process(database_url, tmp_path) as gateway, ExitStack() as crowd:
        key = gateway.mint(mode="test")
        big = request("POST", "/v1/messages", "content-length: 33554432", key=key.secret)
        for opening in (
            b"",
            b"POST /v1/mess",
            b"GET /healthz HTTP/1.1\r\nx-a: ",
            big + b'{"a":"' + b"x" * 200_000,
        ):
            for _ in range(60):
                crowd.enter_context(connected(gateway.origin)).send(opening)
        for _ in range(100):
            with connected(gateway.origin) as liar:
                liar.send(b"\x16\x03\x01 garbage\r\n\r\n")
                assert liar.reply().status == 400
        assert max(served_in(gateway, key.secret) for _ in range(20)) < 2
        crowd.close()
        usage = gateway.wait_settled(key, 20)
        assert usage["held_micros"] == 0
        assert served_in(gateway, key.secret) < 2


def test_callers_who_leave_at_every_moment_leave_nothing_behind(database_url: str, tmp_path: Path) -> None:
    with gateway_process(database_url, tmp_path) as gateway:
        key = gateway.mint(mode="test", max_spend_usd=1)
        slow = BODY.replace(b"sim/echo", b"sim/slow").replace(
            b'"max_tokens"', b'"stream": true, "max_tokens"'
        )
        whole = request("POST", "/v1/messages", key=key.secret, body=slow)
        for size in range(1, len(whole), 23):
            with connected(gateway.origin) as leaver:
                leaver.send(whole[:size])
        for lines in range(12):
            with connected(gateway.origin) as leaver:
                leaver.send(whole)
                for _ in range(lines):
                    leaver.line()
        usage = until(
            lambda: (
                (usage := gateway.usage(key))["held_micros"] == 0 and len(usage["events"]) >= 11 and usage
            ),
            "every call that was begun is settled",
        )
        assert len(usage["events"]) <= 12, "one who left before his call did is not called for"
        assert {event["status"] for event in usage["events"]} <= {200, 499}
        assert gateway.read("/v1/holds")["data"] == []
        assert served_in(gateway, key.secret) < 2
