"""The provider's own books: one entry for every request it received, with what it bills for it.

Input is billed on arrival, output as it is generated, until the provider notices that the other side has hung up.
Nothing here knows the gateway; the audit compares.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from bench.prove.answers import Answer, Asked, Piece
from bench.prove.prices import MODELS, Used, exact_picos
from bench.prove.scripts import Script

Told = Literal["no", "perhaps", "yes"]


@dataclass(slots=True)
class Entry:
    """One request in the books."""

    tag: str
    script: Script
    model: str
    limit: int
    """The output limit in the body that arrived."""
    stream: bool
    arrived_s: float
    used: Used
    """What is billed now; grows while tokens are generated."""
    told: Told = "no"
    """Whether the provider's own final usage has left, whole, on a connection that stood."""
    ended: bool = False
    left_early: bool = False
    """The gateway hung up before the script was through."""
    silence_s: float = 0.0
    """How long the provider had sent nothing when the gateway hung up."""
    lasted_s: float = 0.0
    """From its arrival to its end."""
    gone_ms: int = 0
    """When it was over, by the clock that the callers have."""
    pieces: tuple[Piece, ...] = ()

    @property
    def picos(self) -> int:
        """The bill, exact."""
        return exact_picos(MODELS[self.model], self.used)


@dataclass(slots=True)
class Books:
    """All entries by tag; more than one entry for a tag is a call that was sent twice."""

    scripts: dict[str, Script] = field(default_factory=dict[str, Script])
    entries: dict[str, list[Entry]] = field(default_factory=dict[str, list[Entry]])
    strangers: list[bytes] = field(default_factory=list[bytes])
    """Requests that carried no tag the books know."""
    past: set[str] = field(default_factory=set[str])
    """Tags that were audited: what still arrives for one was given up by its gateway before it was read."""
    late: int = 0

    def open(self, tag: str, asked: Asked, now_s: float) -> Entry:
        """Book the arrival: the input is billed from here on, unless the script refuses the call."""
        script = self.scripts[tag]
        nothing = Used(context=asked.context)
        entry = Entry(tag, script, asked.model.name, asked.limit, asked.stream, now_s, nothing)
        self.entries.setdefault(tag, []).append(entry)
        return entry

    def forget(self, tags: list[str]) -> None:
        """Drop what was audited."""
        for tag in tags:
            self.scripts.pop(tag, None)
            self.entries.pop(tag, None)
        self.past.update(tags)


def generate(entry: Entry, answer: Answer, piece: Piece | None) -> None:
    """Bill the input and the output generated when `piece` leaves; None: the input alone."""
    output = 0 if piece is None else min(piece.generated, answer.used.output)
    if output >= entry.used.output or not entry.used.prompt:
        entry.used = replace(answer.used, output=output)


def end(entry: Entry, answer: Answer | None, *, whole: bool) -> None:
    """Close the entry. `whole`: everything was generated; else what ran ahead of the last write is added."""
    if entry.ended:
        return
    entry.ended = True
    if answer is None:
        return
    most = answer.used.output
    output = most if whole else min(most, entry.used.output + entry.script.run_ahead)
    entry.used = replace(answer.used, output=output)
