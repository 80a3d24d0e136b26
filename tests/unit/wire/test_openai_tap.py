"""Usage out of chat completions, row by row of the list of known oddities."""

import json

import pytest

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import AnswerHead, ModelCall, Tap

WIRE = OpenAIChatWire()
JSON = b"application/json"
Fields = dict[str, object]
HEAD: Fields = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-sol"}


def tap(
    *, strip: bool = False, content_type: bytes = b"", ttls: tuple[str, ...] = (), **demand: object
) -> Tap:
    bound = Demand(100, cache_ttls=frozenset(ttls), **demand)  # type: ignore[arg-type]
    call = ModelCall("gpt-6-sol", stream=True, demand=bound, wants_usage=not strip)
    return WIRE.tap(call, strip_usage=strip, head=AnswerHead(headers=((b"content-type", content_type),)))


def chunk(**fields: object) -> bytes:
    return f"data: {json.dumps({**HEAD, **fields}, separators=(',', ':'))}\n\n".encode()


def say(delta: Fields, finish: str | None = None, **fields: object) -> bytes:
    return chunk(choices=[{"index": 0, "delta": delta, "finish_reason": finish}], **fields)


ROLE = say({"role": "assistant", "content": ""}, usage=None)
DONE = b"data: [DONE]\n\n"


def usage_chunk(**usage: object) -> bytes:
    return chunk(choices=[], usage=usage)


def outcome_of(usage: Fields, **options: object) -> Usage:
    meter = tap(**options)  # type: ignore[arg-type]
    for one in (
        ROLE,
        say({"content": "hi"}, usage=None),
        say({}, "stop", usage=None),
        usage_chunk(**usage),
        DONE,
    ):
        assert meter.feed(one) is one
    found = meter.outcome(input_bound=999)
    assert isinstance(found, Exact)
    return found.usage


@pytest.mark.parametrize(
    ("usage", "parts"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
            {"input_tokens": 9, "output_tokens": 2},
        ),
        (
            {
                "prompt_tokens": 4020,
                "completion_tokens": 316,
                "total_tokens": 4336,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4012},
                "completion_tokens_details": {"reasoning_tokens": 200},
            },
            {
                "input_tokens": 8,
                "cache_write_30m_tokens": 4012,
                "output_tokens": 316,
                "reasoning_tokens": 200,
            },
        ),
        (  # Gemini's OpenAI flavour: thoughts only in the total
            {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
            {"input_tokens": 35, "output_tokens": 74, "reasoning_tokens": 62},
        ),
        (
            {
                "prompt_tokens": 2332,
                "completion_tokens": 38,
                "total_tokens": 2680,
                "completion_tokens_details": {"reasoning_tokens": 310},
            },
            {"input_tokens": 2332, "output_tokens": 348, "reasoning_tokens": 310},
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 60},
            {"input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 20},
        ),
        (
            {"prompt_tokens": 70, "completion_tokens": 9, "num_cached_tokens": 69},
            {"input_tokens": 1, "cache_read_tokens": 69, "output_tokens": 9},
        ),
        (
            {
                "prompt_tokens": 563,
                "completion_tokens": 116,
                "prompt_cache_hit_tokens": 512,
                "prompt_cache_miss_tokens": 51,
            },
            {"input_tokens": 51, "cache_read_tokens": 512, "output_tokens": 116},
        ),
        (
            {
                "prompt_tokens": 29719,
                "completion_tokens": 435,
                "prompt_tokens_details": {"cache_creation_input_tokens": 29713},
                "completion_tokens_details": {"reasoning_tokens": 382},
            },
            {
                "input_tokens": 6,
                "cache_write_5m_tokens": 29713,
                "output_tokens": 435,
                "reasoning_tokens": 382,
            },
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"audio_tokens": 30, "cached_tokens": 20},
                "completion_tokens_details": {"audio_tokens": 40, "reasoning_tokens": 3},
            },
            {
                "input_tokens": 50,
                "cache_read_tokens": 20,
                "audio_in_tokens": 30,
                "output_tokens": 10,
                "audio_out_tokens": 40,
                "reasoning_tokens": 3,
            },
        ),
        (  # parts larger than the whole never make a part negative
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 50, "cache_write_tokens": 50, "audio_tokens": 50},
                "completion_tokens_details": {"reasoning_tokens": 50},
            },
            {"cache_read_tokens": 10, "output_tokens": 5, "reasoning_tokens": 5},
        ),
        (
            {"prompt_tokens": "28", "completion_tokens": 3.0, "prompt_tokens_details": None},
            {"input_tokens": 28, "output_tokens": 3},
        ),
    ],
)
def test_usage_is_taken_apart_into_disjoint_quantities(usage: Fields, parts: Fields) -> None:
    found = outcome_of(usage)
    assert found == Usage(**parts, served_model="gpt-6-sol")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ttls", "details", "half_hour", "half_day"),
    [
        ((), {"cache_write_tokens": 9}, 9, 0),
        (("30m", "12h"), {"cache_write_tokens": 9}, 9, 0),
        (("12h",), {"cache_write_tokens": 9}, 0, 9),
        (("12h",), {"cache_write_tokens": 9, "cache_write_tokens_details": {"ttl_12h_tokens": 4}}, 5, 4),
    ],
)
def test_cache_writes_are_of_half_an_hour_unless_half_a_day_alone_was_asked_for(
    ttls: tuple[str, ...], details: Fields, half_hour: int, half_day: int
) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": details}
    found = outcome_of(usage, ttls=ttls)
    assert (found.cache_write_30m_tokens, found.cache_write_12h_tokens) == (half_hour, half_day)


