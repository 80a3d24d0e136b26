"""What an Anthropic request asks, and that the bound on its input is a bound."""

import json

import pytest

from qlaud.core.errors import BadRequest
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.anthropic_request import DEFAULT_MAX_USES, IMAGE_TOKENS, TOOL_PROMPT_TOKENS
from qlaud.wire.types import Asked, Changes, ModelCall

WIRE = AnthropicWire()


def read_bytes(body: bytes) -> ModelCall:
    return WIRE.read_call(Asked(body=body))


def body(**fields: object) -> bytes:
    base: dict[str, object] = {"model": "claude-opus-5-5", "max_tokens": 100, "messages": []}
    return json.dumps({**base, **fields}, separators=(",", ":")).encode()


def read(**fields: object) -> ModelCall:
    return read_bytes(body(**fields))


def user(*blocks: object) -> list[object]:
    return [{"role": "user", "content": list(blocks)}]


def image(data: str) -> dict[str, object]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def test_the_fields_that_matter_are_read() -> None:
    call = read(
        stream=True,
        service_tier="standard_only",
        speed="fast",
        inference_geo="us",
        thinking={"type": "enabled", "budget_tokens": 2048},
        metadata={"user_id": "u-1"},
    )
    assert (call.model, call.stream, call.wants_usage, call.end_user) == (
        "claude-opus-5-5",
        True,
        True,
        "u-1",
    )
    assert (call.demand.max_output, call.limit_fields) == (100, ("max_tokens",))
    assert (call.demand.tier, call.demand.speed, call.demand.geo) == ("standard_only", "fast", "us")
    assert call.demand.thinking_budget == 2048
    assert not call.demand.whole_context
    assert call.demand.unbounded_tool is None


def test_max_tokens_may_be_missing_or_zero() -> None:
    assert read(max_tokens=None).demand.max_output is None
    assert read(max_tokens=None).limit_fields == ()
    assert read(max_tokens=0).demand.max_output == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_tokens", 2**31),
        ("max_tokens", "100"),
        ("stream", "true"),
        ("stream", 1),
        ("model", ""),
        ("model", None),
        ("model", 7),
        ("speed", 1),
        ("service_tier", []),
        ("tools", {}),
        ("tools", [1]),
        ("tools", [{"type": 3}]),
        ("thinking", 5),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**{field: value})
    assert refused.value.param == field


@pytest.mark.parametrize(
    "name", ["model", "max_tokens", "stream", "tools", "thinking", "service_tier", "speed", "messages"]
)
def test_a_field_that_stands_twice_is_refused(name: str) -> None:
    text = body(stream=True, tools=[], thinking=None, service_tier="auto", speed="standard")
    for spelled in (f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"'):
        with pytest.raises(BadRequest, match="stands twice"):
            read_bytes(b"{" + spelled.encode() + b':1,"x":2,' + text[1:])


def test_text_is_bounded_by_its_bytes() -> None:
    text = body(messages=user({"type": "text", "text": "hé \U0001f600 \n"}), system="be brief")
    assert read_bytes(text).demand.input_tokens == len(text)


def test_escapes_never_make_the_bound_smaller_than_the_text() -> None:
    text = '\U0001f600\x01\u20ac\\/"é' * 50
    assert read(messages=[{"role": "user", "content": text}]).demand.input_tokens > len(text.encode())


def test_the_json_around_a_message_covers_what_the_provider_wraps_around_it() -> None:
    messages: list[object] = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 100
    grown = read(messages=messages).demand.input_tokens - read().demand.input_tokens
    assert grown >= len(messages) * (1 + 8)  # a token of text, and twice the four tokens of a turn's frame


def test_a_picture_counts_as_the_most_a_picture_can_cost_and_not_as_its_bytes() -> None:
    plain = read(messages=user({"type": "text", "text": "x"})).demand.input_tokens
    small = read(messages=user({"type": "text", "text": "x"}, image("A" * 100))).demand.input_tokens
    large = read(messages=user({"type": "text", "text": "x"}, image("A" * 900_000))).demand.input_tokens
    assert small == large
    assert plain + IMAGE_TOKENS <= large <= plain + IMAGE_TOKENS + 120


@pytest.mark.parametrize(
    "source", [{"type": "url", "url": "https://x.test/a.png"}, {"type": "file", "file_id": "f"}]
)
def test_a_picture_elsewhere_counts_as_a_picture(source: object) -> None:
    call = read(messages=user({"type": "image", "source": source}))
    assert call.demand.input_tokens > IMAGE_TOKENS
    assert not call.demand.whole_context


def test_pictures_inside_tool_results_are_counted() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image("A" * 5000), image("B" * 5000)]}
    bound = read(messages=user(result)).demand.input_tokens
    assert 2 * IMAGE_TOKENS < bound < 2 * IMAGE_TOKENS + 600


