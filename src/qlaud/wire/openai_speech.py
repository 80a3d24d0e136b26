"""The wire of `POST /v1/audio/speech`, as spoken by OpenAI and by those who copied it. See `types.Wire`.

Older models cost by the character of `input`, newer ones by the token; which it is, the price list knows, so both are
told. Exact tokens come with events only (`stream_format: "sse"`, `speech.audio.done`); sound alone says nothing, so
its tokens are an estimate (OpenAI's reference and SDK 3.54.0, seen 2026-11).
"""

from dataclasses import dataclass

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.body import read_body, read_text
from qlaud.wire.counts import Fields, nested, number, read_fields, word
from qlaud.wire.taps import StreamTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import Terms, UnitWire, known_tap, unit_call

FRAME_TOKENS = 32
"""Around the text and the instructions."""
BYTES_PER_TOKEN = 4
"""Of text, for an estimate."""
SOUND_TOKENS_PER_BYTE = 12
"""For a byte of text, at most. A minute of sound is 1250 tokens ($0.015 a minute at $12 a million, OpenAI's price
page) and usually speaks 900 characters: 1.4 tokens for each."""
PAUSE_TOKENS = 1_250
"""A minute of slowness or silence that the instructions may ask for."""
SLOWEST = 8
"""How much more than usual the most is."""


@dataclass(frozen=True, slots=True)
class OpenAISpeechWire(UnitWire):
    """Text to speech, by the character or by the token."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be spoken, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        text = read_text(members, "input") or ""
        spoken = len(text.encode())
        prompt = spoken + len((read_text(members, "instructions") or "").encode()) + FRAME_TOKENS
        sound = spoken * SOUND_TOKENS_PER_BYTE
        tokens = Usage(input_tokens=-(-prompt // BYTES_PER_TOKEN), audio_out_tokens=-(-sound // SLOWEST))
        return unit_call(
            read_text(members, "model") or asked.model,
            {"characters": len(text)},
            Usage(characters=len(text), instead=tokens),
            stream=read_text(members, "stream_format") == "sse",
            terms=Terms(input_tokens=prompt, instead={"audio_out_tokens": sound + PAUSE_TOKENS}),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Events are read for their usage; sound costs what its text does."""
        if b"event-stream" in head.content_type:
            return StreamTap(SpeechReading(call), strip_usage=False)
        return known_tap(call, head, call.expected)


class SpeechReading:
    """Folds a stream of sound in events."""

    output_floor = 0
    __slots__ = ("_call", "_usage", "complete", "started")

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._usage: Fields = {}
        self.started = False
        self.complete = False

    def plain(self, events: bytes) -> bool:
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'.done"') >= 0 or at(b'"error"') >= 0:
            return False
        self.started = self.started or b'"audio"' in events
        return True

    def event(self, text: bytes) -> bool:
        fields = read_fields(text)
        if fields is None:
            return False
        if word(fields, "type").endswith("audio.done"):
            self.complete = True
            self._usage = nested(fields, "usage")
        elif fields.get("audio"):
            self.started = True
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """A piece of sound too large to keep."""
        self.started = True

    def body(self, text: bytes, size: int) -> None:
        """Sound comes as events or as it is."""

    def outcome(self, *, input_bound: int) -> Metered:
        expected = self._call.expected or Usage()
        if number(self._usage, "output_tokens"):
            tokens = Usage(
                input_tokens=number(self._usage, "input_tokens"),
                audio_out_tokens=number(self._usage, "output_tokens"),
                instead=Usage(characters=expected.characters),
            )
            return Exact(tokens)
        return AtLeast(expected) if self.started or self.complete else Nothing()
