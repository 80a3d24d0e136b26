"""What a live surface (a WebSocket) gives to the flow that owns its money: a meter.

A session has no request and no answer, so its money is held in slices. The meter says what must be covered before a
frame goes on (`offer`, `need`), reads the provider's messages (`seen`), and hands out what was used since it was last
asked (`take`). Invariant: the sum of all takes is what the provider says the session cost, and nothing is in two of
them. A meter changes no frame but those that carry a credential. Pure: no clock; time that passed is told to it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct, field

from qlaud.core.demand import NOTHING_ELSE
from qlaud.core.errors import BadRequest, QlaudError
from qlaud.core.usage import Metered
from qlaud.wire.body import is_null, read_members
from qlaud.wire.counts import UNREADABLE, Fields, read_fields

Frame = str | bytes
"""One message: text or binary."""

MS_PER_S = 1000
ESCAPE = "\\u"
"""In a message that may spell a name in another way."""


class LiveTerms(Struct, frozen=True, gc=False):
    """What a meter must know of the deployment and of the model."""

    slice_ms: int
    """How much is held ahead, in time of audio."""
    max_output: int = 0
    """The most output tokens one answer of the model may have."""
    context_window: int | None = None
    model: str = ""
    """As its provider calls it."""


class Need(Struct, frozen=True, gc=False):
    """What must be held for all that may still be billed and is not settled, at the dearest of its rates."""

    input_tokens: int = 0
    output_tokens: int = 0
    most: Mapping[str, int] = field(default_factory=lambda: NOTHING_ELSE)
    """By the names of `core.usage`."""
    grade: str = ""
    """As in `core.demand`."""
    unbounded_tool: str | None = None
    """A tool of the provider's whose cost nobody can bound: not for keys with a cap."""


class Meter(Protocol):
    """One session's money, as far as its frames tell. Never raises on what either side sends."""

    @property
    def countable(self) -> bool:
        """Whether all that was sent can be settled by count now, should no money be left for waiting."""
        ...

    @property
    def ready(self) -> bool:
        """Whether there is something to settle that the provider has told, or nobody will tell better."""
        ...

    @property
    def due(self) -> bool:
        """Whether to settle now, not only when the slice is used up."""
        ...

    def offer(self, frame: Frame) -> None:
        """Count a frame of the caller that is about to go on."""
        ...

    def sent(self) -> None:
        """The frame offered last goes on. Until then it needs money, but is not used."""
        ...

    def withdraw(self) -> None:
        """The frame offered last does not go on."""
        ...

    def seen(self, frame: Frame) -> bool:
        """Read a frame of the provider; whether it said something about money."""
        ...

    def passed(self, elapsed_ms: int) -> None:
        """The session is this old. Matters where connected time is billed."""
        ...

    def need(self, *, ahead: bool) -> Need:
        """What must be held now; `ahead` adds a slice of room."""
        ...

    def take(self, *, everything: bool = False) -> Metered:
        """What was used since the last take. `everything` that was sent, by count where nothing better is known."""
        ...

    def end(self, *, clean: bool) -> Metered:
        """What was used since the last take, now that no frame follows. `clean`: the provider ended by itself."""
        ...

    def farewell(self) -> Sequence[Frame]:
        """What to send a provider so that it ends, and says what it billed, when the caller is gone."""
        ...

    @property
    def told_all(self) -> bool:
        """Whether the provider has said all there is to say about money, so that nobody need wait for more."""
        ...

    @property
    def refused(self) -> QlaudError | None:
        """Why the frame offered last may not go on: nobody could say what it costs."""
        ...

    @property
    def foreign(self) -> str | None:
        """The field by which the frame offered last names something of the operator's account at the provider."""
        ...

    @property
    def second(self) -> "tuple[str, SecondMeter] | None":
        """The name and the meter of another model that works in this session too, on its own bill."""
        ...


class SecondMeter(Protocol):
    """A meter that is fed by the first."""

    by_time: bool
    """Whether its model bills time, and not tokens. Set by whoever knows its price."""

    @property
    def countable(self) -> bool:
        """As Meter."""
        ...

    @property
    def ready(self) -> bool:
        """As Meter."""
        ...

    @property
    def due(self) -> bool:
        """As Meter."""
        ...

    def need(self, *, ahead: bool) -> Need:
        """As Meter."""
        ...

    def take(self, *, everything: bool = False) -> Metered:
        """As Meter."""
        ...

    def end(self, *, clean: bool) -> Metered:
        """As Meter."""
        ...


def mentions(frame: str, names: Sequence[str]) -> bool:
    """Whether a message holds one of these, before anything is parsed."""
    return max(map(frame.rfind, names)) >= 0  # finds nothing in half the time of `in`


def said_in(frame: Frame, name: str) -> str:
    """The string `name` of a caller's JSON message; empty where there is none.

    The whole message where its provider might find another one than we do: a name that stands twice, JSON that some
    readers take and others do not. What is counted is then never less than what is used.
    """
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    if f'"{name}"' not in text and ESCAPE not in text:
        return ""
    try:
        value = read_members(text.encode(), "a message").get(name)
        if value is None or is_null(value):
            return ""
        return msgspec.json.decode(value, type=str)
    except (*UNREADABLE, UnicodeEncodeError, BadRequest):
        return text


def heard_in(frame: Frame) -> Fields | None:
    """A caller's JSON message; None where its provider might read another one than we do."""
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    try:
        read_members(text.encode(), "a message")
    except (*UNREADABLE, UnicodeEncodeError, BadRequest):
        return None
    return read_fields(text.encode())
