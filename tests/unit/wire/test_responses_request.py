"""What a Responses request asks, and that the bound on its input is a bound."""

import json

import pytest

from qlaud.core.errors import BadRequest
from qlaud.wire.openai_input import IMAGE_TOKENS, TOOL_PROMPT_TOKENS
from qlaud.wire.openai_responses import OpenAIResponsesWire
from qlaud.wire.responses_request import TYPED_TOOL_TOKENS
from qlaud.wire.types import Asked, Changes, ModelCall

WIRE = OpenAIResponsesWire()


def body(**fields: object) -> bytes:
    base: dict[str, object] = {"model": "gpt-6-sol", "input": "Hi"}
    return json.dumps({**base, **fields}, separators=(",", ":")).encode()


def read(**fields: object) -> ModelCall:
    return WIRE.read_call(Asked(body=body(**fields)))


def user(*parts: object) -> list[object]:
    return [{"role": "user", "content": list(parts)}]


def test_the_fields_that_matter_are_read() -> None:
    call = read(stream=True, max_output_tokens=50, service_tier="flex", safety_identifier="u-1")
    assert (call.model, call.stream, call.wants_usage, call.end_user) == ("gpt-6-sol", True, True, "u-1")
    assert (call.demand.max_output, call.limit_fields) == (50, ("max_output_tokens",))
    assert (call.demand.tier, call.demand.candidates, call.owned) == ("flex", 1, ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", None),
        ("max_output_tokens", 0),
        ("max_output_tokens", "5"),
        ("max_tool_calls", -1),
        ("stream", "yes"),
        ("tools", "x"),
        ("previous_response_id", 5),
        ("conversation", {"name": "c"}),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**{field: value})
    assert refused.value.param in (field, "id")


def test_what_goes_on_in_the_background_and_what_is_kept_is_seen() -> None:
    assert (read(background=True).background, read(background=False).background) == (True, False)
    assert [read(**fields).keeps for fields in ({}, {"store": None}, {"store": True}, {"store": False})] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("name", ["model", "max_output_tokens", "max_tool_calls", "background"])
def test_a_field_that_stands_twice_is_refused(name: str) -> None:
    text = body(max_output_tokens=5, max_tool_calls=5, background=False)
    with pytest.raises(BadRequest, match="stands twice"):
        WIRE.read_call(Asked(body=b'{"%s":false,' % name.encode() + text[1:]))


@pytest.mark.parametrize(
    "content",
    [
        "Hi",
        user({"type": "input_text", "text": "h\u00e9 \U0001f600"}),
        [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}],
        [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "x"}],
                "encrypted_content": "AA",
            }
        ],
        [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}],
        [{"type": "function_call_output", "call_id": "c", "output": "text"}],
        [
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "x", "outcome": {"type": "exit"}}],
            }
        ],
    ],
)
def test_text_is_bounded_by_its_bytes(content: object) -> None:
    call = read(input=content)
    assert call.demand.input_tokens == len(body(input=content))
    assert not call.demand.whole_context


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "item_reference", "id": "msg_1"}],
        [{"id": "msg_1"}],
        [{"type": "web_search_call", "id": "ws_1", "status": "completed"}],
        [{"type": "compaction", "encrypted_content": "AA"}],
        [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}],
        [
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "input_file", "file_id": "f"}],
            }
        ],
        user({"type": "input_file", "file_data": "AAAA"}),
        user({"type": "input_file", "file_url": "https://x.test/a.pdf"}),
        user({"type": "input_image", "file_id": "file-1"}),
        user({"type": "input_audio", "input_audio": {"data": "AAAA"}}),
        user({"type": "new"}),
        user(5),
        [5],
    ],
)
def test_input_the_bytes_do_not_bound_counts_as_the_whole_context(content: object) -> None:
    assert read(input=content).demand.whole_context


def test_a_picture_in_the_body_counts_as_the_most_a_picture_can_cost() -> None:
    def tokens(size: int) -> int:
        url = "data:image/png;base64," + "A" * size
        return read(input=user({"type": "input_image", "image_url": url})).demand.input_tokens

    assert tokens(100) == tokens(900_000)
    assert IMAGE_TOKENS < tokens(100) < IMAGE_TOKENS + 200


def test_a_picture_elsewhere_and_one_a_tool_answered_count_as_pictures() -> None:
    part = {"type": "input_image", "image_url": "https://x.test/a.png"}
    call = read(input=[*user(part), {"type": "function_call_output", "call_id": "c", "output": [part]}])
    assert call.demand.input_tokens > 2 * IMAGE_TOKENS
    assert not call.demand.whole_context


@pytest.mark.parametrize(
    ("fields", "owned", "resource"),
    [
        ({"previous_response_id": "resp_1"}, ("resp_1",), None),
        ({"conversation": "conv_1"}, (), "conversation"),
        ({"conversation": {"id": "conv_1"}}, (), "conversation"),
    ],
)
def test_what_is_continued_counts_as_the_whole_context_and_must_be_the_callers_own(
    fields: dict[str, object], owned: tuple[str, ...], resource: str | None
) -> None:
    call = read(**fields)
    assert call.demand.whole_context
    assert (call.owned, call.account_resource) == (owned, resource)


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_continued_by_an_empty_id(value: object) -> None:
    call = read(previous_response_id=value, conversation=None)
    assert (call.owned, call.demand.whole_context) == ((), False)


