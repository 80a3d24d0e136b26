"""One logical answer, told as a body and as a stream cut in any way: the meter says the same, the bytes stay.

The generator makes an answer; two renderers write it down. Whatever differs between a stream and a body (stubs,
cumulative counts, framing, padding, unrelated events) must not show in the usage.
"""

import itertools
import json
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Metered
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import AnswerHead, ModelCall, Tap, Wire

Fields = dict[str, object]
COMPACT = "compact"
"""A padding that means none, and JSON without spaces."""
COUNT = st.integers(0, 500_000)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"usage":{', "\n\n", "data: [DONE]", '"error"', '"text_delta"', "\r", "\ufeff"]
)


@dataclass(frozen=True)
class Answer:
    """What a provider answered, before anybody wrote it down."""

    parts: list[str]
    usage: Fields
    noise: list[bytes]
    ttls: frozenset[str]


def anthropic_usage(draw: st.DrawFn) -> Fields:
    short, long, extra = draw(COUNT), draw(COUNT), draw(st.sampled_from([0, 0, 7]))
    usage: Fields = {
        "input_tokens": draw(st.integers(1, 500_000)),
        "output_tokens": draw(st.integers(1, 500_000)),
    }
    if draw(st.booleans()):
        usage["cache_creation_input_tokens"] = short + long + extra
        if draw(st.booleans()):
            usage["cache_creation"] = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}
    for name in ("cache_read_input_tokens",):
        if draw(st.booleans()):
            usage[name] = draw(COUNT)
    if draw(st.booleans()):
        usage["output_tokens_details"] = {"thinking_tokens": draw(COUNT)}
    if draw(st.booleans()):
        usage["server_tool_use"] = {"web_search_requests": draw(st.integers(0, 5))}
    if draw(st.booleans()):
        usage["iterations"] = [
            {"type": "compaction", "input_tokens": draw(COUNT), "output_tokens": draw(COUNT)}
        ]
    if draw(st.booleans()):
        usage |= {"service_tier": "priority", "speed": "fast", "inference_geo": "us"}
    return usage


def openai_usage(draw: st.DrawFn) -> Fields:
    prompt, completion = draw(st.integers(1, 500_000)), draw(st.integers(1, 500_000))
    usage: Fields = {"prompt_tokens": prompt, "completion_tokens": completion}
    if draw(st.booleans()):
        usage["total_tokens"] = prompt + completion + draw(st.sampled_from([0, 0, 50]))
    if draw(st.booleans()):
        usage["prompt_tokens_details"] = {"cached_tokens": draw(COUNT), "cache_write_tokens": draw(COUNT)}
    if draw(st.booleans()):
        usage["completion_tokens_details"] = {"reasoning_tokens": draw(COUNT)}
    return usage


NOISE = st.sampled_from(
    [b": keep-alive\n\n", b'event: ping\ndata: {"type": "ping"}\n\n', b"event: new\ndata: {}\n\n", b"\n"]
)


@st.composite
def anthropic_answers(draw: st.DrawFn) -> Answer:
    ttls = draw(st.sampled_from([(), ("5m",), ("1h",), ("5m", "1h")]))
    return Answer(
        draw(st.lists(TEXT, max_size=6)),
        anthropic_usage(draw),
        draw(st.lists(NOISE, max_size=3)),
        frozenset(ttls),
    )


@st.composite
def openai_answers(draw: st.DrawFn) -> Answer:
    ttls = draw(st.sampled_from([(), ("12h",), ("30m", "12h")]))
    parts = draw(st.lists(TEXT.filter(bool), max_size=6))
    return Answer(
        parts, openai_usage(draw), draw(st.lists(st.just(b": keep-alive\n\n"), max_size=2)), frozenset(ttls)
    )


def dump(fields: Fields, padding: str) -> str:
    if padding == COMPACT:
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(fields) + padding


def named(kind: str, fields: Fields, padding: str) -> bytes:
    return f"event: {kind}\ndata: {dump({'type': kind, **fields}, padding)}\n\n".encode()


def anthropic_stream(answer: Answer, padding: str) -> bytes:
    """As Anthropic streams it: the input side and a stub first, cumulative totals without the cache split last."""
    first = {**answer.usage, "output_tokens": 1}
    for late in ("output_tokens_details", "server_tool_use", "iterations"):
        first.pop(late, None)
    last = {name: value for name, value in answer.usage.items() if name != "cache_creation"}
    message = {"id": "m", "model": "claude-x", "content": [], "usage": first}
    events = [named("message_start", {"message": message}, padding), *answer.noise]
    events += [
        named("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": part}}, padding)
        for part in answer.parts
    ]
    events.append(named("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": last}, padding))
    events.append(named("message_stop", {}, padding))
    return b"".join(events)


def anthropic_body(answer: Answer) -> bytes:
    content = [{"type": "text", "text": part} for part in answer.parts]
    return json.dumps(
        {"type": "message", "model": "claude-x", "content": content, "usage": answer.usage}
    ).encode()


def openai_chunk(padding: str, **fields: object) -> bytes:
    return f"data: {dump({'id': 'c', 'created': 1, 'model': 'gpt-x', **fields}, padding)}\n\n".encode()


