"""The numbers a bill is made of: what is counted, where it stands, and that they agree."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.simulator.support import (
    ANTHROPIC_TOOL,
    CHAT,
    COUNT,
    HELLO,
    MESSAGES,
    OPENAI_TOOL,
    ask,
    chat,
    messages,
)

from qlaud.providers.simulator.tokens import count, cut, pieces

MARK = {"type": "ephemeral"}
text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)


def block(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def prompt_tokens(usage: dict[str, int]) -> int:
    return usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"]


@given(text, st.integers(0, 20))
def test_a_cut_text_is_the_longest_beginning_within_the_limit(said: str, limit: int) -> None:
    kept = cut(said, limit)
    assert said.startswith(kept)
    assert count(kept) <= limit
    assert kept == said or len((kept + said[len(kept)]).encode()) > 4 * limit


@given(text)
def test_the_pieces_of_a_text_are_the_text_and_hold_a_token_each(said: str) -> None:
    assert "".join(pieces(said)) == said
    assert len(pieces(said)) <= count(said)


@settings(max_examples=50, deadline=None)
@given(text, text, st.lists(text, max_size=3), st.integers(1, 30))
def test_no_call_has_more_tokens_than_bytes_in_its_body_or_more_output_than_asked_for(
    said: str, system: str, names: list[str], limit: int
) -> None:
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in names}, "required": names}
    body: dict[str, Any] = {
        "model": "m",
        "max_tokens": limit,
        "messages": [{"role": "user", "content": said}],
    }
    claude = body | {"system": system, "tools": [{"name": "t", "input_schema": schema}]}
    raw = json.dumps(claude, ensure_ascii=False, separators=(",", ":")).encode()
    usage = ask(MESSAGES, raw).json["usage"]
    assert prompt_tokens(usage) <= len(raw)
    assert usage["output_tokens"] <= limit
    gpt = body | {"tools": [{"type": "function", "function": {"name": "t", "parameters": schema}}]}
    raw = json.dumps(gpt, ensure_ascii=False, separators=(",", ":")).encode()
    usage = ask(CHAT, raw).json["usage"]
    assert usage["prompt_tokens"] <= len(raw)
    assert usage["completion_tokens"] <= limit


def test_more_text_is_more_input() -> None:
    short = messages().json["usage"]["input_tokens"]
    longer = [{"role": "user", "content": HELLO[0]["content"] + "x" * 400}]
    assert messages(messages=longer).json["usage"]["input_tokens"] == short + 100
    with_tool = messages(tools=[ANTHROPIC_TOOL]).json["usage"]["input_tokens"]
    assert with_tool > short + 10
    assert (
        chat(tools=[OPENAI_TOOL]).json["usage"]["prompt_tokens"] > chat().json["usage"]["prompt_tokens"] + 10
    )


def test_an_image_counts_far_less_than_its_bytes() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 8192}
    turn = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    assert messages(messages=turn).json["usage"]["input_tokens"] == 3 + 8


def test_a_count_is_the_input_of_the_same_request() -> None:
    body = {
        "model": "claude-opus-4-7",
        "system": [block("Be brief. " * 30, cache_control=MARK)],
        "tools": [ANTHROPIC_TOOL],
        "messages": HELLO,
    }
    counted = ask(COUNT, body).json
    assert counted == {"input_tokens": prompt_tokens(ask(MESSAGES, body | {"max_tokens": 10}).json["usage"])}


def test_a_stream_reports_the_same_usage_as_a_whole_answer() -> None:
    for model in ("sim/echo", "sim/thinking"):
        whole = messages(model).json["usage"]
        events = messages(model, stream=True).events
        start, delta = events[0]["message"]["usage"], events[-2]["usage"]
        assert start["output_tokens"] == 1
        assert {**start, **delta} == whole
        usage = chat(model, stream=True, stream_options={"include_usage": True}).events[-1]["usage"]
        assert usage == chat(model).json["usage"]


def test_a_chat_stream_has_usage_only_when_asked_and_then_in_a_last_chunk_without_choices() -> None:
    assert b'"usage"' not in chat(stream=True).body
    assert b'"usage"' not in chat(stream=True, stream_options={"include_usage": False}).body
    *chunks, last = chat(stream=True, stream_options={"include_usage": True}).events
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks)
    assert last["choices"] == []
    assert (
        last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
    )


def test_marked_content_is_written_to_the_cache_with_everything_before_it() -> None:
    plain = messages(system=[block("Rules. " * 40)], tools=[ANTHROPIC_TOOL]).json["usage"]
    marked = messages(system=[block("Rules. " * 40, cache_control=MARK)], tools=[ANTHROPIC_TOOL]).json[
        "usage"
    ]
    unmarked = messages().json["usage"]["input_tokens"]
    assert marked["input_tokens"] == unmarked
    assert marked["cache_creation_input_tokens"] == plain["input_tokens"] - unmarked
    assert marked["cache_creation"] == {
        "ephemeral_5m_input_tokens": marked["cache_creation_input_tokens"],
        "ephemeral_1h_input_tokens": 0,
    }


def test_an_hour_long_mark_is_counted_apart() -> None:
    usage = messages(
        system=[block("a" * 400, cache_control={"type": "ephemeral", "ttl": "1h"})],
        messages=[{"role": "user", "content": [block("b" * 40, cache_control=MARK)]}],
    ).json["usage"]
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 13, "ephemeral_1h_input_tokens": 100}
    assert (usage["cache_creation_input_tokens"], usage["input_tokens"]) == (113, 0)


def test_a_mark_before_the_last_answer_is_read_from_the_cache() -> None:
    turns = [
        {"role": "user", "content": "a" * 40},
        {"role": "assistant", "content": "b" * 40},
        {"role": "user", "content": [block("c" * 40, cache_control=MARK)]},
    ]
    usage = messages(system=[block("s" * 400, cache_control=MARK)], messages=turns).json["usage"]
    assert usage["cache_read_input_tokens"] == 100
    assert usage["cache_creation_input_tokens"] == 3 * 13
    assert usage["input_tokens"] == 0


def test_a_mark_on_the_request_caches_the_whole_prompt() -> None:
    usage = messages(cache_control=MARK).json["usage"]
    assert (usage["input_tokens"], usage["cache_creation_input_tokens"]) == (
        0,
        messages().json["usage"]["input_tokens"],
    )


def test_openai_reads_a_long_known_prefix_from_the_cache_in_steps_of_128() -> None:
    turns = [
        {"role": "user", "content": "a" * 4400},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    usage = chat(messages=turns).json["usage"]
    assert usage["prompt_tokens"] == 1100 + 3 + 4 + 4
    assert usage["prompt_tokens_details"]["cached_tokens"] == 1024
    assert chat(messages=turns[:1]).json["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_openai_writes_to_the_cache_only_when_asked_to() -> None:
    turns = [{"role": "user", "content": "a" * 8000}]
    details = chat(messages=turns, prompt_cache_options={"mode": "explicit"}).json["usage"][
        "prompt_tokens_details"
    ]
    assert details["cache_write_tokens"] == 2003
    assert chat(messages=turns).json["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 0
