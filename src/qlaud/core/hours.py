"""The hours of a week in which a price applies, in UTC. Arithmetic on epoch milliseconds; no calendar library."""

from dataclasses import dataclass

from qlaud.core.clock import MS_PER_DAY

MS_PER_MINUTE = 60_000
EVERY_DAY = frozenset(range(7))
_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday; Monday is 0."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When a dated price applies, where it does not always."""

    windows: tuple[tuple[int, int], ...]
    """Minutes of the UTC day, half-open: (60, 240) is 01:00 to 04:00. A window never crosses midnight."""
    weekdays: frozenset[int] = EVERY_DAY
    """Monday is 0."""
    not_on: frozenset[int] = frozenset()
    """Days the hours do not apply on (holidays), in days since the epoch."""

    def __post_init__(self) -> None:
        if not self.windows or any(not 0 <= start < end <= 24 * 60 for start, end in self.windows):
            raise ValueError("hours: at least one window, each from earlier to later within a day")
        if not self.weekdays <= EVERY_DAY:
            raise ValueError("hours: weekdays are 0 (Monday) to 6")

    def hold_at(self, at_ms: int) -> bool:
        """Whether the price applies at that instant."""
        day, rest = divmod(at_ms, MS_PER_DAY)
        if (day + _EPOCH_WEEKDAY) % 7 not in self.weekdays or day in self.not_on:
            return False
        minute = rest // MS_PER_MINUTE
        return any(start <= minute < end for start, end in self.windows)
