"""What the taps understand of a chat completion: counts content as it passes, and keeps the last usage."""

import re

from msgspec.structs import replace

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing
from qlaud.wire import openai_usage
from qlaud.wire.counts import (
    Fields,
    is_well,
    last_object,
    nested,
    number,
    objects,
    read_fields,
    strings_after,
    strings_matching,
)
from qlaud.wire.sse import event_data, split_events
from qlaud.wire.types import ModelCall

_SPOKEN = rb"content|refusal|arguments|input|transcript"
_CONTENT = re.compile(rb'"(?:%s|reasoning)": ?"' % _SPOKEN)
"""The strings that hold output, of every vendor's dialect."""
_THOUGHT = re.compile(rb'"(?:%s|reasoning_content)": ?"' % _SPOKEN)
"""The same with the other name of thoughts: some servers send them under both, and they count once."""
_OPENINGS = tuple(b'"%b":"' % name for name in (*_SPOKEN.split(b"|")[1:], b"reasoning"))
_THOUGHT_OPENINGS = (*_OPENINGS[:-1], b'"reasoning_content":"')
"""What stands before the strings of both but `content`, where no blank follows the colons."""
_TYPED = re.compile(rb'"(?:text|arguments)": ?"')
"""The strings of typed chunks (Mistral)."""
UNSAID = (b'"usage":null', b'"usage": null', b'"usage":{"total_tokens":0,')
"""Usage that says nothing: the last is what MiniMax's native chunks have."""
WHOLE = "chat.completion"
"""What MiniMax's native streams end with: the whole answer again, with the only usage that counts."""
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
        "_refused",
        "_running",
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
        """Usage inside a choice (Kimi) or beside the vendor's own id (Groq); counts only if no other one comes."""
        self._running = b""
        """The last events whose usage is not the final one (xAI and Perplexity tell it with every chunk), unread."""
        self._refused = False
        """MiniMax says in a good answer that it is none."""
        self._work_seen = False
        self._content_bytes = 0

    def plain(self, events: bytes) -> bool:
        at, count = events.rfind, events.count  # `rfind` finds nothing in half the time of `in`
        if not self._first_seen or at(b'"error"') >= 0 or at(b"[DONE]") >= 0:
            return False
        if at(b'"base_resp"') >= 0 and (at(b'"chat.completion"') >= 0 or not is_well(events)):
            return False
        usages = count(b'"usage"')
        runs = False
        if usages and usages != count(b'"usage":null'):
            runs = count(b'"finish_reason":null') == count(b"data:") and at(b'"choices":[]') < 0
            if not runs and (usages != sum(map(count, UNSAID)) or at(b'"chat.completion"') >= 0):
                return False
        if runs:
            self._running = events
        self._count(events)
        return True

    def event(self, text: bytes) -> bool:
        if text.strip() == b"[DONE]":
            self.complete = self.stopped = self._ended = True
            return False
        chunk = read_fields(text)
        if chunk is None:
            return False
        if chunk.get("error") or self._is_refusal(chunk):
            return False
        if not self._first_seen and "choices" in chunk:
            self._note_first(chunk)
        if chunk.get("object") != WHOLE:
            self._count(text)
        choices = objects(chunk, "choices")
        self._note_partial(chunk, choices)
        usage = nested(chunk, "usage")
        if not usage:
            return False
        ended = not choices or any(choice.get("finish_reason") for choice in choices)
        self._fold(usage, chunk, ended=ended)
        return not choices and not chunk.get("moderation")

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
        if self._is_refusal(answer):
            return
        self._work_seen = bool(answer.get("choices"))
        self._note_partial(answer, objects(answer, "choices"))
        usage = nested(answer, "usage")
        if usage:
            self._fold(usage, answer, ended=True)

    def outcome(self, *, input_bound: int) -> Metered:
        self._read_running()
        usage = self._usage or self._partial_usage
        seen = openai_usage.read_usage(usage, self.call.demand, self._last or self.first)
        silent = not seen.output_tokens and not seen.audio_out_tokens and self.output_floor
        if self._ended and openai_usage.is_whole(usage) and seen.prompt_tokens and not silent:
            return Exact(seen)
        if not (self._work_seen or self.started) or (self._refused and not self.started):
            return Nothing()
        if not seen.prompt_tokens:
            seen = replace(seen, input_tokens=input_bound)
        return AtLeast(replace(seen, output_tokens=max(self.output_floor, self._content_bytes)))

    def _is_refusal(self, answer: Fields) -> bool:
        """Whether this is MiniMax's way to fail: status 200, and a code that is not 0."""
        if number(nested(answer, "base_resp"), "status_code"):
            self._refused = True
        return self._refused

    def _note_partial(self, answer: Fields, choices: list[Fields]) -> None:
        """Keep usage that stands in a place of the vendor's own."""
        groq = nested(nested(answer, "x_groq"), "usage")
        if groq:
            self._partial_usage, self._ended = groq, True
        for choice in choices:
            partial = nested(choice, "usage")
            if partial:
                self._partial_usage = partial
                self._ended = self._ended or bool(choice.get("finish_reason"))

    def _read_running(self) -> None:
        """Fold the usage of the last chunk that was let pass unread, if none came after it."""
        events, _ = split_events(self._running)
        self._running = b""
        for event in reversed(events):  # a comment may stand last
            chunk = read_fields(event_data(event))
            if chunk and (usage := nested(chunk, "usage")):
                self._fold(usage, chunk, ended=False)
                return

    def _note_first(self, chunk: Fields) -> None:
        self._work_seen = self._first_seen = True
        self.first = {name: chunk[name] for name in REPEATED if name in chunk}

    def _count(self, events: bytes) -> None:
        """Count the content of whole events. Text alone, the commonest; anything else by a slower search."""
        deltas, size = strings_after(events, b'"content":"')
        at = events.rfind
        is_typed = at(b'"content":[') >= 0
        has_thoughts = at(b'"reasoning_content"') >= 0
        if not deltas or is_typed or has_thoughts or at(b'"reasoning":') >= 0 or at(b'"arguments"') >= 0:
            if is_typed or at(b'": "') >= 0:
                key = _TYPED if is_typed else _THOUGHT if has_thoughts else _CONTENT
                deltas, size = strings_matching(events, key)
            else:
                for opening in _THOUGHT_OPENINGS if has_thoughts else _OPENINGS:
                    if at(opening) >= 0:
                        more, more_bytes = strings_after(events, opening)
                        deltas, size = deltas + more, size + more_bytes
        if deltas:
            self.output_floor += deltas
            self.started = True
            self._content_bytes += size

    def _fold(self, usage: Fields, answer: Fields, *, ended: bool) -> None:
        """Usage on several chunks is cumulative: the last one counts, and stands for all content so far."""
        self._running = b""
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
