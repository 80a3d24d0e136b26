"""Deepgram's sockets through a gateway: frames as they are, the bill as the provider counts, the cap in a slice."""

import json
from socket import SHUT_RDWR

import pytest
from tests.support.fake_live import Await, Close, FakeLive, Gate, Vanish
from tests.support.gateway import OPERATOR_KEYS, Gateway, until
from tests.support.live_client import dial, refused, request_id, rest
from websockets.exceptions import ConnectionClosed

SECOND = bytes(range(256)) * 125
"""One second of linear16 at 16 kHz."""
LISTEN = "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
MICROS_PER_MINUTE = 4800
"""nova-3, streaming: $0.0048 a minute (data/prices/deepgram.toml)."""


def results(start: float, duration: float) -> str:
    return json.dumps({"type": "Results", "start": start, "duration": duration, "is_final": True})


def metadata(duration: float) -> str:
    return json.dumps({"type": "Metadata", "duration": duration, "channels": 1, "request_id": "dg-1"})


def micros(seconds: float) -> int:
    """What so much audio costs, rounded up once."""
    return -(-int(seconds * 1000) * MICROS_PER_MINUTE // 60_000)


def test_frames_pass_both_ways_byte_for_byte_and_the_duration_is_billed(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    closing = metadata(2.4)
    provider.script(
        Await(2), results(0, 1.5), b"\x00\xff binary", Await(text="CloseStream"), closing, Close(1000, "")
    )
    with dial(gateway, LISTEN, key=key.secret) as socket:
        session = request_id(socket)
        assert socket.response is not None
        assert socket.response.headers["dg-request-id"] == "dg-1"
        assert socket.response.headers["x-qlaud-provider"] == "deepgram"
        assert socket.response.headers["x-qlaud-model"] == "nova-3"
        socket.send(SECOND)
        socket.send(SECOND[:12_800])
        assert socket.recv(20) == results(0, 1.5)
        assert socket.recv(20) == b"\x00\xff binary"
        socket.send('{"type":  "CloseStream"}')
        assert rest(socket) == ([closing], 1000, "")
    assert provider.last.messages == [SECOND, SECOND[:12_800], '{"type":  "CloseStream"}']
    assert provider.last.path == "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
    assert provider.last.header("authorization") == [f"Token {OPERATOR_KEYS['deepgram']}"]
    usage = gateway.wait_settled(key, 2)
    event = gateway.event(session)
    assert sum(one["audio_seconds"] for one in usage["events"]) == pytest.approx(2.4)
    assert usage["cost_micros"] == micros(1.5) + micros(0.9)
    assert (event["surface"], event["status"], event["stream"]) == ("audio_transcription", 101, True)
    assert not event["estimated"]
    (second,) = event["calls"]
    assert gateway.event(second)["parent_id"] == session


@pytest.mark.parametrize("path", ["/v1/listen?model=nova-3", "/deepgram/v1/listen?model=nova-3"])
def test_a_session_nobody_speaks_in_costs_nothing(gateway: Gateway, provider: FakeLive, path: str) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(metadata(0), Close())
    with dial(gateway, path, key=key.secret) as socket:
        assert rest(socket)[1] == 1000
    usage = gateway.wait_settled(key, 1)
    assert usage["cost_micros"] == 0


def test_the_socket_closes_within_a_slice_of_the_cap(gateway: Gateway, provider: FakeLive) -> None:
    cap = 500  # a slice of one second costs 80 micros: six fit
    key = gateway.mint(max_spend_usd=cap / 1_000_000)
    provider.script(Await(text="CloseStream"), metadata(6.0), Close(1000))
    with dial(gateway, LISTEN, key=key.secret) as socket:
        for _ in range(40):
            try:
                socket.send(SECOND[:16_000])
            except ConnectionClosed:
                break
        messages, code, reason = rest(socket)
    assert (code, reason) == (1008, "key_cap_exceeded")
    (last,) = messages
    assert isinstance(last, str)
    told = json.loads(last)
    assert told["type"] == "Error"
    assert told["description"].startswith("this API key has reached its spending cap")
    assert provider.last.closed.wait(20)
    heard = sum(len(message) for message in provider.last.messages if isinstance(message, bytes)) / 32_000
    assert micros(heard) <= cap
    assert micros(heard) > cap - 3 * micros(1)
    until(lambda: gateway.usage(key)["held_micros"] == 0, "all slices are settled")
    assert gateway.usage(key)["cost_micros"] <= cap


def test_a_key_without_money_gets_a_status_and_no_socket(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=0)
    status, body = refused(gateway, LISTEN, key=key.secret)
    assert status == 402
    assert json.loads(body)["err_code"] == "key_cap_exceeded"
    assert provider.sessions == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, "missing_key"),
        ([("authorization", "Token nonsense")], 401, "invalid_key"),
        ([("authorization", "Token qlk_live_" + "0" * 64)], 401, "invalid_key"),
    ],
)
def test_who_is_not_known_gets_a_status(
    gateway: Gateway, provider: FakeLive, headers: list[tuple[str, str]], status: int, code: str
) -> None:
    told = refused(gateway, LISTEN, headers=headers)
    assert (told[0], json.loads(told[1])["err_code"]) == (status, code)
    assert provider.sessions == []


