"""Gemini Live's meter: what is held before a message goes on, and what Google's usages add up to."""

import base64
import json
from typing import Any

import pytest
from tests.support.fake_gemini_live import (
    FIRST,
    JPEG,
    READY,
    SECOND,
    answers,
    calls,
    says,
    seen,
    setup,
    small,
    sound,
    spoken,
    told,
    written,
)

from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.live import Frame, LiveTerms
from qlaud.wire.live_gemini import HIDDEN_TOKENS, GeminiLiveMeter
from qlaud.wire.live_gemini_reading import read_frame, read_said, read_sound
from qlaud.wire.live_gemini_setup import model_in, with_model

WINDOW = 131_072
TERMS = LiveTerms(slice_ms=15_000, max_output=8192, context_window=WINDOW, model="gemini-3.8-live")
FIRST_USED = Usage(
    input_tokens=357,
    audio_in_tokens=165,
    audio_out_tokens=42,
    output_tokens=136,
    reasoning_tokens=136,
    served_model="gemini-3.8-live",
)
SECOND_USED = Usage(
    input_tokens=293,
    cache_read_tokens=100,
    audio_in_tokens=500,
    video_in_tokens=258,
    audio_out_tokens=20,
    output_tokens=30,
    reasoning_tokens=24,
    served_model="gemini-3.8-live",
)


def send(meter: GeminiLiveMeter, *frames: Frame) -> None:
    for frame in frames:
        meter.offer(frame)
        assert meter.refused is None
        meter.sent()


def begun(*frames: Frame, terms: LiveTerms = TERMS) -> GeminiLiveMeter:
    """A session with these messages of the caller's."""
    meter = GeminiLiveMeter(b"", terms)
    send(meter, *frames)
    return meter


def hear(meter: GeminiLiveMeter, *frames: Frame) -> list[bool]:
    return [meter.seen(frame) for frame in frames]


def usage_of(outcome: Metered) -> Usage:
    assert isinstance(outcome, Exact), outcome
    return outcome.usage


def usage_message(usage: dict[str, Any]) -> bytes:
    return written({"usageMetadata": usage})


# --- what was used ---


@pytest.mark.parametrize("as_text", [False, True])
def test_every_turn_is_what_its_usage_says(as_text: bool) -> None:
    meter = begun(small(), says("Hello."))
    ends = [told(FIRST), told(SECOND)]
    first, second = [end.decode() for end in ends] if as_text else ends
    assert hear(meter, READY, spoken(), spoken(), first) == [False, True, False, True]
    assert meter.due
    assert usage_of(meter.take()) == FIRST_USED
    assert isinstance(meter.take(), Nothing)
    send(meter, says("And now?"))
    hear(meter, spoken(), second)
    assert usage_of(meter.end(clean=True)) == SECOND_USED


def test_thoughts_are_output_though_the_total_leaves_them_out() -> None:
    meter = begun(small(), says("Hello."))
    usage = {
        "promptTokenCount": 1131,
        "responseTokenCount": 26,
        "totalTokenCount": 1157,
        "thoughtsTokenCount": 24,
    }
    hear(meter, told(usage))
    used = usage_of(meter.take())
    assert (used.input_tokens, used.audio_out_tokens, used.output_tokens) == (1131, 26, 24)


@pytest.mark.parametrize(
    ("asked", "spoken_tokens", "text_tokens"),
    [({}, 10, 0), ({"responseModalities": ["AUDIO"]}, 10, 0), ({"response_modalities": ["TEXT"]}, 0, 10)],
)
def test_output_without_details_is_what_was_asked_for(
    asked: dict[str, Any], spoken_tokens: int, text_tokens: int
) -> None:
    meter = begun(setup(generationConfig=asked), says("Hello."))
    hear(meter, told({"promptTokenCount": 5, "responseTokenCount": 10}))
    used = usage_of(meter.take())
    assert (used.audio_out_tokens, used.output_tokens) == (spoken_tokens, text_tokens)


