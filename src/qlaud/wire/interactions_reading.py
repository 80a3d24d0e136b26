"""What the taps understand of an answer of Google's Interactions API: its steps as they pass, and the last usage.

Usage stands in the object of an interaction: the answer itself, or what its last event carries; an event on the way may
carry a running total. It counts as that of `generateContent` does, by other names. Facts: the types of google-genai
3.6.1, seen 2026-11.
"""

import re

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from qlaud.core.usage import EMPTY, AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire import gemini_usage
from qlaud.wire.counts import UNREADABLE, Fields, last_object, nested, number, objects, read_fields, word
from qlaud.wire.gemini_content import GeminiContent
from qlaud.wire.gemini_names import bare, searches_by_request
from qlaud.wire.gemini_request import GeminiCall
from qlaud.wire.gemini_usage import Served, tier_word
from qlaud.wire.types import ANSWERED, AnswerHead, ModelCall

NOTHING = Raw(b"")
COUNTS = {
    "total_input_tokens": "promptTokenCount",
    "total_cached_tokens": "cachedContentTokenCount",
    "total_output_tokens": "candidatesTokenCount",
    "total_thought_tokens": "thoughtsTokenCount",
    "total_tool_use_tokens": "toolUsePromptTokenCount",
}
DETAILS = {
    "input_tokens_by_modality": "promptTokensDetails",
    "cached_tokens_by_modality": "cacheTokensDetails",
    "output_tokens_by_modality": "candidatesTokensDetails",
    "tool_use_tokens_by_modality": "toolUsePromptTokensDetails",
}
GROUNDED = ("google_search", "google_maps")
"""Look-ups with a fee."""
MEDIA = frozenset(("image", "audio", "video"))
_TEXT = re.compile(rb'"(?:text|arguments)": ?"')
_SPECIAL = (b'"interaction.', b'"total_usage"', b'"error"', b'"data"', b'"step.st')


class _Event(msgspec.Struct):
    event_type: str = ""
    index: object = 0
    interaction: Raw = NOTHING
    delta: Raw = NOTHING
    metadata: Raw = NOTHING


def as_gemini(usage: Fields) -> Fields:
    """A usage in the words of `generateContent`."""
    told: Fields = {name: usage[key] for key, name in COUNTS.items() if key in usage}
    for key, name in DETAILS.items():
        items = objects(usage, key)
        if items:
            told[name] = [
                {"modality": item.get("modality"), "tokenCount": item.get("tokens")} for item in items
            ]
    return told


