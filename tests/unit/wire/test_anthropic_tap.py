"""Usage out of Anthropic answers, row by row of the list of known oddities."""

import json

import pytest

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.types import AnswerHead, ModelCall, Tap

WIRE = AnthropicWire()
JSON = b"application/json"
Fields = dict[str, object]


def tap(*ttls: str, content_type: bytes = b"", stream: bool = True, **demand: str) -> Tap:
    call = ModelCall("m", stream, Demand(100, cache_ttls=frozenset(ttls), **demand), wants_usage=True)  # type: ignore[arg-type]
    return WIRE.tap(call, strip_usage=True, head=AnswerHead(headers=((b"content-type", content_type),)))


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def start(**usage: object) -> bytes:
    return event("message_start", message={"model": "claude-x", "usage": usage})


def delta(stop: str | None = "end_turn", **usage: object) -> bytes:
    return event("message_delta", delta={"stop_reason": stop}, usage=usage)


def text(words: str) -> bytes:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": words})


STOP = event("message_stop")


def metered(*events: bytes, ttls: tuple[str, ...] = ()) -> Usage:
    meter = tap(*ttls)
    for one in events:
        assert meter.feed(one) is one
    assert meter.finish() == b""
    found = meter.outcome(input_bound=999)
    assert isinstance(found, Exact)
    return found.usage


def test_the_last_cumulative_counts_replace_the_first() -> None:
    usage = metered(
        start(input_tokens=702, output_tokens=1), delta(input_tokens=1591, output_tokens=344), STOP
    )
    assert (usage.input_tokens, usage.output_tokens) == (1591, 344)


SPLIT = {"ephemeral_5m_input_tokens": 49, "ephemeral_1h_input_tokens": 7000}


@pytest.mark.parametrize(
    ("total", "ttls", "short", "long"),
    [
        (7049, (), 49, 7000),
        (8000, (), 1000, 7000),
        (8000, ("5m", "1h"), 1000, 7000),
        (8000, ("1h",), 49, 7951),
        (None, (), 49, 7000),
        (7000, (), 0, 7000),
    ],
)
def test_cache_writes_keep_their_split(
    total: int | None, ttls: tuple[str, ...], short: int, long: int
) -> None:
    first = start(input_tokens=16, output_tokens=1, cache_creation_input_tokens=7049, cache_creation=SPLIT)
    usage = metered(first, delta(output_tokens=5, cache_creation_input_tokens=total), ttls=ttls)
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (short, long)


@pytest.mark.parametrize(("ttls", "short", "long"), [((), 30, 0), (("5m", "1h"), 30, 0), (("1h",), 0, 30)])
def test_cache_writes_without_a_split_are_short_unless_only_long_ones_were_asked_for(
    ttls: tuple[str, ...], short: int, long: int
) -> None:
    usage = metered(
        start(input_tokens=1, output_tokens=1),
        delta(cache_creation_input_tokens=30, output_tokens=2),
        ttls=ttls,
    )
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (short, long)


def test_a_delta_with_output_alone_leaves_the_input_as_it_was() -> None:
    usage = metered(start(input_tokens=7, cache_read_input_tokens=8, output_tokens=1), delta(output_tokens=9))
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (7, 8, 9)


def test_of_several_deltas_the_last_wins() -> None:
    usage = metered(
        start(input_tokens=7, output_tokens=1),
        delta(None, output_tokens=9),
        delta(input_tokens=8, output_tokens=12),
    )
    assert (usage.input_tokens, usage.output_tokens) == (8, 12)


def test_a_compaction_is_added_on_top() -> None:
    compaction = {
        "type": "compaction",
        "input_tokens": 90_000,
        "output_tokens": 1500,
        "cache_creation": SPLIT,
    }
    message = {"type": "message", "input_tokens": 100, "output_tokens": 50}
    advisor = {"type": "advisor_message", "input_tokens": 11, "output_tokens": 12, "model": "other"}
    usage = metered(
        start(input_tokens=100, output_tokens=1),
        delta(output_tokens=50, iterations=[compaction, message, advisor, "odd"]),
    )
    assert (usage.input_tokens, usage.output_tokens) == (90_100, 1550)
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (49, 7000)
    assert usage.detail == {"advisor_message_input_tokens": 11, "advisor_message_output_tokens": 12}