def test_a_search_that_was_held_for_is_billed_once() -> None:
    usage: Fields = {"prompt_tokens": 10, "completion_tokens": 1}
    assert outcome_of(usage, most={"web_searches": 5}).web_searches == 1
    assert outcome_of(usage).web_searches == 0


def test_the_answered_tier_and_model_are_kept() -> None:
    meter = tap(tier="fast")
    meter.feed(ROLE)
    meter.feed(
        chunk(
            choices=[],
            model="gpt-6-sol-2026-07",
            service_tier="priority",
            usage={"prompt_tokens": 1, "completion_tokens": 1},
        )
    )
    found = meter.outcome(input_bound=1)
    assert isinstance(found, Exact)
    assert (found.usage.tier, found.usage.served_model) == ("priority", "gpt-6-sol-2026-07")


def test_only_the_usage_event_is_hidden_when_only_the_gateway_asked() -> None:
    meter = tap(strip=True)
    plain = (ROLE, b": keep-alive\n\n", say({"content": "hi"}, usage=None), say({}, "stop", usage=None))
    for one in plain:
        assert meter.feed(one) is one
    hidden = usage_chunk(prompt_tokens=3, completion_tokens=1)
    assert meter.feed(hidden) == b""
    moderation = chunk(choices=[], moderation={"input": {}})
    assert meter.feed(moderation) is not None
    assert meter.feed(hidden + DONE) == DONE
    assert meter.outcome(input_bound=1) == Exact(
        Usage(input_tokens=3, output_tokens=1, served_model="gpt-6-sol")
    )


def test_usage_in_a_chunk_with_choices_is_not_hidden() -> None:
    meter = tap(strip=True)
    last = say({"content": ""}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 1})
    assert meter.feed(last) == last
    assert isinstance(meter.outcome(input_bound=1), Exact)


def test_a_partial_event_is_withheld_until_it_is_known_not_to_be_usage() -> None:
    meter = tap(strip=True)
    meter.feed(ROLE)
    one = say({"content": "hi"})
    assert meter.feed(one[:30]) == b""
    assert meter.at_boundary
    assert meter.feed(one[30:]) == one
    assert meter.feed(one[:-1]) == b""
    assert meter.finish() == one[:-1]
    assert not meter.at_boundary


def test_an_event_too_large_to_withhold_is_let_go() -> None:
    big = say({"content": "A" * 5_000_000})
    usage = usage_chunk(prompt_tokens=3, completion_tokens=1)
    meter = tap(strip=True)
    meter.feed(ROLE)
    relayed = b"".join(
        meter.feed((big + usage + DONE)[at : at + 50_000]) for at in range(0, len(big + usage + DONE), 50_000)
    )
    assert relayed + meter.finish() == big + DONE
    assert len(meter._carry) <= 64 * 1024  # type: ignore[attr-defined]
    assert isinstance(meter.outcome(input_bound=1), Exact)


def test_usage_at_the_end_of_a_large_chunk_is_found() -> None:
    body = (
        say({"content": "A" * 300_000}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 70_000})
        + DONE
    )
    meter = tap()
    meter.feed(ROLE)
    for at in range(0, len(body), 50_000):
        meter.feed(body[at : at + 50_000])
    found = meter.outcome(input_bound=1)
    assert isinstance(found, Exact)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (3, 70_000)