def test_what_only_looks_like_a_picture_stays_text() -> None:
    fake = {"type": "tool_use", "id": "t", "name": "n", "input": image("word " * 1000)}
    text = body(messages=[{"role": "assistant", "content": [fake]}])
    assert read_bytes(text).demand.input_tokens == len(text)
    quoted = body(messages=user({"type": "text", "text": json.dumps(image("word " * 1000))}))
    assert read_bytes(quoted).demand.input_tokens == len(quoted)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
        {"type": "container_upload", "file_id": "f"},
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "web_fetch_tool_result", "tool_use_id": "t", "content": {"type": "web_fetch_result"}},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "document", "source": {}}]},
        {"type": "something_new"},
        {},
        {"type": 5},
    ],
)
def test_input_that_is_not_in_the_body_counts_as_the_whole_context(block: object) -> None:
    assert read(messages=user(block)).demand.whole_context


def test_an_escaped_type_is_still_seen() -> None:
    text = body(messages=user({"type": "document", "source": {}})).replace(b'"document"', b'"doc\\u0075ment"')
    assert read_bytes(text).demand.whole_context


def test_messages_of_an_unknown_shape_count_as_the_whole_context() -> None:
    assert read(messages="hello").demand.whole_context
    assert read(messages=[5]).demand.whole_context
    assert read_bytes(body().replace(b"[]", b'[{"role":"user","content":"\xff"}]')).demand.whole_context


def test_tools_add_the_hidden_prompt() -> None:
    tools = [{"name": "get", "input_schema": {"type": "object"}}]
    text = body(tools=tools)
    assert read_bytes(text).demand.input_tokens == len(text) + TOOL_PROMPT_TOKENS
    typed = body(tools=[{"type": "bash_20250124", "name": "bash"}])
    assert read_bytes(typed).demand.input_tokens > len(typed) + TOOL_PROMPT_TOKENS
    assert read_bytes(typed).demand.unbounded_tool is None


def test_a_search_tool_is_held_for_its_most_uses() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search"}
    call = read(tools=[{"name": "a", "input_schema": {}}, tool])
    assert call.demand.most == {"web_searches": DEFAULT_MAX_USES}
    assert call.demand.whole_context
    assert call.uncapped_tools == (1,)
    capped = read(tools=[{**tool, "max_uses": 3}, {**tool, "max_uses": 4}])
    assert capped.demand.most == {"web_searches": 7}
    assert capped.uncapped_tools == ()


def test_a_fetch_tool_is_free_but_fills_the_context() -> None:
    call = read(tools=[{"type": "web_fetch_20260318", "name": "web_fetch", "max_uses": None}])
    assert call.demand.most == {}
    assert call.demand.whole_context
    assert call.uncapped_tools == (0,)


def test_a_limit_that_stands_twice_in_a_tool_is_refused() -> None:
    tool = b'{"type":"web_search_20250305","max_uses":1,"max_uses":100}'
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(body().replace(b'"messages":[]', b'"messages":[],"tools":[%s]' % tool))


def test_a_tool_with_two_types_is_refused() -> None:
    tool = b'{"type":"web_search_20250305","name":"x","type":"custom","input_schema":{"type":"object"}}'
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(body().replace(b'"messages":[]', b'"messages":[],"tools":[%s]' % tool))


