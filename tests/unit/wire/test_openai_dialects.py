"""What the vendors that copied OpenAI's chat do in their own way, and that it is metered all the same."""

import json

import pytest

from qlaud.core.demand import Demand
from qlaud.core.errors import UnsupportedField
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.minimax_chat import MiniMaxChatWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap

WIRE = OpenAIChatWire()
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))
Fields = dict[str, object]


def tap(*, head: AnswerHead = ANSWERED, strip: bool = False, **demand: object) -> Tap:
    bound = Demand(100, **demand)  # type: ignore[arg-type]
    return WIRE.tap(ModelCall("m", True, bound, not strip), strip_usage=strip, head=head)


def chunk(**fields: object) -> bytes:
    return f"data: {json.dumps({'id': 'c', 'model': 'm', **fields}, separators=(',', ':'))}\n\n".encode()


def say(delta: Fields, finish: str | None = None, **fields: object) -> bytes:
    return chunk(choices=[{"index": 0, "delta": delta, "finish_reason": finish}], **fields)


def exact(meter: Tap) -> Usage:
    found = meter.outcome(input_bound=999)
    assert isinstance(found, Exact)
    return found.usage


def body_usage(usage: Fields, **demand: object) -> Usage:
    meter = tap(head=JSON, **demand)
    answer = {"model": "m", "choices": [{"message": {"content": "x"}}], "usage": usage}
    meter.feed(json.dumps(answer).encode())
    meter.finish()
    return exact(meter)


def read(**fields: object) -> ModelCall:
    base: Fields = {"model": "m", "messages": []}
    return WIRE.read_call(Asked(body=json.dumps({**base, **fields}).encode()))


@pytest.mark.parametrize(
    ("usage", "parts"),
    [
        (  # xAI: ten thousand millionths of a dollar
            {"prompt_tokens": 199, "completion_tokens": 1, "total_tokens": 200, "cost_in_usd_ticks": 158500},
            {"input_tokens": 199, "output_tokens": 1, "vendor_cost_picos": 15_850_000},
        ),
        (  # OpenRouter: dollars
            {"prompt_tokens": 194, "completion_tokens": 2, "total_tokens": 196, "cost": 0.00014},
            {"input_tokens": 194, "output_tokens": 2, "vendor_cost_picos": 140_000_000},
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "cost": 1e-7},
            {"input_tokens": 1, "output_tokens": 2, "vendor_cost_picos": 100_000},
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0},
            {"input_tokens": 1, "output_tokens": 2},
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "cost": -3.5},
            {"input_tokens": 1, "output_tokens": 2},
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "cost": "NaN"},
            {"input_tokens": 1, "output_tokens": 2},
        ),
        (  # Perplexity: a fee a request, by the size of the search
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 15,
                "search_context_size": "high",
                "cost": {"request_cost": 0.012, "total_cost": 0.012015},
            },
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "calls": 1,
                "grade": "high",
                "vendor_cost_picos": 12_015_000_000,
            },
        ),
        (  # Perplexity's deep research: what it read and thought is outside of both
            {
                "prompt_tokens": 33,
                "completion_tokens": 7028,
                "total_tokens": 7061,
                "citation_tokens": 20016,
                "num_search_queries": 18,
                "reasoning_tokens": 73997,
            },
            {
                "input_tokens": 20049,
                "output_tokens": 81025,
                "reasoning_tokens": 73997,
                "web_searches": 18,
            },
        ),
        (  # Mistral: the total holds the sound's tokens, which are billed by its length
            {"prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264, "prompt_audio_seconds": 203},
            {"input_tokens": 4, "output_tokens": 635, "audio_ms": 203_000},
        ),
        (
            {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10, "prompt_audio_seconds": None},
            {"input_tokens": 4, "output_tokens": 6},
        ),
        (  # Qwen: two caches with two prices
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_type": "ephemeral"},
            },
            {"input_tokens": 40, "cache_read_explicit_tokens": 60, "output_tokens": 5},
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 60, "cache_type": "implicit"},
            },
            {"input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 5},
        ),
        (  # Qwen's models for all senses, and pictures as output elsewhere
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {
                    "text_tokens": 40,
                    "audio_tokens": 30,
                    "image_tokens": 20,
                    "video_tokens": 10,
                },
                "completion_tokens_details": {"audio_tokens": 10, "image_tokens": 15},
            },
            {
                "input_tokens": 40,
                "audio_in_tokens": 30,
                "image_in_tokens": 20,
                "video_in_tokens": 10,
                "output_tokens": 25,
                "audio_out_tokens": 10,
                "image_out_tokens": 15,
            },
        ),
        (  # Mistral says the tier within
            {"prompt_tokens": 4, "completion_tokens": 6, "service_tier": "priority"},
            {"input_tokens": 4, "output_tokens": 6, "tier": "priority"},
        ),
    ],
)
def test_usage_of_a_dialect_is_taken_apart(usage: Fields, parts: Fields) -> None:
    assert body_usage(usage) == Usage(**parts, served_model="m")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ttls", "quantity"),
    [
        ((), "cache_write_5m_tokens"),
        (("5m",), "cache_write_5m_tokens"),
        (("1h",), "cache_write_1h_tokens"),
        (("5m", "1h"), "cache_write_1h_tokens"),
    ],
)
def test_a_cache_write_without_a_life_has_the_longest_one_asked_for(
    ttls: tuple[str, ...], quantity: str
) -> None:
    usage: Fields = {
        "prompt_tokens": 10,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cache_write_tokens": 9},
    }
    assert getattr(body_usage(usage, cache_ttls=frozenset(ttls)), quantity) == 9


