"""Wires whose calls begin jobs: what they give to the flow that follows a job, and what they have in common.

The record of a job is read over and over until it says how the job ended; nothing in it raises. What a job cost
stands in the record itself or, for many calls at once, line by line in an answer of its own. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from qlaud.core.demand import as_asked
from qlaud.core.usage import AtLeast, Begun, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import Fields, read_fields
from qlaud.wire.taps import BodyTap, PlainTap
from qlaud.wire.types import ANSWERED, AnswerHead, ModelCall, Tap
from qlaud.wire.whole import WholeReading, WholeWire


class Waiting(Struct, frozen=True, gc=False):
    """The job runs."""


class Gone(Struct, frozen=True, gc=False):
    """The provider does not know the job."""


class Unreadable(Struct, frozen=True, gc=False):
    """An answer that says nothing about the job."""


class Ended(Struct, frozen=True, gc=False):
    """The job is over, and this is what it used. `Nothing`: it failed, and costs nothing."""

    metered: Exact | AtLeast | Nothing


class Elsewhere(Struct, frozen=True, gc=False):
    """The job is over, and what it used stands in the lines of another answer."""

    path: str
    """Below the provider's base path."""
    least_lines: int = 0
    """How many of the lines cost something, as far as the record says: fewer are not the whole answer."""


Progress = Waiting | Gone | Unreadable | Ended | Elsewhere


class Line(Struct, frozen=True, gc=False):
    """One of many calls of a job."""

    model: str
    """As the provider answers it."""
    usage: Usage | None
    """None: it was used, and nobody can read how much."""


class JobRule(Protocol):
    """What a wire knows of the jobs its calls begin. A wire whose tap says `Begun` has one."""

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a record says. `planned` is what the job was to use, for what the record leaves open."""
        ...

    def line(self, text: bytes) -> Line | None:
        """What one line of `Elsewhere` used; None where it cost nothing."""
        ...

    def job_in(self, answer: bytes) -> str:
        """The id of the job that an answer began, "" where there is none."""
        ...

    def for_caller(self, record: bytes, ours: str) -> bytes:
        """A record as callers get it: addresses in it that lead to the provider itself begin with `ours` instead."""
        ...


Find = Callable[[Fields], str | None]
"""The id of the job that an answer began; "" where it began none, None where it does not say."""


class JobReading(WholeReading):
    """Reads the answer to a call that begins a job."""

    def __init__(self, planned: Usage, find: Find) -> None:
        self._planned, self._find = planned, find
        self._job: str | None = ""

    def body(self, text: bytes, size: int) -> None:
        """The whole answer. One that cannot be read may have begun the job."""
        fields = read_fields(text)
        self._job = self._find(fields) if fields is not None else None if size else ""
        self.complete = bool(self._job)

    def outcome(self, *, input_bound: int) -> Metered:
        """The job, or what it would have used where its id cannot be read."""
        if self._job is None:
            return AtLeast(self._planned)
        return Begun(self._job, self._planned) if self._job else Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWire(WholeWire):
    """What every wire of jobs does alike: one JSON answer, whose only news is the job's id."""

    find: Find

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap over the answer."""
        if head.status >= 300:
            return PlainTap(Nothing(), head)
        planned = call.expected or as_asked(call.demand, call.demand.input_tokens)
        return BodyTap(JobReading(planned, self.find))

    def line(self, text: bytes) -> Line | None:
        """There are no lines."""
        return None

    def job_in(self, answer: bytes) -> str:
        """The id of the job that an answer began, "" where there is none."""
        fields = read_fields(answer)
        return (self.find(fields) or "") if fields is not None else ""

    def for_caller(self, record: bytes, ours: str) -> bytes:
        """The record as it is."""
        return record
