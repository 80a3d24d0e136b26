"""The wires that bill characters, seconds, pages and credits: a stream is metered as its body, in any pieces; nothing
a provider sends raises or is changed; no request of these wires costs more than was held, whatever is in it.
"""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qlaud.core.errors import QlaudError
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.core.usage import QUANTITIES, AtLeast, Exact, Metered, Usage
from qlaud.wire.form import FilePart, Form
from qlaud.wire.qwen_native import QwenGenerationWire
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall, Wire
from qlaud.wire.unit_wire import UnitWire

FORM = Form({"model": (b"m",), "model_id": (b"m",)}, {}, (FilePart("file", "a", "", 0, 9),), b"b", 0)
BODY = json.dumps(
    {
        "model": "m",
        "input": "Hi",
        "text": "Hi",
        "transcript": "Hi",
        "duration_seconds": 1,
        "document": {"type": "image_url", "image_url": "x"},
    }
).encode()
QWEN = b'{"model":"m","input":{"text":"Hi"}}'
UNIT_WIRES = sorted(name for name, wire in WIRES.items() if isinstance(wire, UnitWire | QwenGenerationWire))
COUNT = st.integers(0, 10**6)
CUTS = st.lists(st.integers(0, 10_000), max_size=40)
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"usage":{', "\n\n", "data: [DONE]", '"error"', '.done"', "\r", "﻿", '"finish_reason":"stop"']
)
EVENTS = AnswerHead(headers=((b"content-type", b"text/event-stream"),))
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))


def call_of(name: str) -> ModelCall:
    wire = WIRES[name]
    if wire.takes_form:
        return wire.read_call(Asked(form=FORM, media_ms=1000))
    return wire.read_call(Asked(body=QWEN if name.startswith("qwen") else BODY, media_ms=1000))


def meter(wire: Wire, call: ModelCall, head: AnswerHead, text: bytes, cuts: list[int]) -> Metered:
    tap = wire.tap(call, strip_usage=False, head=head)
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    relayed = [tap.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    assert b"".join((*relayed, tap.finish())) == text
    return tap.outcome(input_bound=9)


def events(*fields: dict[str, object], ends: bytes) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in fields).replace(b"\n", ends)


@given(st.lists(TEXT, max_size=5), st.integers(1, 10**6), COUNT, CUTS, LINE_ENDS)
@settings(deadline=None)
def test_a_transcription_in_events_is_metered_as_its_body(
    parts: list[str], tokens_in: int, tokens_out: int, cuts: list[int], ends: bytes
) -> None:
    usage = {"type": "tokens", "input_tokens": tokens_in, "output_tokens": tokens_out}
    wire, call = WIRES["openai_transcription"], call_of("openai_transcription")
    deltas = [{"type": "transcript.text.delta", "delta": part} for part in parts]
    done = {"type": "transcript.text.done", "text": "".join(parts), "usage": usage}
    stream = events(*deltas, done, ends=ends)
    found = meter(wire, call, EVENTS, stream, cuts)
    assert isinstance(found, Exact)
    assert found == meter(
        wire, call, JSON, json.dumps({"text": "".join(parts), "usage": usage}).encode(), cuts
    )


@given(st.lists(st.sampled_from(["4944", "00", "ff" * 40]), max_size=5), COUNT, CUTS, LINE_ENDS)
@settings(deadline=None)
def test_speech_of_minimax_in_events_is_metered_as_its_body(
    parts: list[str], characters: int, cuts: list[int], ends: bytes
) -> None:
    wire, call = WIRES["minimax_speech"], call_of("minimax_speech")
    fine = {"status_code": 0}
    pieces: list[dict[str, object]] = [
        {"data": {"audio": part, "status": 1}, "base_resp": fine} for part in parts
    ]
    last: dict[str, object] = {
        "data": {"audio": "".join(parts), "status": 2},
        "extra_info": {"usage_characters": characters},
        "base_resp": fine,
    }
    found = meter(wire, call, EVENTS, events(*pieces, last, ends=ends), cuts)
    assert found == Exact(Usage(characters=characters))
    assert found == meter(wire, call, JSON, json.dumps(last).encode(), cuts)


