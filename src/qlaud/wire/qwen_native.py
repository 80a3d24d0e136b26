"""DashScope's native wires: generation (text, and what is asked on the same path) and speech. See `types.Wire`."""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import qwen_request
from qlaud.wire.body import is_null, read_body
from qlaud.wire.counts import Fields, nested, objects
from qlaud.wire.errors import error_json, provider_message
from qlaud.wire.qwen_reading import QwenReading
from qlaud.wire.splice import set_members
from qlaud.wire.taps import StreamTap, tap_for
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class QwenGenerationWire:
    """`POST …/text-generation/generation` and `…/multimodal-generation/generation`."""

    error_shape: str = "qwen"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return qwen_request.read_call(asked)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with another model, or with an output limit among its parameters."""
        members = read_body(body)
        values: dict[str, bytes] = {}
        if changes.model is not None and changes.model != call.model:
            values["model"] = msgspec.json.encode(changes.model)
        if changes.max_output is not None and changes.max_output != call.demand.max_output:
            given = members.get("parameters")
            text = b"{}" if given is None or is_null(given) else bytes(given)
            values["parameters"] = set_members(text, {qwen_request.LIMIT: b"%d" % changes.max_output})
        return set_members(body, values, members=members) if values else body

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """Usage comes unasked, with every frame."""
        return tap_for(QwenReading(call), call, strip_usage=False, head=head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """An event called `error`, with the status in a comment, as the provider writes it."""
        body = error_json(self.error_shape, error, request_id)
        return b"event:error\n:HTTP_STATUS/%d\ndata:%s\n\n" % (error.status, body)

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """The last frame once more, ended by its length: without text where frames hold only what is new."""
        if not isinstance(tap, StreamTap) or not isinstance(tap.reading, QwenReading):
            return b""
        last = tap.reading.last
        if not last or tap.reading.complete:
            return b""
        frame = {**last, "output": _ended(nested(last, "output"), keep_text=not tap.reading.shrinks)}
        return b"event:result\n:HTTP_STATUS/200\ndata:%s\n\n" % msgspec.json.encode(frame)

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return provider_message(body)


@dataclass(frozen=True, slots=True)
class QwenSpeechWire(QwenGenerationWire):
    """`POST …/tts/SpeechSynthesizer`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be spoken. Raises InvalidJson or BadRequest."""
        return qwen_request.read_speech(asked)


def _ended(output: Fields, *, keep_text: bool) -> Fields:
    text = {} if keep_text else {"text": ""}
    if "choices" not in output:
        return {**output, **text, "finish_reason": "length"}
    choices = objects(output, "choices")
    if not keep_text:
        choices = [{**choice, "message": {**nested(choice, "message"), "content": ""}} for choice in choices]
    return {**output, "choices": [{**choice, "finish_reason": "length"} for choice in choices]}
