"""The OpenAI Responses wire. See `types.Wire` for what each function guarantees."""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import errors, responses_request
from qlaud.wire.counts import Fields, read_fields
from qlaud.wire.responses_reading import ResponsesReading
from qlaud.wire.responses_request import LIMIT, TOOL_LIMIT
from qlaud.wire.splice import set_members
from qlaud.wire.taps import StreamTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class OpenAIResponsesWire:
    """`POST /v1/responses`, as spoken by OpenAI and by the vendors that copied it."""

    error_shape: str = "openai"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return responses_request.read_call(asked.body)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model, the output limit and the limit of tool calls put in where they differ."""
        values: dict[str, bytes] = {}
        if changes.model is not None and changes.model != call.model:
            values["model"] = msgspec.json.encode(changes.model)
        if changes.max_output is not None and changes.max_output != call.demand.max_output:
            values[LIMIT] = b"%d" % changes.max_output
        if changes.max_uses is not None and call.uncapped_tools:
            values[TOOL_LIMIT] = b"%d" % changes.max_uses
        return set_members(body, values) if values else body

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap; there is nothing to strip on this wire, usage is part of the format."""
        return tap_for(ResponsesReading(call), call, strip_usage=False, head=head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """`event: error`, flat as the provider sends it."""
        param = getattr(error, "param", None)
        fields: Fields = {"code": error.code, "message": error.message, "param": param}
        return _event("error", {**fields, "sequence_number": 0})

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """`response.incomplete` with `max_output_tokens`; its output was told by the events before it."""
        if not isinstance(tap, StreamTap) or not isinstance(tap.reading, ResponsesReading):
            return b""
        reading = tap.reading
        if reading.stopped:
            return b""
        response: Fields = {
            "id": "",
            "object": "response",
            "model": reading.call.model,
            "output": [],
            **(read_fields(reading.first) or {} if reading.first else {}),
            "status": "incomplete",
            "incomplete_details": {"reason": LIMIT},
            "usage": _usage_block(tap.output_floor, usage),
        }
        fields: Fields = {"sequence_number": reading.sequence_number + 1, "response": response}
        return _event("response.incomplete", fields)

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(body)


def _event(name: str, fields: Fields) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode({"type": name, **fields}))


def _usage_block(output_floor: int, usage: Usage | None) -> Fields:
    read = usage.prompt_tokens if usage is not None else 0
    cached = usage.cache_read_tokens + usage.cache_read_explicit_tokens if usage is not None else 0
    output = usage.output_tokens if usage is not None else output_floor
    reasoning = usage.reasoning_tokens if usage is not None else 0
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": read + output,
    }