def test_pings_and_events_of_unknown_names_change_nothing() -> None:
    usage = metered(
        start(input_tokens=7, output_tokens=1),
        event("ping"),
        b": comment\n\n",
        event("brand_new", usage={"input_tokens": 10**6, "output_tokens": 10**6}),
        b"data: not json \xff\n\n",
        b"event: odd\n\n",
        delta(output_tokens=3),
        STOP,
    )
    assert (usage.input_tokens, usage.output_tokens) == (7, 3)


def test_what_a_model_writes_is_never_taken_for_usage() -> None:
    fake = json.dumps({"type": "message_delta", "usage": {"output_tokens": 0}, "delta": {"stop_reason": "x"}})
    tool = {"type": "tool_use", "input": {"type": "message_delta", "usage": {"output_tokens": 0}}}
    usage = metered(
        start(input_tokens=7, output_tokens=1),
        event("content_block_start", index=0, content_block=tool),
        text(fake),
        text('"message_stop" "error" "text_delta" "text_delta"'),
        delta(output_tokens=30),
    )
    assert usage.output_tokens == 30


@pytest.mark.parametrize(("value", "tokens"), [("28", 28), (28.0, 28), (27.2, 28), ("2.8e1", 28), (28, 28)])
def test_odd_spellings_of_numbers_are_read(value: object, tokens: int) -> None:
    usage = metered(start(input_tokens=value, output_tokens=1), delta(output_tokens=value))
    assert (usage.input_tokens, usage.output_tokens) == (tokens, tokens)


@pytest.mark.parametrize("value", [None, -5, "many", True, [], {}, float("inf"), 2**60, "9" * 400])
def test_an_output_count_without_sense_is_an_estimate_and_never_an_exception(value: object) -> None:
    meter = tap()
    meter.feed(start(input_tokens=5))
    meter.feed(text("hello"))
    meter.feed(delta(output_tokens=value))
    meter.feed(STOP)
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.input_tokens == 5
    assert found.usage.output_tokens >= len("hello")


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 0}, {"input_tokens": None}, {"input_tokens": "x"}])
def test_input_that_the_provider_did_not_tell_is_the_bound_of_the_request(usage: Fields) -> None:
    meter = tap()
    meter.feed(start(**usage))
    meter.feed(delta(output_tokens=4))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (999, 4)


def test_a_stream_that_breaks_between_two_deltas_is_not_exact() -> None:
    meter = tap()
    meter.feed(start(input_tokens=5, output_tokens=1))
    meter.feed(delta(None, output_tokens=40))
    meter.feed(text("abc"))
    assert not meter.complete
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.output_tokens == 43


def test_an_error_after_the_terminal_usage_takes_nothing_back() -> None:
    usage = metered(start(input_tokens=5, output_tokens=1), delta(output_tokens=6), event("error", error={}))
    assert usage.output_tokens == 6


@pytest.mark.parametrize(
    "stream", [b"", b": ping\n\n", b"<html>busy</html>", b"data: \xff\n\n", event("error", error={})]
)
def test_an_answer_without_any_work_costs_nothing(stream: bytes) -> None:
    meter = tap()
    meter.feed(stream)
    meter.finish()
    assert meter.outcome(input_bound=999) == Nothing()


def test_the_context_of_the_price_is_the_answered_one() -> None:
    meter = tap(speed="fast", geo="us", tier="auto")
    meter.feed(
        start(
            input_tokens=5, output_tokens=1, speed="standard", inference_geo="global", service_tier="priority"
        )
    )
    meter.feed(delta(output_tokens=6))
    found = meter.outcome(input_bound=1)
    assert (found.usage.speed, found.usage.geo, found.usage.tier) == ("standard", "global", "priority")  # type: ignore[union-attr]


def test_an_answer_that_does_not_name_its_speed_is_billed_as_asked() -> None:
    meter = tap(speed="fast", geo="us")
    meter.feed(start(input_tokens=5, output_tokens=1) + delta(output_tokens=6))
    found = meter.outcome(input_bound=1)
    assert (found.usage.speed, found.usage.geo, found.usage.tier) == ("fast", "us", "")  # type: ignore[union-attr]
    old = tap()
    old.feed(start(input_tokens=5, inference_geo="not_available") + delta(output_tokens=6))
    assert old.outcome(input_bound=1).usage.geo == ""  # type: ignore[union-attr]


