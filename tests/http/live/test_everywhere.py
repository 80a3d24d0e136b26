"""What holds on every live surface alike: the provider's own errors, no money, a caller that hangs up in the middle."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from socket import SHUT_RDWR

import pytest
from tests.support.fake_live import Await, Close, FakeLive
from tests.support.gateway import Gateway, until
from tests.support.live_client import dial, refused, request_id, rest

SOUND = bytes(16_000)
"""Half a second of linear16 at 16 kHz."""


def text(value: str, **fields: object) -> str:
    return json.dumps({"text": value, **fields})


def chunk(audio: bytes) -> str:
    return json.dumps(
        {"message_type": "input_audio_chunk", "audio_base_64": base64.b64encode(audio).decode()}
    )


@dataclass(frozen=True, slots=True)
class Surface:
    """One kind of socket: a message of the caller with its price, and how the provider says that something is wrong."""

    provider: str
    modality: str
    path: str
    frame: str | bytes
    micros: int
    wrong: str
    code_of: Callable[[str], str]
    """Our code in the body of a handshake that was refused."""

    @property
    def name(self) -> str:
        return f"{self.provider} {self.modality}"


def of_deepgram(body: str) -> str:
    return json.loads(body)["err_code"]


def of_elevenlabs(body: str) -> str:
    return json.loads(body)["detail"]["status"]


def of_openai(body: str) -> str:
    return json.loads(body)["error"]["code"]


SURFACES = [
    Surface(
        "deepgram",
        "live transcription",
        "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000",
        SOUND,
        40,
        '{"type":"Error","variant":"SchemaError","description":"no"}',
        of_deepgram,
    ),
    Surface(
        "deepgram",
        "live speech",
        "/v1/speak?model=aura-2-thalia-en",
        '{"type":"Speak","text":"Hello."}',
        180,
        '{"type":"Warning","description":"no","code":"X"}',
        of_deepgram,
    ),
    Surface(
        "elevenlabs",
        "live speech",
        "/v1/text-to-speech/v/stream-input?model_id=eleven_turbo_v2_5",
        text("Hello. "),
        350,
        '{"message":"no","error":"voice_not_found","code":1008}',
        of_elevenlabs,
    ),
    Surface(
        "elevenlabs",
        "live transcription",
        "/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&audio_format=pcm_16000",
        chunk(SOUND),
        55,
        '{"message_type":"input_error","error":"no"}',
        of_elevenlabs,
    ),
    Surface(
        "xai",
        "live conversation",
        "/xai/v1/realtime?model=grok-voice-latest",
        json.dumps(
            {
                "type": "conversation.item.create",
                "item": {"type": "message", "content": [{"type": "input_text", "text": "hi"}]},
            }
        ),
        4000,
        '{"type":"error","error":{"type":"invalid_request_error","message":"no"}}',
        of_openai,
    ),
]


def everywhere(case: str) -> pytest.MarkDecorator:
    params = [
        pytest.param(
            surface,
            id=surface.name,
            marks=pytest.mark.matrix(provider=surface.provider, modality=surface.modality, case=case),
        )
        for surface in SURFACES
    ]
    return pytest.mark.parametrize("surface", params)


@everywhere("error")
def test_an_error_of_the_provider_and_its_close_come_through(
    gateway: Gateway, provider: FakeLive, surface: Surface
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), surface.wrong, Close(4001, "as it says"))
    with dial(gateway, surface.path, key=key.secret) as socket:
        session = request_id(socket)
        socket.send(surface.frame)
        assert rest(socket) == ([surface.wrong], 4001, "as it says")
    assert provider.last.messages == [surface.frame]
    event = gateway.event(session)
    assert event["status"] == 101
    assert event["cost_micros"] >= surface.micros


@everywhere("cap")
def test_without_money_there_is_a_status_and_no_socket(
    gateway: Gateway, provider: FakeLive, surface: Surface
) -> None:
    key = gateway.mint(max_spend_usd=0)
    status, body = refused(gateway, surface.path, key=key.secret)
    assert (status, surface.code_of(body)) == (402, "key_cap_exceeded")
    assert "this API key has reached its spending cap" in body
    assert provider.sessions == []


@everywhere("cancel")
def test_a_caller_that_hangs_up_is_billed_for_what_was_sent(
    gateway: Gateway, provider: FakeLive, surface: Surface
) -> None:
    key = gateway.mint(max_spend_usd=1, on_disconnect="cancel")
    provider.script(Await(99))
    with dial(gateway, surface.path, key=key.secret) as socket:
        session = request_id(socket)
        socket.send(surface.frame)
        provider.wait_for(1)
        socket.socket.shutdown(SHUT_RDWR)
    event = gateway.event(session)
    assert event["cost_micros"] >= surface.micros
    assert provider.last.closed.wait(20)
    assert provider.last.messages == [surface.frame]
    until(lambda: gateway.key(key)["held_micros"] == 0, "nothing is held")


@pytest.mark.matrix(provider="xai", modality="live conversation", case="tools")
def test_tool_calls_pass_as_they_are(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    call = {"type": "function_call", "name": "get", "arguments": '{"q": 1}', "call_id": "c"}
    done = json.dumps(
        {"type": "response.done", "response": {"id": "r", "output": [call], "usage": {}}, "usage": {}}
    )
    tools = json.dumps(
        {"type": "session.update", "session": {"tools": [{"type": "function", "name": "get"}]}}
    )
    provider.script(Await(1), done, Close(1000))
    with dial(gateway, "/xai/v1/realtime?model=grok-voice-latest", key=key.secret) as socket:
        socket.send(tools)
        assert rest(socket) == ([done], 1000, "")
    assert provider.last.messages == [tools]