def test_a_usage_in_a_message_of_its_own_counts_before_and_behind_the_turns_end() -> None:
    for messages in ([usage_message(FIRST), told()], [told(), usage_message(FIRST)]):
        meter = begun(small(), says("Hello."))
        hear(meter, spoken(), *messages)
        assert meter.told_all
        assert usage_of(meter.take()) == FIRST_USED


def test_counts_that_grow_within_one_answer_are_one_usage() -> None:
    half = {**FIRST, "responseTokenCount": 20, "responseTokensDetails": [], "thoughtsTokenCount": 30}
    meter = begun(small(), says("Hello."))
    hear(meter, spoken(), usage_message(half), spoken(), usage_message(FIRST))
    assert not meter.ready
    hear(meter, told(FIRST), usage_message(FIRST))
    assert usage_of(meter.end(clean=True)) == FIRST_USED


def test_a_usage_with_another_prompt_or_less_output_is_another_answer() -> None:
    larger = {**FIRST, "promptTokenCount": 523}
    fewer = {**FIRST, "thoughtsTokenCount": 100}
    for other, tokens in ((larger, 357 + 358), (fewer, 357 * 2)):
        meter = begun(small(), says("Hello."))
        hear(meter, spoken(), usage_message(FIRST), spoken(), told(other))
        assert usage_of(meter.take()).input_tokens == tokens


def test_two_turns_that_happen_to_use_the_same_are_billed_twice() -> None:
    meter = begun(small(), says("Hello."))
    hear(meter, spoken(), told(FIRST))
    send(meter, says("Again."))
    hear(meter, spoken(), told(FIRST))
    assert usage_of(meter.take()).input_tokens == 2 * FIRST_USED.input_tokens


def test_a_tool_call_ends_an_answer_and_its_result_asks_for_the_next() -> None:
    meter = begun(small(), says("Hello."))
    hear(meter, calls(FIRST))
    assert meter.ready
    assert meter.told_all
    assert usage_of(meter.take()) == FIRST_USED
    send(meter, answers("c1", "blue"))
    assert not meter.told_all
    hear(meter, spoken(), told(FIRST))
    assert usage_of(meter.take()) == FIRST_USED


def test_an_interrupted_turn_is_billed_by_what_it_tells() -> None:
    meter = begun(setup(), sound(500))
    hear(meter, spoken(), written({"serverContent": {"interrupted": True}}), told(FIRST))
    assert usage_of(meter.take()) == FIRST_USED


@pytest.mark.parametrize(
    ("model", "searches"), [("gemini-3.8-live", 3), ("gemini-2.5-flash-native-audio-latest", 1)]
)
def test_distinct_searches_are_billed_by_the_query_or_the_turn(model: str, searches: int) -> None:
    terms = LiveTerms(slice_ms=15_000, context_window=WINDOW, model=model)
    meter = begun(small(tools=[{"googleSearch": {}}]), says("News?"), terms=terms)
    looked = {"groundingMetadata": {"webSearchQueries": ["a", "b", ""]}}
    hear(meter, written({"serverContent": looked}), written({"serverContent": looked}))
    hear(meter, told(FIRST, groundingMetadata={"webSearchQueries": ["b", "c"]}))
    used = usage_of(meter.take())
    assert (used.web_searches, used.input_tokens) == (searches, FIRST_USED.input_tokens)
    send(meter, says("And now?"))
    hear(meter, spoken(), told(FIRST))
    assert usage_of(meter.take()).web_searches == 0


def test_nothing_google_sends_breaks_the_meter() -> None:
    meter = begun(small())
    odd: list[Frame] = [
        "",
        b"\xff\x00",
        b"null",
        b'{"usageMetadata":7}',
        b'{"usageMetadata":{}}',
        b'{"usageMetadata":{"promptTokenCount":-1,"responseTokenCount":"x"}}',
        b'{"usageMetadata":{"promptTokenCount":1e400,"promptTokensDetails":[7,{"modality":3}]}}',
        b'{"serverContent":{"turnComplete":"yes","groundingMetadata":[1]}}',
        b'{"serverContent":{"turnComplete":true,"modelTurn":[]},"toolCall":null}',
        b'{"usageMetadata":' + b"[" * 5000,
    ]
    hear(meter, *odd)
    assert isinstance(meter.end(clean=True), AtLeast | Nothing)


