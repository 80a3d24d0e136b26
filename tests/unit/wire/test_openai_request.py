"""What a chat completion request asks, and that the bound on its input is a bound."""

import json

import pytest

from qlaud.core.errors import BadRequest
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.openai_input import IMAGE_TOKENS, TILED_MINI_IMAGE_TOKENS, TOOL_PROMPT_TOKENS
from qlaud.wire.types import Asked, Changes, ModelCall

WIRE = OpenAIChatWire()


def read_bytes(body: bytes) -> ModelCall:
    return WIRE.read_call(Asked(body=body))


def body(**fields: object) -> bytes:
    base: dict[str, object] = {"model": "gpt-6-sol", "messages": []}
    return json.dumps({**base, **fields}, separators=(",", ":")).encode()


def read(**fields: object) -> ModelCall:
    return read_bytes(body(**fields))


def user(*parts: object) -> list[object]:
    return [{"role": "user", "content": list(parts)}]


def picture(url: str, **more: object) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def test_the_fields_that_matter_are_read() -> None:
    call = read(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=50,
        n=3,
        service_tier="flex",
        user="u-1",
    )
    assert (call.model, call.stream, call.wants_usage, call.end_user) == ("gpt-6-sol", True, True, "u-1")
    assert (call.demand.max_output, call.limit_fields) == (50, ("max_completion_tokens",))
    assert (call.demand.candidates, call.demand.tier) == (3, "flex")
    assert read(safety_identifier="s").end_user == "s"


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_usage_is_wanted_only_if_asked_for(options: object) -> None:
    assert not read(stream=True, stream_options=options).wants_usage


def test_of_two_limits_the_larger_must_be_paid_for() -> None:
    call = read(max_tokens=10, max_completion_tokens=20)
    assert call.demand.max_output == 20
    assert set(call.limit_fields) == {"max_tokens", "max_completion_tokens"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_completion_tokens", 1.5),
        ("max_completion_tokens", False),
        ("n", 0),
        ("n", 1000),
        ("n", "2"),
        ("stream", "yes"),
        ("stream_options", []),
        ("model", None),
        ("tools", "x"),
        ("user", 5),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**{field: value})
    assert refused.value.param == field


def test_a_wish_for_usage_that_stands_twice_is_refused() -> None:
    text = body(stream_options=0).replace(b":0", b':{"include_usage":true,"include_usage":false}')
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(text)


@pytest.mark.parametrize(
    "name", ["model", "max_tokens", "max_completion_tokens", "stream", "n", "stream_options"]
)
def test_a_field_that_stands_twice_is_refused(name: str) -> None:
    text = body(max_tokens=5, max_completion_tokens=5, stream=True, n=1, stream_options=None)
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(b'{"%s":1,' % name.encode() + text[1:])


def test_text_is_bounded_by_its_bytes() -> None:
    text = body(messages=[{"role": "user", "content": "hé \U0001f600"}, *user({"type": "text", "text": "x"})])
    assert read_bytes(text).demand.input_tokens == len(text)


def test_the_json_around_a_message_covers_its_frame() -> None:
    messages: list[object] = [{"role": "user", "content": ""}] * 100
    assert read(messages=messages).demand.input_tokens - read().demand.input_tokens >= 100 * (4 + 3)


def test_a_picture_in_the_body_counts_as_the_most_a_picture_can_cost() -> None:
    small = read(messages=user(picture("data:image/png;base64," + "A" * 100))).demand.input_tokens
    large = read(messages=user(picture("data:image/png;base64," + "A" * 900_000))).demand.input_tokens
    assert small == large
    assert IMAGE_TOKENS < large < IMAGE_TOKENS + 200


def test_a_picture_elsewhere_counts_as_a_picture() -> None:
    call = read(
        messages=user(picture("https://x.test/a.png"), {"type": "image_url", "image_url": "https://x.test/b"})
    )
    assert call.demand.input_tokens > 2 * IMAGE_TOKENS
    assert not call.demand.whole_context


def test_the_tiled_small_model_counts_its_own_way() -> None:
    call = read(model="gpt-4o-mini-2024-07-18", messages=user(picture("https://x.test/a.png")))
    assert call.demand.input_tokens > TILED_MINI_IMAGE_TOKENS


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "f"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}},
        picture("data:video/mp4;base64,AAAA"),
        {"type": "new"},
        {},
        5,
    ],
)
def test_input_the_bytes_do_not_bound_counts_as_the_whole_context(part: object) -> None:
    assert read(messages=user(part)).demand.whole_context


def test_earlier_speech_counts_as_the_whole_context() -> None:
    assert read(messages=[{"role": "assistant", "audio": {"id": "a"}}]).demand.whole_context
    assert not read(messages=[{"role": "assistant", "content": None, "audio": None}]).demand.whole_context


def test_tools_add_the_hidden_prompt() -> None:
    text = body(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])
    call = read_bytes(text)
    assert call.demand.input_tokens == len(text) + TOOL_PROMPT_TOKENS
    assert call.demand.unbounded_tool is None


