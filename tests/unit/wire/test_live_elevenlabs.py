"""ElevenLabs' live meters, and credentials in a first frame."""

import base64
import json

import pytest

from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.live import Frame, LiveTerms, Meter
from qlaud.wire.live_elevenlabs import SpeechMeter, TranscriptionMeter, secrets_in, without_secrets

TERMS = LiveTerms(slice_ms=15_000)
KEY = "qlk_live_" + "a" * 64


def send(meter: Meter, frame: Frame) -> None:
    meter.offer(frame)
    meter.sent()


def test_characters_of_every_text_are_billed_but_not_the_space_that_opens_a_connection() -> None:
    meter = SpeechMeter(b"", TERMS)
    for text in (" ", "Hello, ", "wörld ", ""):
        send(meter, json.dumps({"text": text}))
    assert meter.need(ahead=False).most == {"characters": 13}
    assert meter.take() == Exact(Usage(characters=13))
    assert meter.end(clean=True) == Nothing()


def test_a_text_that_waits_for_its_money_is_not_settled() -> None:
    meter = SpeechMeter(b"", TERMS)
    meter.offer('{"text":"waiting"}')
    assert not meter.ready
    assert meter.take() == Nothing()
    assert meter.need(ahead=False).most == {"characters": 7}
    meter.sent()
    assert meter.take() == Exact(Usage(characters=7))


def test_frames_of_all_contexts_of_a_multi_context_socket_add_up() -> None:
    meter = SpeechMeter(b"", TERMS)
    send(meter, '{"text":"abc","context_id":"one"}')
    send(meter, '{"text":"de","context_id":"two","flush":true}')
    send(meter, '{"context_id":"one","close_context":true}')
    assert meter.end(clean=False) == Exact(Usage(characters=5))


@pytest.mark.parametrize(
    "frame",
    [
        '{"\\u0074ext":"spoken text"}',
        '{"text":"","text":"spoken text"}',
        '{"text":"spoken text","generation_config":NaN}',
        '{"text":"spoken text \\ud800"}',
        b'{"text":"spoken text"}',
    ],
)
def test_text_that_only_some_readers_of_json_find_is_never_spoken_for_nothing(frame: Frame) -> None:
    meter = SpeechMeter(b"", TERMS)
    send(meter, frame)
    taken = meter.take()
    assert isinstance(taken, Exact)
    assert taken.usage.characters >= len("spoken text")


def test_sound_under_an_escaped_name_is_heard_all_the_same() -> None:
    meter = TranscriptionMeter(b"audio_format=pcm_16000", TERMS)
    send(meter, chunk(bytes(32_000)).replace("audio_base_64", "audio_base_6\\u0034"))
    assert meter.take() == AtLeast(Usage(audio_ms=1000))
    send(meter, chunk(bytes(32_000)).replace("{", '{"sample_rate":NaN,'))
    told = meter.take()
    assert isinstance(told, AtLeast)
    assert told.usage.audio_ms >= 1000


def chunk(audio: bytes) -> str:
    return json.dumps(
        {"message_type": "input_audio_chunk", "audio_base_64": base64.b64encode(audio).decode()}
    )


@pytest.mark.parametrize(
    ("query", "expected_ms"),
    [
        (b"model_id=scribe_v2_realtime", 1000),
        (b"audio_format=pcm_8000", 2000),
        (b"audio_format=ulaw_8000", 4000),
        (b"audio_format=pcm_44100", 363),
        (b"audio_format=strange", 2000),
    ],
)
def test_audio_sent_to_be_transcribed_is_billed_by_its_length_as_an_estimate(
    query: bytes, expected_ms: int
) -> None:
    meter = TranscriptionMeter(query, TERMS)
    send(meter, chunk(bytes(32_000)))
    assert meter.end(clean=True) == AtLeast(Usage(audio_ms=expected_ms))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 31_999])
def test_base64_is_measured_without_its_padding(size: int) -> None:
    meter = TranscriptionMeter(b"audio_format=ulaw_1000", TERMS)
    send(meter, chunk(bytes(size)))
    assert meter.need(ahead=False).most == {"audio_ms": size}


@pytest.mark.parametrize("name", ["xi_api_key", "xi-api-key", "single_use_token"])
def test_a_credential_in_the_first_frame_is_found_and_taken_out(name: str) -> None:
    frame = json.dumps({"text": " ", name: KEY, "voice_settings": {"speed": 1.0}})
    assert secrets_in(frame) == (KEY,)
    assert without_secrets(frame) == '{"text":" ","voice_settings":{"speed": 1.0}}'


def test_an_authorization_in_a_frame_may_have_a_scheme() -> None:
    assert secrets_in(json.dumps({"text": " ", "authorization": f"Bearer {KEY}"})) == (KEY,)


def test_two_credentials_in_a_frame_are_both_found() -> None:
    frame = json.dumps({"xi_api_key": KEY, "authorization": "other"})
    assert secrets_in(frame) == (KEY, "other")
    assert without_secrets(frame) == "{}"


@pytest.mark.parametrize(
    "frame",
    [
        '{"text":"say xi_api_key aloud"}',
        '{"text": "plain" }',
        "authorization",
        b"xi_api_key",
        '["xi_api_key"]',
    ],
)
def test_a_frame_without_a_credential_goes_on_as_it_is(frame: str | bytes) -> None:
    assert secrets_in(frame) == ()
    assert without_secrets(frame) is frame
