"""Reads an OpenAI Responses request: what it asks, and an upper bound of the input it is billed for.

Spoken by OpenAI and by the vendors that copied it. Why bytes bound tokens is argued in `anthropic_request`. An item
or part whose tokens its bytes do not bound, or that stands somewhere else (an earlier response, a conversation, a
file), counts as the whole context. A tool that the provider runs is bounded by `max_tool_calls` where the provider
keeps to it; the flow refuses it elsewhere. Facts: the types of the SDK 3.54.0 and the pages of OpenAI, Qwen and
Mistral on this API, seen 2026-11.
"""

import msgspec
from msgspec import Raw

from qlaud.core.demand import NOTHING_ELSE, Demand
from qlaud.core.errors import BadRequest
from qlaud.wire import body as json_body
from qlaud.wire import content
from qlaud.wire.body import Members
from qlaud.wire.content import NOTHING, Found
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.openai_input import (
    DEFAULT_SEARCHES,
    TEXT_PARTS,
    TOOL_PROMPT_TOKENS,
    cache_ttls,
    end_user,
    first_given,
    image_tokens,
    note_breakpoints,
    note_image,
    note_unknown,
)
from qlaud.wire.types import ModelCall

LIMIT = "max_output_tokens"
TOOL_LIMIT = "max_tool_calls"
TYPED_TOOL_TOKENS = 2_000
"""The built-in definition of a tool of the provider's that the caller runs, with room."""

TEXT_ITEMS = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "mcp_approval_response",
    }
)
"""Items that hold nothing but what stands in them."""
PARTS_IN_OUTPUT = frozenset({"function_call_output", "custom_tool_call_output"})
"""Items whose output may be pictures and files."""
TOOL_ITEMS = frozenset({"additional_tools", "compaction_trigger"})
"""Items that make the provider do more than answer."""
OWN_TOOLS = frozenset({"function", "custom"})
"""Tools the caller runs, by definitions that stand in the body."""
TYPED_TOOLS = frozenset({"local_shell", "apply_patch"})
"""Tools the caller runs, by definitions of the provider's."""
WEB_SEARCH = ("web_search_preview", "web_search_20")
"""Other names of `web_search`, by their beginnings; Qwen's `web_search_image` is another tool."""
UNBOUNDED_FIELDS = (
    "prompt",  # a template of the operator's: it may bring tools
    "context_management",  # compaction: a pass of its own
    "plugins",
    "models",
    "fallbacks",
    "provider",
    "preset",
    "search_parameters",
    "enable_search",
)
PREVIOUS, CONVERSATION = "previous_response_id", "conversation"
"""Fields that continue what is stored at the provider: of the caller's own, and of nobody knows whose."""


class _Item(msgspec.Struct):
    type: str | None = None
    content: Raw = NOTHING
    output: Raw = NOTHING


class _Tool(msgspec.Struct):
    type: str | None = None
    parameters: Raw = NOTHING
    format: Raw = NOTHING
    tools: Raw = NOTHING
    environment: Raw = NOTHING


def read_call(body: bytes) -> ModelCall:
    """What a Responses request asks. Raises InvalidJson or BadRequest."""
    members = json_body.read_body(body)
    model = json_body.read_model(members)
    limit = json_body.read_whole(members, LIMIT, least=1)
    found = Found()
    _note_input(found, members.get("input"))
    calls = json_body.read_whole(members, TOOL_LIMIT, least=0, most=10_000)
    tool_tokens, most, hosted = _note_tools(found, members, calls)
    earlier, conversation = _id_in(members, PREVIOUS), _id_in(members, CONVERSATION)
    return ModelCall(
        model=model,
        stream=json_body.read_flag(members, "stream"),
        demand=Demand(
            input_tokens=len(body) - found.image_bytes + found.images * image_tokens(model) + tool_tokens,
            whole_context=found.whole_context or bool(hosted or earlier or conversation),
            max_output=limit,
            cache_ttls=cache_ttls(found, members),
            tier=json_body.read_text(members, "service_tier") or "",
            most=most or NOTHING_ELSE,
            unbounded_tool=found.tools[0] if found.tools else first_given(members, UNBOUNDED_FIELDS),
        ),
        wants_usage=True,
        end_user=end_user(members),
        limit_fields=(LIMIT,) if limit is not None else (),
        uncapped_tools=tuple(hosted) if calls is None else (),
        provider_tools=tuple(hosted.values()),
        owned=(earlier,) if earlier else (),
        keeps=bytes(members.get("store", b"true")) != b"false",
        background=json_body.read_flag(members, "background"),
        account_resource=CONVERSATION if conversation else None,
    )


