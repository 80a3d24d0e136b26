"""Reads an OpenAI Chat Completions request: what it asks, and an upper bound of the input it is billed for.

Spoken by OpenAI and by about ten vendors that copied it, so a member that only one of them knows is read too: where
it makes the provider work beyond this body, the call counts as unbounded. Why bytes bound tokens is argued in
`anthropic_request`; here a message's frame is at most four tokens. Facts: the provider's pages on vision, audio,
prompt caching and function calling, the types of its SDK 3.54.0, seen 2026-11.
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

IMAGE_TOKENS = 24_600
"""The most one picture costs: 10000 patches at `detail: original`, times 2.46 on the smallest models. Covers the
16384 of Qwen-VL too."""
TILED_MINI_IMAGE_TOKENS = 48_200
"""gpt-4o-mini counts 2833 and 5667 a tile, eight tiles at most."""
TOOL_PROMPT_TOKENS = 1_000
DEFAULT_SEARCHES = 5
END_USER_CHARS = 512
MOST_CANDIDATES = 128

TEXT_PARTS = frozenset({"text", "refusal", "thinking", "input_text", "output_text"})
OWN_TOOLS = frozenset({"function", "custom"})
"""Tools the caller runs."""
LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")
UNBOUNDED_FIELDS = (
    "plugins",  # OpenRouter: web search and file parsing
    "models",  # OpenRouter: other models to fall back to
    "fallbacks",
    "search_parameters",  # xAI: live search, charged by the source
    "enable_search",  # Qwen: web search
    "connectors",  # Mistral
    "agent_id",
)


class _Tool(msgspec.Struct):
    type: str | None = None
    cache_control: Raw = NOTHING
    function: Raw = NOTHING
    custom: Raw = NOTHING


class _Image(msgspec.Struct):
    url: Raw = NOTHING


def read_call(body: bytes) -> ModelCall:
    """What a chat completion request asks. Raises InvalidJson or BadRequest."""
    members = json_body.read_body(body)
    model = json_body.read_text(members, "model")
    if not model:
        raise BadRequest("`model` is missing; name the model to call", param="model")
    limits = {name: json_body.read_whole(members, name, least=1) for name in LIMIT_FIELDS if name in members}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    found = Found()
    _note_messages(found, members.get("messages"))
    tool_tokens = _note_tools(found, members)
    searches = _searches(members, model)
    image_tokens = TILED_MINI_IMAGE_TOKENS if "4o-mini" in model else IMAGE_TOKENS
    options = json_body.read_object(members, "stream_options")
    return ModelCall(
        model=model,
        stream=json_body.read_flag(members, "stream"),
        demand=Demand(
            input_tokens=len(body) - found.image_bytes + found.images * image_tokens + tool_tokens,
            whole_context=found.whole_context or searches > 0,
            candidates=json_body.read_whole(members, "n", least=1, most=MOST_CANDIDATES) or 1,
            # Both given: a host may go by either, so the larger one is what must be paid for.
            max_output=max(given.values(), default=None),
            thinking_budget=json_body.read_whole(members, "thinking_budget", least=0) or 0,
            cache_ttls=_cache_ttls(found, members),
            tier=json_body.read_text(members, "service_tier") or "",
            speed=json_body.read_text(members, "speed") or "",
            most={"web_searches": searches} if searches else NOTHING_ELSE,
            unbounded_tool=found.tools[0] if found.tools else _unbounded_field(members),
        ),
        wants_usage=options is not None and json_body.read_flag(options, "include_usage"),
        end_user=_end_user(members),
        limit_fields=tuple(given),
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
        if message.audio and not json_body.is_null(message.audio):
            found.whole_context = True
        if type(message.content) is not list:
            continue
        for part in message.content:
            if part.cache_control:
                content.note_cache(found, part.cache_control)
            if part.prompt_cache_breakpoint:
                found.ttls.add("12h" if b"12h" in bytes(part.prompt_cache_breakpoint) else "30m")
            if part.type in TEXT_PARTS:
                continue
            if part.type == "image_url":
                _note_image(found, part.image_url)
            else:  # files, audio, video: tokens the bytes do not bound
                found.whole_context = True


def _note_unknown(found: Found) -> None:
    """A shape we do not know: the provider will refuse it, or knows more than we do."""
    found.whole_context = True
    found.ttls |= {"5m", "1h", "30m", "12h"}


def _note_image(found: Found, where: Raw) -> None:
    """Count a picture; a data URL is the picture itself, any other address stays counted as text."""
    found.images += 1
    url = where
    if content.opens_with(where, 0x7B):
        try:
            url = msgspec.json.decode(where, type=_Image).url
        except UNREADABLE:
            return
    scheme = bytes(memoryview(url)[:12]).lower()
    if scheme == b'"data:image/':
        found.image_bytes += len(url)
    elif not scheme.startswith(b'"http'):  # a film or a sound under a picture's name
        found.whole_context = True


def _note_tools(found: Found, members: Members) -> int:
    """Tokens of the hidden tool prompt; tools that the provider runs are noted."""
    tokens = TOOL_PROMPT_TOKENS if "tools" in members or "functions" in members else 0
    if "response_format" in members:
        tokens = TOOL_PROMPT_TOKENS
    for index, item in enumerate(json_body.read_items(members, "tools")):
        try:
            tool = msgspec.json.decode(item, type=_Tool)
        except UNREADABLE:
            raise BadRequest(f"`tools[{index}]` is not a tool", param="tools") from None
        if tool.cache_control:
            content.note_cache(found, tool.cache_control)
        if tool.type is None or tool.type in OWN_TOOLS:
            own = int(tool.type is not None)
            content.refuse_two_types(item, own, tool.function, tool.custom, tool.cache_control)
        else:
            found.tools.append(tool.type)
    return tokens


def _searches(members: Members, model: str) -> int:
    """Searches to hold for: with `web_search_options`, and on models that always search."""
    asked = not json_body.is_null(members.get("web_search_options"))
    return DEFAULT_SEARCHES if asked or "search-preview" in model or "search-api" in model else 0


def _unbounded_field(members: Members) -> str | None:
    for name in UNBOUNDED_FIELDS:
        if name in members and bytes(members[name]) not in (b"null", b"[]", b"{}", b"false"):
            return name
    if "modalities" in members and bytes(members["modalities"]).replace(b" ", b"") not in (
        b'["text"]',
        b"null",
    ):
        return "modalities"  # spoken output: its tokens have a price of their own
    return None


def _cache_ttls(found: Found, members: Members) -> frozenset[str]:
    """Cache writes asked for; a breakpoint without a life of its own has that of the request."""
    if not json_body.is_null(members.get("prompt_cache_retention")):
        found.ttls |= {"30m", "12h"}
    options = members.get("prompt_cache_options")
    if options is not None and not json_body.is_null(options):
        if b"12h" not in bytes(options):
            found.ttls.add("30m")
        else:
            found.ttls.discard("30m")
            found.ttls.add("12h")
    return frozenset(found.ttls)


def _end_user(members: Members) -> str | None:
    user = json_body.read_text(members, "user") or json_body.read_text(members, "safety_identifier")
    return user[:END_USER_CHARS] if user else None