@given(st.lists(TEXT, min_size=1, max_size=5), COUNT, COUNT, COUNT, CUTS, LINE_ENDS, st.booleans())
@settings(deadline=None)
def test_frames_of_qwen_are_metered_as_their_body(
    parts: list[str],
    tokens_in: int,
    cached: int,
    tokens_out: int,
    cuts: list[int],
    ends: bytes,
    compact: bool,
) -> None:
    wire = WIRES["qwen_generation"]
    call = wire.read_call(
        Asked(body=b'{"model":"m","input":{"prompt":"Hi"}}', headers=((b"x-dashscope-sse", b"enable"),))
    )
    whole: dict[str, object] = {}
    frames: list[bytes] = []
    for number, text in enumerate(itertools.accumulate(parts), 1):
        is_last = number == len(parts)
        usage = {
            "input_tokens": tokens_in,
            "output_tokens": tokens_out if is_last else min(number, tokens_out),
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        whole = {"output": {"text": text, "finish_reason": "stop" if is_last else "null"}, "usage": usage}
        told = json.dumps(whole, separators=(",", ":") if compact else None, ensure_ascii=not compact)
        frames.append(f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{told}\n\n".encode())
    stream = b"".join(frame.replace(b"\n", ends) for frame in frames)
    found = meter(wire, call, EVENTS, stream, cuts)
    assert isinstance(found, Exact)
    assert found == meter(wire, call, JSON, json.dumps(whole).encode(), cuts)
    if len(frames) > 1:
        cut = b"".join(frame.replace(b"\n", ends) for frame in frames[:-1])
        assert isinstance(meter(wire, call, EVENTS, cut, cuts), AtLeast)


SHREDS = st.sampled_from(
    [
        b"data: ",
        b"\n\n",
        b'{"usage":',
        b'{"metadata":{"duration":',
        b'"extra_info":{"usage_characters":',
        b'"type":"speech.audio.done"',
        b'"output_tokens":',
        b'"finish_reason":"null"',
        b"}",
        b"\r\n",
        b"1e999",
        b"-1",
        b"null",
    ]
)


@pytest.mark.parametrize("name", UNIT_WIRES)
@given(chunks=st.lists(st.binary(max_size=60) | SHREDS))
@settings(deadline=None, max_examples=40)
def test_nothing_a_provider_sends_raises_or_is_changed(name: str, chunks: list[bytes]) -> None:
    call = call_of(name)
    for status in (200, 400):
        for kind in (b"application/json", b"text/event-stream", b"audio/mpeg", b"text/plain", b""):
            head = AnswerHead(status, ((b"content-type", kind), (b"character-cost", b"".join(chunks)[:9])))
            tap = WIRES[name].tap(call, strip_usage=False, head=head)
            relayed = b"".join([*(tap.feed(chunk) for chunk in chunks), tap.finish()])
            tap.outcome(input_bound=1)
            assert relayed == b"".join(chunks)
            assert tap.output_floor <= 10**16


NAMES = st.sampled_from(
    [
        "input",
        "text",
        "inputs",
        "transcript",
        "instructions",
        "pages",
        "document",
        "image_url",
        "duration_seconds",
        "music_length_ms",
        "composition_plan",
        "sections",
        "duration_ms",
        "parameters",
        "max_tokens",
        "n",
        "messages",
        "content",
        "model_id",
        "stream",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**7) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ONE = RateCard(
    "p",
    "m",
    "1",
    {STANDARD: (Band.of(0, {name: Rate(1_000_000) for name in QUANTITIES}),)},
)
"""A micro a unit, whatever the unit."""


@pytest.mark.parametrize("name", [name for name in UNIT_WIRES if not WIRES[name].takes_form])
@given(fields=st.dictionaries(NAMES, VALUES, max_size=6))
@settings(deadline=None, max_examples=60)
def test_what_is_expected_never_costs_more_than_what_is_held(name: str, fields: dict[str, object]) -> None:
    asked = Asked(body=json.dumps({"model": "m", **fields}).encode(), model="m", media_ms=5)
    try:
        call = WIRES[name].read_call(asked)
    except QlaudError:
        return
    if call.expected is None:
        return
    held = ONE.worst(call.demand).micros(0)
    for usage in (call.expected, call.expected.instead):
        if usage is not None:
            assert ONE.charge(usage).cost_micros <= held