def test_a_tool_with_two_types_is_refused() -> None:
    tool = b'{"type":"web_search","type":"function","function":{"name":"f","parameters":{"type":"object"}}}'
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(body(tools=0).replace(b'"tools":0', b'"tools":[%s]' % tool))


@pytest.mark.parametrize(
    "fields", [{"web_search_options": {}}, {"model": "gpt-4o-search-preview"}, {"model": "gpt-5-search-api"}]
)
def test_a_search_is_held_for_and_fills_the_context(fields: dict[str, object]) -> None:
    call = read(**fields)
    assert call.demand.most == {"web_searches": 5}
    assert call.demand.whole_context


@pytest.mark.parametrize(
    ("fields", "tool"),
    [
        ({"tools": [{"type": "web_search"}]}, "web_search"),
        ({"tools": [{"type": "builtin_function", "function": {"name": "$web_search"}}]}, "builtin_function"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"models": ["a", "b"]}, "models"),
        ({"search_parameters": {"mode": "auto"}}, "search_parameters"),
        ({"enable_search": True}, "enable_search"),
        ({"modalities": ["text", "audio"], "audio": {}}, "modalities"),
    ],
)
def test_work_that_nothing_bounds_is_named(fields: dict[str, object], tool: str) -> None:
    assert read(**fields).demand.unbounded_tool == tool


@pytest.mark.parametrize(
    "fields",
    [{"modalities": ["text"]}, {"enable_search": False}, {"plugins": []}, {"moderation": {"model": "m"}}],
)
def test_what_adds_no_work_is_not_named(fields: dict[str, object]) -> None:
    assert read(**fields).demand.unbounded_tool is None


@pytest.mark.parametrize(
    ("fields", "ttls"),
    [
        ({}, set[str]()),
        ({"prompt_cache_retention": "24h"}, {"30m", "12h"}),
        ({"prompt_cache_options": {"ttl": "12h"}}, {"12h"}),
        ({"prompt_cache_options": {"ttl": "1h"}}, {"1h"}),
        ({"prompt_cache_options": {"ttl": "5m"}}, {"5m"}),
        ({"prompt_cache_options": {"mode": "explicit"}}, {"30m"}),
        (
            {
                "messages": user(
                    {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
                )
            },
            {"30m"},
        ),
        (
            {
                "messages": user(
                    {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
                ),
                "prompt_cache_options": {"ttl": "12h"},
            },
            {"12h"},
        ),
        ({"messages": user({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})}, {"5m"}),
    ],
)
def test_cache_writes_asked_for_are_seen(fields: dict[str, object], ttls: set[str]) -> None:
    assert read(**fields).demand.cache_ttls == ttls


@pytest.mark.parametrize(
    ("body", "field", "limit", "changed"),
    [
        (b'{"model":"m"}', "max_tokens", 5, b'{"max_tokens":5,"model":"m"}'),
        (b'{"max_tokens": 9,"model":"m"}', "max_tokens", 5, b'{"max_tokens": 5,"model":"m"}'),
        (
            b'{"max_tokens":9,"model":"m"}',
            "max_completion_tokens",
            5,
            b'{"max_completion_tokens":5,"model":"m"}',
        ),
        (
            b'{"max_tokens":9,"model":"m"}',
            "max_completion_tokens",
            9,
            b'{"max_completion_tokens":9,"model":"m"}',
        ),
        (b'{"max_tokens":null,"model":"m"}', "max_tokens", 5, b'{"max_tokens":5,"model":"m"}'),
        (
            b'{"max_tokens":null,"max_completion_tokens":9,"model":"m"}',
            "max_tokens",
            5,
            b'{"max_tokens":5,"max_completion_tokens":null,"model":"m"}',
        ),
        (
            b'{"max_tokens":9,"max_completion_tokens":3,"model":"m"}',
            "max_tokens",
            5,
            b'{"max_tokens":5,"max_completion_tokens":3,"model":"m"}',
        ),
    ],
)
def test_the_limit_that_was_held_is_the_limit_that_is_sent(
    body: bytes, field: str, limit: int, changed: bytes
) -> None:
    call = read_bytes(body)
    assert WIRE.rewrite(body, call, Changes(max_output=limit, limit_field=field)) == changed


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (
            b'{"model":"m","stream":true}',
            b'{"stream_options":{"include_usage":true},"model":"m","stream":true}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":null}',
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{ "include_obfuscation":false}}',
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true, "include_obfuscation":false}}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":false}}',
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (b'{"model":"m","stream":false}', b'{"model":"m","stream":false}'),
    ],
)
def test_usage_is_asked_for_in_streams(body: bytes, changed: bytes) -> None:
    assert WIRE.rewrite(body, read_bytes(body), Changes(include_usage=True)) == changed


def test_a_body_that_says_it_already_is_returned_itself() -> None:
    body = b'{"model":"m","max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}'
    changes = Changes(model="m", max_output=5, include_usage=True, max_uses=5)
    assert WIRE.rewrite(body, read_bytes(body), changes) is body
