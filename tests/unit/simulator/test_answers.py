"""What each simulated model says, on both wires."""

import json
from typing import Any

import pytest
from tests.unit.simulator.support import ANTHROPIC_TOOL, CHAT, MESSAGES, OPENAI_TOOL, ask, chat, messages

SAID = "Hello there, how are you?"


def anthropic_text(events: list[Any]) -> str:
    return "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")


def openai_text(events: list[Any], index: int = 0) -> str:
    choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("model", ["sim/echo", "sim/slow", "sim/no-usage", "claude-opus-4-7"])
def test_an_echo_repeats_the_last_user_text_under_the_model_name_asked_for(model: str) -> None:
    whole = messages(model).json
    assert [block["text"] for block in whole["content"]] == [SAID]
    assert (whole["model"], whole["stop_reason"]) == (model, "end_turn")
    streamed = messages(model, stream=True).events
    assert anthropic_text(streamed) == SAID
    assert streamed[0]["message"]["model"] == model
    assert chat(model).json["choices"][0]["message"]["content"] == SAID
    assert openai_text(chat(model, stream=True).events) == SAID


def test_an_answer_ends_at_the_output_limit() -> None:
    whole = messages(max_tokens=3).json
    assert whole["content"][0]["text"] == SAID[:12]
    assert (whole["stop_reason"], whole["usage"]["output_tokens"]) == ("max_tokens", 3)
    for field in ("max_tokens", "max_completion_tokens"):
        choice = chat(**{field: 3}).json["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (SAID[:12], "length")
    both = chat(max_tokens=1, max_completion_tokens=3).json
    assert both["usage"]["completion_tokens"] == 3


def test_a_limit_of_zero_is_a_call_without_output() -> None:
    whole = messages(max_tokens=0).json
    assert (whole["content"], whole["stop_reason"], whole["usage"]["output_tokens"]) == ([], "max_tokens", 0)


def test_a_limit_never_cuts_a_character_in_half() -> None:
    said = [{"role": "user", "content": "日本語です"}]
    assert messages(messages=said, max_tokens=1).json["content"][0]["text"] == "日"


@pytest.mark.parametrize("limit", [1, 1000, 5000])
def test_a_long_answer_fills_its_limit_exactly(limit: int) -> None:
    whole = messages("sim/long", max_tokens=limit).json
    assert (whole["usage"]["output_tokens"], whole["stop_reason"]) == (limit, "max_tokens")
    events = chat("sim/long", max_tokens=limit, stream=True, stream_options={"include_usage": True}).events
    assert events[-1]["usage"]["completion_tokens"] == limit
    assert len(openai_text(events)) == limit * 4


def test_a_long_answer_without_a_limit_is_a_few_thousand_tokens() -> None:
    whole = chat("sim/long").json
    assert whole["usage"]["completion_tokens"] == 4096
    assert whole["choices"][0]["finish_reason"] == "stop"


def test_a_stop_sequence_ends_the_answer_before_it() -> None:
    whole = messages(stop_sequences=["you", "how"]).json
    assert whole["content"][0]["text"] == "Hello there, "
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("stop_sequence", "how")
    assert whole["usage"]["output_tokens"] == 4
    choice = chat(stop="how").json["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello there, ", "stop")


def test_a_stop_sequence_beyond_the_limit_is_not_met() -> None:
    whole = messages(stop_sequences=["how"], max_tokens=2).json
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("max_tokens", None)


def test_the_tool_model_calls_the_first_tool_with_fitting_arguments() -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}, ANTHROPIC_TOOL]
    whole = messages("sim/tool-use", tools=tools).json
    call = whole["content"][-1]
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "look_up", {"query": SAID})
    assert whole["stop_reason"] == "tool_use"
    events = messages("sim/tool-use", tools=tools, stream=True).events
    parts = [e["delta"]["partial_json"] for e in events if "partial_json" in e.get("delta", {})]
    assert json.loads("".join(parts)) == {"query": SAID}
    choice = chat("sim/tool-use", tools=[OPENAI_TOOL]).json["choices"][0]
    function = choice["message"]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("look_up", {"query": SAID})
    assert choice["finish_reason"] == "tool_calls"