@pytest.mark.parametrize(
    ("fields", "tool"),
    [
        ({"tools": [{"type": "code_execution_20260521", "name": "c"}]}, "code_execution_20260521"),
        ({"tools": [{"type": "advisor_20260301", "name": "a"}]}, "advisor_20260301"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]}, "mcp_toolset"),
        ({"tools": [{"type": "brand_new_tool"}]}, "brand_new_tool"),
        ({"mcp_servers": [{"type": "url", "url": "https://x.test"}]}, "mcp_servers"),
        ({"container": {"skills": []}}, "container"),
        ({"container": "container_1"}, "container"),
        ({"fallbacks": "default"}, "fallbacks"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compact_20260112"),
        ({"messages": user({"type": "tool_addition"})}, "tool_addition"),
    ],
)
def test_work_that_nothing_bounds_is_named(fields: dict[str, object], tool: str) -> None:
    assert read(**fields).demand.unbounded_tool == tool


@pytest.mark.parametrize(
    "fields",
    [
        {"mcp_servers": []},
        {"container": None},
        {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"context_management": {}},
        {"tools": [{"type": "custom", "name": "c", "input_schema": {}}]},
        {"tools": [{"type": None, "name": "c", "input_schema": {}}]},
    ],
)
def test_what_adds_no_work_is_not_named(fields: dict[str, object]) -> None:
    assert read(**fields).demand.unbounded_tool is None


FIVE_MINUTES: dict[str, object] = {"cache_control": {"type": "ephemeral"}}
ONE_HOUR: dict[str, object] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
TEXT: dict[str, object] = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    ("fields", "ttls"),
    [
        ({}, set[str]()),
        (FIVE_MINUTES, {"5m"}),
        (ONE_HOUR, {"1h"}),
        ({"system": [{**TEXT, **ONE_HOUR}]}, {"1h"}),
        ({"tools": [{"name": "a", "input_schema": {}, **FIVE_MINUTES}]}, {"5m"}),
        ({"messages": user({**TEXT, **FIVE_MINUTES}, {**TEXT, **ONE_HOUR})}, {"5m", "1h"}),
        ({"messages": user({"type": "tool_result", "content": [{**TEXT, **ONE_HOUR}]})}, {"1h"}),
        (
            {"messages": user({"type": "document", "source": {"content": [{**TEXT, **FIVE_MINUTES}]}})},
            {"5m", "1h"},
        ),
        ({"cache_control": None}, set[str]()),
        ({"cache_control": "odd"}, {"5m", "1h"}),
        ({"messages": user({"type": "text", "text": '"cache_control":{"ttl":"1h"}'})}, set[str]()),
    ],
)
def test_cache_writes_asked_for_anywhere_are_seen(fields: dict[str, object], ttls: set[str]) -> None:
    assert read(**fields).demand.cache_ttls == ttls


def test_an_end_user_is_cut_to_a_bounded_length() -> None:
    assert len(read(metadata={"user_id": "u" * 5000}).end_user or "") == 512
    assert read(metadata={}).end_user is None


def test_a_rewrite_changes_only_what_it_must() -> None:
    text = json.dumps(
        {"messages": [{"role": "user", "content": "max_tokens"}], "model": "alias", "max_tokens": 9}
    )
    body = text.encode()
    call = read_bytes(body)
    assert WIRE.rewrite(body, call, Changes()) is body
    assert (
        WIRE.rewrite(body, call, Changes(model="alias", max_output=9, include_usage=True, max_uses=5)) is body
    )
    changed = WIRE.rewrite(body, call, Changes(model="claude-opus-5-5", max_output=7))
    assert changed == body.replace(b'"alias"', b'"claude-opus-5-5"').replace(
        b'"max_tokens": 9', b'"max_tokens": 7'
    )


def test_a_missing_limit_is_put_in() -> None:
    body = b'{"model":"m","messages":[]}'
    changed = WIRE.rewrite(body, read_bytes(body), Changes(max_output=64))
    assert changed == b'{"max_tokens":64,"model":"m","messages":[]}'


def test_provider_tools_without_a_limit_are_given_one() -> None:
    body = b'{"model":"m","tools":[{"name":"a"},{"type":"web_search_20250305","name":"w"}],"messages":[]}'
    changed = WIRE.rewrite(body, read_bytes(body), Changes(max_uses=5))
    assert changed == body.replace(b'{"type":"web', b'{"max_uses":5,"type":"web')
    assert read_bytes(changed).uncapped_tools == ()
