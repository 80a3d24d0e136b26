"""What the wires share whose calls have no output limit: speech, transcriptions, pages. See `types.Wire`.

Such a call is billed in characters, seconds, pages or credits. The most of it is known before the call leaves, so
nothing in the body has to be lowered or asked for: only the model's name may change on the way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from qlaud.core.demand import NOTHING_ELSE, Demand
from qlaud.core.errors import QlaudError
from qlaud.core.usage import AtLeast, Exact, Usage
from qlaud.wire.errors import error_json, provider_message
from qlaud.wire.splice import set_members
from qlaud.wire.taps import PlainTap
from qlaud.wire.types import AnswerHead, Changes, ModelCall, Tap
from qlaud.wire.whole import WholeReading


class Terms(Struct, frozen=True, gc=False):
    """What else a call says of its cost."""

    model_field: str = "model"
    input_tokens: int = 0
    """Of a text, at most, where a price list counts tokens."""
    instead: Mapping[str, int] = NOTHING_ELSE
    """The most, in other units, where a price list counts in those."""
    grade: str = ""
    unbounded: str | None = None
    """What makes the cost boundless."""
    account_resource: str | None = None


USUAL = Terms()


@dataclass(frozen=True, slots=True)
class UnitWire:
    """The part of a wire that is the same for all of them."""

    error_shape: str = "openai"
    takes_form: bool = False
    model_field: str = "model"
    """Where a JSON body or a form names the model; empty where neither does."""

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with another name of its model."""
        if changes.model is None or changes.model == call.model or not (body and call.model_field):
            return body
        return set_members(body, {call.model_field: msgspec.json.encode(changes.model)})

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """The error as one data event; sound has no place for one."""
        return b"data: %s\n\n" % error_json(self.error_shape, error, request_id)

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """No such stream runs out of output tokens."""
        return b""

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return provider_message(body)


def unit_call(
    model: str,
    most: Mapping[str, int],
    expected: Usage,
    *,
    stream: bool = False,
    terms: Terms = USUAL,
) -> ModelCall:
    """A call that costs at most `most`, and `expected` if nothing tells better."""
    return ModelCall(
        model=model,
        stream=stream,
        demand=Demand(
            input_tokens=terms.input_tokens,
            max_output=0,
            grade=terms.grade,
            most=most,
            instead=terms.instead,
            unbounded_tool=terms.unbounded,
        ),
        wants_usage=True,
        model_field=terms.model_field,
        account_resource=terms.account_resource,
        expected=expected,
    )


class UnitReading(WholeReading):
    """The part of a reading of such an answer that is the same for all that come whole."""

    def __init__(self, call: ModelCall) -> None:
        self.expected = call.expected or Usage()
        self.work_seen = False
        """There is an answer, and it is no error."""


def known_tap(call: ModelCall, head: AnswerHead, usage: Usage | None = None) -> Tap:
    """A tap for an answer whose cost is known when it begins: exactly `usage`, else what was expected, as an estimate.

    Sound goes on as it comes; a JSON body waits, so that its cost can be told.
    """
    metered = Exact(usage) if usage is not None else AtLeast(call.expected or Usage())
    return PlainTap(metered, head, as_it_comes=call.stream or b"json" not in head.content_type)
