"""What the taps understand of an Anthropic answer: counts content as it passes, and folds the usage."""

import re

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing
from qlaud.wire import anthropic_usage
from qlaud.wire.counts import (
    UNREADABLE,
    Fields,
    last_object,
    nested,
    number,
    read_fields,
    strings_after,
    strings_matching,
    word,
)
from qlaud.wire.types import ModelCall

NOTHING = Raw(b"")
_CONTENT = re.compile(rb'"(?:text|thinking|partial_json|content)": ?"')
"""The strings that hold output: in text, thinking, tool input and compaction deltas."""


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: Raw = NOTHING
    usage: Raw = NOTHING
    delta: Raw = NOTHING


class AnthropicReading:
    """Folds one answer, stream or body."""

    __slots__ = (
        "_call",
        "_content_bytes",
        "_ended",
        "_served_model",
        "_totals_seen",
        "_usage",
        "_work_seen",
        "complete",
        "open_block",
        "output_floor",
        "started",
        "stopped",
    )

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self.output_floor = 0
        self.started = False
        self.complete = False
        self.open_block: int | None = None
        """Index of the content block that has begun and not ended."""
        self.stopped = False
        """`message_stop` was seen."""
        self._usage: Fields = {}
        self._totals_seen = False
        """The usage is more than the stub of `message_start`."""
        self._ended = False
        """A stop reason was given: no later event changes the usage."""
        self._work_seen = False
        self._content_bytes = 0
        self._served_model = ""

    def plain(self, events: bytes) -> bool:
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'"message_') >= 0 or at(b"block_st") >= 0 or at(b'"error"') >= 0:
            return False
        self._count(events)
        return True

    def event(self, text: bytes) -> bool:
        try:
            event = msgspec.json.decode(text, type=_Event)
        except UNREADABLE:
            return False
        match event.type:
            case "message_start":
                self._note_start(event)
            case "message_delta":
                self._note_delta(event)
            case "message_stop":
                self.complete = self.stopped = self._ended = True
            case "content_block_start":
                self.open_block = event.index
                self._work_seen = True
            case "content_block_stop":
                self.open_block = None
            case "content_block_delta":
                self._count(text)
            case _:  # pings, errors, names we do not know
                pass
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """No event with usage is this large: it is content."""
        self._work_seen = self.started = True
        self.output_floor += 1
        self._content_bytes += relayed

    def body(self, text: bytes, size: int) -> None:
        if size > len(text):
            usage = last_object(text, "usage") or {}
            self._work_seen = True
            self._content_bytes = size
        else:
            message = read_fields(text)
            if message is None:  # cut off in the middle, or not from the provider at all
                self._work_seen = text.lstrip()[:1] == b"{"
                self._content_bytes = size if self._work_seen else 0
                return
            usage = nested(message, "usage")
            self._served_model = word(message, "model")
            self._work_seen = bool(message.get("content"))
            self._content_bytes = size
        self._fold(usage)
        self._totals_seen = self._ended = self.complete = bool(usage)

    def outcome(self, *, input_bound: int) -> Metered:
        seen = anthropic_usage.read_usage(self._usage, self._call.demand, self._served_model)
        whole = seen.prompt_tokens > 0 and anthropic_usage.is_whole(self._usage)
        if self._totals_seen and self._ended and whole:
            return Exact(seen)
        if not (self._work_seen or self.started):
            return Nothing()
        if not seen.prompt_tokens:
            seen = replace(seen, input_tokens=input_bound)
        return AtLeast(replace(seen, output_tokens=max(self.output_floor, self._content_bytes)))

    def _count(self, events: bytes) -> None:
        """Count the content of deltas. Text alone, the commonest; anything else by a slower search."""
        deltas, size = strings_after(events, b'"text":"')
        at = events.rfind
        if not deltas or at(b'"thinking_delta"') >= 0 or at(b'"input_json_delta"') >= 0:
            if at(b"content_block_delta") < 0:
                return
            deltas, size = strings_matching(events, _CONTENT)
        if deltas:
            self.output_floor += deltas
            self.started = True
            self._content_bytes += size

    def _note_start(self, event: _Event) -> None:
        self._work_seen = True
        message = read_fields(event.message) if event.message else None
        if message is not None:
            self._served_model = word(message, "model")
            self._fold(nested(message, "usage"))

    def _note_delta(self, event: _Event) -> None:
        self._work_seen = True
        usage = read_fields(event.usage) if event.usage else None
        if usage:
            self._fold(usage)
            self._totals_seen = True
            # cumulative: it stands for all content so far
            self._content_bytes = number(usage, "output_tokens") or self._content_bytes
        delta = read_fields(event.delta) if event.delta else None
        if delta and delta.get("stop_reason") is not None:
            self._ended = True
        self.complete = self._totals_seen and self._ended

    def _fold(self, usage: Fields) -> None:
        self._usage = anthropic_usage.merged(self._usage, usage)
        self.output_floor = max(self.output_floor, number(self._usage, "output_tokens"))
