"""The vendors' SDKs in live sessions that are refused, cut short or left; and xAI's, and ElevenLabs' speech."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.sdk.conftest import Sdks
from tests.e2e.sdk.sdks import Result
from tests.support.fake_live import Await, Close, FakeLive, Step, serve_live
from tests.support.gateway import Gateway, MintedKey, base_url_at, gateway_process, until
from tests.support.postgres import Databases

SOUND = bytes(range(256)) * 125
"""A second of linear16 at 16 kHz."""
SAID = b"spoken" * 50
LIVE = ("openai", "xai", "deepgram", "elevenlabs")


@pytest.fixture(scope="module")
def running_provider() -> Iterator[FakeLive]:
    with serve_live() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(databases: Databases, gateway_folder: Path, running_provider: FakeLive) -> Iterator[Gateway]:
    """One whose providers answer sockets."""
    dsn = databases.clone()
    bases = {slug: base_url_at(running_provider.origin, slug) for slug in LIVE}
    with gateway_process(dsn, gateway_folder, providers=bases, settings={"live_hold_s": "1"}) as gateway:
        yield gateway
        gateway.doctor()
    databases.drop(dsn)


@pytest.fixture
def provider(running_provider: FakeLive) -> Iterator[FakeLive]:
    running_provider.sessions.clear()
    running_provider.scripts.clear()
    yield running_provider
    assert not running_provider.scripts, "a socket was scripted that nobody opened"
    for session in running_provider.sessions:
        assert "qlk_" not in repr((session.path, session.headers, session.messages))


def cell(provider: str, modality: str, case: str, sdk: str) -> pytest.MarkDecorator:
    return pytest.mark.matrix(provider=provider, modality=modality, case=case, sdk=sdk)


def digest(sound: bytes) -> str:
    return hashlib.sha256(sound).hexdigest()


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "event_1", **fields})


# --- OpenAI and xAI: realtime ---

SESSION = {"type": "realtime", "output_modalities": ["text"], "max_output_tokens": 100}
TALK = {"model": "gpt-realtime", "session": SESSION, "text": "Say hello."}
USAGE = {
    "total_tokens": 60,
    "input_tokens": 40,
    "output_tokens": 20,
    "input_token_details": {"text_tokens": 40, "audio_tokens": 0, "cached_tokens": 10},
    "output_token_details": {"text_tokens": 20, "audio_tokens": 0},
}
TALK_COST = 4 * 30 + 4 + 16 * 20
"""gpt-realtime: $4 a million of text in, $0.40 cached, $16 out."""


def created(limit: int | str = 100) -> str:
    audio = {"input": {"turn_detection": None}}
    return event("session.created", session={"type": "realtime", "max_output_tokens": limit, "audio": audio})


def answer(told: dict[str, Any], *items: dict[str, Any], **fields: Any) -> list[Step]:
    response = {"id": "resp_1", "object": "realtime.response"}
    place = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    return [
        event("response.created", response={**response, "status": "in_progress", "output": []}),
        event("response.output_text.delta", delta="Hel", **place),
        event("response.output_text.delta", delta="lo", **place),
        event(
            "response.done",
            response={**response, "status": "completed", "output": list(items), "usage": told},
            **fields,
        ),
    ]


def talk(sdks: Sdks, gateway: Gateway, key: MintedKey, path: str = "/v1", **args: Any) -> Result:
    return sdks["realtime", "python"].ask(
        "talk", {**TALK, **args}, origin=gateway.origin, key=key.secret, base_path=path
    )


@cell("openai", "live conversation", "error", "openai")
def test_a_realtime_handshake_that_is_refused_has_a_status(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks
) -> None:
    key = gateway.mint(max_spend_usd=1)
    error = talk(running_sdks, gateway, key, model="gpt-unreal")["error"]
    assert (error["classes"][0], error["status"]) == ("InvalidStatus", 404)
    assert json.loads(error["body"])["error"]["code"] == "model_not_found"
    provider.refuse(429, '{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}')
    error = talk(running_sdks, gateway, key)["error"]
    assert (error["status"], json.loads(error["body"])["error"]["code"]) == (429, "upstream_rate_limited")


@cell("openai", "live conversation", "cap", "openai")
def test_a_realtime_session_ends_at_the_cap_with_an_error_event(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks
) -> None:
    # An answer of 4096 tokens of audio is held at $0.262.
    key = gateway.mint(max_spend_usd=0.3)
    told = {"audio_tokens": 1000, "text_tokens": 0}
    spoken = {**USAGE, "output_tokens": 1000, "output_token_details": told}
    provider.script(created("inf"), Await(text="response.create"), *answer(spoken), Await(99))
    unlimited = {**SESSION, "max_output_tokens": "inf"}
    result = talk(running_sdks, gateway, key, session=unlimited, stay=True)
    assert (result["shown"], result["closed"]) == ("key_cap_exceeded", [1008, "key_cap_exceeded"])
    assert gateway.wait_settled(key, 1)["cost_micros"] == 4 * 30 + 4 + 64 * 1000
    error = talk(running_sdks, gateway, key)["error"]
    assert (error["status"], json.loads(error["body"])["error"]["type"]) == (402, "insufficient_quota")


@cell("openai", "live conversation", "cancel", "openai")
def test_a_realtime_answer_that_is_left_is_billed_for_what_it_used(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks
) -> None:
    key = gateway.mint(max_spend_usd=1)
    *begin, end = answer(USAGE)
    provider.script(
        created(), Await(text="response.create"), *begin, Await(text="response.cancel"), end, Close(1000)
    )
    assert talk(running_sdks, gateway, key, leave_at="response.output_text.delta")["shown"] == "Hel"
    (told,) = gateway.wait_settled(key, 1)["events"]
    assert (told["cost_micros"], told["estimated"]) == (TALK_COST, False)


@cell("xai", "live conversation", "call", "openai")
@pytest.mark.parametrize("path", ["/v1", "/xai/v1"])
def test_xais_voice_is_billed_by_the_time_it_tells(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks, path: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    told = answer({}, usage={"input_tokens": 9, "output_tokens": 90, "billable_audio_seconds": 3})
    provider.script(event("conversation.created"), Await(text="response.create"), *told)
    assert talk(running_sdks, gateway, key, path, model="grok-voice-latest")["shown"] == "Hello"
    assert provider.last.path == "/v1/realtime?model=grok-voice-latest"
    until(lambda: gateway.usage(key)["events"] and not gateway.key(key)["held_micros"], "it is settled")
    # three seconds at $4.80 an hour, and the message of text
    assert gateway.usage(key)["cost_micros"] == 4000 + 4000


# --- Deepgram ---


LISTEN = {
    "sound": base64.b64encode(SOUND).decode(),
    "options": {"model": "nova-3", "encoding": "linear16", "sample_rate": 16000},
}


def deepgram(sdks: Sdks, gateway: Gateway, key: MintedKey, deed: str, args: dict[str, Any]) -> Result:
    return sdks["deepgram", "python"].ask(
        deed, args, origin=gateway.origin, key=key.secret, base_path="/deepgram"
    )


@cell("deepgram", "live transcription", "error", "deepgram-sdk")
@cell("deepgram", "live transcription", "cap", "deepgram-sdk")
def test_deepgrams_sdk_sees_the_status_of_a_refused_handshake(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks
) -> None:
    error = deepgram(running_sdks, gateway, gateway.mint(max_spend_usd=0), "listen_live", LISTEN)["error"]
    assert (error["status"], json.loads(error["body"])["err_code"]) == (402, "key_cap_exceeded")
    provider.refuse(400, '{"err_code":"Bad Request","err_msg":"no such model"}')
    error = deepgram(running_sdks, gateway, gateway.mint(max_spend_usd=1), "listen_live", LISTEN)["error"]
    assert (error["status"], json.loads(error["body"])["err_msg"]) == (400, "no such model")


# --- ElevenLabs ---


def elevenlabs(sdks: Sdks, gateway: Gateway, key: MintedKey, deed: str, args: dict[str, Any]) -> Result:
    return sdks["elevenlabs", "python"].ask(deed, args, origin=gateway.origin, key=key.secret)


SPEAK = {"voice_id": "voice_1", "model_id": "eleven_turbo_v2_5", "text": ["Hello, ", "caller."]}


@cell("elevenlabs", "live speech", "call", "elevenlabs")
def test_elevenlabs_speaks_a_text_that_comes_in_pieces(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks
) -> None:
    key = gateway.mint(max_spend_usd=1)
    sound = json.dumps({"audio": base64.b64encode(SAID).decode(), "isFinal": None})
    provider.script(Await(text='"text": ""'), sound, '{"audio":null,"isFinal":true}', Close(1000))
    assert elevenlabs(running_sdks, gateway, key, "speak_live", SPEAK)["shown"] == digest(SAID)
    texts = [json.loads(message)["text"] for message in provider.last.messages]
    assert texts[0] == " "
    assert texts[-1] == ""
    characters = sum(map(len, texts[1:]))
    (told,) = gateway.wait_settled(key, 1)["events"]
    assert (told["characters"], told["cost_micros"]) == (characters, 50 * characters)  # $0.05 a thousand
    assert characters >= len("Hello, caller.")


@cell("elevenlabs", "live transcription", "cap", "elevenlabs")
def test_elevenlabs_transcription_ends_at_the_cap_with_its_own_message(
    gateway: Gateway, provider: FakeLive, running_sdks: Sdks
) -> None:
    key = gateway.mint(max_spend_usd=0.0002)  # one slice of a second costs 109 micros
    provider.script('{"message_type":"session_started","session_id":"s","config":{}}', Await(99))
    args = {"model": "scribe_v2_realtime", "sound": base64.b64encode(SOUND[:16_000]).decode(), "times": 6}
    shown = elevenlabs(running_sdks, gateway, key, "listen_until_refused", args)["shown"]
    assert shown.startswith("this API key has reached its spending cap")
    until(lambda: gateway.key(key)["held_micros"] == 0, "it is settled")
    assert 0 < gateway.usage(key)["cost_micros"] <= 200
