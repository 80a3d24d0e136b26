"""The setup of a Gemini Live session, its first message: which model, on what terms, and what it may bring in.

Facts (Google's reference of the Live API, google-genai 3.6.1, seen 2026-11): a session answers in sound unless asked
for something else; a resumption handle brings in the context of an earlier session, whose caller may have been somebody
else; `maxOutputTokens` bounds thoughts too.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from qlaud.core.errors import BadRequest
from qlaud.wire import body as json_body
from qlaud.wire.body import read_flag, read_members, read_text, read_whole
from qlaud.wire.gemini_names import MODELS, bare, spelled
from qlaud.wire.gemini_parts import Sent, note_contents
from qlaud.wire.gemini_request import MOST_CANDIDATES
from qlaud.wire.gemini_tools import note_tools
from qlaud.wire.gemini_usage import MEDIA
from qlaud.wire.live import Frame
from qlaud.wire.live_gemini_reading import SETUP, fields_of, read_frame
from qlaud.wire.splice import set_members

KNOWN = frozenset(
    (
        "model",
        "generationConfig",
        "systemInstruction",
        "tools",
        "toolConfig",
        "sessionResumption",
        "contextWindowCompression",
        "inputAudioTranscription",
        "outputAudioTranscription",
        "realtimeInputConfig",
        "proactivity",
        "explicitVadSignal",
        "historyConfig",
        "safetySettings",
        "labels",
    )
)
"""Members of a setup whose cost is understood; one that we do not know may cost anything (an avatar is a film)."""


class Setup(msgspec.Struct, frozen=True, gc=False):
    """The terms of a session."""

    model: str = ""
    tokens: int = 0
    """Of instructions and tools, at most."""
    max_output: int | None = None
    """Of each candidate."""
    candidates: int = 1
    makes: str = "AUDIO"
    """What its answers hold besides text."""
    begins_alone: bool = True
    """An answer may begin because somebody has spoken."""
    searches: int = 0
    """Fees of one answer, at most."""
    unbounded: str | None = None
    whole_context: bool = False
    resource: str | None = None


def model_in(frame: Frame) -> str:
    """The model that the first message names, as Google's paths name it. Raises BadRequest without one."""
    kind, text = read_frame(frame)
    if kind != SETUP:
        raise BadRequest("the first message must be `setup`, which names the model", param=SETUP)
    name = read_text(fields_of(text, SETUP), "model")
    if not name or not bare(name):
        raise BadRequest("`setup.model` is missing; name the model to talk to", param="model")
    return bare(name)


def with_model(frame: Frame, name: str) -> Frame:
    """The first message with that model in it, every other byte as it was."""
    text = frame.encode() if isinstance(frame, str) else frame
    outer = read_members(text, "the message")
    at = next(key for key, value in outer.items() if not json_body.is_null(value))
    setup = bytes(outer[at])
    named = set_members(
        setup, {spelled(read_members(setup, SETUP), "model"): msgspec.json.encode(MODELS + name)}
    )
    renamed = set_members(text, {at: named}, members=outer)
    return renamed.decode() if isinstance(frame, str) else renamed


def read_setup(text: bytes, model: str) -> Setup:
    """The terms a setup asks for; `model` as its provider calls it. Raises BadRequest."""
    fields = fields_of(text, SETUP)
    config = _inner(fields, "generationConfig")
    sent = Sent()
    if "systemInstruction" in fields:
        note_contents(sent, fields["systemInstruction"])
    tools = note_tools(sent, fields, model)
    resumed = _inner(fields, "sessionResumption")
    if read_text(resumed, "handle"):
        sent.whole_context = True
        sent.resource = "sessionResumption.handle"
    if "cachedContent" in fields:
        sent.whole_context = True
        sent.resource = "cachedContent"
    detection = _inner(_inner(fields, "realtimeInputConfig"), "automaticActivityDetection")
    unknown = next((name for name in fields if name not in KNOWN), None)
    return Setup(
        model=model,
        tokens=len(text) - sent.media_bytes + sent.media_tokens + tools.tokens,
        max_output=read_whole(config, "maxOutputTokens", least=1),
        candidates=read_whole(config, "candidateCount", least=0, most=MOST_CANDIDATES) or 1,
        makes=_kind(bytes(config.get("responseModalities", b""))),
        begins_alone=not read_flag(detection, "disabled"),
        searches=tools.searches,
        unbounded=tools.unbounded or unknown,
        whole_context=sent.whole_context,
        resource=sent.resource,
    )


def _kind(asked: bytes) -> str:
    if not asked:
        return "AUDIO"
    return next((kind for kind in MEDIA if kind.encode() in asked.upper()), "")


def _inner(fields: Mapping[str, Raw], name: str) -> Mapping[str, Raw]:
    return fields_of(bytes(fields[name]), name) if name in fields else {}
