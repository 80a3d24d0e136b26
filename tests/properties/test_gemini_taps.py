"""One answer of Gemini, told as events, as an array and as a body, cut in any way: the meter says the same.

Before its last chunk an answer may report any usage, rising or falling; none of it may show in the bill.
"""

import itertools
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from qlaud.core.usage import AtLeast, Exact, Metered
from qlaud.wire.array_tap import inserted
from qlaud.wire.gemini import GeminiWire
from qlaud.wire.types import AnswerHead, Asked, ModelCall, Tap

WIRE = GeminiWire()
MODEL = "gemini-3.8-flash"
Fields = dict[str, Any]
COUNT = st.integers(0, 500_000)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        '"usageMetadata":{"promptTokenCount":1}',
        "\r\n\r\n",
        "]}]",
        '"finishReason":"STOP"',
        '"error"',
        "\\",
        "data: {",
    ]
)
MODALITIES = st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT", "NEW"])
DETAILS = st.lists(st.fixed_dictionaries({"modality": MODALITIES, "tokenCount": COUNT}), max_size=4)


def usages(*, whole: bool) -> st.SearchStrategy[Fields]:
    """A last report, or any other."""
    at_least_one = st.integers(1, 500_000)
    counts = {"promptTokenCount": at_least_one}
    if whole:
        counts["candidatesTokenCount"] = at_least_one
    optional = {
        "candidatesTokenCount": at_least_one,
        "cachedContentTokenCount": COUNT,
        "thoughtsTokenCount": COUNT,
        "toolUsePromptTokenCount": COUNT,
        "totalTokenCount": COUNT,
        "serviceTier": st.sampled_from(["standard", "flex", "priority"]),
        "promptTokensDetails": DETAILS,
        "cacheTokensDetails": DETAILS,
        "candidatesTokensDetails": DETAILS,
        "toolUsePromptTokensDetails": DETAILS,
    }
    return st.fixed_dictionaries(
        counts, optional={name: value for name, value in optional.items() if name not in counts}
    )


PARTS = (
    TEXT.map(lambda text: {"text": text})
    | TEXT.map(lambda text: {"text": text, "thought": True})
    | TEXT.map(
        lambda text: {
            "functionCall": {"name": "f", "args": {"usageMetadata": {"promptTokenCount": 1}, "x": text}}
        }
    )
    | st.just({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}})
)


@dataclass(frozen=True)
class Answer:
    """What was answered: chunks with reports on the way, and the last report."""

    chunks: list[tuple[list[Fields], Fields | None]]
    usage: Fields


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    running = st.none() | usages(whole=False)
    chunks = draw(
        st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=2), running), min_size=1, max_size=5)
    )
    return Answer(chunks, draw(usages(whole=True)))


def as_chunks(answer: Answer) -> list[Fields]:
    chunks: list[Fields] = []
    for parts, usage in answer.chunks:
        chunk: Fields = {"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}]}
        if usage is not None:
            chunk["usageMetadata"] = usage
        chunks.append({**chunk, "modelVersion": MODEL, "responseId": "r"})
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    chunks[-1]["usageMetadata"] = answer.usage
    return chunks


def dump(value: object, *, compact: bool) -> str:
    return json.dumps(value, separators=(",", ":") if compact else None, ensure_ascii=not compact)


def as_events(chunks: list[Fields], *, compact: bool, ends: bytes) -> bytes:
    return b"".join(b"data: %b" % dump(chunk, compact=compact).encode() + ends * 2 for chunk in chunks)


def as_array(chunks: list[Fields], *, compact: bool) -> bytes:
    return b"[" + b"\r\n,\r\n".join(dump(chunk, compact=compact).encode() for chunk in chunks) + b"\r\n]"


def as_lines(chunks: list[Fields]) -> bytes:
    """An array as Google writes it unless asked not to."""
    return b"[" + b"\n,\r\n".join(json.dumps(chunk, indent=2).encode() for chunk in chunks) + b"\n]"


def as_body(answer: Answer) -> bytes:
    parts = [part for parts, _ in answer.chunks for part in parts]
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
    return json.dumps(
        {"candidates": [candidate], "usageMetadata": answer.usage, "modelVersion": MODEL}
    ).encode()


def make_tap(kind: bytes, *, stream: bool = True) -> Tap:
    call: ModelCall = WIRE.read_call(Asked(body=b"{}", model=MODEL, stream=stream))
    return WIRE.tap(call, strip_usage=False, head=AnswerHead(200, [(b"content-type", kind)]))


def meter(tap: Tap, text: bytes, cuts: list[int]) -> tuple[bytes, Metered]:
    edges = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    relayed = [tap.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    relayed.append(tap.finish())
    return b"".join(relayed), tap.outcome(input_bound=10**9)


EVENTS, JSON = b"text/event-stream", b"application/json"
CUTS = st.lists(st.integers(0, 10_000), max_size=40)
LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])