# --- what is held ---


def test_an_answer_is_held_before_the_setup_goes_on() -> None:
    meter = GeminiLiveMeter(b"", TERMS)
    meter.offer(setup())
    need = meter.need(ahead=False)
    assert need.output_tokens == 8192
    assert need.input_tokens == len(setup()) - len('{"setup":}') + HIDDEN_TOKENS
    assert meter.need(ahead=True).input_tokens == need.input_tokens + 15 * 32
    assert need.unbounded_tool is None


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"maxOutputTokens": 100}, 100),
        ({"max_output_tokens": 100}, 100),
        ({"maxOutputTokens": 90_000}, 8192),
        ({"maxOutputTokens": 100, "candidateCount": 3}, 300),
        ({}, 8192),
    ],
)
def test_an_answer_is_no_longer_than_the_model_or_the_setup_allows(
    config: dict[str, Any], output: int
) -> None:
    assert begun(setup(generationConfig=config)).need(ahead=False).output_tokens == output


def test_the_next_answer_is_held_beside_the_one_under_way_while_it_may_begin() -> None:
    meter = begun(setup(generationConfig={"maxOutputTokens": 100}))
    assert meter.need(ahead=False).output_tokens == 100
    meter.offer(sound(20))
    assert meter.need(ahead=False).output_tokens == 100
    meter.sent()
    hear(meter, spoken())
    assert meter.need(ahead=False).output_tokens == 200
    meter.offer(says("Stop."))
    assert meter.need(ahead=False).output_tokens == 300
    meter.withdraw()
    assert meter.need(ahead=False).output_tokens == 200
    hear(meter, told(FIRST))
    assert meter.need(ahead=False).output_tokens == 100 + 42 + 136


def test_without_voice_detection_an_answer_begins_only_when_it_is_asked_for() -> None:
    meter = begun(small(100), sound(500))
    hear(meter, spoken())
    assert meter.need(ahead=False).output_tokens == 100
    send(meter, '{"realtimeInput":{"activityEnd":{}}}', '{"realtimeInput":{"text":"Hm?"}}')
    assert meter.need(ahead=False).output_tokens == 300
    hear(meter, told(), spoken(), told())
    meter.take()
    assert meter.need(ahead=False).output_tokens == 100


def test_the_context_is_what_was_told_and_what_was_sent_since() -> None:
    meter = begun(small(), says("x" * 1000))
    assert meter.need(ahead=False).input_tokens > 1000 + HIDDEN_TOKENS
    hear(meter, told(FIRST))
    meter.take()
    send(meter, says("y" * 5000))
    hear(meter, told(SECOND))
    meter.take()
    context = 1131 + 20 + 26 + 24
    # what was sent before the last usage may have been on its way: it counts once more
    assert (
        context + 5000 + HIDDEN_TOKENS < meter.need(ahead=False).input_tokens < context + 5200 + HIDDEN_TOKENS
    )
    send(meter, says("z"))
    hear(meter, spoken(), told(SECOND))
    meter.take()
    assert meter.need(ahead=False).input_tokens < context + 300 + HIDDEN_TOKENS


def test_no_context_is_larger_than_the_models_window() -> None:
    meter = begun(small(), says("x" * 300_000))
    assert meter.need(ahead=True).input_tokens == WINDOW


