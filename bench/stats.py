"""Percentiles, medians and ratios of measured numbers. Pure."""

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of sorted numbers; raises ValueError if there are none."""
    if not ordered:
        raise ValueError("a percentile of nothing")
    rank = max(1, math.ceil(percent / 100 * len(ordered)))
    return ordered[min(rank, len(ordered)) - 1]


def median(numbers: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle; raises ValueError if there are none."""
    ordered = sorted(numbers)
    if not ordered:
        raise ValueError("a median of nothing")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def median_ratio(numbers: Sequence[float], others: Sequence[float]) -> float | None:
    """The median of `a / b` round by round: noise that hits a whole round cancels. None without pairs."""
    ratios = [a / b for a, b in zip(numbers, others, strict=False) if b > 0]
    return median(ratios) if ratios else None


def growth_mb(sizes_mb: Sequence[float]) -> float:
    """How much memory grew once it was warm: mean of the last quarter less mean of the second quarter.

    The first quarter is left out: pools, caches and the allocator's arenas fill there.
    """
    quarter = len(sizes_mb) // 4
    if quarter == 0:
        raise ValueError("growth needs four sizes or more")
    early, late = sizes_mb[quarter : 2 * quarter], sizes_mb[-quarter:]
    return sum(late) / len(late) - sum(early) / len(early)
