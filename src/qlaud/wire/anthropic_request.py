"""Reads an Anthropic Messages request: what it asks, and an upper bound of the input it is billed for.

Why the byte count of a body bounds its tokens: every token of a byte-level tokenizer covers at least one byte of
UTF-8 text; the JSON spelling of a text is never shorter than the text (escapes only lengthen it); and what the
provider wraps around a message or a block (a handful of tokens) is less than the JSON around it (`{"role":"user",
"content":""}` alone is 28 bytes). What is added below is what does not stand in the body: the tool prompts, and
pictures, whose bytes are taken out and put back as the most tokens one picture can cost. Facts are from the
provider's pages on vision, tool use and pricing, and the types of its SDK 2.12.0, seen 2026-11.
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
from qlaud.wire.types import ModelCall

IMAGE_TOKENS = 5_000
"""The most one picture costs: 4784 visual tokens on the high-resolution models, and its frame."""
TOOL_PROMPT_TOKENS = 2_000
"""The hidden prompt that comes with any tool or output format (530 is the most on record), with room."""
TYPED_TOOL_TOKENS = 2_000
"""The built-in definition of one tool of the provider's that the caller runs (735 on record for one; the newer
toolsets hold about twenty small tools)."""
DEFAULT_MAX_USES = 5
END_USER_CHARS = 512

TEXT_BLOCKS = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})
CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "browser_toolset_")
"""Types of tools the provider defines and the caller runs, by prefix."""
LOOKUP_TOOLS = ("web_search_", "web_fetch_", "tool_search_tool_")
"""Types of tools the provider runs, whose uses or cost have a bound."""
UNBOUNDED_FIELDS = ("mcp_servers", "container", "fallbacks", "compaction", "thread")
"""Members that make the provider work beyond what `max_tokens` and this body bound."""


class _Tool(msgspec.Struct):
    type: str | None = None
    max_uses: Raw = NOTHING
    cache_control: Raw = NOTHING
    input_schema: Raw = NOTHING


def read_call(body: bytes) -> ModelCall:
    """What a Messages request asks. Raises InvalidJson or BadRequest."""
    members = json_body.read_body(body)
    model = json_body.read_model(members)
    max_output = json_body.read_whole(members, "max_tokens", least=0)
    found = Found()
    if "cache_control" in members:
        content.note_cache(found, members["cache_control"])
    if "system" in members:
        _note_content(found, members["system"], inside_result=True)
    _note_messages(found, members.get("messages"))
    tool_tokens, searches, uncapped = _note_tools(found, members)
    return ModelCall(
        model=model,
        stream=json_body.read_flag(members, "stream"),
        demand=Demand(
            input_tokens=len(body) - found.image_bytes + found.images * IMAGE_TOKENS + tool_tokens,
            whole_context=found.whole_context,
            max_output=max_output,
            thinking_budget=_thinking_budget(members),
            cache_ttls=frozenset(found.ttls),
            tier=json_body.read_text(members, "service_tier") or "",
            speed=json_body.read_text(members, "speed") or "",
            geo=json_body.read_text(members, "inference_geo") or "",
            most={"web_searches": searches} if searches else NOTHING_ELSE,
            unbounded_tool=found.tools[0] if found.tools else _unbounded_field(members),
        ),
        wants_usage=True,
        end_user=_end_user(members),
        limit_fields=("max_tokens",) if max_output is not None else (),
        uncapped_tools=uncapped,
    )


def _note_messages(found: Found, messages: Raw | None) -> None:
    if messages is None:
        return
    try:
        conversation = content.read_messages(messages)
    except UNREADABLE:
        _note_unknown(found)
        return
    for message in conversation:
        if type(message.content) is list:
            _note_blocks(found, message.content, inside_result=False)


def _note_blocks(found: Found, blocks: list[content.Block], *, inside_result: bool) -> None:
    for block in blocks:
        if block.cache_control:
            content.note_cache(found, block.cache_control)
        if block.type in TEXT_BLOCKS:
            continue
        if block.type == "tool_result" and not inside_result:
            _note_content(found, block.content, inside_result=True)
        elif block.type == "image":
            _note_image(found, block.source)
        elif block.type == "tool_addition":
            found.tools.append(block.type)
        else:  # documents, search results, results of provider tools: tokens the bytes do not bound
            found.whole_context = True
            found.ttls |= _nested_ttls(block)


def _note_content(found: Found, value: Raw, *, inside_result: bool) -> None:
    """Look through the blocks of a content; a plain string has none."""
    if not content.opens_with(value, 0x5B):
        return
    try:
        blocks = content.read_blocks(value)
    except UNREADABLE:
        _note_unknown(found)
        return
    _note_blocks(found, blocks, inside_result=inside_result)


def _note_unknown(found: Found) -> None:
    """A shape we do not know: the provider will refuse it, or knows more than we do."""
    found.whole_context = True
    found.ttls |= {"5m", "1h"}


def _note_image(found: Found, source: Raw) -> None:
    found.images += 1
    try:
        where = content.read_source(source)
    except UNREADABLE:
        return
    if where.type == "base64":
        found.image_bytes += len(where.data)


def _nested_ttls(block: content.Block) -> set[str]:
    """Cache writes asked for anywhere inside a block that is not looked into."""
    inside = bytes(block.content) + bytes(block.source)
    return {"5m", "1h"} if b"cache_control" in inside or b"\\u00" in inside else set()


def _note_tools(found: Found, members: Members) -> tuple[int, int, tuple[int, ...]]:
    """Tokens of the hidden tool prompts, searches to hold for, and provider tools without `max_uses`."""
    if "tools" not in members and "output_config" not in members:
        return 0, 0, ()
    items = json_body.read_items(members, "tools")
    tokens = TOOL_PROMPT_TOKENS
    searches = 0
    uncapped: list[int] = []
    for index, item in enumerate(items):
        try:
            tool = msgspec.json.decode(item, type=_Tool)
        except UNREADABLE:
            raise BadRequest(f"`tools[{index}]` is not a tool", param="tools") from None
        if tool.cache_control:
            content.note_cache(found, tool.cache_control)
        if tool.type is None or tool.type in ("", "custom"):
            own = int(tool.type is not None)
            content.refuse_two_types(item, own, tool.input_schema, tool.cache_control)
            continue
        if tool.type.startswith(CLIENT_TOOLS):
            tokens += TYPED_TOOL_TOKENS
        elif not tool.type.startswith(LOOKUP_TOOLS):
            found.tools.append(tool.type)
        else:
            found.whole_context = True
            if tool.type.startswith("tool_search"):
                continue
            uses = _max_uses(item, index)
            if uses is None:
                uncapped.append(index)
            if tool.type.startswith("web_search_"):
                searches += DEFAULT_MAX_USES if uses is None else uses
    return tokens, searches, tuple(uncapped)


def _max_uses(item: Raw, index: int) -> int | None:
    members = json_body.read_members(bytes(item), f"`tools[{index}]`")
    return json_body.read_whole(members, "max_uses", least=0, most=10_000)


def _unbounded_field(members: Members) -> str | None:
    for name in UNBOUNDED_FIELDS:
        if name in members and bytes(members[name]) not in (b"null", b"[]", b"{}"):
            return name
    management = json_body.read_object(members, "context_management")
    if management is not None and not json_body.is_null(management.get("edits")):
        # Clearing old tool results only shortens the input; a compaction is a model call of its own, outside
        # `max_tokens` and outside the top-level usage.
        try:
            edits = content.read_blocks(management["edits"])
        except UNREADABLE:
            return "context_management"
        for edit in edits:
            if not edit.type.startswith("clear_"):
                return edit.type or "context_management"
    return None


def _thinking_budget(members: Members) -> int:
    thinking = json_body.read_object(members, "thinking")
    if thinking is None:
        return 0
    return json_body.read_whole(thinking, "budget_tokens", least=0) or 0


def _end_user(members: Members) -> str | None:
    value = members.get("metadata")
    if value is None or not content.opens_with(value, 0x7B):
        return None
    try:
        user = json_body.read_text(json_body.read_members(bytes(value), "`metadata`"), "user_id")
    except UNREADABLE:
        return None
    return user[:END_USER_CHARS] if user else None
