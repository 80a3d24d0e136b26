"""Sums over runs, and what one run showed. The words are defined in `audit`."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Sums over runs."""

    runs: int = 0
    calls: int = 0
    reached: int = 0
    samples: int = 0
    samples_above: int = 0
    """Keys and wallets that were found above their allowance at a sampled instant."""
    due_micros: int = 0
    exact_micros: int = 0
    estimated_micros: int = 0
    lost_micros: int = 0
    overage_micros: int = 0
    exposure_micros: int = 0
    over_estimated_micros: int = 0
    overspend_micros: int = 0
    unaccounted_micros: int = 0
    past_cap_untold_micros: int = 0
    refusals: int = 0
    wrongful: int = 0
    revoked_successes: int = 0
    statuses: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    rows: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: "Tally") -> None:
        """Add the sums of `other`."""
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, name, mine + theirs)


@dataclass(slots=True)
class Verdict:
    """What one run showed."""

    seed: str
    tally: Tally
    findings: list[str]

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.findings
