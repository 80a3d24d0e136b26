"""Raw provider streams, read from files: what the meter must make of each, however the bytes are cut."""

from pathlib import Path

import pytest

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import ModelCall, Tap, Wire

RECORDED = Path(__file__).parents[2] / "recorded"
INPUT_BOUND = 777


def call(wants_usage: bool = True, **demand: object) -> ModelCall:
    return ModelCall(model="m", stream=True, demand=Demand(100, **demand), wants_usage=wants_usage)  # type: ignore[arg-type]


def wire_of(name: str) -> Wire:
    return AnthropicWire() if name.startswith("anthropic") else OpenAIChatWire()


def run(tap: Tap, stream: bytes, size: int) -> bytes:
    relayed = [tap.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    return b"".join((*relayed, tap.finish()))


EXACT = {
    "anthropic_thinking_tool.sse": Usage(
        input_tokens=1591,
        cache_read_tokens=2048,
        output_tokens=344,
        reasoning_tokens=33,
        tier="standard",
        geo="global",
        served_model="claude-opus-5-5",
    ),
    "anthropic_cache_split_web_search.sse": Usage(
        input_tokens=16,
        cache_read_tokens=13637,
        cache_write_5m_tokens=49,
        cache_write_1h_tokens=7000,
        output_tokens=344,
        reasoning_tokens=33,
        web_searches=2,
        tier="standard",
        speed="fast",
        geo="us",
        served_model="claude-opus-5-5",
    ),
    "anthropic_compaction.sse": Usage(input_tokens=90100, output_tokens=1550, served_model="claude-opus-5-5"),
    "openai_usage_then_moderation.sse": Usage(
        input_tokens=8,
        cache_write_30m_tokens=4012,
        output_tokens=316,
        reasoning_tokens=200,
        tier="default",
        served_model="gpt-6-sol",
    ),
    "openai_two_choices.sse": Usage(
        input_tokens=5,
        cache_read_tokens=4,
        output_tokens=6,
        tier="priority",
        served_model="gpt-6-sol-2026-07-01",
        detail={"rejected_prediction_tokens": 1},
    ),
    "openai_tool_call_without_done.sse": Usage(
        input_tokens=50, output_tokens=12, tier="priority", served_model="gpt-6-sol"
    ),
    "deepseek_tail.sse": Usage(
        input_tokens=51, cache_read_tokens=512, output_tokens=116, served_model="deepseek-flash"
    ),
    "kimi_tail.sse": Usage(input_tokens=40, cache_read_tokens=60, output_tokens=20, served_model="kimi-k3"),
    "mistral_tail.sse": Usage(
        input_tokens=1, cache_read_tokens=69, output_tokens=9, served_model="mistral-large-4"
    ),
    "xai_reasoning_outside.sse": Usage(
        input_tokens=2332, output_tokens=348, reasoning_tokens=310, served_model="grok-4.7"
    ),
    "cerebras_tail.sse": Usage(input_tokens=20, output_tokens=3, served_model="qwen-3-coder"),
}
EXACT["openai_usage_crlf.sse"] = EXACT["openai_usage_then_moderation.sse"]
FAILED_AT_ONCE = ("anthropic_overloaded_first.sse", "openai_rate_limited_first.sse")


def outcome(name: str, size: int) -> Metered:
    stream = (RECORDED / name).read_bytes()
    tap = wire_of(name).tap(call(), strip_usage=False)
    assert run(tap, stream, size) == stream
    return tap.outcome(input_bound=INPUT_BOUND)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("name", EXACT)
def test_a_whole_stream_is_metered_exactly_and_relayed_as_it_came(name: str, size: int) -> None:
    assert outcome(name, size) == Exact(EXACT[name])


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("name", FAILED_AT_ONCE)
def test_a_stream_that_begins_with_an_error_costs_nothing(name: str, size: int) -> None:
    assert outcome(name, size) == Nothing()


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_an_error_after_ten_deltas_is_billed_from_what_was_seen(size: int) -> None:
    found = outcome("anthropic_error_after_ten_deltas.sse", size)
    assert isinstance(found, AtLeast)
    assert (found.usage.input_tokens, found.usage.cache_write_1h_tokens) == (16, 7000)
    assert found.usage.output_tokens == len("part 0 " * 10)


@pytest.mark.parametrize("name", EXACT)
def test_a_stream_cut_anywhere_before_its_usage_is_never_exact(name: str) -> None:
    stream = (RECORDED / name).read_bytes()
    usage_at = stream.rindex(b'"usage":{')
    for cut in range(0, usage_at, 11):
        tap = wire_of(name).tap(call(), strip_usage=False)
        run(tap, stream[:cut], 40)
        found = tap.outcome(input_bound=INPUT_BOUND)
        if name != "kimi_tail.sse":
            assert not isinstance(found, Exact), cut
        if isinstance(found, AtLeast):
            assert found.usage.prompt_tokens > 0


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize("name", [name for name in EXACT if not name.startswith("anthropic")])
def test_stripping_hides_the_usage_event_and_nothing_else(name: str, size: int) -> None:
    stream = (RECORDED / name).read_bytes()
    tap = OpenAIChatWire().tap(call(wants_usage=False), strip_usage=True)
    relayed = run(tap, stream, size)
    end = b"\r\n\r\n" if b"\r" in stream else b"\n\n"
    events = stream.split(end)
    shown = [event for event in events if b'"choices":[],"usage":{' not in event]
    assert relayed.rstrip() == end.join(shown).rstrip()
    assert tap.outcome(input_bound=INPUT_BOUND) == Exact(EXACT[name])


def test_a_stream_without_its_last_empty_line_is_still_metered() -> None:
    stream = (RECORDED / "anthropic_thinking_tool.sse").read_bytes()
    cut = stream[: stream.index(b"event: message_stop")].rstrip()
    tap = AnthropicWire().tap(call(), strip_usage=False)
    assert run(tap, cut, 100) == cut
    assert tap.outcome(input_bound=1) == Exact(EXACT["anthropic_thinking_tool.sse"])
