"""Audio that is sent to be written down: held for its playing time, sent on byte for byte, never whole in memory."""

import gzip
import hashlib

import pytest
from tests.http.sound.asking import Peak, form, only_event, send, send_form, sound
from tests.support import fake_deepgram, fake_elevenlabs, fake_openai_media
from tests.support.fake_provider import FakeProvider
from tests.support.forms import joined, part
from tests.support.gateway import Gateway

TRANSCRIBE = "/v1/audio/transcriptions"
MEGABYTE_KB = 1024


@pytest.fixture(scope="module")
def large() -> bytes:
    """25 MB of sound: 781 seconds."""
    return sound(781)


def test_25_megabytes_pass_in_constant_memory_byte_for_byte_with_the_model_behind_them(
    gateway: Gateway, openai: FakeProvider, large: bytes
) -> None:
    key = gateway.mint(max_spend_usd=1)
    first = send_form(gateway, key, TRANSCRIBE, form(sound(1), ("model", "whisper-1")))
    assert first.status_code == 200, first.text
    body = form(large, ("language", "en"), ("model", "Whisper-1"))
    assert len(body) > 24_900_000
    peak = Peak(gateway.process.pid)
    answer = send_form(gateway, key, TRANSCRIBE, body)
    grown_kb = peak.grown_kb
    assert answer.status_code == 200, answer.text
    sent = openai.last
    assert sent.body == body.replace(b"\r\n\r\nWhisper-1\r\n", b"\r\n\r\nwhisper-1\r\n")
    assert sent.header("content-length") == [str(len(body))]
    assert hashlib.sha256(sent.form["file"].value).digest() == hashlib.sha256(large).digest()
    assert grown_kb < 8 * MEGABYTE_KB
    assert answer.headers["x-qlaud-cost-micros"] == str(fake_openai_media.TRANSCRIPTION_COST_MICROS)
    assert gateway.wait_settled(key, 2)["cost_micros"] == 2 * fake_openai_media.TRANSCRIPTION_COST_MICROS


def test_another_length_of_the_models_name_is_spliced_in_and_the_length_follows(
    gateway: Gateway, openai: FakeProvider
) -> None:
    """A model that is served under another name there, as an operator's own list may say."""
    key = gateway.mint(max_spend_usd=1)
    body = form(sound(1), ("model", "GPT-4o-mini-transcribe"))
    answer = send_form(gateway, key, "/openai" + TRANSCRIBE, body)
    assert answer.status_code == 200, answer.text
    assert openai.last.form["model"].text == "gpt-4o-mini-transcribe"
    assert openai.last.header("content-length") == [str(len(openai.last.body))]


@pytest.mark.parametrize(
    ("seconds", "cap_usd", "status"),
    [
        # whisper-1 costs 100 micros a second; at least ten seconds are held.
        (100, "0.01", 200),
        (101, "0.01", 402),
        (1, "0.001", 200),
        (1, "0.000999", 402),
    ],
)
def test_a_file_is_held_for_as_long_as_it_plays(
    gateway: Gateway, openai: FakeProvider, seconds: int, cap_usd: str, status: int
) -> None:
    key = gateway.mint(max_spend_usd=cap_usd)
    answer = send_form(gateway, key, TRANSCRIBE, form(sound(seconds), ("model", "whisper-1")))
    assert answer.status_code == status, answer.text
    assert len(openai.calls) == (status == 200)


def test_sound_within_a_compression_is_refused_for_it_plays_longer_than_its_bytes(
    gateway: Gateway, deepgram: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1)
    path = "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
    packed = gzip.compress(bytes(32_000 * 600))
    headers = {"content-type": "audio/raw", "content-encoding": "gzip"}
    answer = send(gateway, key, path, packed, **headers)
    assert (answer.status_code, "content-encoding" in answer.text) == (400, True)
    assert deepgram.calls == []


@pytest.mark.parametrize(("cap_usd", "status"), [("0.06", 200), ("0.059999", 402)])
def test_a_file_nobody_can_read_is_held_for_as_long_as_the_operator_says(
    gateway: Gateway, openai: FakeProvider, cap_usd: str, status: int
) -> None:
    """600 seconds at 100 micros."""
    key = gateway.mint(max_spend_usd=cap_usd)
    answer = send_form(gateway, key, TRANSCRIBE, form(b"no sound" * 500, ("model", "whisper-1")))
    assert answer.status_code == status, answer.text
    assert len(openai.calls) == (status == 200)


def test_two_files_are_held_for_like_one_that_nobody_can_read(gateway: Gateway, openai: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd="0.059999")
    files = [part("file", sound(1), filename=name, kind="audio/wav") for name in ("a.wav", "b.wav")]
    answer = send_form(gateway, key, TRANSCRIBE, joined(*files, part("model", b"whisper-1")))
    assert answer.status_code == 402, answer.text
    assert openai.calls == []


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_text_and_subtitles_cost_what_was_measured_and_say_that_it_is_an_estimate(
    gateway: Gateway, openai: FakeProvider, kind: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    fields = (("model", "whisper-1"), ("response_format", kind))
    answer = send_form(gateway, key, TRANSCRIBE, form(sound(12), *fields))
    assert answer.text == fake_openai_media.TRANSCRIPT + "\n"
    assert answer.headers["x-qlaud-cost-micros"] == "1200"
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["estimated"], event["audio_seconds"]) == (1200, True, 12)
    assert event["surface"] == "audio_transcription"


