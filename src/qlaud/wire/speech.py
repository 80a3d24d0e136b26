"""Speech billed by the character: ElevenLabs, Cartesia, xAI, Mistral, Deepgram's `speak`. See `types.Wire`.

One text field is spoken, and its characters (code points) are what the answer costs, all of them as soon as it
begins, however much of it is read. ElevenLabs says in a header what it took in credits, Deepgram how many characters
it billed (providers.md, A.2, D 39). So no byte of the sound is looked at.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Raw

from qlaud.core.usage import EMPTY, Usage
from qlaud.wire.body import Members, read_body, read_flag, read_items, read_members, read_text
from qlaud.wire.counts import UNREADABLE, count
from qlaud.wire.query import Query
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import Terms, UnitWire, known_tap, unit_call

DIALOGUE_MODEL = "eleven_v3"
"""What a dialogue is spoken by that names no model (SDK 2.78.0)."""
VOICE_FAMILIES = (("aura-2", "aura-2"), ("aura", "aura"))
"""Deepgram's models of speech are voices (`aura-2-thalia-en`); a family of them has one price."""
CREDITS = b"character-cost"
COUNTED = b"dg-char-count"


@dataclass(frozen=True, slots=True)
class SpeechWire(UnitWire):
    """Characters of one field of a JSON body."""

    text_field: str = "text"
    stream_field: str = ""
    """The flag that asks for events."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be spoken, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        model = read_text(members, self.model_field) if self.model_field else None
        characters = len(read_text(members, self.text_field) or "")
        return unit_call(
            model or asked.model,
            {"characters": characters},
            Usage(characters=characters),
            stream=asked.stream or (self.stream_field != "" and read_flag(members, self.stream_field)),
            terms=Terms(self.model_field),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Everything is billed when the answer begins."""
        return known_tap(call, head, call.expected)


@dataclass(frozen=True, slots=True)
class ElevenLabsSpeechWire(UnitWire):
    """`POST /v1/text-to-speech/{voice}` and `/v1/text-to-dialogue`, streamed or not, with timestamps or without."""

    error_shape: str = "elevenlabs"
    model_field: str = "model_id"

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be spoken, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        lines = read_items(members, "inputs")
        characters = len(read_text(members, "text") or "")
        characters += sum(len(read_text(_line(line, at), "text") or "") for at, line in enumerate(lines))
        usual = DIALOGUE_MODEL if lines else asked.model
        return unit_call(
            read_text(members, "model_id") or usual,
            {"characters": characters},
            Usage(characters=characters),
            stream=asked.stream,
            terms=Terms("model_id"),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Everything is billed when the answer begins; the credits it took are kept beside the characters."""
        spent = count(head.header(CREDITS).decode("latin-1"))
        detail = EMPTY if spent is None else {"credits": spent}
        return known_tap(call, head, Usage(characters=call.demand.most["characters"], detail=detail))


@dataclass(frozen=True, slots=True)
class DeepgramSpeakWire(UnitWire):
    """`POST /v1/speak?model=` and `/v2/speak`."""

    error_shape: str = "deepgram"
    model_field: str = ""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be spoken. Raises InvalidJson or BadRequest.

        What Deepgram takes for a character it says itself, afterwards; it is not more than the text has bytes.
        """
        text = read_text(read_body(asked.body), "text") or ""
        query = Query(asked.query)
        query.check()
        return unit_call(
            voice_family(query.text("model", asked.model)),
            {"characters": len(text.encode())},
            Usage(characters=len(text)),
            terms=Terms(""),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Billed is what `dg-char-count` says; without it the characters of the text, as an estimate."""
        told = count(head.header(COUNTED).decode("latin-1"))
        return known_tap(call, head, None if told is None else Usage(characters=told))


def voice_family(model: str) -> str:
    """The model that a voice of Deepgram's belongs to; any other name as it is."""
    lower = model.lower()
    return next((family for prefix, family in VOICE_FAMILIES if lower.startswith(prefix)), model)


def _line(line: Raw, at: int) -> Members:
    """The members of one line of a dialogue; none where it is no object, which the provider refuses."""
    try:
        return read_members(bytes(line), f"`inputs[{at}]`")
    except (*UNREADABLE, msgspec.ValidationError):
        return {}
