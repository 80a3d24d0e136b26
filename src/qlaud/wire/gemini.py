"""The Gemini wire: `generateContent` and `streamGenerateContent`. See `types.Wire` for what each function guarantees.

The model stands in the path, so does whether the answer streams; `alt=sse` decides how. Nothing of ours is ever put
between the events of a stream that goes on: google-genai 3.4.0 fails on comments and names of events.
"""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import errors, gemini_request
from qlaud.wire.array_tap import ArrayTap, inserted
from qlaud.wire.body import read_body
from qlaud.wire.gemini_names import MODELS, list_error
from qlaud.wire.gemini_reading import GeminiReading
from qlaud.wire.splice import set_members
from qlaud.wire.taps import StreamTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class GeminiWire:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    error_shape: str = "google"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return gemini_request.read_call(asked)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the output limit put in where it differs, and the model where the body repeats it."""
        values: dict[str, bytes] = {}
        limit = changes.max_output if changes.max_output != call.demand.max_output else None
        if limit is None and (changes.model is None or b'"model"' not in body):
            return body
        members = read_body(body)
        if changes.model is not None and "model" in members:
            values["model"] = msgspec.json.encode(MODELS + changes.model)
        if limit is not None:
            values |= gemini_request.limit_edits(members, limit)
        return set_members(body, values, members=members)

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap; usage is part of the format, so nothing is stripped. A JSON answer to a stream is an array."""
        reading = GeminiReading(call, head)
        if call.stream and b"json" in head.content_type:
            return ArrayTap(reading)
        return tap_for(reading, call, strip_usage=False, head=head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """`{"error":{"code","message","status","details"}}` as one data event."""
        return _event(errors.google_error(error))

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """A last chunk: `MAX_TOKENS` for every candidate, and the usage."""
        if not isinstance(tap, StreamTap | ArrayTap) or not isinstance(tap.reading, GeminiReading):
            return b""
        reading = tap.reading
        if reading.complete:
            return b""
        content = {"role": "model", "parts": [{"text": ""}]}
        chunk: dict[str, object] = {
            "candidates": [
                {"content": content, "finishReason": "MAX_TOKENS", "index": index}
                for index in sorted(reading.indexes or {0})
            ],
            "usageMetadata": _usage_block(tap.output_floor, usage),
        }
        names = {"modelVersion": reading.model, "responseId": reading.response_id}
        chunk |= {name: value for name, value in names.items() if value}
        return inserted(tap, _event(chunk))

    def error_message(self, body: bytes) -> str:
        """The provider's sentence; an error may stand in a list."""
        return errors.provider_message(list_error(body))


def _usage_block(output_floor: int, usage: Usage | None) -> dict[str, int]:
    """`usageMetadata` in Google's terms."""
    if usage is None:
        counts = {"candidatesTokenCount": output_floor}
    else:
        media = usage.audio_out_tokens + usage.image_out_tokens + usage.video_out_tokens
        counts = {
            "promptTokenCount": usage.prompt_tokens,
            "cachedContentTokenCount": usage.cache_read_tokens,
            "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens + media,
            "thoughtsTokenCount": usage.reasoning_tokens,
        }
    total = sum(counts.values()) - counts.get("cachedContentTokenCount", 0)
    return {**{name: value for name, value in counts.items() if value}, "totalTokenCount": total}


def _event(value: object) -> bytes:
    return b"data: %b\r\n\r\n" % msgspec.json.encode(value)
