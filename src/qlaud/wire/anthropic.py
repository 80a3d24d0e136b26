"""The Anthropic Messages wire. See `types.Wire` for what each function guarantees."""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import anthropic_request, errors
from qlaud.wire.anthropic_reading import AnthropicReading
from qlaud.wire.body import read_body
from qlaud.wire.splice import set_in_items, set_members
from qlaud.wire.taps import StreamTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class AnthropicWire:
    """`POST /v1/messages`, as spoken by Anthropic and by the vendors that copied it."""

    error_shape: str = "anthropic"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return anthropic_request.read_call(asked.body)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model, `max_tokens` and `max_uses` put in where they differ."""
        values: dict[str, bytes] = {}
        if changes.model is not None and changes.model != call.model:
            values["model"] = msgspec.json.encode(changes.model)
        if changes.max_output is not None and changes.max_output != call.demand.max_output:
            values["max_tokens"] = b"%d" % changes.max_output
        if changes.max_uses is not None and call.uncapped_tools:
            uses = {"max_uses": b"%d" % changes.max_uses}
            tools = bytes(read_body(body)["tools"])
            values["tools"] = set_in_items(tools, dict.fromkeys(call.uncapped_tools, uses))
        return set_members(body, values) if values else body

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap; there is nothing to strip on this wire, usage is part of the format."""
        return tap_for(AnthropicReading(call), call, strip_usage=False, head=head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """`event: error` with `{"type":"error","error":{...},"request_id":...}`."""
        return _event("error", errors.anthropic_error(error, request_id))

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """The end of the open block, `message_delta` with `max_tokens`, `message_stop`."""
        if not isinstance(tap, StreamTap) or not isinstance(tap.reading, AnthropicReading):
            return b""
        reading = tap.reading
        if reading.stopped:
            return b""
        parts: list[bytes] = []
        if reading.open_block is not None:
            parts.append(_event("content_block_stop", {"index": reading.open_block}))
        counts: dict[str, object] = {"output_tokens": tap.output_floor}
        if usage is not None:
            counts = {
                "input_tokens": usage.input_tokens,
                "cache_creation_input_tokens": usage.cache_write_tokens,
                "cache_read_input_tokens": usage.cache_read_tokens,
                "output_tokens": usage.output_tokens,
            }
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        parts.append(_event("message_delta", {"delta": delta, "usage": counts}))
        parts.append(_event("message_stop", {}))
        return b"".join(parts)

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(body)


def _event(name: str, fields: dict[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode({"type": name, **fields}))