def openai_stream(answer: Answer, padding: str) -> bytes:
    events = [
        openai_chunk(padding, choices=[{"index": 0, "delta": {"role": "assistant"}}], usage=None),
        *answer.noise,
    ]
    events += [
        openai_chunk(padding, choices=[{"index": 0, "delta": {"content": part}}], usage=None)
        for part in answer.parts
    ]
    events.append(openai_chunk(padding, choices=[], usage=answer.usage))
    return b"".join((*events, b"data: [DONE]\n\n"))


def openai_body(answer: Answer) -> bytes:
    choices = [{"index": 0, "message": {"content": "".join(answer.parts)}}]
    return json.dumps({"model": "gpt-x", "choices": choices, "usage": answer.usage}).encode()


def make_tap(wire: Wire, answer: Answer, *, strip: bool = False, body: bool = False) -> Tap:
    call = ModelCall("m", stream=not body, demand=Demand(1, cache_ttls=answer.ttls), wants_usage=not strip)
    return wire.tap(call, strip_usage=strip)


def meter(tap: Tap, text: bytes, cuts: list[int]) -> tuple[bytes, Metered]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    relayed = [tap.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    relayed.append(tap.finish())
    return b"".join(relayed), tap.outcome(input_bound=10**9)


CUTS = st.lists(st.integers(0, 10_000), max_size=40)
PADDING = st.sampled_from(["", " ", "      ", COMPACT])
LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(anthropic_answers(), CUTS, PADDING, LINE_ENDS)
@settings(deadline=None)
def test_an_anthropic_stream_is_metered_as_its_body(
    answer: Answer, cuts: list[int], padding: str, ends: bytes
) -> None:
    stream = anthropic_stream(answer, padding).replace(b"\n", ends)
    wire = AnthropicWire()
    relayed, from_stream = meter(make_tap(wire, answer), stream, cuts)
    _, from_body = meter(make_tap(wire, answer, body=True), anthropic_body(answer), cuts)
    assert relayed == stream
    assert isinstance(from_stream, Exact)
    assert from_stream == from_body


@given(openai_answers(), CUTS, PADDING, LINE_ENDS, st.booleans())
@settings(deadline=None)
def test_an_openai_stream_is_metered_as_its_body(
    answer: Answer, cuts: list[int], padding: str, ends: bytes, strip: bool
) -> None:
    stream = openai_stream(answer, padding).replace(b"\n", ends)
    wire = OpenAIChatWire()
    relayed, from_stream = meter(make_tap(wire, answer, strip=strip), stream, cuts)
    _, from_body = meter(make_tap(wire, answer, body=True), openai_body(answer), cuts)
    usage_event = openai_chunk(padding, choices=[], usage=answer.usage).replace(b"\n", ends)
    assert stream.count(usage_event) == 1
    assert relayed == (stream.replace(usage_event, b"") if strip else stream)
    assert isinstance(from_stream, Exact)
    assert from_stream == from_body


@given(anthropic_answers(), openai_answers(), PADDING, CUTS, st.integers(0, 60))
@settings(deadline=None)
def test_a_broken_stream_is_billed_for_at_least_what_was_relayed(
    anthropic: Answer, openai: Answer, padding: str, cuts: list[int], more: int
) -> None:
    for wire, answer, stream, last in (
        (AnthropicWire(), anthropic, anthropic_stream(anthropic, padding), b"event: message_delta\n"),
        (
            OpenAIChatWire(),
            openai,
            openai_stream(openai, padding),
            openai_chunk(padding, choices=[], usage=openai.usage),
        ),
    ):
        relayed = stream[: stream.index(last) + min(more, len(last) - 3)]
        tap = make_tap(wire, answer)
        _, found = meter(tap, relayed, cuts)
        assert isinstance(found, AtLeast)
        assert found.usage.output_tokens >= sum(len(part.encode()) for part in answer.parts)
        assert tap.output_floor <= found.usage.output_tokens


SHREDS = st.sampled_from([b"data: ", b"\n\n", b'{"usage":', b'"message_', b"}", b"\r\n"])


@given(st.lists(st.binary(max_size=60) | SHREDS))
@settings(deadline=None)
def test_nothing_a_provider_sends_raises_or_is_changed(chunks: list[bytes]) -> None:
    for wire in (AnthropicWire(), OpenAIChatWire()):
        for strip in (False, True):
            for content_type in (b"application/json", b"text/event-stream"):
                call = ModelCall("m", stream=True, demand=Demand(1), wants_usage=not strip)
                tap = wire.tap(
                    call, strip_usage=strip, head=AnswerHead(headers=((b"content-type", content_type),))
                )
                relayed = b"".join([*(tap.feed(chunk) for chunk in chunks), tap.finish()])
                tap.outcome(input_bound=1)
                assert relayed == b"".join(chunks)


@given(openai_answers(), anthropic_answers())
@settings(deadline=None, max_examples=15)
def test_every_byte_boundary_is_a_good_place_to_cut(openai: Answer, anthropic: Answer) -> None:
    for wire, answer, stream in (
        (OpenAIChatWire(), openai, openai_stream(openai, "")),
        (AnthropicWire(), anthropic, anthropic_stream(anthropic, "").replace(b"\n", b"\r\n")),
    ):
        _, whole = meter(make_tap(wire, answer), stream, [])
        relayed, single = meter(make_tap(wire, answer), stream, list(range(len(stream))))
        assert (relayed, single) == (stream, whole)
