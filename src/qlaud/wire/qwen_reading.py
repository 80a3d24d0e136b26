"""What the taps understand of a native DashScope answer: the last usage there was, of whatever kind.

Facts (recorded answers, the vendor's pages and SDK 2.0.2, seen 2026-11): every frame of a stream carries the usage so
far, so the last one counts, and only that one is read; `finish_reason` is the string "null" until the end. Cached and
written tokens are inside `input_tokens`, reasoning inside `output_tokens`; `cache_type` tells a cache that was written
on purpose, which is read at another price. Pictures made, characters spoken and seconds heard come in counts of their
own (providers.md, section 7, D 35, 36, 58).
"""

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import Fields, count, last_object, millis, nested, number, objects, read_fields, word
from qlaud.wire.sse import event_data, split_events
from qlaud.wire.types import ModelCall

NO_FIELDS: Fields = {}
KEEP_BYTES = 64 * 1024
_OUTPUT = b'"output_tokens":'
_RUNNING = b'"finish_reason":"null"'


class QwenReading:
    """Folds one answer, stream or body."""

    __slots__ = (
        "_counts",
        "_failed",
        "_last",
        "_seen_bytes",
        "_size",
        "call",
        "complete",
        "output_floor",
        "shrinks",
        "started",
    )

    def __init__(self, call: ModelCall) -> None:
        self.call = call
        self.output_floor = 0
        self.started = False
        self.complete = False
        self.shrinks = False
        """A frame was smaller than the one before: each holds only what is new, not the whole text so far."""
        self._size = 0
        self._counts = call.demand.max_output != 0
        """Output has a limit, so it is counted as it comes."""
        self._failed = False
        self._last: Fields | bytes = {}
        """The last frame, unread while more may come."""
        self._seen_bytes = 0

    def plain(self, events: bytes) -> bool:
        """Frames are kept as they are; only the count of output is looked for."""
        at = events.rfind(_OUTPUT)
        if at < 0 and b'"characters"' not in events:
            return False
        if b"event:error" in events or len(events) > KEEP_BYTES:
            return False
        running = events.count(_RUNNING)
        if not running or running != events.count(b'"finish_reason":"'):
            return False
        if self._counts and at >= 0:
            digits = events[at + len(_OUTPUT) : at + len(_OUTPUT) + 12].lstrip()
            self.output_floor = max(self.output_floor, _leading(digits))
        if running == 1:
            self._note_size(len(events))
        self.started = True
        self._last = events
        self._seen_bytes += len(events)
        return True

    def event(self, text: bytes) -> bool:
        fields = read_fields(text)
        if fields is not None:
            self._note_size(len(text))
            self._fold(fields)
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """A frame too large to keep: the whole text so far, or sound; its usage stands behind it."""
        self.started = True
        self._seen_bytes = max(self._seen_bytes, relayed)
        if usage := last_object(text, "usage"):
            ended = b'"finish_reason"' in text and _RUNNING not in text
            self._fold({"usage": usage, "output": {"finish_reason": "stop" if ended else "null"}})

    def body(self, text: bytes, size: int) -> None:
        answer = read_fields(text) if size == len(text) else None
        if answer is not None:
            self._fold(answer, whole=True)
            return
        self.started = bool(text.strip())
        self._seen_bytes = size
        if usage := last_object(text, "usage"):
            self._fold({"usage": usage, "output": {}}, whole=True)

    def outcome(self, *, input_bound: int) -> Metered:
        last = self.last
        usage = nested(last, "usage")
        if usage and self.complete:
            return Exact(read_usage(usage, self.call))
        if usage and (self.started or not self._failed):
            return AtLeast(read_usage(usage, self.call))
        if not self.started:
            return Nothing()
        guess = Usage(input_tokens=input_bound, output_tokens=max(self.output_floor, self._seen_bytes))
        return AtLeast(self.call.expected or guess)

    @property
    def last(self) -> Fields:
        """The last frame with a usage."""
        if isinstance(self._last, bytes):
            events = split_events(self._last)[0]
            frames = (read_fields(event_data(event)) for event in reversed(events))
            self._last = next((frame for frame in frames if frame and frame.get("usage")), NO_FIELDS)
        return self._last

    def _fold(self, frame: Fields, *, whole: bool = False) -> None:
        if word(frame, "code"):
            self._failed = True
            return
        output = nested(frame, "output")
        self.started = self.started or bool(output)
        usage = nested(frame, "usage")
        if not usage:
            return
        self._last = frame
        if self._counts:
            self.output_floor = max(self.output_floor, number(usage, "output_tokens"))
        self.complete = whole or _is_finished(output)

    def _note_size(self, size: int) -> None:
        self.shrinks = self.shrinks or size < self._size
        self._size = size


def read_usage(usage: Fields, call: ModelCall) -> Usage:
    """The billed quantities of one call. Numbers that make no sense count as 0."""
    expected = call.expected
    if characters := number(usage, "characters"):
        return Usage(characters=characters, instead=expected.instead if expected else None)
    if pictures := number(usage, "output_image_count") or number(usage, "image_count"):
        return Usage(images=pictures, images_in=number(usage, "input_image_count"))
    if heard_ms := millis(usage, "duration") or millis(usage, "seconds"):
        return Usage(audio_ms=heard_ms, instead=_tokens(usage) if number(usage, "input_tokens") else None)
    tokens = _tokens(usage)
    if expected is not None and expected.characters:
        return Usage(
            input_tokens=tokens.input_tokens,
            audio_out_tokens=tokens.output_tokens + tokens.audio_out_tokens,
            instead=Usage(characters=expected.characters),
        )
    return tokens


def _tokens(usage: Fields) -> Usage:
    prompt = nested(usage, "prompt_tokens_details") or nested(usage, "input_tokens_details")
    completion = nested(usage, "output_tokens_details") or nested(usage, "completion_tokens_details")
    left = number(usage, "input_tokens")
    written = number(prompt, "cache_creation_input_tokens") or number(
        nested(prompt, "cache_creation"), "ephemeral_5m_input_tokens"
    )
    parts: list[int] = []
    for told in (
        number(prompt, "cached_tokens"),
        written,
        *(_first(prompt, usage, f"{kind}_tokens") for kind in ("audio", "image", "video")),
    ):
        parts.append(min(told, left))
        left -= parts[-1]
    cached, written, audio, image, video = parts
    is_explicit = word(prompt, "cache_type") == "ephemeral"
    output = number(usage, "output_tokens")
    audio_out = min(number(completion, "audio_tokens"), output)
    return Usage(
        input_tokens=left,
        cache_read_tokens=0 if is_explicit else cached,
        cache_read_explicit_tokens=cached if is_explicit else 0,
        cache_write_5m_tokens=written,
        audio_in_tokens=audio,
        image_in_tokens=image,
        video_in_tokens=video,
        output_tokens=output - audio_out,
        audio_out_tokens=audio_out,
        reasoning_tokens=min(number(completion, "reasoning_tokens"), output - audio_out),
    )


def _first(details: Fields, usage: Fields, name: str) -> int:
    told = count(details.get(name))
    return number(usage, name) if told is None else told


def _is_finished(output: Fields) -> bool:
    """Whether every choice has ended; text formats say it without choices."""
    ends = [word(choice, "finish_reason") for choice in objects(output, "choices")]
    ends = ends or [word(output, "finish_reason")]
    return all(end not in ("", "null") for end in ends)


def _leading(digits: bytes) -> int:
    size = 0
    while size < len(digits) and 0x30 <= digits[size] <= 0x39:
        size += 1
    return int(digits[:size] or b"0")