def test_a_tool_result_is_answered_with_text() -> None:
    turns = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look_up", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "42"}]},
    ]
    whole = messages("sim/tool-use", messages=turns, tools=[ANTHROPIC_TOOL]).json
    assert [b.get("text") for b in whole["content"]] == ["The tool answered: 42"]
    call = {"id": "t", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t", "content": "42"},
    ]
    whole = chat("sim/tool-use", messages=turns, tools=[OPENAI_TOOL]).json
    assert whole["choices"][0]["message"]["content"] == "The tool answered: 42"


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "second"}])
def test_a_real_model_name_calls_a_tool_when_the_caller_forces_one(choice: dict[str, str]) -> None:
    tools = [ANTHROPIC_TOOL, {"name": "second", "input_schema": {"type": "object"}}]
    whole = messages("claude-opus-4-7", tools=tools, tool_choice=choice).json
    assert [block["name"] for block in whole["content"]] == [choice.get("name", "look_up")]


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "look_up"}},
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OPENAI_TOOL]}},
    ],
)
def test_a_real_openai_model_name_calls_a_tool_when_the_caller_forces_one(choice: Any) -> None:
    message = chat("gpt-5.4", tools=[OPENAI_TOOL], tool_choice=choice).json["choices"][0]["message"]
    assert message["content"] is None
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["look_up"]


def test_no_tool_is_called_when_none_is_forced_or_tools_are_forbidden() -> None:
    assert messages("claude-opus-4-7", tools=[ANTHROPIC_TOOL]).json["stop_reason"] == "end_turn"
    forbidden = messages("sim/tool-use", tools=[ANTHROPIC_TOOL], tool_choice={"type": "none"}).json
    assert [block["type"] for block in forbidden["content"]] == ["text"]
    assert (
        chat("sim/tool-use", tools=[OPENAI_TOOL], tool_choice="none").json["choices"][0]["finish_reason"]
        == "stop"
    )


def test_a_tool_call_beyond_the_limit_is_cut_off() -> None:
    fields = {"tools": [ANTHROPIC_TOOL], "tool_choice": {"type": "any"}, "max_tokens": 4}
    whole = messages(**fields).json
    assert (whole["stop_reason"], whole["usage"]["output_tokens"]) == ("max_tokens", 4)
    assert whole["content"][0]["input"] == {}
    choice = chat(tools=[OPENAI_TOOL], tool_choice="required", max_tokens=4).json["choices"][0]
    assert (choice["finish_reason"], choice["message"]["tool_calls"][0]["function"]["arguments"]) == (
        "length",
        '{"query"',
    )


