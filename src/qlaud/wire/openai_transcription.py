"""The wires of `POST /v1/audio/transcriptions` and `/translations`: OpenAI, Groq, Mistral. See `types.Wire`.

Some models cost by the minute, some by the token; which it is, the price list knows, so both are held for. The answer
says what was billed: `usage` of type `tokens` or `duration` (OpenAI), `prompt_audio_seconds` (Mistral), or no more
than the `duration` of the audio (Groq's verbose form, xAI). Text, subtitles and the plain JSON of some say nothing:
there the playing time that was read from the file counts, as an estimate (providers.md, A.2, D 66 to 68).
"""

from dataclasses import dataclass

from qlaud.core.usage import Usage
from qlaud.wire.audio_upload import MS_PER_S, form_of, held_ms, likely_ms
from qlaud.wire.taps import BodyTap, StreamTap
from qlaud.wire.transcription_reading import TranscriptionReading
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import Terms, UnitWire, unit_call

AUDIO_TOKENS_PER_S = 25
"""At most. OpenAI counts ten a second of audio."""
TEXT_TOKENS_PER_S = 25
"""At most. Fast speech has five words a second; times and speakers come on top."""
USUAL_AUDIO_TOKENS_PER_S = 10
USUAL_TEXT_TOKENS_PER_S = 4
FRAME_TOKENS = 256


@dataclass(frozen=True, slots=True)
class TranscriptionWire(UnitWire):
    """Speech to text, by the minute or by the token."""

    takes_form: bool = True

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be written down, by which model. Raises BadRequest."""
        form = form_of(asked)
        most_ms, played_ms = held_ms(asked), likely_ms(asked)
        most_s, played_s = -(-most_ms // MS_PER_S), -(-played_ms // MS_PER_S)
        text = sum(len(value) for values in form.fields.values() for value in values) + FRAME_TOKENS
        tokens = Usage(
            audio_in_tokens=played_s * USUAL_AUDIO_TOKENS_PER_S,
            output_tokens=played_s * USUAL_TEXT_TOKENS_PER_S,
        )
        most_tokens = {
            "audio_in_tokens": most_s * AUDIO_TOKENS_PER_S,
            "output_tokens": most_s * TEXT_TOKENS_PER_S + FRAME_TOKENS,
        }
        return unit_call(
            (form.text("model") if self.model_field else None) or asked.model,
            {"audio_ms": most_ms},
            Usage(audio_ms=played_ms, instead=tokens),
            stream=form.flag("stream"),
            terms=Terms(
                self.model_field,
                input_tokens=text,
                instead=most_tokens,
                account_resource="file_id" if "file_id" in form.fields else None,
            ),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Events and JSON are read for their usage; text has none."""
        reading = TranscriptionReading(call)
        if b"event-stream" in head.content_type:
            return StreamTap(reading, strip_usage=False)
        return BodyTap(reading, keep_head=True)
