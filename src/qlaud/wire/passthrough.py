"""A path without a metering rule, relayed unread for whoever may use it (contract, section 10).

Nothing is known of what it costs: the event says so (`price_version: "unpriced"`), and the ledger refuses it where
money is bounded. Used for what a provider offers beside the wires.
"""

from dataclasses import dataclass

from qlaud.core.demand import Demand
from qlaud.core.errors import QlaudError
from qlaud.core.usage import Exact, Usage
from qlaud.wire import errors
from qlaud.wire.taps import PlainTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class PassthroughWire:
    """Any method, any body, any answer."""

    error_shape: str
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """A call of the path itself: there is no model."""
        return ModelCall(model=asked.model, stream=False, demand=Demand(0), wants_usage=True)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """`body`."""
        del call, changes
        return body

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap that sees nothing."""
        del call, strip_usage
        return PlainTap(Exact(Usage()), head)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """None: what streams here is not known."""
        del error, request_id
        return b""

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """None either."""
        del tap, usage
        return b""

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(body)
