"""Reads an OpenAI Chat Completions request: what it asks, and an upper bound of the input it is billed for.

Spoken by OpenAI and by about ten vendors that copied it, so a member that only one of them knows is read too: where
it makes the provider work beyond this body, the call counts as unbounded. Why bytes bound tokens is argued in
`anthropic_request`; here a message's frame is at most four tokens. Facts beyond those of `openai_input`: the pages of
Perplexity (a fee a request, by the size of the search context), xAI (deferred completions), Mistral (sound billed by
its length) and MiniMax (spoken answers), seen 2026-11.
"""

import msgspec
from msgspec import Raw

from qlaud.core.demand import NOTHING_ELSE, Demand
from qlaud.core.errors import BadRequest, UnsupportedField
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

MOST_CANDIDATES = 128
AUDIO_CHAT_MS = 3_600_000
"""The most sound in one chat with a model that is billed by its length: Mistral's hold 32k tokens, 12.5 a second."""

OWN_TOOLS = frozenset({"function", "custom"})
"""Tools the caller runs."""
LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")
UNBOUNDED_FIELDS = (
    "plugins",  # OpenRouter: web search and file parsing
    "models",  # OpenRouter: other models to fall back to
    "fallbacks",
    "provider",  # OpenRouter: hosts with prices of their own
    "preset",
    "search_parameters",  # xAI: live search, charged by the source
    "enable_search",  # Qwen: web search
    "connectors",  # Mistral
    "agent_id",
    "voice_setting",  # MiniMax: the answer is spoken too, at the price of speech
)


class _Tool(msgspec.Struct):
    type: str | None = None
    cache_control: Raw = NOTHING
    function: Raw = NOTHING
    custom: Raw = NOTHING


def read_call(body: bytes) -> ModelCall:
    """What a chat completion request asks. Raises InvalidJson or BadRequest."""
    members = json_body.read_body(body)
    model = json_body.read_model(members)
    if json_body.read_flag(members, "deferred"):
        raise UnsupportedField("`deferred` is not offered here; ask without it", param="deferred")
    limits = {name: json_body.read_whole(members, name, least=1) for name in LIMIT_FIELDS if name in members}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    found = Found()
    _note_messages(found, members.get("messages"))
    tool_tokens = _note_tools(found, members)
    most, grade = _fees(found, members, model)
    resource = _google_cache(members) or _qwen_file(body, model)
    options = json_body.read_object(members, "stream_options")
    return ModelCall(
        model=model,
        stream=json_body.read_flag(members, "stream"),
        demand=Demand(
            input_tokens=len(body) - found.image_bytes + found.images * image_tokens(model) + tool_tokens,
            whole_context=found.whole_context or "web_searches" in most or resource is not None,
            candidates=json_body.read_whole(members, "n", least=1, most=MOST_CANDIDATES) or 1,
            # Both given: a host may go by either, so the larger one is what must be paid for.
            max_output=max(given.values(), default=None),
            thinking_budget=json_body.read_whole(members, "thinking_budget", least=0) or 0,
            cache_ttls=cache_ttls(found, members),
            tier=json_body.read_text(members, "service_tier") or "",
            speed=json_body.read_text(members, "speed") or "",
            grade=grade,
            most=most or NOTHING_ELSE,
            unbounded_tool=found.tools[0] if found.tools else _unbounded(members, model),
        ),
        wants_usage=options is not None and json_body.read_flag(options, "include_usage"),
        end_user=end_user(members),
        limit_fields=tuple(given),
        account_resource=resource,
    )


def _note_messages(found: Found, messages: Raw | None) -> None:
    if messages is None:
        return
    try:
        conversation = content.read_messages(messages)
    except UNREADABLE:
        note_unknown(found)
        return
    for message in conversation:
        if message.audio and not json_body.is_null(message.audio):
            found.whole_context = True
        if type(message.content) is not list:
            continue
        for part in message.content:
            note_breakpoints(found, part)
            if part.type in TEXT_PARTS:
                continue
            if part.type == "image_url":
                note_image(found, part.image_url)
            else:  # files, audio, video: tokens the bytes do not bound
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


def _fees(found: Found, members: Members, model: str) -> tuple[dict[str, int], str]:
    """What is billed besides tokens, at most, and the grade its price depends on."""
    if is_sonar(model):
        return {"calls": 1}, _search_context(members)
    name = model.lower()  # as models are looked up
    if "voxtral" in name and found.whole_context:
        return {"audio_ms": AUDIO_CHAT_MS}, ""
    asked = not json_body.is_null(members.get("web_search_options"))
    searches = asked or "search-preview" in name or "search-api" in name
    return ({"web_searches": DEFAULT_SEARCHES} if searches else {}), ""


def is_sonar(model: str) -> bool:
    """Whether it is one of Perplexity's models by its own name: they search on every call, for a fee."""
    return model.lower().startswith("sonar") and not is_deep(model)


def is_deep(model: str) -> bool:
    """Whether it searches as often as it likes, and reads what it finds at the caller's expense."""
    return "deep-research" in model.lower()


def _search_context(members: Members) -> str:
    """How much is searched, which decides the fee: the size of the context, and the kind of search."""
    options = json_body.read_object(members, "web_search_options") or {}
    size = json_body.read_text(options, "search_context_size") or "low"
    kind = json_body.read_text(options, "search_type")
    return size if kind in (None, "fast") else f"{size}+{kind}"


def _google_cache(members: Members) -> str | None:
    """The member that may name a cache of the operator's account at Google."""
    for name in ("extra_body", "google"):
        value = bytes(members.get(name, b""))
        if b"cached" in value or b"\\u00" in value:
            return name
    return None


def _qwen_file(body: bytes, model: str) -> str | None:
    """What names a file of the operator's account, which Qwen's models for documents read whole."""
    is_named = model.lower().startswith("qwen") and b"fileid://" in json_body.without_escapes(body)
    return "fileid" if is_named else None


def _unbounded(members: Members, model: str) -> str | None:
    if is_deep(model):
        return model
    field = first_given(members, UNBOUNDED_FIELDS)
    if field is not None:
        return field
    if "modalities" in members and bytes(members["modalities"]).replace(b" ", b"") not in (
        b'["text"]',
        b"null",
    ):
        return "modalities"  # spoken output: its tokens have a price of their own
    return None
