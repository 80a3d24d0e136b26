"""What the meter makes of Gemini's answers: streams, arrays and bodies, whole and broken, however they are cut."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from qlaud.core.errors import KeyCapExceeded, ProviderTimeout
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.array_tap import inserted
from qlaud.wire.gemini import GeminiWire
from qlaud.wire.taps import EVENT_KEEP_BYTES
from qlaud.wire.types import AnswerHead, Asked, ModelCall, Tap

RECORDED = Path(__file__).parents[2] / "recorded"
WIRE = GeminiWire()
MODEL = "gemini-3.8-flash"
INPUT_BOUND = 777
EVENTS, JSON = b"text/event-stream", b"application/json; charset=UTF-8"
CAP = KeyCapExceeded(cap_micros=1, spent_micros=1, held_micros=0)


def call(*, stream: bool = True, model: str = MODEL, **fields: object) -> ModelCall:
    body = json.dumps({"contents": [], **fields}).encode()
    return WIRE.read_call(Asked(body=body, model=model, stream=stream))


def tap_of(kind: bytes = EVENTS, *, tier: bytes = b"", **fields: Any) -> Tap:
    headers = [(b"content-type", kind)]
    if tier:
        headers.append((b"x-gemini-service-tier", tier))
    return WIRE.tap(call(**fields), strip_usage=False, head=AnswerHead(200, headers))


def run(tap: Tap, answer: bytes, size: int = 0) -> Metered:
    """Feed `answer` in pieces of `size`; it must come through unchanged."""
    size = size or max(1, len(answer))
    relayed = [tap.feed(answer[at : at + size]) for at in range(0, len(answer), size)]
    assert b"".join((*relayed, tap.finish())) == answer
    return tap.outcome(input_bound=INPUT_BOUND)


def events(*chunks: object) -> bytes:
    return b"".join(b"data: %b\r\n\r\n" % json.dumps(chunk).encode() for chunk in chunks)


def array(*chunks: object) -> bytes:
    return b"[" + b"\r\n,\r\n".join(json.dumps(chunk).encode() for chunk in chunks) + b"]"


def chunk(*parts: object, finish: str | None = None, index: int = 0, **fields: object) -> dict[str, object]:
    candidate: dict[str, object] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = finish
    grounding = fields.pop("grounding", None)
    if grounding is not None:
        candidate["groundingMetadata"] = grounding
    return {"candidates": [candidate], **fields, "modelVersion": MODEL, "responseId": "r", **fields}


def usage(prompt: int, candidates: int = 0, **fields: object) -> dict[str, object]:
    counts: dict[str, object] = {"promptTokenCount": prompt, "totalTokenCount": prompt + candidates}
    if candidates:
        counts["candidatesTokenCount"] = candidates
    return {**counts, **fields}


def used(*parts: object, **counts: object) -> dict[str, object]:
    """A last chunk with this usage."""
    return chunk(*(parts or ({"text": "x"},)), finish="STOP", usageMetadata=counts)


RECORDED_USAGE = {
    "gemini_thinking_tool.sse": Usage(427, output_tokens=106, reasoning_tokens=90, served_model=MODEL),
    "gemini_prompt_falls.sse": Usage(79, output_tokens=6, served_model="gemini-2.5-flash"),
    "gemini_candidates_jump.sse": Usage(
        8, output_tokens=1759, reasoning_tokens=1637, served_model="gemini-2.5-pro"
    ),
    "gemini_last_without_usage.sse": Usage(427, output_tokens=16, served_model=MODEL),
    "gemini_prompt_blocked.sse": Usage(31, served_model=MODEL),
    "gemini_grounded.sse": Usage(
        52, output_tokens=3, web_searches=2, tier="priority", served_model=MODEL, detail={"search_queries": 2}
    ),
}


@pytest.mark.parametrize("name", RECORDED_USAGE)
@pytest.mark.parametrize("size", [0, 1, 7, 64])
def test_the_last_usage_of_a_recorded_stream_counts(name: str, size: int) -> None:
    stream = (RECORDED / name).read_bytes()
    assert stream.endswith(b"}\r\n\r\n")
    assert run(tap_of(), stream, size) == Exact(RECORDED_USAGE[name])


@pytest.mark.parametrize("name", RECORDED_USAGE)
@pytest.mark.parametrize("size", [0, 1, 7, 64])
def test_an_array_and_a_body_are_metered_as_the_stream_is(name: str, size: int) -> None:
    chunks = [json.loads(line[6:]) for line in (RECORDED / name).read_bytes().split(b"\r\n") if line]
    for text in (array(*chunks), json.dumps(chunks, indent=2).encode()):
        assert run(tap_of(JSON), text, size) == Exact(RECORDED_USAGE[name])
    if len(chunks) == 1:
        body = json.dumps(chunks[0], indent=2).encode()
        assert run(tap_of(JSON, stream=False), body, size) == Exact(RECORDED_USAGE[name])


def test_an_array_under_a_bodys_name_is_read_all_the_same() -> None:
    text = array(
        chunk({"text": "a"}, usageMetadata=usage(5, 1)), used(promptTokenCount=5, candidatesTokenCount=2)
    )
    assert run(tap_of(JSON, stream=False), text) == Exact(Usage(5, output_tokens=2, served_model=MODEL))


@pytest.mark.parametrize("kind", [EVENTS, JSON])
def test_an_error_before_any_content_costs_nothing(kind: bytes) -> None:
    stream = (RECORDED / "gemini_error_first.sse").read_bytes()
    assert run(tap_of(kind), stream if kind is EVENTS else b"[%b]" % stream[6:].strip()) == Nothing()
    assert run(tap_of(kind), b"") == Nothing()
    assert run(tap_of(JSON, stream=False), stream[6:]) == Nothing()


def test_an_error_after_content_costs_what_was_relayed() -> None:
    stream = (RECORDED / "gemini_error_after_text.sse").read_bytes()
    for size in (0, 1):
        tap = tap_of()
        assert run(tap, stream, size) == AtLeast(Usage(8, output_tokens=len("Hello"), served_model=MODEL))
        assert (tap.started, tap.complete) == (True, False)


def test_a_broken_stream_is_billed_by_its_last_usage_and_what_came_after() -> None:
    parts = (
        chunk({"text": "Hello"}, usageMetadata=usage(8)),
        chunk({"text": " there"}, usageMetadata=usage(8, 2, thoughtsTokenCount=50)),
        chunk({"text": "..."}, usageMetadata=usage(9)),
    )
    for count, expected in ((1, (8, 5)), (2, (8, 52)), (3, (9, 52))):
        for kind, text in ((EVENTS, events(*parts[:count])), (JSON, array(*parts[:count])[:-1])):
            found = run(tap_of(kind), text)
            assert isinstance(found, AtLeast)
            assert (found.usage.input_tokens, found.usage.output_tokens) == expected


def test_thoughts_that_a_report_counts_are_not_counted_again() -> None:
    thought = chunk({"text": "Let me see", "thought": True}, usageMetadata=usage(8))
    found = run(tap_of(), events(thought))
    assert found == AtLeast(Usage(8, output_tokens=len("Let me see"), served_model=MODEL))
    counted = chunk({"text": "..", "thought": True}, usageMetadata=usage(8, thoughtsTokenCount=5))
    found = run(tap_of(), events(thought, counted))
    assert found == AtLeast(Usage(8, output_tokens=5, reasoning_tokens=5, served_model=MODEL))


def test_content_without_any_usage_is_an_estimate_by_what_was_held_and_relayed() -> None:
    stream = events(chunk({"text": "Hello"}), chunk({"functionCall": {"name": "f"}}, finish="STOP"))
    found = run(tap_of(), stream)
    assert found == AtLeast(Usage(INPUT_BOUND, output_tokens=5 + len(b'{"name": "f"}'), served_model=MODEL))
    body = json.dumps(chunk({"text": "Hello"}, finish="STOP")).encode()
    assert run(tap_of(JSON, stream=False), body) == AtLeast(
        Usage(INPUT_BOUND, output_tokens=5, served_model=MODEL)
    )


def test_a_report_of_no_output_beside_visible_output_is_not_believed() -> None:
    found = run(tap_of(), events(chunk({"text": "Hello"}, finish="STOP", usageMetadata=usage(8))))
    assert found == AtLeast(Usage(8, output_tokens=5, served_model=MODEL))


def test_thoughts_alone_up_to_the_limit_are_exact() -> None:
    thought = chunk({"text": "Hm, let me see", "thought": True}, usageMetadata=usage(8))
    end = chunk({"text": ""}, finish="MAX_TOKENS", usageMetadata=usage(8, thoughtsTokenCount=64))
    expected = Exact(Usage(8, output_tokens=64, reasoning_tokens=64, served_model=MODEL))
    assert run(tap_of(), events(thought, end)) == expected


def test_every_candidate_must_have_ended() -> None:
    first = chunk({"text": "a"}, finish="STOP", index=0, usageMetadata=usage(5, 1))
    second = chunk({"text": "b"}, index=1, usageMetadata=usage(5, 2))
    last = chunk({"text": "c"}, finish="STOP", index=1, usageMetadata=usage(5, 3))
    assert isinstance(run(tap_of(), events(first, second)), AtLeast)
    tap = tap_of()
    assert run(tap, events(first, second, last)) == Exact(Usage(5, output_tokens=3, served_model=MODEL))
    assert tap.complete


def test_a_body_needs_no_finish_reason() -> None:
    body = json.dumps(chunk({"text": "Hello"}, usageMetadata=usage(8, 2))).encode()
    assert run(tap_of(JSON, stream=False), body) == Exact(Usage(8, output_tokens=2, served_model=MODEL))


def test_a_body_cut_off_in_the_middle_is_an_estimate() -> None:
    body = json.dumps(chunk({"text": "Hello"}, usageMetadata=usage(8, 2))).encode()
    found = run(tap_of(JSON, stream=False), body[: body.index(b"lo")])
    assert found == AtLeast(Usage(INPUT_BOUND, output_tokens=len("Hel")))
    picture = b'{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA'
    found = run(tap_of(JSON, stream=False), picture)
    assert isinstance(found, AtLeast)
    assert found.usage.image_out_tokens == 1290
    assert run(tap_of(JSON, stream=False), b"<html>") == Nothing()


CASES: list[tuple[dict[str, object], dict[str, int]]] = [
    (  # the golden vector of the reference
        {
            "promptTokenCount": 776,
            "cachedContentTokenCount": 512,
            "candidatesTokenCount": 51,
            "thoughtsTokenCount": 246,
            "toolUsePromptTokenCount": 132,
            "totalTokenCount": 1205,
        },
        {"input_tokens": 396, "cache_read_tokens": 512, "output_tokens": 297, "reasoning_tokens": 246},
    ),
    (
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 400,
            "candidatesTokenCount": 10,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": 300},
                {"modality": "IMAGE", "tokenCount": 258},
                {"modality": "DOCUMENT", "tokenCount": 142},
                {"modality": "VIDEO", "tokenCount": 200},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 250},
                {"modality": "IMAGE", "tokenCount": 50},
                {"modality": "VIDEO", "tokenCount": 100},
            ],
        },
        {
            "input_tokens": 100,
            "audio_in_tokens": 50,
            "image_in_tokens": 350,
            "video_in_tokens": 100,
            "cache_read_tokens": 100,
            "audio_cache_read_tokens": 250,
            "image_cache_read_tokens": 50,
            "output_tokens": 10,
        },
    ),
    (  # pages that a tool fetched, one of them a picture
        {
            "promptTokenCount": 20,
            "toolUsePromptTokenCount": 300,
            "candidatesTokenCount": 5,
            "toolUsePromptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 42},
                {"modality": "IMAGE", "tokenCount": 258},
            ],
        },
        {"input_tokens": 62, "image_in_tokens": 258, "output_tokens": 5},
    ),
    (
        {
            "promptTokenCount": 10,
            "candidatesTokenCount": 1320,
            "thoughtsTokenCount": 40,
            "candidatesTokensDetails": [
                {"modality": "TEXT", "tokenCount": 30},
                {"modality": "IMAGE", "tokenCount": 1290},
            ],
        },
        {"input_tokens": 10, "output_tokens": 70, "reasoning_tokens": 40, "image_out_tokens": 1290},
    ),
    (
        {
            "promptTokenCount": 12,
            "candidatesTokenCount": 150,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 150}],
        },
        {"input_tokens": 12, "audio_out_tokens": 150},
    ),
    (
        {
            "promptTokenCount": 12,
            "candidatesTokenCount": 900,
            "candidatesTokensDetails": [{"modality": "VIDEO", "tokenCount": 890}],
        },
        {"input_tokens": 12, "output_tokens": 10, "video_out_tokens": 890},
    ),
    (  # details that say more than the totals do
        {
            "promptTokenCount": 100,
            "cachedContentTokenCount": 300,
            "candidatesTokenCount": 5,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 900}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 900}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 900}],
        },
        {"audio_cache_read_tokens": 100, "audio_out_tokens": 5},
    ),
    (  # numbers in any dress, and none
        {
            "promptTokenCount": "28",
            "candidatesTokenCount": 5.0,
            "thoughtsTokenCount": None,
            "cachedContentTokenCount": -4,
            "toolUsePromptTokenCount": "many",
            "promptTokensDetails": {"modality": "AUDIO"},
            "candidatesTokensDetails": [5, {"modality": 7, "tokenCount": 5}, {"tokenCount": 9}],
        },
        {"input_tokens": 28, "output_tokens": 5},
    ),
]


@pytest.mark.parametrize(("counts", "expected"), CASES)
def test_every_count_is_billed_once_and_by_its_kind(
    counts: dict[str, object], expected: dict[str, int]
) -> None:
    last = used(**counts)
    expected_usage = Usage(**expected, served_model=MODEL)  # type: ignore[arg-type]
    assert run(tap_of(), events(last)) == Exact(expected_usage)
    assert run(tap_of(JSON), array(last), 3) == Exact(expected_usage)
    assert run(tap_of(JSON, stream=False), json.dumps(last).encode()) == Exact(expected_usage)


@pytest.mark.parametrize(
    ("mime", "quantity"),
    [
        ("image/png", "image_out_tokens"),
        ("audio/L16;rate=24000", "audio_out_tokens"),
        ("video/mp4", "video_out_tokens"),
    ],
)
def test_output_without_details_is_what_the_answer_holds(mime: str, quantity: str) -> None:
    last = used(
        {"inlineData": {"mimeType": mime, "data": "AAAA"}}, promptTokenCount=5, candidatesTokenCount=70
    )
    found = run(tap_of(), events(last))
    assert found == Exact(Usage(5, served_model=MODEL, **{quantity: 70}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "in_usage", "asked", "billed"),
    [
        (b"", None, None, ""),
        (b"", None, "priority", "priority"),
        (b"", "flex", "priority", "flex"),
        (b"standard", "priority", "priority", "standard"),
        (b"STANDARD", None, "flex", "standard"),
        (b"", "SERVICE_TIER_PRIORITY", None, "priority"),
        (b"", 5, "flex", "flex"),
    ],
)
def test_the_tier_that_served_is_billed(
    header: bytes, in_usage: object, asked: str | None, billed: str
) -> None:
    counts = {"promptTokenCount": 5, "candidatesTokenCount": 7, "serviceTier": in_usage}
    found = run(tap_of(tier=header, serviceTier=asked), events(used(**counts)))
    assert isinstance(found, Exact)
    assert found.usage.tier == billed


@pytest.mark.parametrize(
    ("model", "groundings", "searches", "detail"),
    [
        ("gemini-3.8-flash", [{"webSearchQueries": ["a", "b", "a", "", " "]}], 2, {"search_queries": 2}),
        (
            "gemini-3.8-flash",
            [{"webSearchQueries": ["a"]}, {"webSearchQueries": ["a", "b"]}],
            2,
            {"search_queries": 2},
        ),
        ("gemini-2.5-flash", [{"webSearchQueries": ["a", "b"]}], 1, {"search_queries": 2}),
        ("gemini-2.5-flash", [{"webSearchQueries": []}, {}], 0, {}),
        ("gemini-3.8-flash", [{"groundingChunks": [{"web": {"uri": "u"}}]}], 1, {}),
        ("gemini-2.5-flash", [{"groundingChunks": [{"maps": {"uri": "u"}}]}], 1, {"maps_lookups": 1}),
        ("gemini-3.1-flash-image", [{"imageSearchQueries": ["x"]}], 1, {"search_queries": 1}),
        ("gemini-3.8-flash", [{"webSearchQueries": 5, "groundingChunks": "x"}, 7], 0, {}),
    ],
)
def test_searches_count_as_they_are_billed(
    model: str, groundings: list[object], searches: int, detail: dict[str, int]
) -> None:
    chunks = [chunk({"text": "x"}, modelVersion=model, grounding=one) for one in groundings]
    last = {**used(promptTokenCount=5, candidatesTokenCount=7), "modelVersion": model}
    for found in (run(tap_of(), events(*chunks, last)), run(tap_of(JSON), array(*chunks, last))):
        assert isinstance(found, Exact)
        assert (found.usage.web_searches, found.usage.detail) == (searches, detail)


def picture_chunk(size: int, kind: str = "image/png", **counts: object) -> dict[str, object]:
    return used({"inlineData": {"mimeType": kind, "data": "A" * size}}, **counts)


@pytest.mark.parametrize("size", [100, EVENT_KEEP_BYTES + 1, 5_000_000])
def test_a_picture_of_any_size_is_metered_alike_and_little_of_it_is_kept(size: int) -> None:
    details = [{"modality": "IMAGE", "tokenCount": 1290}]
    last = picture_chunk(size, promptTokenCount=5, candidatesTokenCount=1290, candidatesTokensDetails=details)
    expected = Exact(Usage(5, image_out_tokens=1290, served_model=MODEL))
    assert run(tap_of(), events(last), 40_000) == expected
    assert run(tap_of(JSON), array(last), 40_000) == expected
    assert run(tap_of(JSON, stream=False), json.dumps(last).encode(), 40_000) == expected


def test_large_sound_without_details_is_sound_where_sound_was_asked_for() -> None:
    last = picture_chunk(200_000, "audio/L16", promptTokenCount=5, candidatesTokenCount=100)
    config = {"responseModalities": ["AUDIO"]}
    expected = Exact(Usage(5, audio_out_tokens=100, served_model=MODEL))
    assert run(tap_of(generationConfig=config), events(last), 30_000) == expected
    assert run(tap_of(JSON, generationConfig=config), array(last), 30_000) == expected
    expected = Exact(Usage(5, image_out_tokens=100, served_model=MODEL))
    assert run(tap_of(), events(last), 30_000) == expected, "the dearer of the two where nobody can tell"


def test_media_whose_stream_broke_off_are_guessed() -> None:
    picture = chunk({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, usageMetadata=usage(5))
    found = run(tap_of(), events(picture))
    assert found == AtLeast(Usage(5, image_out_tokens=1290, served_model=MODEL))
    sound = chunk({"inlineData": {"mimeType": "audio/L16", "data": "A" * 4000}})
    found = run(tap_of(), events(sound, sound))
    assert found == AtLeast(Usage(INPUT_BOUND, audio_out_tokens=4, served_model=MODEL))


def test_the_floor_follows_the_reports_and_never_the_text_of_a_grounding() -> None:
    tap = tap_of()
    tap.feed(events(chunk({"text": ""}, usageMetadata=usage(5))))
    assert (tap.output_floor, tap.started) == (0, False)
    supports = [{"segment": {"text": f"word {number}"}} for number in range(300)]
    tap.feed(events(chunk({"text": "a"}, grounding={"groundingSupports": supports}, usageMetadata=usage(5))))
    assert (tap.output_floor, tap.started) == (1, True)
    tap.feed(events(chunk({"text": "b"}, usageMetadata=usage(5, 30, thoughtsTokenCount=12))))
    assert tap.output_floor == 42
    assert not tap.complete


def test_usage_that_a_model_writes_is_content() -> None:
    lie = '"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1},"finishReason":"STOP"'
    arguments = {"usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1}, "finishReason": "STOP"}
    parts = [{"text": lie}, {"functionCall": {"name": "f", "args": arguments}}]
    first = chunk({"text": "x"}, usageMetadata=usage(50, 60))
    for text in (events(first, chunk(*parts)), events(first, chunk(parts[0])), events(chunk(*parts))):
        found = run(tap_of(), text)
        assert isinstance(found, AtLeast)
        assert found.usage.output_tokens > 60
        assert found.usage.input_tokens in (50, INPUT_BOUND)


@pytest.mark.parametrize(
    "text",
    [
        b"data: {}\r\n\r\n",
        b"data: []\r\n\r\n",
        b'data: {"candidates":null,"usageMetadata":null,"modelVersion":5}\r\n\r\n',
        b'data: {"candidates":[null,5,{"content":5,"finishReason":null}]}\r\n\r\n',
        b'data: {"candidates":[{"index":"x","content":{"parts":[5]},"groundingMetadata":[]}]}\r\n\r\n',
        b'data: {"usageMetadata":{"promptTokenCount":5}}\r\n\r\n',
        b'data: {"candidates"',
        b"]]}}[[{{,",
        b'"\\',
        b'[{"a":"\\',
    ],
)
def test_nothing_a_provider_sends_raises(text: bytes) -> None:
    for kind, stream in ((EVENTS, True), (JSON, True), (JSON, False)):
        for size in (0, 1):
            assert not isinstance(run(tap_of(kind, stream=stream), text, size), Exact)


def test_an_array_may_be_cut_anywhere() -> None:
    text = array(
        chunk({"text": 'a "quoted" \\ [{ \u00e9 word'}, usageMetadata=usage(5, 1)),
        chunk({"text": "}]\\"}, usageMetadata=usage(5, 2)),
        used({"text": "\\u0022"}, promptTokenCount=5, candidatesTokenCount=9),
    )
    dice = random.Random(4)
    whole = run(tap_of(JSON), text)
    assert whole == Exact(Usage(5, output_tokens=9, served_model=MODEL))
    for _ in range(50):
        tap = tap_of(JSON)
        at = 0
        while at < len(text):
            size = dice.randint(1, 60)
            tap.feed(text[at : at + size])
            at += size
        tap.finish()
        assert tap.outcome(input_bound=1) == whole


def test_the_first_item_of_an_array_is_read_before_the_next_one_is_whole() -> None:
    for indent in (None, 2):
        tap = tap_of(JSON)
        first = json.dumps(chunk({"text": "word"}), indent=indent)
        tap.feed(f'[{first}\n,\r\n{{"candidates": [{{"content"'.encode())
        assert tap.started
        assert not tap.at_boundary


def test_thoughts_that_pass_unread_are_counted_until_usage_stands_for_them() -> None:
    opening = chunk({"text": "why", "thought": True}, usageMetadata={"promptTokenCount": 5})
    more = chunk({"text": "so what", "thought": True}, usageMetadata={"promptTokenCount": 5})
    told = {"promptTokenCount": 5, "thoughtsTokenCount": 2}
    for parts, output in (((opening, more), 10), ((opening, more, {**more, "usageMetadata": told}), 3)):
        for tap, text in ((tap_of(), events(*parts)), (tap_of(JSON), array(*parts))):
            found = run(tap, text)
            assert isinstance(found, AtLeast)
            assert found.usage.output_tokens == output


@pytest.mark.parametrize(
    ("relayed", "before"),
    [(b"", b"["), (b"[", b""), (b"[ \r\n", b""), (b'[{"a":1}', b",\r\n"), (b'[{"a":1}\r\n,\r\n', b"")],
)
def test_an_event_of_ours_ends_an_array_as_its_last_item(relayed: bytes, before: bytes) -> None:
    for size in (0, 1):
        tap = tap_of(JSON)
        run(tap, relayed, size)
        assert tap.at_boundary
        event = inserted(tap, WIRE.error_event(CAP, "id"))
        assert event.startswith(before + b'{"error":')
        items = json.loads(relayed + event)
        assert items[-1]["error"]["status"] == "RESOURCE_EXHAUSTED"


def test_within_an_item_or_behind_the_array_nothing_can_be_put_in() -> None:
    for relayed in (b'[{"a"', b'[{"a":"', b'[{"a":1},{', b'[{"a":1}]', b"[]"):
        tap = tap_of(JSON)
        tap.feed(relayed)
        assert not tap.at_boundary


def test_an_error_of_ours_has_googles_shape() -> None:
    text = WIRE.error_event(ProviderTimeout("Google AI Studio", "first byte", 3.0), "id")
    assert text.startswith(b"data: ")
    assert text.endswith(b"}\r\n\r\n")
    error = json.loads(text[6:])["error"]
    assert (error["code"], error["status"], error["details"][0]["reason"]) == (
        504,
        "DEADLINE_EXCEEDED",
        "upstream_timeout",
    )
    assert inserted(tap_of(), text) == text


@pytest.mark.parametrize("kind", [EVENTS, JSON])
def test_a_stream_that_the_gateway_cuts_ends_as_one_that_ran_out_of_tokens(kind: bytes) -> None:
    tap = tap_of(kind)
    parts = [chunk({"text": "a"}, index=at, usageMetadata=usage(5, 3)) for at in (0, 1)]
    relayed = events(*parts) if kind is EVENTS else array(*parts)[:-1]
    tap.feed(relayed)
    counted = Usage(5, cache_read_tokens=2, output_tokens=9, reasoning_tokens=4, image_out_tokens=3)
    stop = WIRE.length_stop(tap, counted)
    whole = relayed + stop
    items = (
        json.loads(whole) if kind is JSON else [json.loads(line[6:]) for line in whole.split(b"\r\n") if line]
    )
    last = items[-1]
    assert [(one["index"], one["finishReason"]) for one in last["candidates"]] == [
        (0, "MAX_TOKENS"),
        (1, "MAX_TOKENS"),
    ]
    assert (last["modelVersion"], last["responseId"]) == (MODEL, "r")
    assert last["usageMetadata"] == {
        "promptTokenCount": 7,
        "cachedContentTokenCount": 2,
        "candidatesTokenCount": 8,
        "thoughtsTokenCount": 4,
        "totalTokenCount": 19,
    }
    assert b'"candidatesTokenCount":3,"totalTokenCount":3' in WIRE.length_stop(tap)


def test_an_answer_that_has_ended_gets_no_second_end() -> None:
    tap = tap_of()
    tap.feed(events(used(promptTokenCount=5, candidatesTokenCount=9)))
    assert WIRE.length_stop(tap) == b""
    assert WIRE.length_stop(tap_of(JSON, stream=False)) == b""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED"}}',
            "Quota exceeded.",
        ),
        (b'[{"error":{"code":400,"message":"No."}}\n]', "No."),
        (b"<html>", ""),
        (b"", ""),
        (b"[]", ""),
    ],
)
def test_the_providers_sentence_is_found(body: bytes, message: str) -> None:
    assert WIRE.error_message(body) == message
