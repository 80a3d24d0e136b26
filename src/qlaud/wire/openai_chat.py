"""The OpenAI Chat Completions wire. See `types.Wire` for what each function guarantees."""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import errors, openai_request
from qlaud.wire.body import Members, is_null, read_body, read_whole
from qlaud.wire.openai_reading import OpenAIReading
from qlaud.wire.splice import set_members
from qlaud.wire.taps import StreamTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class OpenAIChatWire:
    """`POST /v1/chat/completions`, as spoken by OpenAI and by the vendors that copied it."""

    error_shape: str = "openai"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return openai_request.read_call(asked.body)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model, the output limit and `include_usage` put in where they differ."""
        values: dict[str, bytes] = {}
        renames: dict[str, str] = {}
        if changes.model is not None and changes.model != call.model:
            values["model"] = msgspec.json.encode(changes.model)
        ask_usage = changes.include_usage and call.stream and not call.wants_usage
        limit = changes.max_output
        if limit == call.demand.max_output and call.limit_fields == (changes.limit_field,):
            limit = None
        if limit is None and not ask_usage and not values:
            return body
        members = read_body(body)
        if limit is not None:
            limits, renames = _limits(members, call, changes.limit_field, limit)
            values |= limits
        if ask_usage:
            options = members.get("stream_options")
            text = b"{}" if options is None or is_null(options) else bytes(options)
            values["stream_options"] = set_members(text, {"include_usage": b"true"})
        return set_members(body, values, renames=renames, members=members)

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap. Stripping hides an event with usage and no choices, and nothing else.

        Usage in a chunk that also has choices (DeepSeek, Mistral, xAI) stays: it is part of the content. So does
        the `"usage":null` that other chunks carry once usage was asked for; clients that did not ask ignore it.
        """
        return tap_for(OpenAIReading(call), call, strip_usage=strip_usage, head=head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """`{"error":{"message","type","param","code"}}` as one data event. No `[DONE]` follows."""
        return b"data: %s\n\n" % msgspec.json.encode(errors.openai_error(error))

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """A chunk with `finish_reason: length` for every choice, the usage chunk if asked for, `[DONE]`."""
        if not isinstance(tap, StreamTap) or not isinstance(tap.reading, OpenAIReading):
            return b""
        reading = tap.reading
        if reading.stopped:
            return b""
        call = reading.call
        head = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": call.model,
            **reading.first,
        }
        choices: list[dict[str, object]] = [
            {"index": index, "delta": {}, "finish_reason": "length"}
            for index in range(call.demand.candidates)
        ]
        parts = [b"data: %s\n\n" % msgspec.json.encode({**head, "choices": choices})]
        if call.wants_usage:
            counts = _usage_block(tap.output_floor, usage)
            parts.append(b"data: %s\n\n" % msgspec.json.encode({**head, "choices": [], "usage": counts}))
        return b"".join((*parts, DONE))

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(body)


def _limits(
    members: Members, call: ModelCall, field: str, limit: int
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Values and renames after which no output limit in the body is above `limit`, and the host's field stands."""
    given = {name: read_whole(members, name, least=1) or limit for name in call.limit_fields}
    values = {name: b"%d" % min(own, limit) for name, own in given.items()}
    if field in given or not given:
        return values or {field: b"%d" % limit}, {}
    if field in members:  # it stands there as null: fill it, and let the other be null
        return {field: b"%d" % limit, **dict.fromkeys(given, b"null")}, {}
    first, *rest = given
    return {field: b"%d" % limit, **dict.fromkeys(rest, b"null")}, {first: field}


def _usage_block(output_floor: int, usage: Usage | None) -> dict[str, int]:
    prompt = usage.prompt_tokens if usage is not None else 0
    output = usage.output_tokens + usage.audio_out_tokens if usage is not None else output_floor
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
