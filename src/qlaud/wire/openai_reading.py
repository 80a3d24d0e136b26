"""What the taps understand of a chat completion: counts content as it passes, and keeps the last usage."""

import re

from msgspec.structs import replace

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing
from qlaud.wire import openai_usage
from qlaud.wire.counts import (
    Fields,
    last_object,
    nested,
    objects,
    read_fields,
    strings_after,
    strings_matching,
)
from qlaud.wire.types import ModelCall

_CONTENT = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments|input|transcript)": ?"')
"""The strings that hold output, of every vendor's dialect."""
REPEATED = ("id", "object", "created", "model", "service_tier")
"""What every chunk of an answer repeats."""


class OpenAIReading:
    """Folds one answer, stream or body."""

    __slots__ = (
        "_content_bytes",
        "_ended",
        "_first_seen",
        "_last",
        "_partial_usage",
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
        """`[DONE]` was seen."""
        self.first: Fields = {}
        """The first chunk: its id, model and time belong to every chunk."""
        self._first_seen = False
        self._ended = False
        """No later chunk changes the usage."""
        self._last: Fields = {}
        """The chunk or body that carried the usage."""
        self._usage: Fields = {}
        self._partial_usage: Fields = {}
        """Usage inside a choice (Kimi); counts only if none comes beside the choices."""
        self._work_seen = False
        self._content_bytes = 0

    def plain(self, events: bytes) -> bool:
        usages = events.count(b'"usage"')
        if usages:
            nulls = events.count(b'"usage":null')
            if usages != nulls and usages != nulls + events.count(b'"usage": null'):
                return False
        if not self._first_seen or b'"error"' in events or b"[DONE]" in events:
            return False
        self._count(events)
        return True

    def event(self, text: bytes) -> bool:
        if text.strip() == b"[DONE]":
            self.complete = self.stopped = self._ended = True
            return False
        chunk = read_fields(text)
        if chunk is None:
            return False
        if chunk.get("error"):
            return False
        if not self._first_seen and "choices" in chunk:
            self._note_first(chunk)
        self._count(text)
        usage = nested(chunk, "usage")
        choices = objects(chunk, "choices")
        if usage:
            ended = not choices or any(choice.get("finish_reason") for choice in choices)
            self._fold(usage, chunk, ended=ended)
            return not choices and not chunk.get("moderation")
        for choice in choices:
            partial = nested(choice, "usage")
            if partial:
                self._partial_usage = partial
                self._ended = self._ended or bool(choice.get("finish_reason"))
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """The end of a chunk full of sound or pictures; some vendors put the usage there too."""
        self._work_seen = self.started = True
        self.output_floor += 1
        self._content_bytes += relayed
        usage = last_object(text, "usage")
        if usage and openai_usage.is_whole(usage):
            self._fold(usage, self.first, ended=False)

    def body(self, text: bytes, size: int) -> None:
        self._content_bytes = size
        if size > len(text):
            self._work_seen = True
            usage = last_object(text, "usage")
            if usage and openai_usage.is_whole(usage):
                self._fold(usage, {}, ended=True)
            return
        answer = read_fields(text)
        if answer is None:  # cut off in the middle, or not from the provider at all
            self._work_seen = text.lstrip()[:1] == b"{"
            return
        self._work_seen = bool(answer.get("choices"))
        usage = nested(answer, "usage")
        if usage:
            self._fold(usage, answer, ended=True)

    def outcome(self, *, input_bound: int) -> Metered:
        usage = self._usage or self._partial_usage
        seen = openai_usage.read_usage(usage, self.call.demand, self._last or self.first)
        silent = not seen.output_tokens and not seen.audio_out_tokens and self.output_floor
        if self._ended and openai_usage.is_whole(usage) and seen.prompt_tokens and not silent:
            return Exact(seen)
        if not (self._work_seen or self.started):
            return Nothing()
        if not seen.prompt_tokens:
            seen = replace(seen, input_tokens=input_bound)
        return AtLeast(replace(seen, output_tokens=max(self.output_floor, self._content_bytes)))

    def _note_first(self, chunk: Fields) -> None:
        self._work_seen = self._first_seen = True
        self.first = {name: chunk[name] for name in REPEATED if name in chunk}

    def _count(self, events: bytes) -> None:
        """Count the content of whole events. Text alone, the commonest; anything else by a slower search."""
        deltas, size = strings_after(events, b'"content":"')
        if not deltas or b'"reasoning' in events or b'"arguments"' in events:
            deltas, size = strings_matching(events, _CONTENT)
        if deltas:
            self.output_floor += deltas
            self.started = True
            self._content_bytes += size

    def _fold(self, usage: Fields, answer: Fields, *, ended: bool) -> None:
        """Usage on several chunks is cumulative: the last one counts, and stands for all content so far."""
        self._usage = usage
        self._last = {
            **self.first,
            **{name: answer[name] for name in ("model", "service_tier") if answer.get(name)},
        }
        self._ended = self._ended or ended
        self.complete = self._ended
        reported = openai_usage.output_tokens(usage)
        self.output_floor = max(self.output_floor, reported)
        self._content_bytes = reported or self._content_bytes
        self._work_seen = True