def test_groqs_usage_beside_its_own_id_is_read_and_counted_once() -> None:
    inner = {"queue_time": 0.01, "prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
    for extra in (b"", chunk(choices=[], usage=inner)):
        meter = tap()
        meter.feed(say({"role": "assistant", "content": ""}, x_groq={"id": "req_1"}) + say({"content": "Hi"}))
        meter.feed(say({}, "stop", x_groq={"id": "req_1", "usage": inner}) + extra + b"data: [DONE]\n\n")
        assert exact(meter) == Usage(input_tokens=20, output_tokens=5, served_model="m")


def running(total: int, finish: str | None = None) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": total, "total_tokens": 7 + total}
    return say({"content": "word"}, finish, usage=usage)


def test_of_usage_on_every_chunk_the_last_one_counts() -> None:
    meter = tap(strip=True)
    for total in (1, 2, 3):
        one = running(total)
        assert meter.feed(one) is one
    assert meter.output_floor == 3
    broken = meter.outcome(input_bound=999)
    assert isinstance(broken, AtLeast)
    assert (broken.usage.input_tokens, broken.usage.output_tokens) == (7, 3)
    last = running(40, "stop")
    assert meter.feed(last) == last
    assert exact(meter) == Usage(input_tokens=7, output_tokens=40, served_model="m")


def test_a_comment_behind_the_last_running_usage_does_not_hide_it() -> None:
    meter = tap()
    meter.feed(running(1))
    meter.feed(running(3) + b": keep-alive\n\n")
    broken = meter.outcome(input_bound=999)
    assert isinstance(broken, AtLeast)
    assert broken.usage.input_tokens == 7


def test_a_usage_chunk_is_hidden_also_behind_chunks_that_carry_usage() -> None:
    final = chunk(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 9})
    two = {"choices": [{"index": n, "delta": {"content": "a"}, "finish_reason": None} for n in range(2)]}
    meter = tap(strip=True)
    meter.feed(say({"content": "word"}))
    seen = chunk(**two, usage={"prompt_tokens": 7, "completion_tokens": 2})
    assert meter.feed(seen + final) == seen
    assert exact(meter).output_tokens == 9


def test_thoughts_under_two_names_count_once() -> None:
    meter = tap()
    meter.feed(say({"content": "a"}))
    meter.feed(say({"reasoning": "thought", "reasoning_content": "thought"}))
    meter.feed(say({"reasoning": "thought", "reasoning_details": [{"text": "thought"}]}))
    assert meter.output_floor == 3


def test_typed_chunks_of_content_are_output() -> None:
    meter = tap()
    meter.feed(say({"role": "assistant", "content": ""}))
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "because"}]}]
    meter.feed(say({"content": parts}) + say({"content": [{"type": "text", "text": "so"}]}))
    assert meter.output_floor == 2
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.output_tokens == len("because" + "so")


@pytest.mark.parametrize("code", [1002, 1004, 1008, 1027, 2013])
def test_a_good_answer_that_says_it_is_none_costs_nothing(code: int) -> None:
    refusal: Fields = {"base_resp": {"status_code": code, "status_msg": "no"}}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    for more in ({}, {"choices": [{"message": {"content": "x"}}], "usage": usage}):
        meter = tap(head=JSON)
        meter.feed(json.dumps({**refusal, **more}).encode())
        meter.finish()
        assert meter.outcome(input_bound=999) == Nothing()
    stream = tap()
    stream.feed(say({"role": "assistant", "content": ""}))
    stream.feed(chunk(choices=None, **refusal))
    assert stream.outcome(input_bound=999) == Nothing()


