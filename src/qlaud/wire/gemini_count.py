"""The Gemini wire of `countTokens`, which costs nothing. See `types.Wire` for what each function guarantees."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from qlaud.core.demand import Demand
from qlaud.core.usage import Nothing
from qlaud.wire import errors
from qlaud.wire.body import Members, read_body, read_object
from qlaud.wire.gemini_names import MODELS, by_camel, check_model, check_query, list_error, spelled
from qlaud.wire.gemini_parts import Sent, note_contents
from qlaud.wire.splice import set_members
from qlaud.wire.taps import PlainTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap
from qlaud.wire.whole import WholeWire

WHOLE = "generateContentRequest"
"""The member that holds a whole request to be counted."""


@dataclass(frozen=True, slots=True)
class GeminiCountWire(WholeWire):
    """`POST /v1beta/models/{model}:countTokens`."""

    error_shape: str = "google"

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be counted, and for which model. Raises InvalidJson or BadRequest."""
        check_query(asked.query)
        members = read_body(asked.body)
        sent = Sent()
        _note(sent, members, asked.model)
        inner = read_object(members, spelled(members, WHOLE))
        if inner is not None:
            _note(sent, inner, asked.model)
        return ModelCall(
            model=asked.model,
            stream=False,
            demand=Demand(input_tokens=len(asked.body)),
            wants_usage=True,
            account_resource=sent.resource,
        )

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model put in where it repeats it."""
        if changes.model is None or b'"model"' not in body:
            return body
        members = read_body(body)
        named = {"model": msgspec.json.encode(MODELS + changes.model)}
        values: dict[str, bytes] = dict(named) if "model" in members else {}
        at = spelled(members, WHOLE)
        inner = read_object(members, at)
        if inner is not None:
            values[at] = set_members(bytes(members[at]), named, members=inner)
        return set_members(body, values, members=members)

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap that sees nothing: counting is free."""
        del call, strip_usage
        return PlainTap(Nothing(), head)

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(list_error(body))


def _note(sent: Sent, members: Members, model: str) -> None:
    check_model(members, model)
    fields: Mapping[str, Raw] = by_camel(members, "the body")
    if "contents" in fields:
        note_contents(sent, fields["contents"])
    if "cachedContent" in fields:
        sent.resource = "cachedContent"
