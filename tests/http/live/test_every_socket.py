"""What every live path has in common: a provider who refuses, a key without money, a caller who leaves."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.fake_live import Await, Close, FakeLive
from tests.support.gateway import Gateway, MintedKey
from tests.support.live_client import dial, refused, rest

CAP = "this API key has reached its spending cap"
CREATED = json.dumps({"type": "session.created", "session": {"type": "realtime", "max_output_tokens": 100}})
FINAL = '{"audio":null,"isFinal":true}'


@dataclass(frozen=True, slots=True)
class Socket:
    """One live path: what is said on it, what it costs, and what its provider says at last."""

    provider: str
    modality: str
    path: str
    said: str | bytes
    cost_micros: int
    last_words: tuple[str, ...] = ()
    first_words: tuple[str, ...] = ()
    minute_micros: int = 0
    """What a minute costs in which it is open."""

    def assert_billed(self, gateway: Gateway, key: MintedKey) -> None:
        """It cost what was said, and the time it was open."""
        usage = gateway.wait_settled(key, 1)
        (event,) = usage["events"]
        open_ms = round(event["audio_seconds"] * 1000)
        time_micros = -(-open_ms * self.minute_micros // 60_000)
        assert usage["cost_micros"] == self.cost_micros + time_micros


ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
SOCKETS = [
    # Text of a conversation that nobody has answered costs nothing yet.
    Socket(
        "openai",
        "live conversation",
        "/v1/realtime?model=gpt-realtime",
        json.dumps({"type": "conversation.item.create", "item": ITEM}),
        0,
        first_words=(CREATED,),
    ),
    # A message of text costs 4000 micros at xAI, and a minute of a session 80000.
    Socket(
        "xai",
        "live conversation",
        "/xai/v1/realtime?model=grok-voice-latest",
        json.dumps({"type": "conversation.item.create", "item": ITEM}),
        4000,
        minute_micros=80_000,
    ),
    # Half a second at 4800 micros a minute.
    Socket(
        "deepgram",
        "live transcription",
        "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000",
        bytes(16_000),
        40,
        ('{"type":"Metadata","duration":0.5,"channels":1,"request_id":"dg-1"}',),
    ),
    # 14 characters at 30 micros.
    Socket(
        "deepgram",
        "live speech",
        "/v1/speak?model=aura-2-thalia-en",
        '{"type":"Speak","text":"Hello, caller."}',
        420,
    ),
    # 12 characters at 50 micros.
    Socket(
        "elevenlabs",
        "live speech",
        "/v1/text-to-speech/voice_1/stream-input?model_id=eleven_turbo_v2_5",
        '{"text":"Hello world "}',
        600,
        (FINAL,),
    ),
    # Half a second at 0.39 dollars an hour: 54.2, rounded up.
    Socket(
        "elevenlabs",
        "live transcription",
        "/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&audio_format=pcm_16000",
        json.dumps({"message_type": "input_audio_chunk", "audio_base_64": "AAAA" * 5333 + "AAA="}),
        55,
    ),
]
XAI = SOCKETS[1]


def sockets(case: str) -> pytest.MarkDecorator:
    """Every live path, with the cell that a test of it earns."""

    def cell(one: Socket) -> Any:
        mark = pytest.mark.matrix(provider=one.provider, modality=one.modality, case=case)
        return pytest.param(one, marks=mark, id=f"{one.provider} {one.modality}")

    return pytest.mark.parametrize("one", [cell(one) for one in SOCKETS])


@sockets("call")
def test_what_was_said_comes_through_and_is_billed(gateway: Gateway, provider: FakeLive, one: Socket) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(*one.first_words, Await(1), *one.last_words, Close(1000))
    with dial(gateway, one.path, key=key.secret) as socket:
        socket.send(one.said)
        messages, code, _ = rest(socket)
    assert (messages, code) == ([*one.first_words, *one.last_words], 1000)
    assert provider.last.messages[:1] == [one.said]
    one.assert_billed(gateway, key)


@sockets("error")
def test_a_provider_who_refuses_is_told_with_his_status_and_costs_nothing(
    gateway: Gateway, provider: FakeLive, one: Socket
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.refuse(
        400, '{"error":{"message":"as scripted"},"err_msg":"as scripted","detail":{"message":"as scripted"}}'
    )
    status, body = refused(gateway, one.path, key=key.secret)
    assert status == 400
    assert "as scripted" in body
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["status"], event["cost_micros"]) == (400, 0)


@sockets("cap")
def test_a_key_without_money_gets_402_in_the_providers_shape_and_no_socket(
    gateway: Gateway, provider: FakeLive, one: Socket
) -> None:
    broke = gateway.mint(max_spend_usd=0)
    status, body = refused(gateway, one.path, key=broke.secret)
    assert status == 402
    assert CAP in body
    assert "key_cap_exceeded" in body
    assert provider.sessions == []
    assert gateway.usage(broke)["events"] == []


@sockets("cancel")
def test_a_caller_who_leaves_without_a_word_is_billed_for_what_he_said(
    gateway: Gateway, provider: FakeLive, one: Socket
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(*one.first_words, Await(1), *one.last_words, Await(99))
    with dial(gateway, one.path, key=key.secret) as socket:
        for _ in one.first_words:
            socket.recv(20)
        socket.send(one.said)
        provider.wait_for(1)
        socket.socket.close()
    assert provider.last.closed.wait(20)
    one.assert_billed(gateway, key)


@pytest.mark.matrix(provider="xai", modality="live conversation", case="tools")
def test_a_tool_that_xai_calls_comes_through_as_it_was_said(gateway: Gateway, provider: FakeLive) -> None:
    where = {"response_id": "r1", "item_id": "i1", "output_index": 0, "call_id": "c1"}
    called = json.dumps(
        {"type": "response.function_call_arguments.done", **where, "name": "get", "arguments": '{"q": 1}'}
    )
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), called, Close(1000))
    with dial(gateway, "/xai/v1/realtime?model=grok-voice-latest", key=key.secret) as socket:
        socket.send(json.dumps({"type": "conversation.item.create", "item": ITEM}))
        assert rest(socket)[0] == [called]
    XAI.assert_billed(gateway, key)
