"""Reads a request of Google's Interactions API: what it asks, and an upper bound of the input it is billed for.

The same models and the same bill as `generateContent`, asked in other words: content has a `type`, names are in
snake_case (camelCase is read too), the model stands in the body. What goes on without its caller (`background`), and
what decides itself what it runs (`agent`), is not offered. Facts: the types of google-genai 3.6.1, seen 2026-11.
"""

from collections.abc import Mapping

from msgspec import Raw

from qlaud.core.demand import NOTHING_ELSE, Demand
from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.wire import body as json_body
from qlaud.wire import gemini_parts
from qlaud.wire.body import Members
from qlaud.wire.content import NOTHING, opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_names import bare, by_camel, check_query, searches_by_request, snake, spelled
from qlaud.wire.gemini_parts import Sent
from qlaud.wire.gemini_request import CONFIG, LIMIT, GeminiCall, answer_kind
from qlaud.wire.gemini_tools import COMPUTER_TOKENS, TOOL_PROMPT_TOKENS
from qlaud.wire.gemini_usage import tier_word
from qlaud.wire.splice import set_members
from qlaud.wire.types import Asked

TEXT_TYPES = frozenset(("text", "function_call"))
LISTS = {
    "user_input": "content",
    "model_output": "content",
    "thought": "summary",
    "function_result": "result",
}
"""Steps, and the member of each that holds content."""
MEDIA = frozenset(("image", "audio", "video"))
MEDIA_NAMES = frozenset(("type", "data", "mimeType", "uri", "name", "resolution"))
"""What is said of media without changing how much of it is read."""
SEARCHES = frozenset(("google_search", "google_maps"))
IN_TOKENS = frozenset(("url_context", "code_execution"))
STORES = frozenset(("file_search", "retrieval"))
RESOURCES = ("previousInteractionId", "cachedContent", "environment")
"""Members that name something of the operator's account."""
KNOWN = frozenset(
    (
        *(
            "model",
            "input",
            "systemInstruction",
            "tools",
            "generationConfig",
            "safetySettings",
            "serviceTier",
        ),
        *(
            "responseFormat",
            "responseMimeType",
            "responseModalities",
            "store",
            "stream",
            "labels",
            "background",
        ),
        *("previousInteractionId", "cachedContent", "continuationToken"),
    )
)
"""Members whose cost is understood; anything else may cost anything."""


def read_call(asked: Asked) -> GeminiCall:
    """What a request asks. Raises InvalidJson, BadRequest or UnsupportedField."""
    check_query(asked.query)
    fields = by_camel(json_body.read_body(asked.body), "the body")
    for name in ("agent", "background"):
        if bytes(fields.get(name, b"false")) != b"false":
            raise UnsupportedField(
                f"`{name}` is not offered here; name a `model`, and wait for it", param=name
            )
    model = bare(json_body.read_text(fields, "model") or "")
    if not model:
        raise BadRequest("`model` is missing; name the model to call", param="model")
    sent = Sent()
    _note_items(sent, fields.get("input", NOTHING))
    tokens, searches, unbounded = _note_tools(sent, fields, model)
    for name in RESOURCES:
        if name in fields:
            sent.whole_context, sent.resource = True, snake(name)
    unknown = next((name for name in fields if name not in KNOWN), None)
    config = by_camel(json_body.read_object(fields, CONFIG) or {}, f"`{CONFIG}`")
    max_output = json_body.read_whole(config, LIMIT, least=1)
    said = bytes(fields.get("responseModalities", b"")) + bytes(fields.get("responseFormat", b""))
    if "continuationToken" in fields:
        sent.whole_context = True
    return GeminiCall(
        model=model,
        stream=json_body.read_flag(fields, "stream"),
        demand=Demand(
            input_tokens=len(asked.body) - sent.media_bytes + sent.media_tokens + tokens,
            whole_context=sent.whole_context,
            max_output=max_output,
            tier=tier_word(json_body.read_text(fields, "serviceTier") or ""),
            most={"web_searches": searches} if searches else NOTHING_ELSE,
            unbounded_tool=unbounded or unknown,
        ),
        wants_usage=True,
        limit_fields=(LIMIT,) if max_output is not None else (),
        account_resource=sent.resource,
        makes=answer_kind(said, model),
    )


def limit_edits(members: Members, limit: int) -> dict[str, bytes]:
    """The member of a body that says the output limit, with `limit` in it, in the spelling it has."""
    at = spelled(members, CONFIG)
    value = members.get(at)
    if value is None or json_body.is_null(value):
        return {at if at in members else snake(CONFIG): b'{"%s":%d}' % (snake(LIMIT).encode(), limit)}
    inner = json_body.read_members(bytes(value), f"`{at}`")
    name = spelled(inner, LIMIT)
    return {
        at: set_members(bytes(value), {name if name in inner else snake(LIMIT): b"%d" % limit}, members=inner)
    }


def _note_items(sent: Sent, value: Raw) -> None:
    """Look through an input, or a content: a text, one item, or a list of them."""
    if not value or opens_with(value, 0x22) or json_body.is_null(value):
        return
    try:
        items = [value] if opens_with(value, 0x7B) else json_body.read_items({"input": value}, "input")
        for item in items:
            _note_item(sent, by_camel(json_body.read_members(bytes(item), "an item"), "an item"))
    except UNREADABLE:
        sent.whole_context = True
        if b"uri" in bytes(value) or b"\\u00" in bytes(value):
            sent.resource = "uri"


def _note_item(sent: Sent, item: Mapping[str, Raw]) -> None:
    kind = json_body.read_text(item, "type") or ("user_input" if "role" in item else "")
    if kind in TEXT_TYPES:
        return
    if kind in LISTS:
        inner = item.get(LISTS[kind], NOTHING)
        if not (kind == "function_result" and opens_with(inner, 0x7B)):  # an object is the caller's own
            _note_items(sent, inner)
        return
    if "uri" in item:
        gemini_parts.note_uri(sent, json_body.read_text(item, "uri") or "", "uri")
    elif kind in MEDIA and "data" in item and item.keys() <= MEDIA_NAMES:
        gemini_parts.note_media(sent, f"{kind}/", item["data"])
    else:
        sent.whole_context = True


def _note_tools(sent: Sent, fields: Mapping[str, Raw], model: str) -> tuple[int, int, str | None]:
    """Tokens of hidden prompts, searches to hold for, and a tool that nothing bounds."""
    tokens = TOOL_PROMPT_TOKENS if "tools" in fields or "responseFormat" in fields else 0
    searches = 0
    unbounded: str | None = None
    for index, item in enumerate(json_body.read_items(fields, "tools")):
        try:
            kind = json_body.read_text(json_body.read_members(bytes(item), f"`tools[{index}]`"), "type") or ""
        except UNREADABLE:
            raise BadRequest(f"`tools[{index}]` is not a tool", param="tools") from None
        if kind == "computer_use":
            tokens += COMPUTER_TOKENS
        elif kind in IN_TOKENS:
            sent.whole_context = True
        elif kind in STORES:
            sent.whole_context, sent.resource = True, kind
        elif kind in SEARCHES and searches_by_request(model):
            sent.whole_context = True
            searches += 1
        elif kind != "function":
            unbounded = kind or "tools"
    return tokens, searches, unbounded