class InteractionReading:
    """Folds one answer, stream or body."""

    __slots__ = (
        "_call",
        "_content",
        "_ended",
        "_tier",
        "_usage",
        "_work_seen",
        "complete",
        "id",
        "model",
        "open_step",
        "output_floor",
        "started",
    )

    def __init__(self, call: ModelCall, head: AnswerHead = ANSWERED) -> None:
        self._call = call
        self._content = GeminiContent()
        self.output_floor = 0
        self.started = False
        self.complete = False
        self.id = ""
        self.model = ""
        """The model that served."""
        self.open_step: int | None = None
        """Index of the step that has begun and not ended."""
        self._ended = False
        self._usage: Fields = {}
        self._tier = tier_word(head.header(b"x-gemini-service-tier").decode("latin-1"))
        self._work_seen = False

    def plain(self, events: bytes) -> bool:
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'"step.delta"') < 0 or max(map(at, _SPECIAL)) >= 0:
            return False
        is_thought = at(b'"thought') >= 0
        if is_thought and events.count(b'"thought_summary"') != events.count(b'"step.delta"'):
            return False
        self._content.note_matching(events, _TEXT, is_thought=is_thought)
        self._look()
        return True

    def event(self, text: bytes) -> bool:
        try:
            event = msgspec.json.decode(text, type=_Event)
        except UNREADABLE:
            return False
        index = event.index if type(event.index) is int else 0
        match event.event_type:
            case "interaction.completed":
                self._note_interaction(read_fields(event.interaction) if event.interaction else None)
                self._ended = True
            case "interaction.created":
                self._note_interaction(read_fields(event.interaction) if event.interaction else None)
            case "step.start":
                self._work_seen, self.open_step = True, index
            case "step.stop":
                self.open_step = None
            case "step.delta":
                self._note_delta(read_fields(event.delta) if event.delta else None)
            case _:  # errors, changes of status, names we do not know
                pass
        metadata = read_fields(event.metadata) if event.metadata else None
        if metadata:
            self._fold(nested(metadata, "total_usage"))
        self._look()
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """The end of a delta full of pictures or sound."""
        self._work_seen = True
        call = self._call
        self._content.note_media(
            self._content.made or (call.makes if isinstance(call, GeminiCall) else ""), relayed
        )
        self._fold(last_object(text, "total_usage") or last_object(text, "usage") or {})
        self._ended = self._ended or b'"interaction.completed"' in text
        self._look()

    def body(self, text: bytes, size: int) -> None:
        if size > len(text):
            self.tail(text, size)
            self._ended = True
        elif (interaction := read_fields(text)) is not None:
            self._note_interaction(interaction)
            for step in objects(interaction, "steps"):
                self._note_step(step)
            self._fold(nested(interaction, "usage"))
            self._ended = self._work_seen
        elif text.lstrip()[:1] == b"{":  # cut off in the middle
            self._work_seen = True
            self._content.note_matching(text, _TEXT)
        self._look()

    def outcome(self, *, input_bound: int) -> Metered:
        usage = as_gemini(self._usage)
        seen = self._read(usage)
        is_silent = self._content.is_spoken and not number(usage, "candidatesTokenCount")
        if self._ended and gemini_usage.is_whole(usage) and not is_silent:
            return Exact(seen)
        if not (self._work_seen or self.started):
            return Nothing()
        if not seen.prompt_tokens:
            seen = replace(seen, input_tokens=input_bound)
        return AtLeast(self._content.with_rest(seen))

    def _read(self, usage: Fields) -> Usage:
        served = Served(
            model=self.model, tier=self._tier, asked_tier=self._call.demand.tier, makes=self._content.made
        )
        counts = {
            word(item, "type"): number(item, "count") for item in objects(self._usage, "grounding_tool_count")
        }
        fees = [counts.get(name, 0) for name in GROUNDED]
        if searches_by_request(self.model or self._call.model):
            fees = [min(fee, 1) for fee in fees]
        detail = {f"{name}_count": n for name, n in counts.items() if n and name} or EMPTY
        return replace(gemini_usage.read_usage(usage, served), web_searches=sum(fees), detail=detail)

    def _note_interaction(self, interaction: Fields | None) -> None:
        if interaction is None or "error" in interaction:
            return
        self.id = word(interaction, "id") or self.id
        self.model = bare(word(interaction, "model")) or self.model
        self._tier = self._tier or tier_word(word(interaction, "service_tier"))
        self._work_seen = self._work_seen or bool(self.id or interaction.get("steps"))
        self._fold(nested(interaction, "usage"))

    def _note_step(self, step: Fields) -> None:
        self._work_seen = True
        if word(step, "type") == "thought":
            return
        if step.get("type") in ("function_call",):
            self._content.note_text(1, len(msgspec.json.encode(step.get("arguments"))))
        for item in objects(step, "content"):
            self._note_delta(item)

    def _note_delta(self, delta: Fields | None) -> None:
        if delta is None:
            return
        kind = word(delta, "type")
        if kind in MEDIA:
            data = delta.get("data")
            self._content.note_media(kind.upper(), len(data) if isinstance(data, str) else 0)
            return
        is_thought = kind.startswith("thought")
        texts = (delta.get("text"), delta.get("arguments"), nested(delta, "content").get("text"))
        for text in texts:
            if isinstance(text, str) and text:
                self._content.note_text(1, len(text.encode("utf-8", "replace")), is_thought=is_thought)

    def _fold(self, usage: Fields) -> None:
        if usage:
            self._usage = usage
            self._work_seen = True
            self._content.reported(
                number(usage, "total_output_tokens"), number(usage, "total_thought_tokens")
            )

    def _look(self) -> None:
        self.output_floor = self._content.output_floor
        self.started = self.started or self.output_floor > 0
        self.complete = self._ended and bool(self._usage)