@pytest.mark.parametrize(
    ("frame", "tokens"),
    [
        (sound(1000), 32),
        (sound(1000, rate=8000), 32),
        (sound(1000, rate=24_000), 32),
        (sound(1000).replace(";rate=16000", ""), 32),
        (sound(1000).replace("rate=16000", "channels=1;rate=8000"), 64),
        (sound(1000).replace("rate=16000", "rate=16000;rate=4000"), 128),
        (sound(1000).replace("audio/pcm;rate=16000", "audio/ogg"), 32_000 * 32 // 750 + 1),
        (sound(1000).encode(), 32),
        (sound(1000).replace(" ", ""), 32),
        (sound(1000).replace("realtimeInput", "realtime_input").replace("mimeType", "mime_type"), 32),
        (seen(), 300),
        ('{"realtimeInput":{"activityStart":{}}}', 0),
        ('{"realtimeInput":{"text":"four"}}', 6),
    ],
)
def test_what_is_heard_and_seen_counts_as_google_counts_it(frame: Frame, tokens: int) -> None:
    meter = begun(small())
    before = meter.need(ahead=False).input_tokens
    meter.offer(frame)
    after = meter.need(ahead=False).input_tokens - before
    assert after in (tokens, tokens + 1)


def test_media_chunks_add_up() -> None:
    chunk = {"data": base64.b64encode(bytes(3200)).decode(), "mimeType": "audio/pcm;rate=16000"}
    picture = {"data": base64.b64encode(JPEG).decode(), "mime_type": "image/jpeg"}
    said = read_said(*read_frame(json.dumps({"realtimeInput": {"mediaChunks": [chunk, chunk, picture]}})))
    assert 2 * 4 + 300 <= said.tokens <= 2 * 4 + 302


@pytest.mark.parametrize(
    "frame",
    [
        sound(20),
        sound(20).replace('"data"', '"mimeType": "audio/pcm", "data"'),
        sound(20).replace('"audio"', '"video"'),
        sound(20).replace("rate=16000", "rate=zero"),
        sound(20).replace("AAAA", 'AA\\"A', 1),
        sound(20)[:-1],
        sound(20) + "}",
        sound(20)[:-2] + ', "text": "x"}}',
        '{"realtimeInput":{"audio":{"mime_type":"audio/pcm","data":"AAAA"}}}',
        '{"realtimeInput":{"audio":{"data":"AAAA"}}}',
    ],
)
def test_the_short_way_to_read_sound_says_what_the_long_one_does_or_nothing(frame: str) -> None:
    quick = read_sound(frame)
    if quick is not None:
        assert quick == read_said(*read_frame(frame))
    else:
        assert frame != sound(20)


@pytest.mark.parametrize(
    "first",
    [
        setup(tools=[{"urlContext": {}}]),
        setup(tools=[{"code_execution": {}}]),
        setup(tools={"codeExecution": {}}),
        setup(sessionResumption={"handle": "h"}),
    ],
)
def test_what_nobody_saw_may_fill_the_window(first: str) -> None:
    assert begun(first).need(ahead=False).input_tokens == WINDOW
    nowhere = LiveTerms(slice_ms=15_000, model="own")
    assert begun(first, terms=nowhere).need(ahead=False).unbounded_tool == "input of unknown size"


@pytest.mark.parametrize(
    "frame",
    [
        says("", turns=[{"parts": [{"fileData": {"fileUri": "https://example.com/a.pdf"}}]}]),
        seen(b"GIF89a" + bytes(60)),
        sound(20).replace("audio/pcm;rate=16000", "application/x"),
        sound(20).replace("rate=16000", "rate=0"),
    ],
)
def test_a_message_that_brings_in_more_than_itself_may_fill_the_window(frame: str) -> None:
    meter = begun(setup())
    meter.offer(frame)
    assert meter.need(ahead=False).input_tokens == WINDOW
    meter.withdraw()
    assert meter.need(ahead=False).input_tokens < WINDOW
    send(meter, frame)
    assert meter.need(ahead=False).input_tokens == WINDOW


def test_searches_are_held_where_one_answer_pays_for_one_and_have_no_bound_elsewhere() -> None:
    first = small(tools=[{"googleSearch": {}}])
    assert begun(first).need(ahead=False).unbounded_tool == "googleSearch"
    older = LiveTerms(slice_ms=15_000, context_window=WINDOW, model="gemini-2.5-flash-native-audio-latest")
    need = begun(first, says("News?"), terms=older).need(ahead=False)
    assert (need.unbounded_tool, need.most) == (None, {"web_searches": 1})


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (setup(sessionResumption={"handle": "h"}), "sessionResumption.handle"),
        (setup(sessionResumption={}), None),
        (setup(session_resumption={"transparent": True}), None),
        (setup(cachedContent="cachedContents/1"), "cachedContent"),
        (setup(tools=[{"fileSearch": {}}]), "fileSearch"),
        (setup(systemInstruction={"parts": [{"fileData": {"fileUri": "files/1"}}]}), "fileData"),
    ],
)
def test_what_is_the_operators_is_noted(first: str, field: str | None) -> None:
    meter = GeminiLiveMeter(b"", TERMS)
    meter.offer(first)
    assert (meter.refused, meter.foreign) == (None, field)