def _id_in(members: Members, name: str) -> str:
    """The id of what the call continues, "" for none (as xAI echoes it). Raises BadRequest where it is no id."""
    value = members.get(name)
    if value is None or json_body.is_null(value):
        return ""
    if content.opens_with(value, 0x7B):
        found = json_body.read_text(json_body.read_object(members, name) or {}, "id")
    else:
        found = json_body.read_text(members, name)
    if found is None:
        raise BadRequest(f"`{name}` must be an id", param=name)
    return found


def _note_input(found: Found, value: Raw | None) -> None:
    """Look through the input; a plain string has nothing but text."""
    if value is None or not content.opens_with(value, 0x5B):
        return
    try:
        items = msgspec.json.decode(value, type=list[_Item])
    except UNREADABLE:
        note_unknown(found)
        return
    for item in items:
        if item.type in TOOL_ITEMS:
            found.tools.append(str(item.type))
        # without a type: a message, or else a reference to one
        elif item.type not in TEXT_ITEMS and (item.type is not None or not item.content):
            found.whole_context = True
        _note_parts(found, item.content)
        if item.type in PARTS_IN_OUTPUT:
            _note_parts(found, item.output)


def _note_parts(found: Found, value: Raw) -> None:
    if not content.opens_with(value, 0x5B):
        return
    try:
        parts = content.read_blocks(value)
    except UNREADABLE:
        note_unknown(found)
        return
    for part in parts:
        note_breakpoints(found, part)
        if part.type in TEXT_PARTS:
            continue
        if part.type in ("input_image", "image_url"):
            note_image(found, part.image_url)
        else:  # files, sound, screenshots: tokens the bytes do not bound
            found.whole_context = True


def _note_tools(
    found: Found, members: Members, calls: int | None
) -> tuple[int, dict[str, int], dict[int, str]]:
    """Tokens of the hidden prompts, fees at most, and the provider's own tools by their index."""
    items = json_body.read_items(members, "tools")
    tokens = TOOL_PROMPT_TOKENS if items or "text" in members else 0
    uses = DEFAULT_SEARCHES if calls is None else calls
    most: dict[str, int] = {}
    hosted: dict[int, str] = {}
    for index, item in enumerate(items):
        tool = _read_tool(item, index)
        if tool.type == "namespace":
            inner = json_body.read_items({"tools": tool.tools or Raw(b"null")}, "tools")
            if any(_read_tool(one, index).type not in OWN_TOOLS for one in inner):
                found.tools.append(tool.type)
        elif tool.type is None or tool.type in OWN_TOOLS:
            pass
        elif tool.type in TYPED_TOOLS or (tool.type == "shell" and _is_local(tool.environment)):
            tokens += TYPED_TOOL_TOKENS
        elif tool.type == "file_search":
            hosted[index] = tool.type
            most["tool_calls"] = uses
        elif tool.type == "web_search" or tool.type.startswith(WEB_SEARCH):
            hosted[index] = tool.type
            most["web_searches"] = uses
        else:
            found.tools.append(tool.type)
    return tokens, most, hosted


def _read_tool(item: Raw, index: int) -> _Tool:
    """A tool; one that might be taken for two is refused."""
    try:
        tool = msgspec.json.decode(item, type=_Tool)
    except UNREADABLE:
        raise BadRequest(f"`tools[{index}]` is not a tool", param="tools") from None
    own = int(tool.type is not None)
    content.refuse_two_types(item, own, tool.parameters, tool.format, tool.tools, tool.environment)
    return tool


def _is_local(environment: Raw) -> bool:
    """Whether a shell is the caller's own."""
    try:
        return msgspec.json.decode(environment, type=_Tool).type == "local"
    except UNREADABLE:
        return False