def test_a_test_key_is_told_that_there_is_no_live_simulator(gateway: Gateway) -> None:
    key = gateway.mint(mode="test", max_spend_usd=1)
    status, body = refused(gateway, LISTEN, key=key.secret)
    assert (status, json.loads(body)["err_code"]) == (400, "websocket_not_supported")


def test_a_model_without_a_price_is_refused_on_a_capped_key(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    status, body = refused(gateway, "/v1/listen?model=nova-99", key=key.secret)
    assert (status, json.loads(body)["err_code"]) == (400, "model_not_priced")
    assert provider.sessions == []


def test_the_key_may_come_as_a_sub_protocol_and_goes_no_further(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(metadata(0), Close())
    with dial(gateway, LISTEN, subprotocols=["token", key.secret]) as socket:
        assert socket.subprotocol == "token"
        assert rest(socket)[1] == 1000
    assert provider.last.header("sec-websocket-protocol") == []
    assert key.secret not in str(provider.last.headers)


def test_a_provider_that_vanishes_ends_the_callers_socket_without_a_word(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    gate = Gate()
    provider.script(Await(2), results(0, 0.5), gate, Vanish())
    with dial(gateway, LISTEN, key=key.secret) as socket:
        socket.send(SECOND[:16_000])
        socket.send(SECOND[:9_600])
        assert socket.recv(20) == results(0, 0.5)
        gate.open()
        assert rest(socket) == ([], 1006, "")
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert (event["estimated"], event["status"], event["audio_seconds"]) == (True, 502, 0.8)


def test_the_providers_own_close_is_passed_on(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Close(1011, "NET-0001"))
    with dial(gateway, LISTEN, key=key.secret) as socket:
        assert rest(socket) == ([], 1011, "NET-0001")
    gateway.wait_settled(key, 1)


def test_a_caller_that_vanishes_is_billed_by_the_providers_last_word(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(text="CloseStream"), metadata(0.75), Close(1000))
    with dial(gateway, LISTEN, key=key.secret) as socket:
        socket.send(SECOND[:24_000])
        provider.wait_for(1)
        socket.socket.shutdown(SHUT_RDWR)
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert (event["audio_seconds"], event["estimated"], event["cost_micros"]) == (0.75, False, micros(0.75))


def test_a_revoked_key_ends_its_session_at_the_next_slice(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), results(0, 0.9), Await(text="CloseStream"), metadata(0.9), Close(1000))
    with dial(gateway, LISTEN, key=key.secret) as socket:
        socket.send(SECOND[:28_800])
        assert socket.recv(20) == results(0, 0.9)
        assert gateway.api("DELETE", f"/v1/keys/{key.id}").status_code == 200
        socket.send(SECOND[:16_000])
        _, code, reason = rest(socket)
    assert (code, reason) == (1008, "revoked_key")
    assert provider.last.messages[:1] == [SECOND[:28_800]]
    assert SECOND[:16_000] not in provider.last.messages


def test_a_handshake_the_provider_refuses_is_told_in_the_callers_shape(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.refuse(400, '{"err_code":"Bad Request","err_msg":"no such encoding"}')
    status, body = refused(gateway, LISTEN, key=key.secret)
    assert (status, json.loads(body)["err_msg"]) == (400, "no such encoding")
    provider.refuse(401, '{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}')
    status, body = refused(gateway, LISTEN, key=key.secret)
    assert (status, json.loads(body)["err_code"]) == (502, "provider_auth_failed")
    usage = gateway.wait_settled(key, 2)
    assert usage["cost_micros"] == 0


def test_flux_is_billed_to_its_last_window(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    window = json.dumps({"type": "TurnInfo", "event": "EndOfTurn", "audio_window_end": 0.64})
    provider.script(Await(1), window, Close(1000))
    with dial(
        gateway, "/v2/listen?model=flux-general-en&encoding=linear16&sample_rate=16000", key=key.secret
    ) as socket:
        socket.send(SECOND[:25_600])
        assert rest(socket) == ([window], 1000, "")
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert (event["audio_seconds"], event["cost_micros"], event["estimated"]) == (
        0.64,
        84,
        False,
    )  # $0.0078/min


def test_spoken_text_is_billed_by_the_character(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(
        '{"type":"Metadata","request_id":"u"}', Await(2), b"sound", '{"type":"Flushed"}', Close(1000)
    )
    with dial(gateway, "/v1/speak?model=aura-2-thalia-en", key=key.secret) as socket:
        socket.send('{"type":"Speak","text":"Hello, caller."}')
        socket.send('{"type":"Flush"}')
        assert rest(socket)[0] == ['{"type":"Metadata","request_id":"u"}', b"sound", '{"type":"Flushed"}']
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert (event["characters"], event["cost_micros"]) == (14, 420)  # $0.030 a thousand
    assert (event["surface"], event["model"]) == ("audio_speech", "aura-2")
