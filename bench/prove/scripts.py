"""What the provider will do with one call, drawn from a seed before the call is made.

A `Script` says how much the model wants to write, how the tokens are split and told, how the bytes leave, and what
goes wrong. `faults` names the ways a provider can lie or fail; a plan without one is an honest provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

REFUSALS = (400, 401, 404, 429, 500, 503, 529)
FAULTS = (
    "cut",  # the connection is closed at any byte
    "reset",  # the same, with a reset
    "stall",  # silence from any byte on
    "no_answer",  # closed before a byte of the answer
    "no_head",  # silence before a byte of the answer
    "error_event",  # 200, some content, then an error event
    "error_first",  # 200, and the first event is an error
    "refused",  # 4xx, 5xx or 529 that costs nothing
    "refused_billed",  # 5xx whose body tells the usage it is billed for
    "refused_silent",  # 5xx that is billed and tells nobody
    "usage_missing",
    "usage_garbled",  # the event with the usage is not JSON
    "runs_on",  # output past the limit, in content and in usage
    "runs_on_hidden",  # output past the limit that shows only in the last usage
    "runs_on_silent",  # output past the limit, and then no usage
    "expands",  # more input than any estimate: what server-side tools read
)
HONEST_QUIRKS = (
    "usage_last_only",
    "usage_shrinks",
    "usage_strings",
    "terminal_twice",
    "noise",
    "gzip",
    "tiny_chunks",
    "unsized",
)
UNTOLD = frozenset(
    {"cut", "reset", "stall", "no_answer", "no_head", "error_event", "usage_missing", "usage_garbled"}
    | {"runs_on_silent", "runs_on"}
)
"""Faults after which the gateway may have to estimate."""
PAST_LIMIT = frozenset({"runs_on", "runs_on_hidden", "runs_on_silent"})
BROKEN_CONTRACT = PAST_LIMIT | {"expands"}
"""Faults in which the provider bills beyond the limits it was given: no hold can cover them."""


ONE_BY_ONE = 1_000_000
"""As `pieces`: every token is an event of its own."""
MOST_EVENTS = 8_000
BURST = 50


@dataclass(frozen=True, slots=True)
class Script:
    """One answer, before it happens."""

    wanted: int
    """Output tokens the model would write, over all candidates."""
    visible_pct: int
    """Of those, how many the client sees; the rest is hidden reasoning."""
    read_pct: int
    write_pct: int
    mapping: str
    """How text becomes tokens."""
    downgraded: bool
    """The answer is served in the standard tier although another was asked for."""
    text_kind: str
    pieces: int
    """Into how many writes the content is parted."""
    pause_ms: int
    """Between two of them, or between two bursts of many."""
    think_ms: int
    """Before the first byte."""
    run_ahead: int
    """Tokens generated that were not written yet when a hang-up is noticed."""
    deaf: bool
    """It never notices a hang-up while it answers in one piece: everything is generated and billed."""
    fault: str | None = None
    at_permille: int = 0
    """Where in the bytes of the answer the fault happens."""
    status: int = 200
    extra: int = 0
    """Tokens beyond the limit or the input, for the faults that have some."""
    quirks: frozenset[str] = frozenset()

    @property
    def burst(self) -> int:
        """How many pieces leave without a pause."""
        return BURST if self.pieces == ONE_BY_ONE else max(1, self.pieces // 20)

    @property
    def keeps_limits(self) -> bool:
        """Whether the provider bills no more than it was allowed."""
        return self.fault not in BROKEN_CONTRACT


@dataclass(frozen=True, slots=True)
class Temper:
    """How bad a provider is."""

    fault_pct: int = 25
    quirk_pct: int = 30
    faults: Sequence[str] = FAULTS
    slow_pct: int = 30
    most_tokens: int = 4_000
    quirks: frozenset[str] = frozenset()
    """What every answer has."""
    greedy: bool = False
    """As dear as an honest provider can be: every byte a token, every token written to a cache, no cheaper tier."""


def draw_script(dice: Random, temper: Temper, *, limit: int, prompt_kind: str) -> Script:
    """A script for a call whose own output limit is `limit`."""
    most = min(limit, temper.most_tokens)
    wanted = most if temper.greedy else _wanted(dice, most)
    slow = dice.randrange(100) < temper.slow_pct
    fault = dice.choice(temper.faults) if dice.randrange(100) < temper.fault_pct else None
    quirks = {quirk for quirk in HONEST_QUIRKS if dice.randrange(100) * len(HONEST_QUIRKS) < temper.quirk_pct}
    quirks |= temper.quirks
    if fault in ("refused", "refused_billed", "refused_silent"):
        status = dice.choice(REFUSALS if fault == "refused" else (500, 503, 529))
    else:
        status = 200
    if fault is not None:
        quirks.discard("usage_shrinks")  # cut between two reports, nobody could say which one is the bill
    pieces = dice.choice((1, 2, 5, 20, 60)) if fault != "runs_on" else dice.choice((5, ONE_BY_ONE))
    return Script(
        wanted=wanted,
        visible_pct=dice.choice((100, 100, 100, 60, 20, 0)),
        read_pct=0 if temper.greedy else dice.choice((0, 0, 0, 30, 90, 100)),
        write_pct=100 if temper.greedy else dice.choice((0, 0, 50, 100)),
        mapping="dense" if temper.greedy else dice.choice(("common", "common", "dear", "dense")),
        downgraded=not temper.greedy and dice.random() < 0.2,
        text_kind=dice.choice(("ascii", "code", "cjk", "emoji", "mixed", "escapes", prompt_kind)),
        pieces=pieces,
        pause_ms=0 if not slow else 5 if pieces == ONE_BY_ONE else dice.choice((5, 20, 40)),
        think_ms=dice.choice((0, 30, 120)) if slow else 0,
        run_ahead=dice.choice((0, 0, 1, 20)),
        deaf=dice.random() < 0.3,
        fault=fault,
        at_permille=dice.choice((dice.randint(0, 999), dice.randint(900, 1000), dice.randint(0, 60))),
        status=status,
        extra=_extra(dice, fault),
        quirks=frozenset(quirks),
    )


def _extra(dice: Random, fault: str | None) -> int:
    if fault == "expands":
        return dice.choice((100, 20_000, 300_000))
    return dice.choice((1, 40, 700, 6_000)) if fault in PAST_LIMIT else 0


def _wanted(dice: Random, most: int) -> int:
    match dice.randrange(6):
        case 0:
            return 0
        case 1:
            return most
        case 2:
            return min(most, dice.randint(1, 20))
        case _:
            return min(most, int(dice.lognormvariate(4.5, 1.2)))
