"""Callers of live paths as strangers may be: half a handshake, too early, too slow, and a socket where none is."""

import json
import threading
from contextlib import suppress

import pytest
from bench import proc
from tests.support.fake_live import Await, Close, FakeLive, Gate
from tests.support.gateway import Gateway, until
from tests.support.live_client import dial, refused, rest
from tests.support.rawhttp import RawConnection, connected, request
from websockets.exceptions import ConnectionClosed

LISTEN = "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
UPGRADE = ("connection: Upgrade", "upgrade: websocket")
VERSION = "sec-websocket-version: 13"
NONCE = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="


def accepted(connection: RawConnection) -> bool:
    """Whether the handshake was; its answer is read to its end."""
    status = connection.line()
    while connection.line():
        pass
    return status.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (VERSION, NONCE),
        UPGRADE,
        (*UPGRADE, VERSION),
        (*UPGRADE, NONCE),
        (*UPGRADE, "sec-websocket-version: 8", NONCE),
        ("connection: Upgrade", "upgrade: h2c", VERSION, NONCE),
        (*UPGRADE, VERSION, NONCE, "content-length: 2"),
    ],
)
def test_half_a_handshake_is_answered_as_plain_http_and_the_connection_lives(
    gateway: Gateway, provider: FakeLive, headers: tuple[str, ...]
) -> None:
    key = gateway.mint(max_spend_usd=1)
    body = b"{}" if "content-length: 2" in headers else b""
    with connected(gateway.origin) as connection:
        connection.send(request("GET", LISTEN, *headers, key=key.secret) + body)
        reply = connection.reply()
        assert (reply.status, reply.json["err_code"]) == (400, "invalid_request")
        connection.send(request("GET", "/healthz"))
        assert connection.reply().status == 200
    assert provider.sessions == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/text-to-speech/v/stream-input?model_id=eleven_turbo_v2_5&model_id=eleven_multilingual_v2",
        "/v1/speech-to-text/realtime?audio_format=pcm_48000&audio_format=pcm_8000",
        LISTEN + "&multichannel=false&multichannel=true",
        LISTEN + "&%73ample_rate=8000",
        "/v1/speak?model=aura-asteria-en&model=aura-2-thalia-en",
        "/v1/realtime?model=gpt-realtime-mini&model=gpt-realtime",
    ],
)
def test_what_decides_about_money_may_not_be_said_twice(
    gateway: Gateway, provider: FakeLive, path: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    with connected(gateway.origin) as connection:
        connection.send(request("GET", path, *UPGRADE, VERSION, NONCE, key=key.secret))
        reply = connection.reply()
        assert (reply.status, b"stands twice in the query" in reply.body) == (400, True)
    assert provider.sessions == []


@pytest.mark.parametrize("path", ["/v1/text-to-speech/v/stream", "/deepgram/v1/read", "/v1/realtime/x"])
def test_a_path_without_a_live_form_upgrades_nobody(gateway: Gateway, path: str) -> None:
    key = gateway.mint(max_spend_usd=1)
    with connected(gateway.origin) as connection:
        connection.send(request("GET", path, *UPGRADE, VERSION, NONCE, key=key.secret))
        reply = connection.reply()
        assert reply.status == 400
        assert b"websocket_not_supported" in reply.body or b"route_not_metered" in reply.body


def test_a_handshake_behind_a_plain_request_on_one_connection_is_taken(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Close(1000))
    with connected(gateway.origin) as connection:
        connection.send(request("GET", "/healthz"))
        assert connection.reply().status == 200
        connection.send(request("GET", LISTEN, *UPGRADE, VERSION, NONCE, key=key.secret))
        assert accepted(connection)
    gateway.wait_settled(key, 1)


def test_messages_sent_before_the_handshake_was_answered_are_not_lost(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), Close(1000))
    early = (
        bytes((0x82, 0x84, 0, 0, 0, 0)) + b"\x01\x02\x03\x04"
    )  # a binary message of four bytes, masked with 0
    with connected(gateway.origin) as connection:
        connection.send(request("GET", LISTEN, *UPGRADE, VERSION, NONCE, key=key.secret) + early)
        assert accepted(connection)
        gateway.wait_settled(key, 1)
    assert provider.last.messages == [b"\x01\x02\x03\x04"]


def test_a_caller_who_does_not_read_holds_no_more_than_a_few_messages_in_memory(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    message = b"x" * 500_000
    provider.script(Await(1), *[message] * 400, Close(1000))
    with dial(gateway, LISTEN, key=key.secret, max_queue=1, close_timeout=0.1) as socket:
        before = proc.memory([gateway.process.pid]).rss_kb
        socket.send(b"go")
        # The caller reads nothing for longer than the gateway's patience, and is taken for gone.
        gateway.wait_settled(key, 1)
        assert proc.memory([gateway.process.pid]).rss_kb - before < 60_000


def test_a_provider_who_does_not_read_stops_its_caller(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=10)
    gate = Gate()
    provider.script(gate, Close(1000))
    provider.reads = False
    sent = 0
    with dial(gateway, "/v1/speak?model=aura-2-thalia-en", key=key.secret) as socket:
        frame = json.dumps({"type": "Flush", "padding": "x" * 100_000})

        def send_all() -> None:
            nonlocal sent
            with suppress(ConnectionClosed):
                for _ in range(1000):
                    socket.send(frame)
                    sent += 1

        sender = threading.Thread(target=send_all, daemon=True)
        sender.start()
        sender.join(3)
        assert sender.is_alive(), "the caller could send 100 MB to a provider that reads nothing"
        assert sent < 500
        gate.open()
    sender.join(20)


def test_a_session_is_one_call_for_the_limits_of_its_key(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1, rpm_limit=2, max_parallel=1)
    told = [json.dumps({"type": "Results", "start": 0, "duration": second}) for second in range(1, 5)]
    steps = [step for number, result in enumerate(told, 1) for step in (Await(number), result)]
    closing = json.dumps({"type": "Metadata", "duration": 4, "channels": 1})
    provider.script(*steps, Await(text="CloseStream"), closing, Close(1000))
    with dial(gateway, LISTEN, key=key.secret) as socket:
        for second, result in enumerate(told, 1):
            socket.send(bytes(32_000))
            assert socket.recv(20) == result
            until(lambda second=second: len(gateway.usage(key)["events"]) >= second, "the slice is settled")
        status, body = refused(gateway, LISTEN, key=key.secret)
        assert (status, json.loads(body)["err_code"]) == (429, "parallel_limited")
        socket.send('{"type":"CloseStream"}')
        assert rest(socket)[1] == 1000
    usage = gateway.wait_settled(key, 4)
    assert sum(event["audio_seconds"] for event in usage["events"]) == 4
    provider.script(Close(1000))
    with dial(gateway, LISTEN, key=key.secret) as socket:
        rest(socket)
    status, body = refused(gateway, LISTEN, key=key.secret)
    assert (status, json.loads(body)["err_code"]) == (429, "rate_limited")
