"""Reads a Gemini request: what it asks, and an upper bound of the input it is billed for.

Why bytes bound tokens is argued in `anthropic_request`; Gemini's tokenizer falls back to bytes as well. Pictures,
sound and what does not stand in the body are `gemini_parts`' business, tools are `gemini_tools`'. The output limit
includes thoughts, and whatever an answer paints or says is tokens within it. Facts: Google's pages on tokens, thinking,
image generation and pricing, the types of google-genai 3.4.0; seen 2026-11.
"""

from collections.abc import Mapping

from msgspec import Raw

from qlaud.core.demand import NOTHING_ELSE, Demand
from qlaud.core.errors import BadRequest
from qlaud.wire import body as json_body
from qlaud.wire.body import Members
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_names import by_camel, check_model, check_query, spelled
from qlaud.wire.gemini_parts import Sent, note_contents
from qlaud.wire.gemini_tools import note_tools
from qlaud.wire.gemini_usage import MEDIA, tier_word
from qlaud.wire.splice import set_members
from qlaud.wire.types import Asked, ModelCall

MOST_CANDIDATES = 128
PICTURE_TOKENS, LARGE_PICTURE_TOKENS = 1_290, 2_520
"""What one picture takes of the output limit: below that there is none, so money does not lower it further."""
CONFIG, LIMIT = "generationConfig", "maxOutputTokens"
KNOWN = frozenset(
    (
        "contents",
        "systemInstruction",
        "generationConfig",
        "safetySettings",
        "tools",
        "toolConfig",
        "cachedContent",
        "serviceTier",
        "model",
        "store",
        "labels",
        "continuationToken",
    )
)
"""Members whose cost is understood. Google refuses a name it does not know; one that we do not know may cost."""


class GeminiCall(ModelCall, frozen=True, gc=False):
    """A call, and what its answer is to hold besides text."""

    makes: str = ""
    """`AUDIO`, `IMAGE` or `VIDEO`."""


def read_call(asked: Asked) -> GeminiCall:
    """What a request asks. Raises InvalidJson or BadRequest."""
    check_query(asked.query)
    if not asked.model:
        raise BadRequest("the path names no model", param="model")
    members = json_body.read_body(asked.body)
    check_model(members, asked.model)
    fields = by_camel(members, "the body")
    config = _object(fields, CONFIG)
    max_output = json_body.read_whole(config, LIMIT, least=1)
    sent = Sent()
    for name in ("contents", "systemInstruction"):
        if name in fields:
            note_contents(sent, fields[name])
    tools = note_tools(sent, fields, asked.model)
    if "continuationToken" in fields:  # goes on with an answer that Google still has
        sent.whole_context = True
    if "cachedContent" in fields:
        sent.whole_context = True
        sent.resource = sent.resource or "cachedContent"
    makes = answer_kind(bytes(config.get("responseModalities", b"")), asked.model)
    unknown = next((name for name in fields if name not in KNOWN), None)
    return GeminiCall(
        model=asked.model,
        stream=asked.stream,
        demand=Demand(
            input_tokens=len(asked.body) - sent.media_bytes + sent.media_tokens + tools.tokens,
            whole_context=sent.whole_context,
            candidates=json_body.read_whole(config, "candidateCount", least=0, most=MOST_CANDIDATES) or 1,
            max_output=max_output,
            thinking_budget=_thinking_budget(config) + (_picture(config) if makes == "IMAGE" else 0),
            tier=tier_word(json_body.read_text(fields, "serviceTier") or ""),
            most={"web_searches": tools.searches} if tools.searches else NOTHING_ELSE,
            unbounded_tool=tools.unbounded or unknown,
        ),
        wants_usage=True,
        limit_fields=(LIMIT,) if max_output is not None else (),
        account_resource=sent.resource,
        makes=makes,
    )


def limit_edits(members: Members, limit: int) -> dict[str, bytes]:
    """The member of a body that says the output limit, with `limit` in it, in the spelling it has."""
    at = spelled(members, CONFIG)
    value = members.get(at)
    if value is None or json_body.is_null(value):
        return {at: b'{"%s":%d}' % (LIMIT.encode(), limit)}
    text = bytes(value)
    inner = json_body.read_members(text, f"`{at}`")
    return {at: set_members(text, {spelled(inner, LIMIT): b"%d" % limit}, members=inner)}


def _object(fields: Mapping[str, Raw], name: str) -> Mapping[str, Raw]:
    """The members of an object that are not null, by their camelCase names; none where it is absent."""
    members = json_body.read_object(fields, name)
    return by_camel(members, f"`{name}`") if members else {}


def _thinking_budget(config: Mapping[str, Raw]) -> int:
    """Tokens the caller sets aside for thoughts; -1 leaves it to the model, as does a level."""
    thinking = _object(config, "thinkingConfig")
    if bytes(thinking.get("thinkingBudget", b"")) == b"-1":
        return 0
    return json_body.read_whole(thinking, "thinkingBudget", least=0) or 0


def answer_kind(asked: bytes, model: str) -> str:
    """What the answer is to hold besides text: as asked, else as the model's name says."""
    if asked:
        return next((kind for kind in MEDIA if kind.encode() in asked.upper()), "")
    name = model.lower()
    if "image" in name or "banana" in name:
        return "IMAGE"
    return "AUDIO" if "-tts" in name else ""


def _picture(config: Mapping[str, Raw]) -> int:
    try:
        size = json_body.read_text(_object(config, "imageConfig"), "imageSize") or "1K"
    except UNREADABLE:
        size = ""
    return PICTURE_TOKENS if size.upper() in ("512", "0.5K", "1K") else LARGE_PICTURE_TOKENS
