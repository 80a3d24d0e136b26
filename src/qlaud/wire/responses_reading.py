"""What the taps understand of a Responses answer: counts content as it passes, and reads the response that ends it.

A stream ends with exactly one of `response.completed`, `.incomplete` and `.failed`, which carries the whole response
with its usage; there is no `[DONE]`. Events that carry a response are the only ones with a member of that name, and a
quote within a text is escaped, so one substring tells them. Source: OpenAI's page on streaming, its SDK 3.54.0, and
recorded streams of xAI, Qwen and DeepSeek, seen 2026-11.
"""

import re

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from qlaud.core.demand import as_asked
from qlaud.core.usage import AtLeast, Begun, Exact, Metered, Nothing
from qlaud.wire import responses_usage
from qlaud.wire.content import NOTHING
from qlaud.wire.counts import (
    UNREADABLE,
    Fields,
    last_told,
    nested,
    number,
    objects,
    read_fields,
    strings_after,
    strings_matching,
    word,
)
from qlaud.wire.responses_usage import HostedCalls
from qlaud.wire.types import ModelCall

_DELTA = re.compile(rb'"delta": ?"')
_SEQUENCE = re.compile(rb'"sequence_number": ?(\d{1,12})')
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
AT_WORK = frozenset({"queued", "in_progress", "completed", "incomplete"})
"""States of a response for which the provider works, or has."""


class _Event(msgspec.Struct):
    type: str = ""
    response: Raw = NOTHING
    item: Raw = NOTHING


class ResponsesReading:
    """Folds one answer, stream or body."""

    __slots__ = (
        "_answer",
        "_content_bytes",
        "_failed",
        "_hosted",
        "_id",
        "_recent",
        "_usage",
        "_work_seen",
        "call",
        "complete",
        "first",
        "output_floor",
        "started",
        "stopped",
    )

    def __init__(self, call: ModelCall) -> None:
        self.call = call
        self.output_floor = 0
        self.started = False
        self.complete = False
        self.stopped = False
        """The response that ends the stream was seen."""
        self.first = NOTHING
        """The response as it began: what every later one repeats."""
        self._recent = b""
        """The events seen last, for their number."""
        self._answer: Fields = {}
        self._usage: Fields = {}
        self._hosted = HostedCalls()
        self._id = ""
        self._failed = False
        self._work_seen = False
        self._content_bytes = 0

    @property
    def kept_id(self) -> str:
        """The id of the response, as soon as it was seen."""
        return self._id

    @property
    def sequence_number(self) -> int:
        """Of the last event seen."""
        numbers = _SEQUENCE.findall(self._recent)
        return int(numbers[-1]) if numbers else 0

    def plain(self, events: bytes) -> bool:
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'"response":') >= 0 or at(b'"error"') >= 0 or at(b"search_call") >= 0 or not self._work_seen:
            return False
        self._recent = events
        self._count(events)
        return True

    def event(self, text: bytes) -> bool:
        try:
            event = msgspec.json.decode(text, type=_Event)
        except UNREADABLE:
            return False
        self._recent = text
        response = read_fields(event.response) if event.response else None
        if event.type in ENDS and response is not None:
            self._end(response)
        elif response is not None:
            self._work_seen = True
            self.first = self.first or event.response
            self._id = self._id or word(response, "id")
            self._answer = _kept(response)
        elif event.type == "response.output_item.done":
            self._hosted.note(read_fields(event.item) or {})
            self._work_seen = self.started = True
        elif event.type == "error" or b'"error":{' in text:
            self._failed = True
        else:
            self._work_seen = self._work_seen or event.type.startswith("response.")
            self._count(text)
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """The end of a large event: the response that ends the stream, which repeats all output, or a picture."""
        usage = last_told(text, "usage")
        if usage and responses_usage.is_whole(usage):
            told = last_told(text, "tool_usage")
            self._end({**self._answer, **({"tool_usage": told} if told else {}), "usage": usage})
            return
        self._work_seen = True
        if b'"usage":null' not in text:  # no response that has only begun
            self.started = True
            self.output_floor += 1
            self._content_bytes += relayed

    def body(self, text: bytes, size: int) -> None:
        self._content_bytes = size
        if size > len(text):
            self._work_seen = True
            usage = last_told(text, "usage")
            if usage and responses_usage.is_whole(usage):
                self._end({"tool_usage": last_told(text, "tool_usage"), "usage": usage})
            return
        response = read_fields(text)
        if response is None:  # cut off in the middle, or not from the provider at all
            self._work_seen = text.lstrip()[:1] == b"{"
            return
        self._work_seen = bool(response.get("output")) or word(response, "status") in AT_WORK
        self._end(response)

    def outcome(self, *, input_bound: int) -> Metered:
        seen = responses_usage.read_usage(self._usage, self.call.demand, self._answer, self._hosted)
        silent = not seen.output_tokens and self.output_floor
        if self.complete and responses_usage.is_whole(self._usage) and seen.prompt_tokens and not silent:
            return Exact(seen)
        if self.call.background and self._id and not self._failed:
            asked = as_asked(self.call.demand, input_bound)
            return Begun(self._id, replace(asked, output_tokens=self.call.demand.max_output or 0))
        if not (self._work_seen or self.started) or (self._failed and not self.started):
            return Nothing()
        if not seen.prompt_tokens:
            seen = replace(seen, input_tokens=input_bound)
        return AtLeast(replace(seen, output_tokens=max(self.output_floor, self._content_bytes)))

    def _count(self, events: bytes) -> None:
        deltas, size = strings_after(events, b'"delta":"')
        if not deltas and b'"delta": "' in events:
            deltas, size = strings_matching(events, _DELTA)
        if deltas:
            self.output_floor += deltas
            self.started = True
            self._content_bytes += size

    def _end(self, response: Fields) -> None:
        """The response as it ended. Its usage, where it has one, stands for all content so far."""
        self._id = self._id or word(response, "id")
        self._answer = _kept(response)
        self._failed = self._failed or word(response, "status") in ("failed", "cancelled")
        self.complete = self.stopped = True
        items = objects(response, "output")
        if items:
            self._hosted = HostedCalls()
            for item in items:
                self._hosted.note(item)
        usage = nested(response, "usage")
        if usage:
            self._usage = usage
            self._work_seen = True
            reported = number(usage, "output_tokens")
            self.output_floor = max(self.output_floor, reported)
            self._content_bytes = reported or self._content_bytes


def _kept(response: Fields) -> Fields:
    """What of a response says how it is billed."""
    return {name: response[name] for name in ("model", "service_tier", "tool_usage") if response.get(name)}