def test_an_answer_that_is_refused_after_words_were_relayed_costs_these() -> None:
    meter = tap()
    meter.feed(say({"content": "word"}) + chunk(choices=[], base_resp={"status_code": 1002}))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (999, 4)


def test_an_answer_that_says_it_is_good_is_billed() -> None:
    meter = tap(head=JSON)
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "total_characters": 0}
    answer = {"choices": [{"message": {"content": "x"}}], "usage": usage, "base_resp": {"status_code": 0}}
    meter.feed(json.dumps(answer).encode())
    meter.finish()
    assert exact(meter) == Usage(input_tokens=9, output_tokens=2)


def test_minimax_ends_its_own_stream_with_the_whole_answer_which_is_not_counted_again() -> None:
    zeros = {"total_tokens": 0, "total_characters": 0}
    meter = MiniMaxChatWire().tap(ModelCall("m", True, Demand(1), True), strip_usage=False)
    meter.feed(say({"role": "assistant", "content": "Hel"}, usage=zeros))
    meter.feed(say({"content": "lo"}, usage=zeros))
    assert meter.output_floor == 2
    broken = meter.outcome(input_bound=999)
    assert isinstance(broken, AtLeast)
    assert (broken.usage.input_tokens, broken.usage.output_tokens) == (999, 5)
    whole = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
    good = {"status_code": 0, "status_msg": ""}
    closing = chunk(object="chat.completion", choices=[whole], usage=zeros, base_resp=good)
    meter.feed(closing)
    meter.feed(closing.replace(b',"base_resp":{"status_code":0,"status_msg":""}', b""))
    assert meter.output_floor == 2
    usage = {"prompt_tokens": 26, "completion_tokens": 3, "total_tokens": 29, "total_characters": 0}
    meter.feed(chunk(object="chat.completion", choices=[whole], usage=usage, base_resp=good))
    assert meter.complete
    assert exact(meter) == Usage(input_tokens=26, output_tokens=3, served_model="m")


def test_blank_lines_before_an_answer_are_no_answer_yet() -> None:
    meter = tap(head=JSON)
    meter.feed(b"\n\n")
    assert not meter.started
    meter.feed(b'\n {"choices":[{}],"usage":{"prompt_tokens":5,"completion_tokens":1}}')
    meter.finish()
    assert exact(meter).input_tokens == 5


@pytest.mark.parametrize("model", ["sonar", "sonar-pro", "sonar-reasoning-pro"])
def test_perplexity_is_held_for_its_fee_by_the_size_of_the_search(model: str) -> None:
    call = read(model=model)
    assert (call.demand.most, call.demand.grade) == ({"calls": 1}, "low")
    assert not call.demand.whole_context
    size = read(model=model, web_search_options={"search_context_size": "high"})
    assert (size.demand.most, size.demand.grade) == ({"calls": 1}, "high")
    kind = read(model=model, web_search_options={"search_type": "pro"})
    assert kind.demand.grade == "low+pro"


def test_a_broken_answer_of_perplexity_still_costs_its_fee() -> None:
    call = read(model="sonar", stream=True)
    meter = WIRE.tap(call, strip_usage=False)
    meter.feed(say({"content": "word"}))
    found = meter.outcome(input_bound=9)
    assert isinstance(found, AtLeast)
    assert (found.usage.calls, found.usage.grade) == (1, "low")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"model": "sonar-deep-research"}, "sonar-deep-research"),
        ({"provider": {"order": ["dearest"]}}, "provider"),
        ({"preset": "mine"}, "preset"),
        ({"voice_setting": {"voice_id": "v"}}, "voice_setting"),
    ],
)
def test_work_that_nothing_bounds_is_named(fields: Fields, name: str) -> None:
    assert read(**fields).demand.unbounded_tool == name


def test_a_spoken_answer_of_minimax_is_not_bounded() -> None:
    def named(**options: object) -> str | None:
        body = json.dumps({"model": "m", "messages": [], "stream_options": options}).encode()
        return MiniMaxChatWire().read_call(Asked(body=body)).demand.unbounded_tool

    assert named(speech_output=True) == "speech_output"
    assert named(speech_output=False) is None


def test_a_deferred_completion_is_refused_because_nobody_would_pay_for_it() -> None:
    with pytest.raises(UnsupportedField):
        read(deferred=True)
    assert read(deferred=False).model == "m"


def test_sound_that_is_billed_by_its_length_is_held_for() -> None:
    sound = [{"role": "user", "content": [{"type": "input_audio", "input_audio": "AAAA"}]}]
    assert read(model="voxtral-small-2507", messages=sound).demand.most == {"audio_ms": 3_600_000}
    assert read(model="voxtral-small-2507").demand.most == {}
