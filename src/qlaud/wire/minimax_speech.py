"""MiniMax's `POST /v1/t2a_v2`: sound as hex in JSON, or in events. See `types.Wire`.

Facts (the vendor's pages, seen 2026-11): `extra_info.usage_characters` is what is billed, a Chinese character as two;
in a stream it comes with the last piece, which may repeat all of the sound. An error comes with status 200 and a
`base_resp.status_code` that is not 0, and then nothing is billed (providers.md, section 9, D 60).
"""

from dataclasses import dataclass

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.body import read_body, read_flag, read_text
from qlaud.wire.counts import Fields, count, is_well, last_object, nested, number, read_fields
from qlaud.wire.taps import tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import UnitWire, unit_call

MOST_PER_CHARACTER = 2


@dataclass(frozen=True, slots=True)
class MiniMaxSpeechWire(UnitWire):
    """Text to speech by the character."""

    error_shape: str = "minimax"

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be spoken, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        text = read_text(members, "text") or ""
        characters = sum(1 if letter.isascii() else MOST_PER_CHARACTER for letter in text)
        return unit_call(
            read_text(members, "model") or asked.model,
            {"characters": len(text) * MOST_PER_CHARACTER},
            Usage(characters=characters),
            stream=read_flag(members, "stream"),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Events and JSON are read for what was billed, and for whether anything was."""
        return tap_for(MiniMaxSpeechReading(call), call, strip_usage=False, head=head)


class MiniMaxSpeechReading:
    """Folds one answer, stream or body."""

    output_floor = 0
    __slots__ = ("_call", "_characters", "_failed", "complete", "started")

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._characters: int | None = None
        self._failed = False
        self.started = False
        self.complete = False

    def plain(self, events: bytes) -> bool:
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'"extra_info"') >= 0 or at(b'"error"') >= 0 or not is_well(events):
            return False
        self.started = self.started or b'"audio"' in events
        return True

    def event(self, text: bytes) -> bool:
        fields = read_fields(text)
        if fields is not None:
            self.started = self.started or bool(nested(fields, "data").get("audio"))
            self._fold(nested(fields, "base_resp"), nested(fields, "extra_info"))
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """A piece of sound too large to keep; what was billed stands at its end."""
        self.started = True
        self._fold(last_object(text, "base_resp") or {}, last_object(text, "extra_info") or {})

    def body(self, text: bytes, size: int) -> None:
        answer: Fields | None = read_fields(text) if size == len(text) else None
        if answer is None:
            self.started = bool(text.strip())
            self._fold(last_object(text, "base_resp") or {}, last_object(text, "extra_info") or {})
            return
        self.started = bool(nested(answer, "data"))
        self._fold(nested(answer, "base_resp"), nested(answer, "extra_info"))

    def outcome(self, *, input_bound: int) -> Metered:
        if self._characters is not None:
            return Exact(Usage(characters=self._characters))
        if self._failed and not self.started:
            return Nothing()
        return AtLeast(self._call.expected or Usage()) if self.started else Nothing()

    def _fold(self, base: Fields, extra: Fields) -> None:
        self._failed = self._failed or number(base, "status_code") != 0
        told = count(extra.get("usage_characters"))
        if told is not None:
            self._characters = told
            self.complete = True
