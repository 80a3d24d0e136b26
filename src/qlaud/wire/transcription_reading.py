"""What the taps understand of a transcription: its `usage` where there is one, else how long the audio was."""

from msgspec.structs import replace

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import (
    Fields,
    count,
    last_number,
    last_object,
    millis,
    nested,
    number,
    read_fields,
    word,
)
from qlaud.wire.types import ModelCall

DONE = ("transcript.text.done", "transcription.done")
KEPT_COUNTS = ("prompt_tokens", "completion_tokens")
"""Of Mistral, whose transcriptions are billed by the second all the same."""


class TranscriptionReading:
    """Folds one answer, stream or body."""

    output_floor = 0
    __slots__ = ("_call", "_usage", "_work_seen", "complete", "started")

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._usage: Usage | None = None
        self._work_seen = False
        self.started = False
        self.complete = False

    def plain(self, events: bytes) -> bool:
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'.done"') >= 0 or at(b'"error"') >= 0 or at(b'"usage"') >= 0:
            return False
        self.started = self.started or b'.delta"' in events or b'.segment"' in events
        return True

    def event(self, text: bytes) -> bool:
        fields = read_fields(text)
        if fields is None:
            return False
        kind = word(fields, "type")
        if kind in DONE:
            self._fold(fields)
        elif kind.startswith("transcri"):
            self.started = True
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """The whole transcript once more, too large to keep; its usage stands at its end."""
        self.started = True
        if usage := last_object(text, "usage"):
            self._fold({"usage": usage})

    def body(self, text: bytes, size: int) -> None:
        self._work_seen = bool(text.strip())
        answer = read_fields(text) if size == len(text) else _ends(text)
        if answer is not None:
            self._work_seen = not answer.get("error")
            self._fold(answer)

    def outcome(self, *, input_bound: int) -> Metered:
        expected = self._call.expected or Usage()
        if self._usage is not None:
            other = expected.instead if self._usage.audio_ms else Usage(audio_ms=expected.audio_ms)
            return Exact(replace(self._usage, instead=other))
        return AtLeast(expected) if self._work_seen or self.started or self.complete else Nothing()

    def _fold(self, answer: Fields) -> None:
        self.complete = True
        usage = nested(answer, "usage")
        told = _told(usage) if usage else None
        if told is None and (played_ms := millis(answer, "duration")):
            told = Usage(audio_ms=played_ms)
        self._usage = told or self._usage


def _told(usage: Fields) -> Usage | None:
    """What a usage object says was billed, None where it makes no sense."""
    for name in ("seconds", "prompt_audio_seconds"):
        if spent_ms := millis(usage, name):
            detail = {kept: n for kept in KEPT_COUNTS if (n := number(usage, kept))}
            return Usage(audio_ms=spent_ms, detail=detail)
    total_in = number(usage, "input_tokens")
    if not total_in or count(usage.get("output_tokens")) is None:
        return None
    split = nested(usage, "input_token_details") or nested(usage, "input_tokens_details")
    text = min(number(split, "text_tokens"), total_in)
    audio = min(count(split.get("audio_tokens")) or total_in - text, total_in)
    return Usage(
        input_tokens=total_in - audio,
        audio_in_tokens=audio,
        output_tokens=number(usage, "output_tokens"),
    )


def _ends(text: bytes) -> Fields:
    """What the two ends of an answer too large to keep say of its cost."""
    if usage := last_object(text, "usage"):
        return {"usage": usage}
    seconds = last_number(text, "duration")
    return {"duration": float(seconds)} if seconds else {}