def test_the_floor_counts_deltas_that_hold_something() -> None:
    meter = tap()
    meter.feed(start(input_tokens=5, output_tokens=1))
    assert (meter.output_floor, meter.started) == (1, False)
    meter.feed(event("ping"))
    meter.feed(event("content_block_start", index=0, content_block={"type": "text", "text": ""}))
    meter.feed(b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}\n\n')
    meter.feed(
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a"}}\n\n'
    )
    assert (meter.output_floor, meter.started) == (1, False)
    meter.feed(text("a"))
    assert (meter.output_floor, meter.started) == (2, True)
    meter.feed(text("b") + text("c"))
    meter.feed(event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "x"}))
    assert meter.output_floor == 5
    meter.feed(delta(None, output_tokens=40))
    assert meter.output_floor == 40


def test_output_of_a_broken_stream_is_bounded_by_its_bytes() -> None:
    words = 'h\u00e9llo \U0001f600 "quoted" \n' * 20
    meter = tap()
    meter.feed(start(input_tokens=5, output_tokens=1))
    for at in range(0, len(words), 3):
        meter.feed(text(words[at : at + 3]))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.output_tokens >= len(words.encode())


def test_a_boundary_is_known() -> None:
    meter = tap()
    one = text("abc")
    meter.feed(one[:20])
    assert not meter.at_boundary
    meter.feed(one[20:])
    assert meter.at_boundary
    meter.feed(one + one[:1])
    assert not meter.at_boundary


def test_an_event_of_five_megabytes_passes_in_bounded_memory() -> None:
    big = event("content_block_start", index=0, content_block={"type": "x", "data": "A" * 5_000_000})
    meter = tap()
    meter.feed(start(input_tokens=5, output_tokens=1))
    held = 0
    for at in range(0, len(big), 60_000):
        chunk = big[at : at + 60_000]
        assert meter.feed(chunk) is chunk
        held = max(held, len(meter._carry))  # type: ignore[attr-defined]
    assert held <= 64 * 1024
    meter.feed(delta(output_tokens=6) + STOP)
    assert meter.outcome(input_bound=1) == Exact(
        Usage(input_tokens=5, output_tokens=6, served_model="claude-x")
    )


BODY: Fields = {
    "type": "message",
    "model": "claude-x",
    "content": [{"type": "tool_use", "input": {"usage": {"input_tokens": 1, "output_tokens": 0}}}],
    "usage": {
        "input_tokens": 16,
        "output_tokens": 344,
        "cache_creation_input_tokens": 7049,
        "cache_creation": SPLIT,
    },
}


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
@pytest.mark.parametrize("filler", [0, 3_000_000])
def test_a_body_is_metered_like_a_stream(size: int, filler: int) -> None:
    content = [{"type": "text", "text": "x" * filler}, *BODY["content"]]  # type: ignore[misc]
    body = json.dumps({**BODY, "content": content}).encode()
    meter = tap(content_type=b"application/json; charset=utf-8")
    size = max(size, filler // 100)
    for at in range(0, len(body), size):
        chunk = body[at : at + size]
        assert meter.feed(chunk) is chunk
    assert meter.finish() == b""
    found = meter.outcome(input_bound=1)
    assert isinstance(found, Exact)
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.cache_write_1h_tokens) == (
        16,
        344,
        7000,
    )


def test_the_content_type_decides_and_else_the_request() -> None:
    stream = start(input_tokens=5, output_tokens=1) + delta(output_tokens=6)
    body = json.dumps(BODY).encode()
    for content_type, asked, answer in (
        (b"text/event-stream", False, stream),
        (b"Text/Event-Stream; charset=utf-8", True, stream),
        (JSON, True, body),
        (b"", True, stream),
        (b"", False, body),
        (b"", True, body),  # a body under a stream's name
    ):
        meter = tap(content_type=content_type, stream=asked)
        assert meter.feed(answer) + meter.finish() == answer
        assert isinstance(meter.outcome(input_bound=1), Exact), (content_type, asked)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', Nothing),
        (b"<html></html>", Nothing),
        (b"", Nothing),
        (b'{"type":"message","content":[{"type":"text","text":"hal', AtLeast),
        (b'{"type":"message","content":[{"type":"text","text":"half"}]}', AtLeast),
        (b'{"type":"message","content":[],"usage":"\xff"}', AtLeast),
    ],
)
def test_a_body_without_usage(body: bytes, kind: type) -> None:
    meter = tap(content_type=JSON)
    meter.feed(body)
    meter.finish()
    found = meter.outcome(input_bound=999)
    assert type(found) is kind
    if isinstance(found, AtLeast):
        assert found.usage.input_tokens == 999