def test_thinking_is_a_signed_block_at_anthropic_and_a_count_at_openai() -> None:
    whole = messages("sim/thinking").json
    thought, text = whole["content"]
    assert (thought["type"], text["text"]) == ("thinking", SAID)
    assert thought["signature"]
    thinking_tokens = whole["usage"]["output_tokens_details"]["thinking_tokens"]
    assert 0 < thinking_tokens < whole["usage"]["output_tokens"]
    events = messages("sim/thinking", stream=True).events
    kinds = [e["delta"]["type"] for e in events if e["type"] == "content_block_delta"]
    assert kinds[0] == "thinking_delta"
    assert kinds.index("signature_delta") < kinds.index("text_delta")
    usage = chat("sim/thinking").json["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == thinking_tokens
    assert usage["completion_tokens"] == whole["usage"]["output_tokens"]


def test_hidden_thinking_is_billed_without_being_shown() -> None:
    asked = {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}
    hidden = messages("claude-opus-4-7", thinking=asked, max_tokens=2000)
    assert hidden.json["content"][0]["thinking"] == ""
    assert hidden.json["usage"]["output_tokens_details"]["thinking_tokens"] > 0
    streamed = messages("claude-opus-4-7", thinking=asked, max_tokens=2000, stream=True)
    assert b"thinking_delta" not in streamed.body
    assert b"signature_delta" in streamed.body


def test_a_real_model_name_thinks_only_when_asked_to() -> None:
    assert chat("gpt-6-sol").json["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0
    asked = chat("gpt-6-sol", reasoning_effort="high").json["usage"]
    assert asked["completion_tokens_details"]["reasoning_tokens"] > 0


def test_every_choice_asked_for_is_answered_and_billed() -> None:
    one, three = chat().json, chat(n=3).json
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert three["usage"]["completion_tokens"] == 3 * one["usage"]["completion_tokens"]
    events = chat(n=2, stream=True).events
    assert [openai_text(events, index) for index in (0, 1)] == [SAID, SAID]
    assert [e["choices"][0]["index"] for e in events[:6]] == [0, 1, 0, 1, 0, 1]


def test_a_stream_that_fails_midway_has_some_text_then_an_error_and_no_end() -> None:
    events = messages("sim/fails-midway", stream=True).events
    assert SAID.startswith(anthropic_text(events))
    assert 0 < len(anthropic_text(events)) < len(SAID)
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "overloaded_error")
    assert not {"message_delta", "message_stop"} & {event["type"] for event in events}
    got = chat("sim/fails-midway", stream=True, stream_options={"include_usage": True})
    *chunks, last = got.events
    assert 0 < len(openai_text(chunks)) < len(SAID)
    assert last["error"]["type"] == "server_error"
    assert all(chunk["usage"] is None for chunk in chunks)
    assert b"[DONE]" not in got.body


def test_a_whole_answer_of_the_failing_model_is_a_500() -> None:
    whole = messages("sim/fails-midway")
    assert (whole.status, whole.json["error"]["type"]) == (500, "api_error")
    assert (chat("sim/fails-midway").status, chat("sim/fails-midway").json["error"]["type"]) == (
        500,
        "server_error",
    )


def test_the_silent_model_answers_completely_and_reports_no_usage() -> None:
    for fields in ({}, {"stream": True}):
        assert b'"usage"' not in messages("sim/no-usage", **fields).body
    assert b'"usage"' not in chat("sim/no-usage").body
    streamed = chat("sim/no-usage", stream=True, stream_options={"include_usage": True})
    assert b'"usage"' not in streamed.body
    assert streamed.body.endswith(b"data: [DONE]\n\n")


def test_the_rate_limited_model_refuses_with_a_retry_after() -> None:
    for got, kind in (
        (messages("sim/rate-limited"), "rate_limit_error"),
        (chat("sim/rate-limited"), "requests"),
    ):
        assert (got.status, got.headers["retry-after"]) == (429, "1")
        assert got.json["error"]["type"] == kind


def test_the_same_body_gets_the_same_bytes_and_another_body_other_ids() -> None:
    for target in (MESSAGES, CHAT):
        body = {"model": "sim/tool-use", "max_tokens": 50, "messages": [{"role": "user", "content": "a"}]}
        first, again = ask(target, body), ask(target, body)
        assert (first.body, first.headers) == (again.body, again.headers)
        other = ask(target, body | {"max_tokens": 51})
        assert other.json["id"] != first.json["id"]


def test_the_answered_tier_geography_and_speed_are_those_asked_for() -> None:
    usage = messages(inference_geo="us", speed="fast").json["usage"]
    assert (usage["inference_geo"], usage["speed"], usage["service_tier"]) == ("us", "fast", "standard")
    assert messages().json["usage"]["inference_geo"] == "global"
    assert [chat(service_tier=t).json["service_tier"] for t in ("auto", "flex", "fast")] == [
        "default",
        "flex",
        "priority",
    ]