@pytest.mark.parametrize("tail", [b"", DONE, DONE + DONE, DONE + b"\x00garbage\xff\n\n", b"data: [DONE]"])
def test_the_end_of_a_stream_may_be_odd(tail: bytes) -> None:
    meter = tap()
    stream = ROLE + say({"content": "hi"}) + usage_chunk(prompt_tokens=3, completion_tokens=1) + tail
    assert meter.feed(stream) + meter.finish() == stream
    assert meter.outcome(input_bound=1) == Exact(
        Usage(input_tokens=3, output_tokens=1, served_model="gpt-6-sol")
    )
    assert meter.complete


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        "x",
        {"prompt_tokens": 3},
        {"prompt_tokens": -3, "completion_tokens": 4},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
)
def test_a_completed_answer_without_sensible_usage_is_an_estimate(usage: object) -> None:
    meter = tap()
    meter.feed(ROLE + say({"content": "hello"}, "stop") + chunk(choices=[], usage=usage) + DONE)
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.prompt_tokens in (3, 999)
    assert found.usage.output_tokens >= 4


def test_zero_output_after_content_is_not_believed() -> None:
    meter = tap()
    meter.feed(ROLE + say({"content": "hello"}) + usage_chunk(prompt_tokens=5, completion_tokens=0) + DONE)
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.input_tokens == 5


def test_cumulative_usage_of_a_broken_stream_is_what_was_last_seen() -> None:
    meter = tap()
    meter.feed(ROLE)
    for total in (5, 9):
        meter.feed(say({"content": "words"}, usage={"prompt_tokens": 7, "completion_tokens": total}))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (7, 9)


def test_an_error_first_costs_nothing_and_an_error_later_costs_what_was_seen() -> None:
    error = b'data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}\n\n'
    first = tap()
    first.feed(error)
    assert first.outcome(input_bound=999) == Nothing()
    later = tap()
    later.feed(ROLE)
    for _ in range(10):
        later.feed(say({"content": "word "}, usage=None))
    later.feed(error)
    found = later.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.input_tokens == 999
    assert found.usage.output_tokens == 50


def test_the_floor_counts_deltas_that_hold_something() -> None:
    meter = tap()
    meter.feed(b": OPENROUTER PROCESSING\n\n")
    meter.feed(ROLE)
    meter.feed(say({}, usage=None))
    assert (meter.output_floor, meter.started) == (0, False)
    meter.feed(say({"content": "a"}, usage=None))
    assert (meter.output_floor, meter.started) == (1, True)
    meter.feed(
        say({"content": None, "reasoning_content": "b"})
        + say({"tool_calls": [{"function": {"arguments": "{"}}]})
    )
    assert meter.output_floor == 3
    meter.feed(say({"content": ""}, "stop"))
    assert meter.output_floor == 3
    meter.feed(usage_chunk(prompt_tokens=3, completion_tokens=40))
    assert meter.output_floor == 40


def test_output_of_a_broken_stream_is_bounded_by_its_bytes() -> None:
    words = 'h\u00e9llo \U0001f600 "quoted" \n' * 20
    meter = tap()
    meter.feed(ROLE)
    for at in range(0, len(words), 3):
        meter.feed(say({"content": words[at : at + 3]}))
    two = {"choices": [{"index": n, "delta": {"content": "word"}} for n in range(2)]}
    meter.feed(chunk(**two))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.output_tokens >= len(words.encode()) + 8


@pytest.mark.parametrize("filler", [0, 3_000_000])
def test_a_body_is_metered_like_a_stream(filler: int) -> None:
    message = {"role": "assistant", "content": "x" * filler + '{"usage":{"prompt_tokens":1}}'}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    answer = {**HEAD, "choices": [{"index": 0, "message": message}], "usage": usage, "service_tier": "flex"}
    body = json.dumps(answer).encode()
    meter = tap(content_type=JSON)
    for at in range(0, len(body), 40_000):
        meter.feed(body[at : at + 40_000])
    meter.finish()
    found = meter.outcome(input_bound=1)
    assert isinstance(found, Exact)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (9, 2)
    assert found.usage.tier == ("flex" if not filler else "")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":{"message":"no"}}', Nothing),
        (b'{"base_resp":{"status_code":1008}}', Nothing),
        (b"\n\n  <html></html>", Nothing),
        (b'\n\n {"choices":[{"message":{"content":"hal', AtLeast),
        (b'{"choices":[{"message":{"content":"half"}}],"usage":null}', AtLeast),
        (b'{"choices":[{"message":{}}],"usage":{"prompt_tokens":1,"completion_tokens":0}}', Exact),
    ],
)
def test_a_body_that_is_no_plain_answer(body: bytes, kind: type) -> None:
    meter = tap(content_type=JSON)
    meter.feed(body)
    meter.finish()
    assert type(meter.outcome(input_bound=999)) is kind
