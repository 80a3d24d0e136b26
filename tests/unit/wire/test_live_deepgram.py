"""Deepgram's live meters, with providers.md D 40 to 42 and 71 as cases."""

import json

import pytest

from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.live import Frame, LiveTerms, Meter
from qlaud.wire.live_deepgram import ListenMeter, SpeakMeter

TERMS = LiveTerms(slice_ms=15_000)
SECOND = bytes(32_000)
"""One second of linear16 at 16 kHz."""
RAW = b"model=nova-3&encoding=linear16&sample_rate=16000"


def send(meter: Meter, frame: Frame) -> None:
    meter.offer(frame)
    meter.sent()


def heard(audio_ms: int) -> Usage:
    return Usage(audio_ms=audio_ms, grade="streaming")


def results(start: float, duration: float) -> str:
    return json.dumps({"type": "Results", "start": start, "duration": duration, "is_final": True})


def metadata(duration: float, channels: int = 1) -> str:
    return json.dumps({"type": "Metadata", "duration": duration, "channels": channels, "request_id": "u"})


def turn(end: float) -> str:
    return json.dumps(
        {"type": "TurnInfo", "event": "Update", "audio_window_start": 0, "audio_window_end": end}
    )


def test_the_closing_metadata_is_what_is_billed() -> None:
    meter = ListenMeter(RAW, TERMS)
    for _ in range(26):
        send(meter, SECOND)
    meter.seen(metadata(25.93))
    assert meter.told_all
    assert meter.end(clean=True) == Exact(heard(25_930))


def test_raw_audio_is_counted_to_the_millisecond_before_it_goes_on() -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND[:3200])
    assert meter.need(ahead=False).most == {"audio_ms": 100}
    assert meter.need(ahead=True).most == {"audio_ms": 15_100}


def test_a_frame_that_does_not_go_on_is_not_counted() -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND)
    meter.offer(SECOND)
    meter.withdraw()
    assert meter.end(clean=False) == AtLeast(heard(1000))


def test_a_frame_that_waits_for_its_money_is_not_settled() -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND)
    meter.offer(SECOND)
    assert meter.take(everything=True) == AtLeast(heard(1000))
    assert meter.need(ahead=False).most == {"audio_ms": 1000}
    meter.sent()
    assert meter.take(everything=True) == AtLeast(heard(1000))


def test_slices_are_settled_by_the_progress_the_provider_tells_and_add_up_to_its_total() -> None:
    meter = ListenMeter(RAW, TERMS)
    for _ in range(15):
        send(meter, SECOND)
    assert not meter.ready
    meter.seen(results(0, 12.5))
    assert meter.ready
    assert meter.take() == Exact(heard(12_500))
    assert meter.need(ahead=False).most == {"audio_ms": 2_500}
    assert meter.take() == Nothing()
    meter.seen(results(12.5, 2.5))
    meter.seen(metadata(15.2))
    assert meter.end(clean=True) == Exact(heard(2_700))


def test_progress_that_falls_back_is_old_news() -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND * 9)
    meter.seen(results(5, 3))
    meter.seen(results(2, 3))
    assert meter.take() == Exact(heard(8_000))


def test_a_provider_that_vanishes_is_billed_for_what_it_was_sent_as_an_estimate() -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND * 7)
    meter.seen(results(0, 4))
    assert meter.end(clean=False) == AtLeast(heard(7_000))


def test_without_progress_all_that_was_sent_can_be_settled_by_count() -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND * 15)
    assert meter.take(everything=True) == AtLeast(heard(15_000))
    meter.seen(metadata(15.0))
    assert meter.end(clean=True) == Nothing()


@pytest.mark.parametrize(
    ("query", "expected_ms"),
    [
        (b"encoding=linear16&sample_rate=8000&channels=2", 1000),
        (b"encoding=linear16&sample_rate=8000&channels=2&multichannel=true", 2000),
        (b"encoding=mulaw&sample_rate=8000", 4000),
        (b"encoding=linear32&sample_rate=8000", 1000),
        (b"encoding=linear16&sample_rate=nonsense", 1000),
    ],
)
def test_the_query_says_how_long_raw_audio_plays(query: bytes, expected_ms: int) -> None:
    meter = ListenMeter(query, TERMS)
    send(meter, bytes(32_000))
    assert meter.end(clean=False) == AtLeast(heard(expected_ms))


def test_every_channel_of_several_is_billed_when_each_gets_a_transcript() -> None:
    meter = ListenMeter(RAW + b"&channels=2&multichannel=true", TERMS)
    send(meter, bytes(64_000 * 4))
    meter.seen(results(0, 2))
    assert meter.take() == Exact(heard(4_000))
    meter.seen(metadata(4.0, channels=2))
    assert meter.end(clean=True) == Exact(heard(4_000))