def test_a_tool_may_answer_with_a_file_of_the_operators() -> None:
    meter = begun(small())
    part = {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/1"}}
    meter.offer(json.dumps({"tool_response": {"function_responses": [{"id": "c", "parts": [part]}]}}))
    assert meter.foreign == "fileData"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "[]",
        "{}",
        '{"setup":{"model":"m"}}',
        '{"clientContent":{},"client_content":{}}',
        '{"clientContent":[]}',
        '{"clientContent":{"turnComplete":1}}',
        '{"clientContent":{"more":1}}',
        '{"clientContent":{"turns":[{"parts":[{"inlineData":{},"inlineData":{}}]}]}}',
        '{"realtimeInput":{"audio":{"data":"A","data":"B","mimeType":"audio/pcm"}}}',
        '{"realtimeInput":{"audio":{"mimeType":"audio/pcm","mime_type":"audio/pcm"}}}',
        '{"realtimeInput":{"mediaChunks":{}}}',
        '{"toolResponse":{"functionResponses":7}}',
        '{"toolResponse":{"results":[]}}',
        '{"contextUpdate":{}}',
        '{"realtimeInput":' + "[" * 5000,
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused(frame: str) -> None:
    meter = begun(small())
    before = meter.need(ahead=True)
    meter.offer(frame)
    assert isinstance(meter.refused, BadRequest)
    meter.withdraw()
    assert meter.need(ahead=True) == before


def test_the_first_message_is_the_setup() -> None:
    meter = GeminiLiveMeter(b"", TERMS)
    meter.offer(says("Hello."))
    assert isinstance(meter.refused, BadRequest)


# --- the end ---


def test_an_answer_that_never_told_is_an_estimate() -> None:
    meter = begun(small(), says("Hello."))
    hear(meter, told(FIRST))
    meter.take()
    send(meter, says("And now?"))
    hear(meter, spoken(1000))
    assert not meter.told_all
    outcome = meter.end(clean=False)
    assert isinstance(outcome, AtLeast)
    assert 700 < outcome.usage.input_tokens < 1100
    assert 32 <= outcome.usage.audio_out_tokens <= 36


def test_what_was_asked_for_and_refused_costs_nothing_but_what_was_left_alone_is_an_estimate() -> None:
    meter = begun(small(), says("Hello."))
    assert isinstance(meter.end(clean=True), Nothing)
    meter = begun(small(), says("Hello."))
    outcome = meter.end(clean=False)
    assert isinstance(outcome, AtLeast)
    assert outcome.usage.input_tokens > len(says("Hello.")) - 20
    meter = begun(setup(), sound(500))
    assert isinstance(meter.end(clean=False), Nothing)


def test_a_usage_told_in_the_middle_is_billed_when_the_session_breaks() -> None:
    meter = begun(small(), says("Hello."))
    hear(meter, spoken(), usage_message(FIRST), spoken())
    assert meter.end(clean=False) == Exact(FIRST_USED)


# --- the model in the first message ---


@pytest.mark.parametrize("name", ["gemini-3.8-live", "models/gemini-3.8-live"])
def test_the_model_is_read_and_written_in_either_kind_of_frame(name: str) -> None:
    first = setup(name, generation_config={})
    for frame in (first, first.encode(), json.dumps(json.loads(first), indent=1)):
        assert model_in(frame) == "gemini-3.8-live"
        renamed = with_model(frame, "other")
        assert type(renamed) is type(frame)
        text = frame if isinstance(frame, str) else frame.decode()
        again = renamed if isinstance(renamed, str) else renamed.decode()
        assert again == text.replace(f'"{name}"', '"models/other"')
