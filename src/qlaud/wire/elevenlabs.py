"""ElevenLabs' wires beside speech: transcription by the second, and what it bills in credits. See `types.Wire`.

Facts (SDK 2.78.0 and the vendor's pages, seen 2026-11): an answer of `/v1/speech-to-text` ends with
`audio_duration_secs`, over all channels; older ones have only the times of the words. Sound effects, music and the
like say what they took in the header `character-cost`, in credits; a credit has a price in the price list.
"""

from dataclasses import dataclass

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.audio_upload import MS_PER_S, form_of, held_ms, likely_ms
from qlaud.wire.body import Members, read_body, read_items, read_object, read_text, read_whole
from qlaud.wire.counts import Fields, count, last_number, millis, number, objects, read_fields
from qlaud.wire.speech import CREDITS
from qlaud.wire.taps import BodyTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import Terms, UnitReading, UnitWire, known_tap, unit_call

MOST_CHANNELS = 5
"""Of a file whose channels are written down each by itself; the vendor takes no more."""
EXTRAS = (("entity_detection", "entities"), ("keyterms", "keyterms"))
"""Options of a transcription that cost more, and their grades, in the order of the price list."""
SAYS_NOTHING = frozenset((b"", b"null", b"[]"))
"""How an option that is not wanted may be sent; SDK 2.78.0 for Python writes `null`."""
CREDITS_PER_S = 100
"""The most that a second of sound costs. Effects of a stated length are 40, music, isolation and a changed voice
about 17 to 30 (the vendor's help pages, seen 2026-11)."""
DURATION = "audio_duration_secs"


@dataclass(frozen=True, slots=True)
class ElevenLabsTranscriptionWire(UnitWire):
    """`POST /v1/speech-to-text`."""

    error_shape: str = "elevenlabs"
    takes_form: bool = True
    model_field: str = "model_id"

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be written down, by which model. Raises BadRequest.

        With `webhook` the transcript goes elsewhere: then what was measured is billed.
        """
        form = form_of(asked)
        channels = MOST_CHANNELS if form.flag("use_multi_channel") else 1
        grade = "+".join(grade for name, grade in EXTRAS if set(form.fields.get(name, ())) - SAYS_NOTHING)
        return unit_call(
            form.text("model_id") or asked.model,
            {"audio_ms": held_ms(asked) * channels},
            Usage(audio_ms=likely_ms(asked), grade=grade),
            terms=Terms("model_id", grade=grade),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """The answer says how long the audio was."""
        return BodyTap(ElevenLabsTranscript(call), keep_head=True)


class ElevenLabsTranscript(UnitReading):
    """Reads one transcript."""

    def __init__(self, call: ModelCall) -> None:
        super().__init__(call)
        self._told_ms: int | None = None
        self._heard_ms = 0

    def body(self, text: bytes, size: int) -> None:
        self.work_seen = bool(text.strip())
        answer = read_fields(text) if size == len(text) else _ends(text)
        if answer is None:
            return
        self._told_ms = millis(answer, DURATION)
        self._heard_ms = sum(_last_word_ms(part) for part in (answer, *objects(answer, "transcripts")))
        self.work_seen = "detail" not in answer
        self.complete = self._told_ms is not None

    def outcome(self, *, input_bound: int) -> Metered:
        grade = self.expected.grade
        if self._told_ms is not None:
            return Exact(Usage(audio_ms=self._told_ms, grade=grade))
        if not self.work_seen:
            return Nothing()
        return AtLeast(Usage(audio_ms=self._heard_ms or self.expected.audio_ms, grade=grade))


@dataclass(frozen=True, slots=True)
class ElevenLabsCreditsWire(UnitWire):
    """Sound effects, music, a changed voice, isolation, designed voices: billed in credits.

    Only a request that says, or holds, how much sound there will be can be bounded.
    """

    error_shape: str = "elevenlabs"
    takes_form: bool = True
    model_field: str = "model_id"
    stated_in: frozenset[str] = frozenset()
    """Members of a JSON body where this path is told how long the sound will be; others it does not read."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be made, and how long it will be. Raises InvalidJson or BadRequest."""
        if asked.form is not None:
            model = asked.form.text("model_id")
            sound_ms = held_ms(asked) if asked.form.files else None
        else:
            members = read_body(asked.body)
            model = read_text(members, "model_id")
            sound_ms = _stated_ms({name: members[name] for name in self.stated_in & members.keys()})
        most = -(-(sound_ms or 0) * CREDITS_PER_S // MS_PER_S)
        return unit_call(
            model or asked.model,
            {"credits": most},
            Usage(credits=most),
            stream=asked.stream,
            terms=Terms("model_id", unbounded=None if sound_ms else "sound of unstated length"),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Billed is what `character-cost` says."""
        spent = count(head.header(CREDITS).decode("latin-1"))
        return known_tap(call, head, None if spent is None else Usage(credits=spent))


def _stated_ms(members: Members) -> int | None:
    """How much sound these members ask for, None where one of them leaves that to the provider."""
    lengths = [read_whole(members, "music_length_ms", least=0), _seconds_ms(members, "duration_seconds")]
    plan = read_object(members, "composition_plan")
    if plan is not None:
        sections = [read_fields(section) or {} for section in read_items(plan, "sections")]
        if not sections or not all(number(section, "duration_ms") for section in sections):
            return None
        lengths.append(sum(number(section, "duration_ms") for section in sections))
    return max((length for length in lengths if length is not None), default=None)


def _seconds_ms(members: Members, name: str) -> int | None:
    value = members.get(name)
    return None if value is None else millis(read_fields(b'{"s":%b}' % bytes(value)) or {}, "s")


def _last_word_ms(transcript: Fields) -> int:
    words = objects(transcript, "words")
    return (millis(words[-1], "end") or 0) if words else 0


def _ends(text: bytes) -> Fields:
    """What the two ends of an answer too large to keep say of its length."""
    seconds = last_number(text, DURATION)
    end = last_number(text, "end")
    words = [{"end": float(end)}] if end else []
    return {"words": words, **({DURATION: float(seconds)} if seconds else {})}