@given(answers(), CUTS, LINE_ENDS, st.booleans())
@settings(deadline=None)
def test_events_an_array_and_a_body_are_metered_alike(
    answer: Answer, cuts: list[int], ends: bytes, compact: bool
) -> None:
    chunks = as_chunks(answer)
    lines = as_lines(chunks)
    events, array = as_events(chunks, compact=compact, ends=ends), as_array(chunks, compact=compact)
    told, from_events = meter(make_tap(EVENTS), events, cuts)
    listed, from_array = meter(make_tap(JSON), array, cuts)
    written, from_lines = meter(make_tap(JSON), lines, cuts)
    _, from_body = meter(make_tap(JSON, stream=False), as_body(answer), cuts)
    assert (told, listed, written) == (events, array, lines)
    assert isinstance(from_body, Exact)
    assert from_events == from_array == from_lines == from_body
    used = from_body.usage
    last = answer.usage
    assert used.prompt_tokens == last["promptTokenCount"] + last.get("toolUsePromptTokenCount", 0)
    media = used.audio_out_tokens + used.image_out_tokens + used.video_out_tokens
    assert used.output_tokens + media == last["candidatesTokenCount"] + last.get("thoughtsTokenCount", 0)


@given(answers(), CUTS, st.integers(0, 400))
@settings(deadline=None)
def test_a_broken_stream_costs_at_least_its_last_report_or_what_was_relayed(
    answer: Answer, cuts: list[int], more: int
) -> None:
    chunks = as_chunks(answer)
    for kind, whole in (
        (EVENTS, as_events(chunks, compact=True, ends=b"\r\n")),
        (JSON, as_array(chunks, compact=True)),
    ):
        last = dump(chunks[-1], compact=True).encode()
        start = whole.rindex(last)
        relayed = whole[: start + min(more, len(last) - 1)]
        tap = make_tap(kind)
        _, found = meter(tap, relayed, cuts)
        if len(chunks) == 1:
            continue
        assert isinstance(found, AtLeast)
        media = found.usage.audio_out_tokens + found.usage.image_out_tokens + found.usage.video_out_tokens
        assert tap.output_floor <= found.usage.output_tokens + media
        if not any(usage for _, usage in answer.chunks[:-1]):
            text = sum(
                len(json.dumps(part["text"], ensure_ascii=False).encode()) - 2
                for parts, _ in answer.chunks[:-1]
                for part in parts
                if "text" in part
            )
            assert found.usage.output_tokens >= text
            assert found.usage.input_tokens == 10**9


SHREDS = st.sampled_from(
    [
        b"data: ",
        b"\r\n\r\n",
        b'{"usageMetadata":',
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\",
        b",",
        b'"candidates":[{',
    ]
)


@given(st.lists(st.binary(max_size=60) | SHREDS))
@settings(deadline=None)
def test_nothing_a_provider_sends_raises_or_is_changed(chunks: list[bytes]) -> None:
    for kind, stream in ((EVENTS, True), (JSON, True), (JSON, False)):
        tap = make_tap(kind, stream=stream)
        relayed = b"".join([*(tap.feed(chunk) for chunk in chunks), tap.finish()])
        tap.outcome(input_bound=1)
        assert relayed == b"".join(chunks)


@given(answers(), st.integers(0, 5000))
@settings(deadline=None)
def test_an_array_that_is_ended_at_a_boundary_is_json(answer: Answer, cut: int) -> None:
    array = as_array(as_chunks(answer), compact=False)
    tap = make_tap(JSON)
    relayed = array[: cut % len(array)]
    tap.feed(relayed)
    if tap.at_boundary:
        items = json.loads(relayed + inserted(tap, b'data: {"error":{}}\r\n\r\n'))
        assert items[-1] == {"error": {}}


@given(answers())
@settings(deadline=None, max_examples=15)
def test_every_byte_boundary_is_a_good_place_to_cut(answer: Answer) -> None:
    chunks = as_chunks(answer)
    for kind, text in (
        (EVENTS, as_events(chunks, compact=False, ends=b"\r\n")),
        (JSON, as_array(chunks, compact=False)),
    ):
        _, whole = meter(make_tap(kind), text, [])
        relayed, single = meter(make_tap(kind), text, list(range(len(text))))
        assert (relayed, single) == (text, whole)
