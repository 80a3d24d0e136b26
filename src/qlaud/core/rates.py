"""What one unit of each quantity costs, exactly.

A `Rate` is a rational number of picos, because not every price is whole picos a unit ($0.0043 a minute of audio
is 71666.67 picos a millisecond). A `Band` is the full table of one price context over a range of prompt lengths,
brought to one common denominator so that a bill is a single sum of integers. Nothing here rounds and nothing
knows a float. Used by `core.pricing` and by whoever builds price books.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import compress
from math import lcm
from operator import attrgetter, mul
from typing import cast

from qlaud.core.money import MICROS_PER_USD, PICOS_PER_MICRO
from qlaud.core.usage import QUANTITIES, Usage

PICOS_PER_USD = MICROS_PER_USD * PICOS_PER_MICRO

PARENTS: Mapping[str, tuple[str, ...]] = {
    "cache_read_tokens": ("input_tokens",),
    "cache_read_explicit_tokens": ("cache_read_tokens", "input_tokens"),
    "cache_write_5m_tokens": ("cache_write_30m_tokens", "input_tokens"),
    "cache_write_30m_tokens": ("cache_write_5m_tokens", "input_tokens"),
    "cache_write_1h_tokens": ("cache_write_5m_tokens", "cache_write_30m_tokens", "input_tokens"),
    "cache_write_12h_tokens": (
        "cache_write_1h_tokens",
        "cache_write_30m_tokens",
        "cache_write_5m_tokens",
        "input_tokens",
    ),
    "reasoning_tokens": ("output_tokens",),
    "audio_in_tokens": ("input_tokens",),
    "audio_cache_read_tokens": ("audio_in_tokens", "cache_read_tokens", "input_tokens"),
    "audio_out_tokens": ("output_tokens",),
    "image_in_tokens": ("input_tokens",),
    "image_cache_read_tokens": ("image_in_tokens", "cache_read_tokens", "input_tokens"),
    "video_in_tokens": ("image_in_tokens", "input_tokens"),
    "image_out_tokens": ("output_tokens",),
    "video_out_tokens": ("output_tokens",),
}
"""Whose rate a quantity takes when it has none of its own, nearest first. Quantities not named here have no
parent: using one that has no price is an error, never free."""

INPUT_SIDE = (
    "input_tokens",
    "cache_read_tokens",
    "cache_read_explicit_tokens",
    "audio_in_tokens",
    "audio_cache_read_tokens",
    "image_in_tokens",
    "image_cache_read_tokens",
    "video_in_tokens",
)
"""What any token of a prompt may be billed as, cache writes aside."""
OUTPUT_SIDE = (
    "output_tokens",
    "reasoning_tokens",
    "audio_out_tokens",
    "image_out_tokens",
    "video_out_tokens",
)
"""What any token within the output limit may be billed as."""
CACHE_WRITES: Mapping[str, str] = {ttl: f"cache_write_{ttl}_tokens" for ttl in ("5m", "30m", "1h", "12h")}
"""Quantity by time to live."""

_counts = cast("attrgetter[tuple[int, ...]]", attrgetter(*QUANTITIES))
_SOURCES = tuple((name, *PARENTS.get(name, ())) for name in QUANTITIES)
_INDEX: Mapping[str, int] = {name: at for at, name in enumerate(QUANTITIES)}


@dataclass(frozen=True, slots=True)
class Rate:
    """`picos` for every `per` units, in lowest terms, exact."""

    picos: int
    per: int = 1

    def __post_init__(self) -> None:
        if self.picos < 0 or self.per < 1:
            raise ValueError(
                f"a rate is at least 0 picos per at least 1 unit, not {self.picos} per {self.per}"
            )

    @staticmethod
    def of_usd(dollars: Decimal | Fraction | int, units: int) -> "Rate":
        """The rate of `dollars` for `units` units. Exact: $0.0043 for 60_000 ms stays a fraction."""
        return _rate(Fraction(dollars) * PICOS_PER_USD / units)

    @staticmethod
    def of_picos(exact: Fraction) -> "Rate":
        """The rate of that many picos a unit."""
        return _rate(exact)

    def times(self, factor: Fraction) -> "Rate":
        """This rate multiplied, exact."""
        return _rate(self.exact * factor)

    @property
    def exact(self) -> Fraction:
        """Picos a unit."""
        return Fraction(self.picos, self.per)

    def usd(self, units: int) -> Decimal:
        """Dollars for `units` units, for people to read; money is never computed from it."""
        return Decimal(self.picos) * units / (Decimal(self.per) * PICOS_PER_USD)


def _rate(exact: Fraction) -> Rate:
    return Rate(exact.numerator, exact.denominator)


@dataclass(frozen=True, slots=True)
class Band:
    """The rates of every request whose prompt has at least `starts_at` tokens (and less than the next band's).

    Build with `Band.of`. Crossing into a band reprices every token of the request, not only those beyond it.
    """

    starts_at: int
    rates: Mapping[str, Rate]
    """Stated and inherited; a quantity missing here has no price."""
    stated: frozenset[str]
    """The quantities with a rate of their own."""
    per: int
    """Common denominator of `weights`."""
    weights: tuple[int, ...]
    """In the order of QUANTITIES, 0 where there is no price. The reasoning weight is the difference to plain
    output, because `output_tokens` already contains the reasoning."""
    unpriced: tuple[bool, ...]
    dearest_input: int
    """The highest rate a prompt token may have without a cache write, in picos times `per`."""
    dearest_output: int
    """The highest rate a token within the output limit may have, in picos times `per`."""

    @staticmethod
    def of(starts_at: int, stated: Mapping[str, Rate]) -> "Band":
        """The band of these rates, gaps filled from PARENTS. Raises ValueError for an unknown quantity."""
        unknown = stated.keys() - _INDEX.keys()
        if unknown:
            raise ValueError(f"unknown quantities: {', '.join(sorted(unknown))}")
        rates: dict[str, Rate] = {}
        for sources in _SOURCES:
            for source in sources:
                if source in stated:
                    rates[sources[0]] = stated[source]
                    break
        per = lcm(*(rate.per for rate in rates.values()))
        whole = {name: rate.picos * (per // rate.per) for name, rate in rates.items()}
        weights = [whole.get(name, 0) for name in QUANTITIES]
        weights[_INDEX["reasoning_tokens"]] -= (
            whole.get("output_tokens", 0) if "reasoning_tokens" in whole else 0
        )
        return Band(
            starts_at=starts_at,
            rates=rates,
            stated=frozenset(stated),
            per=per,
            weights=tuple(weights),
            unpriced=tuple(n not in rates for n in QUANTITIES),
            dearest_input=max((whole.get(name, 0) for name in INPUT_SIDE), default=0),
            dearest_output=max((whole.get(name, 0) for name in OUTPUT_SIDE), default=0),
        )

    def cost(self, usage: Usage) -> int | None:
        """The exact cost in picos times `per`, or None when something used has no price (see `gaps`)."""
        counts = _counts(usage)
        if any(compress(counts, self.unpriced)):
            return None
        return sum(map(mul, counts, self.weights))

    def gaps(self, usage: Usage) -> tuple[str, ...]:
        """The quantities used that have no price."""
        return tuple(
            name
            for name, used in zip(QUANTITIES, _counts(usage), strict=True)
            if used and name not in self.rates
        )

    def weight(self, quantity: str) -> int:
        """The rate of a quantity in picos times `per`; 0 without a price."""
        rate = self.rates.get(quantity)
        return rate.picos * (self.per // rate.per) if rate else 0