def test_a_form_that_is_none_is_refused_in_the_surfaces_shape(gateway: Gateway, openai: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1)
    answer = send(gateway, key, TRANSCRIBE, {"model": "whisper-1"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "multipart/form-data" in answer.json()["error"]["message"]
    assert openai.calls == []


def test_what_a_form_says_twice_is_refused(gateway: Gateway, openai: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1)
    body = form(sound(1), ("model", "whisper-1"), ("model", "gpt-4o-transcribe"))
    answer = send_form(gateway, key, TRANSCRIBE, body)
    assert answer.status_code == 400
    assert "stands twice" in answer.json()["error"]["message"]
    assert openai.calls == []


@pytest.mark.parametrize("path", ["/v1/listen", "/deepgram/v1/listen"])
def test_sound_that_is_no_form_passes_byte_for_byte(
    gateway: Gateway, deepgram: FakeProvider, path: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    query = "?model=nova-3&smart_format=true&keywords=a%20b"
    file = sound(26)
    answer = send(
        gateway, key, path + query, file, authorization=f"Token {key.secret}", **{"content-type": "audio/wav"}
    )
    assert answer.status_code == 200, answer.text
    assert deepgram.last.body == file
    assert deepgram.last.target == "/v1/listen" + query
    assert deepgram.last.header("content-type") == ["audio/wav"]
    assert answer.headers["x-qlaud-cost-micros"] == str(fake_deepgram.TRANSCRIPTION_COST_MICROS)
    event = only_event(gateway, key)
    assert (event["audio_seconds"], event["estimated"], event["model"]) == (25.93, False, "nova-3")


def test_25_megabytes_of_sound_that_is_no_form_pass_in_constant_memory(
    gateway: Gateway, deepgram: FakeProvider, large: bytes
) -> None:
    key = gateway.mint(max_spend_usd=1)
    path = "/v1/listen?model=nova-3"
    assert send(gateway, key, path, sound(1), **{"content-type": "audio/wav"}).status_code == 200
    peak = Peak(gateway.process.pid)
    answer = send(gateway, key, path, large, **{"content-type": "audio/wav"})
    grown_kb = peak.grown_kb
    assert answer.status_code == 200, answer.text
    assert hashlib.sha256(deepgram.last.body).digest() == hashlib.sha256(large).digest()
    assert grown_kb < 8 * MEGABYTE_KB


def test_sound_at_an_address_is_held_for_as_long_as_the_operator_says(
    gateway: Gateway, deepgram: FakeProvider
) -> None:
    """600 seconds x 7700 / 60 = 77000 micros."""
    remote = {"url": "https://example.com/a.wav"}
    poor, rich = gateway.mint(max_spend_usd="0.076999"), gateway.mint(max_spend_usd="0.077")
    refused = send(gateway, poor, "/v1/listen?model=nova-3", remote)
    assert refused.status_code == 402
    told = refused.json()
    assert told["err_code"] == "key_cap_exceeded"
    assert told["err_msg"].startswith("this API key has reached its spending cap")
    assert told["request_id"] == refused.headers["x-request-id"]
    assert refused.headers["x-should-retry"] == "false"
    assert send(gateway, rich, "/v1/listen?model=nova-3", remote).status_code == 200
    assert [call.json for call in deepgram.calls] == [remote]


def test_elevenlabs_transcribes_what_its_form_holds(gateway: Gateway, elevenlabs: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1)
    body = form(sound(28), ("model_id", "scribe_v2"), ("diarize", "true"))
    answer = send_form(gateway, key, "/v1/speech-to-text", body, **{"xi-api-key": key.secret})
    assert answer.status_code == 200, answer.text
    assert elevenlabs.last.body == body
    assert answer.headers["x-qlaud-cost-micros"] == str(fake_elevenlabs.TRANSCRIPTION_COST_MICROS)
    assert only_event(gateway, key)["audio_seconds"] == 28


def test_elevenlabs_refusals_have_its_shape(gateway: Gateway, elevenlabs: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd="0.0001")
    body = form(sound(28), ("model_id", "scribe_v2"))
    answer = send_form(gateway, key, "/elevenlabs/v1/speech-to-text", body, **{"xi-api-key": key.secret})
    assert answer.status_code == 402
    assert answer.json()["detail"]["status"] == "key_cap_exceeded"
    assert elevenlabs.calls == []


def test_a_file_of_the_operators_account_is_not_open_to_its_users(
    gateway: Gateway, mistral: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=10)
    document = {"type": "file", "file_id": "f-1"}
    answer = send(gateway, key, "/v1/ocr", {"model": "mistral-ocr-latest", "document": document})
    assert answer.status_code >= 400
    assert "file_id" in answer.text
    assert mistral.calls == []
