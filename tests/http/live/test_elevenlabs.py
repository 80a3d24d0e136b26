"""ElevenLabs' sockets through a gateway: characters, seconds, and keys that come in the first message."""

import base64
import json
from typing import Any

import pytest
from tests.support.fake_live import Await, Close, FakeLive
from tests.support.gateway import OPERATOR_KEYS, Gateway
from tests.support.live_client import dial, refused, rest

SPEAK = "/v1/text-to-speech/voice_1/stream-input?model_id=eleven_turbo_v2_5"
FINAL = '{"audio":null,"isFinal":true}'


def text(value: str, **fields: Any) -> str:
    return json.dumps({"text": value, **fields})


def test_characters_of_every_text_are_billed(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(3), '{"audio":"AAAA"}', FINAL, Close(1000))
    frames = [text(" ", voice_settings={"speed": 1}), text("Hello wörld "), text("")]
    with dial(gateway, SPEAK, headers=[("xi-api-key", key.secret)]) as socket:
        for frame in frames:
            socket.send(frame)
        assert rest(socket) == (['{"audio":"AAAA"}', FINAL], 1000, "")
    assert provider.last.closed.wait(20)
    assert provider.last.messages == frames
    assert provider.last.header("xi-api-key") == [OPERATOR_KEYS["elevenlabs"]]
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["characters"], event["cost_micros"]) == (12, 600)  # $0.05 a thousand
    assert (event["surface"], event["estimated"]) == ("audio_speech", False)


@pytest.mark.parametrize("name", ["xi_api_key", "xi-api-key", "authorization"])
@pytest.mark.parametrize("prefix", ["", "/elevenlabs"])
def test_the_key_may_come_in_the_first_message_and_goes_no_further(
    gateway: Gateway, provider: FakeLive, name: str, prefix: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(2), FINAL, Close(1000))
    path = f"{prefix}/v1/text-to-speech/voice_1/multi-stream-input?model_id=eleven_turbo_v2_5"
    with dial(gateway, path) as socket:
        socket.send(json.dumps({"text": " ", name: key.secret, "context_id": "a"}))
        socket.send(text("ab", context_id="a"))
        assert rest(socket)[1] == 1000
    assert provider.last.messages == ['{"text":" ","context_id":"a"}', text("ab", context_id="a")]
    assert key.secret not in str(provider.last.headers)
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["characters"] == 2


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('{"text":" "}', "missing_key"),
        (b"sound", "missing_key"),
        ('{"text":" ","xi_api_key":"secret-of-a-frame"}', "invalid_key"),
        ('{"text":" ","xi_api_key":"qlk_live_' + "0" * 64 + '"}', "invalid_key"),
        ('{"xi_api_key":"one","authorization":"other"}', "conflicting_credentials"),
    ],
)
def test_a_first_message_without_a_good_key_ends_the_socket_in_the_providers_form(
    gateway: Gateway, provider: FakeLive, first: str | bytes, code: str
) -> None:
    with dial(gateway, SPEAK) as socket:
        socket.send(first)
        messages, closed, reason = rest(socket)
    assert (closed, reason) == (1008, code)
    (last,) = messages
    told = json.loads(last)
    assert (told["error"], told["code"]) == (code, 1008)
    assert provider.sessions == []


def test_a_key_without_money_in_the_first_message_is_told_in_the_providers_form(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=0)
    with dial(gateway, SPEAK) as socket:
        socket.send(json.dumps({"text": " ", "xi_api_key": key.secret}))
        messages, closed, reason = rest(socket)
    assert (closed, reason) == (1008, "key_cap_exceeded")
    assert json.loads(messages[0])["message"].startswith("this API key has reached its spending cap")
    assert provider.sessions == []


def test_a_key_in_a_header_that_has_no_money_gets_a_status(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=0)
    status, body = refused(gateway, SPEAK, headers=[("xi-api-key", key.secret)])
    assert (status, json.loads(body)["detail"]["status"]) == (402, "key_cap_exceeded")


def test_without_a_model_the_usual_one_is_billed(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), FINAL, Close(1000))
    with dial(gateway, "/v1/text-to-speech/v/stream-input", headers=[("xi-api-key", key.secret)]) as socket:
        socket.send(text("abcd"))
        rest(socket)
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["model"], event["cost_micros"]) == ("eleven_multilingual_v2", 400)  # $0.10 a thousand


def test_a_text_longer_than_the_cap_does_not_go_on(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=0.001)  # a slice of 16 characters costs 800 micros
    provider.script(Await(1), '{"audio":"AAAA"}')
    with dial(gateway, SPEAK, headers=[("xi-api-key", key.secret)]) as socket:
        socket.send(text("x" * 16))
        assert socket.recv(20) == '{"audio":"AAAA"}'
        socket.send(text("y" * 100))
        messages, code, reason = rest(socket)
    assert (code, reason) == (1008, "key_cap_exceeded")
    assert json.loads(messages[-1])["error"] == "key_cap_exceeded"
    assert provider.last.messages == [text("x" * 16)]
    usage = gateway.wait_settled(key, 1)
    assert usage["cost_micros"] == 800


def chunk(audio: bytes) -> str:
    return json.dumps(
        {"message_type": "input_audio_chunk", "audio_base_64": base64.b64encode(audio).decode()}
    )


def test_audio_to_be_transcribed_is_billed_as_it_was_sent(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script('{"message_type":"session_started"}', Await(2), Close(1000))
    path = "/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&audio_format=pcm_16000"
    with dial(gateway, path, headers=[("xi-api-key", key.secret)]) as socket:
        socket.send(chunk(bytes(16_000)))
        socket.send(chunk(bytes(8_000)))
        assert rest(socket) == (['{"message_type":"session_started"}'], 1000, "")
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["audio_seconds"], event["estimated"]) == (0.75, True)
    assert event["cost_micros"] == 82  # 0.75 s at $0.39 an hour are 81.25 micros


def test_an_option_with_a_price_nobody_can_tell_is_refused(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    status, body = refused(
        gateway, "/v1/speech-to-text/realtime?transcript_edit=shorter", headers=[("xi-api-key", key.secret)]
    )
    assert (status, json.loads(body)["detail"]["status"]) == (400, "unsupported_field")
    assert provider.sessions == []
