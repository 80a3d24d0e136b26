"""What a trial is: one vendor's SDK, doing with one provider what its users do, and what each deed must cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.sdk.sdks import Name
from tests.support.fake_provider import Answer, Gate

TOOL_CALL = ["get", {"q": 1}]
"""The name and the arguments that every fake calls a tool with."""
CAP = "this API key has reached its spending cap"

Cost = int | Callable[[int], tuple[int, ...]]
"""Micros. Where the hour decides: what it may be at a moment, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do with the SDK, what it must show and what it costs."""

    name: str
    args: Mapping[str, Any]
    shown: Any
    cost: Cost
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the usage event must say besides."""
    estimated: bool = False
    """Whether the provider tells no usage, so that what was sent is measured instead."""

    def costs(self, at_ms: int) -> tuple[int, ...]:
        """What it may cost at that moment."""
        return (self.cost,) if isinstance(self.cost, int) else self.cost(at_ms)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that the provider answers with, and what the SDK makes of it."""

    answer: Answer
    status: int
    kind: str
    """The class that the SDK raises."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A call that is hung up in the middle."""

    deed: Deed
    script: Callable[[Gate], Answer]
    """An answer that waits at the gate after its first piece."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An SDK and a provider."""

    provider: str
    modality: str
    sdk: Name
    path: str
    """The base URL below the gateway, as the SDK is given it."""
    own_path: str
    """Below the provider."""
    cap_kind: str
    """The class that the SDK raises for a 402."""
    call: Deed
    stream: Deed | None = None
    tools: Deed | None = None
    streamed_tools: Deed | None = None
    refusal: Refusal | None = None
    cancel: Cancel | None = None
    left: Deed | None = None
    """A job that is begun and never asked for."""
    more: Sequence[Deed] = ()
    """Further deeds, each a call."""
    has_cap: bool = True
    """False where nothing bounds a call, so that keys with a cap may not make it at all."""
    warm_up: int = 0
    """Requests that the SDK makes by itself before a call."""

    @property
    def name(self) -> str:
        return " ".join((self.provider, self.modality, *self.sdk))
