"""What wires and readings share whose answers come whole: there is no stream, so nothing is written into one."""

from dataclasses import dataclass

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire.errors import provider_message
from qlaud.wire.splice import set_members
from qlaud.wire.types import Changes, ModelCall, Tap


@dataclass(frozen=True, slots=True)
class WholeWire:
    """The part of a wire without streams that is the same for all of them. See `types.Wire`."""

    error_shape: str = "openai"
    takes_form: bool = False

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model put in where it differs."""
        if changes.model is None or changes.model == call.model:
            return body
        return set_members(body, {"model": msgspec.json.encode(changes.model)})

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """Empty: there is no stream."""
        return b""

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """Empty: there is no stream."""
        return b""

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return provider_message(body)


class WholeReading:
    """The part of a `taps.Reading` that is the same for all answers that come whole."""

    output_floor = 0
    started = False
    complete = False

    def plain(self, events: bytes) -> bool:
        """There are no events."""
        return True

    def event(self, text: bytes) -> bool:
        """There are no events."""
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """There are no events."""
