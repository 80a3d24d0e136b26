"""What the bench feeds to the taps: every wire that streams, and streams that are what they say."""

import json

import pytest
from bench.taps import table
from bench.taps.chat import TEXT
from bench.taps.live import LIVE
from bench.taps.measure import EVENTS, measure, to_json
from bench.taps.sound import SOUND
from bench.taps.streams import Session, Stream, chunks, cut

from qlaud.wire.live_shelf import LIVE_WIRES
from qlaud.wire.shelf import JOBS, WIRES

ALIKE = {
    "mistral_speech": "openai_speech",
    "openai_image_edits": "openai_images",
    "openai_translation": "openai_transcription",
    "xai_transcription": "openai_transcription",
    "elevenlabs_credits": "elevenlabs_speech",
    "elevenlabs_isolation": "elevenlabs_speech",
    "elevenlabs_music": "elevenlabs_speech",
    "elevenlabs_voice_changer": "elevenlabs_speech",
    "elevenlabs_voice_design": "elevenlabs_speech",
    "qwen_speech": "qwen_generation",
    "qwen_image": "qwen_generation",
}
"""Wires whose streams have the tap of another one."""
WHOLE = frozenset(
    {
        *("count_tokens", "gemini_embed", "gemini_count", "openai_embeddings"),
        *("elevenlabs_transcription", "deepgram_listen", "deepgram_read", "mistral_ocr", "minimax_image"),
        *JOBS,
    }
)
"""Wires whose answers come whole; those of jobs do."""


def test_every_wire_that_streams_is_measured_or_has_the_tap_of_one_that_is() -> None:
    measured = {stream.wire for stream in (*TEXT, *SOUND)}
    assert set(WIRES) - WHOLE - set(ALIKE) <= measured
    assert set(ALIKE.values()) <= measured
    assert {session.wire for session in LIVE} == set(LIVE_WIRES)


@pytest.fixture(scope="module")
def measured() -> tuple[list[table.Taps], list[str]]:
    rows, left_out, complaints = measure((*TEXT, *SOUND), LIVE, rounds=1)
    return [table.from_json(to_json(rows, left_out, complaints))], complaints


def test_each_tap_reads_the_same_usage_however_the_stream_is_cut(
    measured: tuple[list[table.Taps], list[str]],
) -> None:
    (taps,), complaints = measured
    assert complaints == []
    assert taps.left_out == {}
    assert len(taps.figures) == len(TEXT) + len(SOUND) + len(LIVE)


def test_a_tap_that_reads_something_else_is_a_complaint() -> None:
    cut_off = Stream("messages", "cut off", TEXT[0].event, TEXT[0].request, TEXT[0].opening)
    _, _, complaints = measure([cut_off], [], rounds=0)
    assert complaints == ["messages, cut off: of one stream the tap made AtLeast, not Exact"]


def test_what_this_version_does_not_have_is_left_out() -> None:
    later = Stream("telepathy", "text", TEXT[0].event, TEXT[0].request)
    spoken = Session("telepathy", "up", str, is_callers=True)
    rows, left_out, complaints = measure([later, TEXT[0]], [spoken], rounds=0)
    assert [row.wire for row in rows] == ["messages"]
    assert set(left_out) == {"telepathy, text", "telepathy, up"}
    assert complaints == []


def test_all_forms_of_a_stream_are_the_same_bytes() -> None:
    for stream in (*TEXT, *SOUND):
        alone = b"".join(chunks(stream, count=20, at_once=1))
        assert b"".join(chunks(stream, count=20, at_once=5)) == alone
        assert b"".join(cut(stream, count=20, size=100)) == alone


def test_events_of_text_are_of_realistic_size() -> None:
    for stream in TEXT:
        assert 100 <= len(stream.event(EVENTS)) <= 500, stream.name


def test_the_dearest_stream_decides() -> None:
    told = {
        "rows": [
            {"wire": "a", "name": "x", "event_bytes": 100, "figures": {"alone_us": [1.0, 9.0, 2.0]}},
            {"wire": "b", "name": "y", "event_bytes": 100, "figures": {"alone_us": [3.0], "cut_us": [4.5]}},
        ],
        "left_out": {},
        "complaints": [],
    }
    taps = table.from_json(json.dumps(told))
    (aim,) = table.aims(taps)
    assert (aim.measured, aim.verdict) == (4.5, "NOT met")
    assert "(b, y)" in aim.promise
    assert table.rows(taps)[1:] == [["a, x", "100", "2.0", "-", "-"], ["b, y", "100", "3.0", "-", "4.5"]]
