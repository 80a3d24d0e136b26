"""Deepgram's wires beside speech: `listen` (seconds) and `read` (tokens). See `types.Wire`.

Facts (Deepgram's pages and SDK 7.17.0, seen 2026-11): model and options stand in the query; the body is sound, or a
JSON body with the address of it. An answer begins with `metadata`: the duration, the number of channels, of which
each is billed where `multichannel` asks for one transcript each, and the tokens of every feature that understands
the text. With `callback` the answer says none of it, so what was measured is billed, as an estimate; sound at an
address, whose playing time nobody here knows, is refused with it.
"""

from dataclasses import dataclass

from qlaud.core.errors import UnsupportedField
from qlaud.core.usage import EMPTY, AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.audio_upload import LEAST_MS, MS_PER_S, held_ms, likely_ms
from qlaud.wire.body import read_body, read_text
from qlaud.wire.counts import Fields, count, first_object, millis, nested, number, read_fields
from qlaud.wire.media import raw_byte_rate
from qlaud.wire.query import Query
from qlaud.wire.taps import BodyTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import Terms, UnitReading, UnitWire, unit_call

MOST_CHANNELS = 20
"""Deepgram takes no more."""
UNDERSTANDING = ("summarize", "sentiment", "topics", "intents")
"""Features billed by the token."""
TOKENS_PER_S = 25
"""Of a transcript, at most, that each feature reads, and writes."""
FEATURE_TOKENS = 1_000
"""Around a text, for each feature; a summary is not longer."""
WHOLE_TEXT_TOKENS = 150_000
"""The longest text that `read` takes."""
EXTRAS = ("detect_entities", "diarize", "keyterm", "redact")
"""Options of a transcription that cost more, in the order of the price list."""
SAID_OTHERWISE = {"diarize": "diarize_model"}
CHANNELS = "channels"
""""Each channel is billed", where the record of a call has it; then as many as are expected."""
USUAL_CHANNELS = 2
RAW_RATE = 16_000


@dataclass(frozen=True, slots=True)
class DeepgramListenWire(UnitWire):
    """`POST /v1/listen?model=`: recorded sound."""

    error_shape: str = "deepgram"
    model_field: str = ""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be written down, by which model. Raises InvalidJson, BadRequest or UnsupportedField."""
        query = Query(asked.query)
        query.check()
        if asked.body:
            read_body(asked.body)
        if "callback" in query and asked.media_ms is None:
            raise UnsupportedField(
                "with `callback` nobody here learns how long the sound was: send the sound itself, in a common "
                "format, or leave `callback` out",
                param="callback",
            )
        most_ms, played_ms = held_ms(asked), likely_ms(asked)
        if (raw_ms := _raw_ms(query, asked.upload_bytes)) is not None:
            played_ms = max(raw_ms, asked.media_ms or 0)
            most_ms = max(played_ms, LEAST_MS)
        detail: dict[str, int] = {}
        if query.is_on("multichannel"):
            # what has a container has the channels that stand in it, whatever is said of raw sound
            most_ms *= _channels(query, MOST_CHANNELS) if asked.media_ms is None else MOST_CHANNELS
            detail = {CHANNELS: _channels(query, USUAL_CHANNELS)}
            played_ms *= detail[CHANNELS]
        grade = grade_of(query)
        features = features_of(query)
        most = {"audio_ms": most_ms}
        if features:
            tokens = features * (-(-most_ms // MS_PER_S) * TOKENS_PER_S + FEATURE_TOKENS)
            most |= {"input_tokens": tokens, "output_tokens": tokens}
        return unit_call(
            query.text("model", asked.model),
            most,
            Usage(audio_ms=played_ms, grade=grade, detail=detail),
            terms=Terms("", grade=grade),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """The answer begins with what is billed."""
        return BodyTap(DeepgramReading(call), keep_head=True)


@dataclass(frozen=True, slots=True)
class DeepgramReadWire(UnitWire):
    """`POST /v1/read`: what a text says, by the token."""

    error_shape: str = "deepgram"
    model_field: str = ""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be read. Raises InvalidJson or BadRequest. A text at an address may be as long as any."""
        members = read_body(asked.body)
        text = read_text(members, "text")
        size = WHOLE_TEXT_TOKENS if text is None else min(len(text.encode()), WHOLE_TEXT_TOKENS)
        tokens = max(1, features_of(Query(asked.query))) * (size + FEATURE_TOKENS)
        return unit_call(
            asked.model,
            {"input_tokens": tokens, "output_tokens": tokens},
            Usage(input_tokens=tokens),
            terms=Terms(""),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """The answer begins with what is billed."""
        return BodyTap(DeepgramReading(call), keep_head=True)


class DeepgramReading(UnitReading):
    """Reads the `metadata` of one answer."""

    def __init__(self, call: ModelCall) -> None:
        super().__init__(call)
        self._metadata: Fields = {}

    def body(self, text: bytes, size: int) -> None:
        answer = read_fields(text) if size == len(text) else None
        self._metadata = nested(answer, "metadata") if answer else first_object(text, "metadata") or {}
        self.work_seen = bool(text.strip()) and not (answer and "err_code" in answer)
        self.complete = bool(self._metadata)

    def outcome(self, *, input_bound: int) -> Metered:
        told = self._told()
        if told is not None:
            return Exact(told)
        return AtLeast(self.expected) if self.work_seen else Nothing()

    def _told(self) -> Usage | None:
        expected = self.expected
        infos = [nested(self._metadata, name) for name in self._metadata if name.endswith("_info")]
        tokens_in = sum(number(info, "input_tokens") for info in infos)
        tokens_out = sum(number(info, "output_tokens") for info in infos)
        duration_ms = millis(self._metadata, "duration")
        if duration_ms is None and (expected.audio_ms or not tokens_in):
            return None
        channels = 1
        if CHANNELS in expected.detail:
            channels = count(self._metadata.get("channels")) or expected.detail[CHANNELS]
        return Usage(
            audio_ms=(duration_ms or 0) * channels,
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            grade=expected.grade,
            detail={CHANNELS: channels} if channels > 1 else EMPTY,
        )


def grade_of(query: Query) -> str:
    """The options that cost more, as the price list calls them: `multi+diarize+redact`."""
    return "+".join((*(["multi"] if is_multilingual(query) else ()), *extras_of(query)))


def is_multilingual(query: Query) -> bool:
    """Whether any language may be spoken."""
    return query.text("language").lower() == "multi"


def extras_of(query: Query) -> list[str]:
    """The options that cost more, in the order of the price list. One said twice is on if either says so."""
    return [name for name in EXTRAS if query.is_on(name) or query.is_on(SAID_OTHERWISE.get(name, name))]


def features_of(query: Query) -> int:
    """How many features that are billed by the token are asked for."""
    return sum(query.is_on(name) for name in UNDERSTANDING)


def _channels(query: Query, unknown: int) -> int:
    """How many channels raw sound has: its sender says it. What else has, stands in the sound."""
    return query.number(CHANNELS, 1) if _raw_rate(query) is not None else unknown


def _raw_ms(query: Query, size: int) -> int | None:
    """What raw sound plays, None for sound in a container."""
    bytes_per_s = _raw_rate(query)
    return None if bytes_per_s is None or not size else -(-size * MS_PER_S // bytes_per_s)


def _raw_rate(query: Query) -> int | None:
    return raw_byte_rate(
        query.text("encoding"), query.number("sample_rate", RAW_RATE), query.number(CHANNELS, 1)
    )