def test_contained_audio_is_bounded_by_the_slowest_codec_and_settled_by_progress() -> None:
    meter = ListenMeter(b"model=nova-3", TERMS)
    send(meter, bytes(4_000))
    assert meter.need(ahead=False).most == {"audio_ms": 5_334}  # 4000 bytes at 6 kbit/s
    meter.seen(results(0, 1))
    send(meter, bytes(4_000))
    meter.seen(results(1, 1))
    # 2 s were told of 8000 bytes, the last 4000 of them may be waiting: twice what they were so far, and the lag.
    assert meter.take() == Exact(heard(2_000))
    assert meter.need(ahead=False).most["audio_ms"] <= 15_000 + 2_000
    meter.seen(metadata(2.0))
    assert meter.end(clean=True) == Nothing()


@pytest.mark.parametrize(
    ("query", "grade"),
    [
        (b"", "streaming"),
        (b"language=multi", "streaming-multi"),
        (b"language=en&diarize=true&redact=pci&redact=ssn", "streaming+diarize+redact"),
        (b"diarize_model=v2&keyterm=a%20b&detect_entities=true", "streaming+detect_entities+diarize+keyterm"),
        (b"diarize=false&redact=false&detect_entities=false", "streaming"),
    ],
)
def test_language_and_options_decide_the_price(query: bytes, grade: str) -> None:
    meter = ListenMeter(query + b"&encoding=linear16", TERMS)
    send(meter, SECOND)
    assert meter.need(ahead=False).grade == grade
    assert meter.end(clean=False) == AtLeast(Usage(audio_ms=1000, grade=grade))


def test_flux_is_billed_to_the_end_of_its_last_audio_window() -> None:
    meter = ListenMeter(b"model=flux-general-en&encoding=linear16&sample_rate=16000", TERMS, flux=True)
    send(meter, SECOND * 13)
    for end in (0.4, 6.0, 12.4):
        meter.seen(turn(end))
    assert meter.end(clean=True) == Exact(Usage(audio_ms=12_400))


def test_a_flux_session_that_broke_keeps_its_last_window_as_an_estimate() -> None:
    meter = ListenMeter(RAW, TERMS, flux=True)
    send(meter, SECOND * 13)
    meter.seen(turn(6.0))
    assert meter.end(clean=False) == AtLeast(Usage(audio_ms=6_000))


@pytest.mark.parametrize(
    "frame",
    [
        b"\x00\x01",
        "no json but Results",
        '{"type":"Results"}',
        '{"type":"Results","start":"x","duration":null}',
        '{"type":"Metadata","duration":-4}',
        '{"type":"Metadata","duration":1e999}',
        '["Results"]',
    ],
)
def test_messages_without_sense_change_nothing(frame: str | bytes) -> None:
    meter = ListenMeter(RAW, TERMS)
    send(meter, SECOND)
    meter.seen(frame)
    assert not meter.told_all
    assert meter.end(clean=False) == AtLeast(heard(1000))


def speak(text: str) -> str:
    return json.dumps({"type": "Speak", "text": text})


def test_spoken_characters_are_counted_as_they_are_sent() -> None:
    meter = SpeakMeter(b"model=aura-2-thalia-en", TERMS)
    send(meter, speak("Grüße"))
    send(meter, '{"type":"Flush"}')
    assert meter.need(ahead=False).most == {"characters": 5}
    assert meter.need(ahead=True).most == {"characters": 245}
    assert meter.take() == Exact(Usage(characters=5))
    send(meter, speak("ab"))
    assert meter.end(clean=False) == Exact(Usage(characters=2))


def test_text_under_an_escaped_name_is_spoken_and_billed() -> None:
    meter = SpeakMeter(b"model=aura-2-thalia-en", TERMS)
    send(meter, '{"type":"Speak","\\u0074ext":"hello"}')
    assert meter.take() == Exact(Usage(characters=5))


def test_the_second_version_is_billed_by_its_session_sum_not_by_the_sum_of_both() -> None:
    meter = SpeakMeter(b"model=aura-3", TERMS, tells=True)
    send(meter, speak("x" * 40))
    for billable in (20, 15):
        meter.seen(json.dumps({"type": "SpeechMetadata", "billable_character_count": billable}))
    assert meter.take() == Exact(Usage(characters=35))
    meter.seen(json.dumps({"type": "SessionMetadata", "total_billable_character_count": 36}))
    assert meter.told_all
    assert meter.end(clean=True) == Exact(Usage(characters=1))


def test_a_second_version_session_that_broke_is_billed_for_what_was_sent_as_an_estimate() -> None:
    meter = SpeakMeter(b"model=aura-3", TERMS, tells=True)
    send(meter, speak("x" * 40))
    meter.seen(json.dumps({"type": "SpeechMetadata", "billable_character_count": 20}))
    assert meter.end(clean=False) == AtLeast(Usage(characters=40))