def test_tools_of_the_callers_add_the_hidden_prompts() -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    tools = [
        function,
        {"type": "custom", "name": "g"},
        {"type": "namespace", "name": "crm", "tools": [function]},
    ]
    call = read(tools=tools)
    assert call.demand.input_tokens == len(body(tools=tools)) + TOOL_PROMPT_TOKENS
    assert (call.demand.unbounded_tool, call.provider_tools) == (None, ())
    typed = [
        {"type": "apply_patch"},
        {"type": "local_shell"},
        {"type": "shell", "environment": {"type": "local"}},
    ]
    extra = read(tools=typed).demand.input_tokens - len(body(tools=typed))
    assert extra == TOOL_PROMPT_TOKENS + 3 * TYPED_TOOL_TOKENS


def test_searches_are_held_by_the_fee_and_fill_the_context() -> None:
    tools = [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["vs_1"]}]
    call = read(tools=tools)
    assert call.demand.most == {"web_searches": 5, "tool_calls": 5}
    assert call.demand.whole_context
    assert (call.provider_tools, call.uncapped_tools) == (("web_search", "file_search"), (0, 1))
    given = read(tools=tools, max_tool_calls=2)
    assert given.demand.most == {"web_searches": 2, "tool_calls": 2}
    assert (given.provider_tools, given.uncapped_tools) == (call.provider_tools, ())
    for name in ("web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"):
        assert read(tools=[{"type": name}]).demand.most == {"web_searches": 5}


@pytest.mark.parametrize(
    ("fields", "tool"),
    [
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "code_interpreter"),
        ({"tools": [{"type": "image_generation"}]}, "image_generation"),
        ({"tools": [{"type": "mcp", "server_url": "https://x.test"}]}, "mcp"),
        ({"tools": [{"type": "computer"}]}, "computer"),
        ({"tools": [{"type": "x_search"}]}, "x_search"),
        ({"tools": [{"type": "web_search_image"}]}, "web_search_image"),
        ({"tools": [{"type": "web_extractor"}]}, "web_extractor"),
        ({"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}, "shell"),
        ({"tools": [{"type": "shell"}]}, "shell"),
        ({"tools": [{"type": "namespace", "tools": [{"type": "mcp"}]}]}, "namespace"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"input": [{"type": "compaction_trigger"}]}, "compaction_trigger"),
        ({"input": [{"type": "additional_tools", "tools": []}]}, "additional_tools"),
        ({"search_parameters": {"mode": "auto"}}, "search_parameters"),
    ],
)
def test_work_that_nothing_bounds_is_named(fields: dict[str, object], tool: str) -> None:
    assert read(**fields).demand.unbounded_tool == tool


@pytest.mark.parametrize(
    "tool",
    [
        '{"type":"web_search","type":"function","name":"f","parameters":{"type":"object"}}',
        '{"type":"namespace","tools":[{"type":"mcp","type":"function","name":"f"}]}',
        '{"\\u0074ype":"mcp","type":"function","name":"f"}',
        '{"type":"mcp","type":"apply_patch"}',
    ],
)
def test_a_tool_with_two_types_is_refused(tool: str) -> None:
    with pytest.raises(BadRequest, match="stands twice"):
        WIRE.read_call(Asked(body=body(tools=0).replace(b'"tools":0', b'"tools":[%s]' % tool.encode())))


@pytest.mark.parametrize(
    ("fields", "ttls"),
    [
        ({}, set[str]()),
        ({"prompt_cache_options": {"ttl": "12h"}}, {"12h"}),
        (
            {
                "input": user(
                    {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
                )
            },
            {"30m"},
        ),
    ],
)
def test_cache_writes_asked_for_are_seen(fields: dict[str, object], ttls: set[str]) -> None:
    assert read(**fields).demand.cache_ttls == ttls


@pytest.mark.parametrize(
    ("text", "changes", "changed"),
    [
        (b'{"model":"m"}', Changes(max_output=5), b'{"max_output_tokens":5,"model":"m"}'),
        (
            b'{"model":"m","max_output_tokens": 9}',
            Changes(max_output=5),
            b'{"model":"m","max_output_tokens": 5}',
        ),
        (b'{"model":"m"}', Changes(model="other"), b'{"model":"other"}'),
        (
            b'{"model":"m","tools":[{"type":"web_search"}]}',
            Changes(max_uses=5),
            b'{"max_tool_calls":5,"model":"m","tools":[{"type":"web_search"}]}',
        ),
    ],
)
def test_what_was_held_is_what_is_sent(text: bytes, changes: Changes, changed: bytes) -> None:
    call = WIRE.read_call(Asked(body=text))
    assert WIRE.rewrite(text, call, changes) == changed


@pytest.mark.parametrize(
    "text",
    [
        b'{"model":"m", "input" : "x"}',
        b'{"model":"m","max_output_tokens":5}',
        b'{"model":"m","max_tool_calls":9,"tools":[{"type":"web_search"}]}',
    ],
)
def test_a_body_that_says_it_already_is_left_alone(text: bytes) -> None:
    call = WIRE.read_call(Asked(body=text))
    assert WIRE.rewrite(text, call, Changes(max_output=call.demand.max_output, max_uses=5)) is text
