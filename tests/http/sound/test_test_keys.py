"""Test keys speak and listen too: the simulator answers, test money pays, and no provider is asked."""

import pytest
from tests.http.sound.asking import form, only_event, send, send_form, sound
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway

SPEAK = "/v1/text-to-speech/nobody"


@pytest.mark.parametrize(
    ("path", "body", "cost_micros"),
    [
        ("/v1/audio/speech", {"model": "tts-1", "voice": "alloy", "input": "Hello"}, 75),
        (SPEAK, {"text": "Hello"}, 500),
        (SPEAK + "/stream", {"text": "Hello", "model_id": "eleven_turbo_v2_5"}, 250),
        ("/v1/speak?model=aura-2-thalia-en", {"text": "Hello"}, 150),
        ("/cartesia/tts/bytes", {"model_id": "sonic-3", "transcript": "Hello"}, 250),
        ("/v1/t2a_v2", {"model": "speech-2.8-hd", "text": "Hello"}, 500),
        ("/v1/sound-generation", {"text": "a door", "duration_seconds": 1}, 3000),
        ("/v1/ocr", {"model": "mistral-ocr-4-1", "document": {}, "pages": [0]}, 4000),
    ],
)
def test_what_a_provider_would_bill_is_billed_in_test_money(
    gateway: Gateway, running: dict[str, FakeProvider], path: str, body: dict[str, object], cost_micros: int
) -> None:
    asked = {slug: len(provider.calls) for slug, provider in running.items()}
    key = gateway.mint(mode="test", max_spend_usd=1)
    answer = send(gateway, key, path, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-qlaud-provider"] == "sim"
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["estimated"]) == (cost_micros, False)
    assert asked == {slug: len(provider.calls) for slug, provider in running.items()}


def test_what_a_test_key_says_is_written_down(gateway: Gateway) -> None:
    key = gateway.mint(mode="test", max_spend_usd=1)
    body = form(sound(3), ("model", "whisper-1"))
    answer = send_form(gateway, key, "/v1/audio/transcriptions", body)
    assert answer.json()["text"] == "This is a simulated transcript."
    event = only_event(gateway, key)
    assert (event["audio_seconds"], event["cost_micros"]) == (3, 300)
