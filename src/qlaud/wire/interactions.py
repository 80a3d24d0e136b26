"""The wire of Google's Interactions API. See `types.Wire` for what each function guarantees."""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import errors, interactions_request
from qlaud.wire.body import read_body
from qlaud.wire.gemini_names import list_error
from qlaud.wire.interactions_reading import InteractionReading
from qlaud.wire.splice import set_members
from qlaud.wire.taps import StreamTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class InteractionsWire:
    """`POST /v1/interactions`."""

    error_shape: str = "google"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return interactions_request.read_call(asked)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model and the output limit put in where they differ."""
        values: dict[str, bytes] = {}
        if changes.model is not None and changes.model != call.model:
            values["model"] = msgspec.json.encode(changes.model)
        limit = changes.max_output if changes.max_output != call.demand.max_output else None
        if limit is None and not values:
            return body
        members = read_body(body)
        if limit is not None:
            values |= interactions_request.limit_edits(members, limit)
        return set_members(body, values, members=members)

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap; usage is part of the format, so nothing is stripped."""
        return tap_for(InteractionReading(call, head), call, strip_usage=False, head=head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """An `error` event: `{"event_type":"error","error":{"code","message"}}`."""
        return _event("error", {"error": {"code": error.code, "message": error.message}})

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """The end of the open step, and an interaction that is `incomplete`."""
        if not isinstance(tap, StreamTap) or not isinstance(tap.reading, InteractionReading):
            return b""
        reading = tap.reading
        if reading.complete:
            return b""
        interaction = {
            "id": reading.id,
            "model": reading.model,
            "object": "interaction",
            "status": "incomplete",
            "usage": _usage_block(tap.output_floor, usage),
        }
        stop = b"" if reading.open_step is None else _event("step.stop", {"index": reading.open_step})
        return stop + _event("interaction.completed", {"interaction": interaction})

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(list_error(body))


def _usage_block(output_floor: int, usage: Usage | None) -> dict[str, int]:
    if usage is None:
        return {"total_output_tokens": output_floor, "total_tokens": output_floor}
    media = usage.audio_out_tokens + usage.image_out_tokens + usage.video_out_tokens
    output = usage.output_tokens - usage.reasoning_tokens + media
    return {
        "total_input_tokens": usage.prompt_tokens,
        "total_cached_tokens": usage.cache_read_tokens,
        "total_output_tokens": output,
        "total_thought_tokens": usage.reasoning_tokens,
        "total_tokens": usage.prompt_tokens + output + usage.reasoning_tokens,
    }


def _event(name: str, fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode({"event_type": name, **fields}))
