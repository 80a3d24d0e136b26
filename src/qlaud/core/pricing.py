"""The one pricing function: usage in, money out; and the bound on it before a call leaves.

A `RateCard` is the price of one model at one provider from one moment on, perhaps in some hours of the week only.
It holds a line of bands for every context a price may depend on (service tier, speed, geography, grade). What a
call cost is read from the context *as answered*; what it may cost at most covers every context the answer may
bring, given what was asked. Both come from the same bands, so `charge(usage) <= worst(demand)` holds for every
usage that fits the demand.

Invariants: integers only; one rounding (up) per amount; a quantity without a price raises NotPriced, it is never
free. A grade that a card with grades does not know costs what the dearest of them costs. Where a provider says
itself what a call costs and its price file trusts it, that is charged, and the sum by our list is kept beside it;
a cost of 0 is no such word. When an answer names a model other than the one asked (a dated id of the family), the
caller prices by the answered model's card if the book has one, else by the card of the model asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from qlaud.core.demand import Demand, Worst, most_input
from qlaud.core.hours import Hours
from qlaud.core.money import MARKUP_BASE_BP, PICOS_PER_MICRO, Micros, with_markup
from qlaud.core.rates import CACHE_WRITES, Band, Rate
from qlaud.core.usage import Usage

LineKey = tuple[str, str, str, str]
"""Tier, speed, geo, grade, in the card's own names; "" is the standard one."""
STANDARD: LineKey = ("", "", "", "")


class NotPriced(Exception):
    """This card has no price for something used or asked for. The caller refuses, or counts it as unpriced."""

    def __init__(self, provider: str, model: str, what: str) -> None:
        super().__init__(f"{provider} {model} has no price for {what}")
        self.provider, self.model, self.what = provider, model, what


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing a price depends on besides quantities, in a provider's words."""

    names: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    """The provider's word (asked or answered) to the card's line name; "" is the standard."""
    reach: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"": ("",)})
    """A word asked for, to the line names the answer may be billed at."""
    optional: frozenset[str] = frozenset()
    """Line names never dearer than the standard, which stands in where a card lacks them."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A provider's vocabulary of price contexts."""

    tier: Axis = field(default_factory=Axis)
    speed: Axis = field(default_factory=Axis)
    geo: Axis = field(default_factory=Axis)
    grade: Axis = field(default_factory=Axis)
    """Size, quality, resolution, search context. A word that is no grade of a card may cost as much as any of them."""


class Charge(Struct, frozen=True, gc=False):
    """What one call costs. Both amounts are the exact cost rounded up once to a whole micro."""

    cost_micros: Micros
    """With markup: what is posted."""
    provider_cost_micros: Micros
    assumed: tuple[str, ...] = ()
    """Context words the card does not know, billed at the standard line (grades: the dearest): worth a metric."""
    listed_micros: Micros | None = None
    """Where the provider's own word was charged: what our list says, without markup; None where it cannot say."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """The price of one model at one provider from `from_ms` on."""

    provider: str
    model: str
    version: str
    """Of the price book; stored with every usage event."""
    lines: Mapping[LineKey, tuple[Band, ...]]
    """Bands by context, rising `starts_at`, the first at 0. STANDARD is always there."""
    terms: Terms = field(default_factory=Terms)
    from_ms: int = 0
    implicit_ttls: frozenset[str] = frozenset()
    """Cache writes the provider may bill without being asked."""
    source: str = ""
    """Where the prices come from, for people."""
    verified: str = ""
    """The day somebody compared them with the provider's page, ISO; empty when unknown."""
    hours: Hours | None = None
    """When it applies; None is always. Such a card comes beside one without hours, from the same moment on."""
    vendor_cost: bool = False
    """The provider says what a call costs (`Usage.vendor_cost_picos`), and that is what it bills."""
    least: Mapping[str, int] = field(default_factory=dict[str, int])
    """A call that uses any of a quantity is billed for at least so much of it."""
    grades: tuple[str, ...] = field(init=False)
    """Of all lines, sorted; "" is always there."""
    usual: tuple[tuple[Band, ...], ...] | None = field(init=False, repr=False, compare=False)
    """The bands that nearly every call can reach: one that asks for no context. None where that has no price."""

    def __post_init__(self) -> None:
        grades = tuple(sorted({key[3] for key in self.lines} | {""}))
        object.__setattr__(self, "grades", grades)
        if any(("", "", "", grade) not in self.lines for grade in grades):
            raise ValueError(f"{self.provider} {self.model}: no standard line")
        for bands in self.lines.values():
            starts = [band.starts_at for band in bands]
            if not bands or starts[0] != 0 or starts != sorted(set(starts)):
                raise ValueError(f"{self.provider} {self.model}: bands must rise from 0")
        try:
            usual = tuple(self._lines(STANDARD))
        except NotPriced:
            usual = None
        object.__setattr__(self, "usual", usual)

    def charge(self, usage: Usage, markup_bp: int = 0) -> Charge:
        """What `usage` costs. Raises NotPriced when something used has no price and the provider says no cost."""
        if self.vendor_cost and usage.vendor_cost_picos > 0:
            return self._as_told(usage, markup_bp)
        band, assumed = self._band(usage)
        cost = self._exact(band, usage)
        per_micro = PICOS_PER_MICRO * band.per
        provider_cost = -(-cost // per_micro)
        if not markup_bp:
            return Charge(Micros(provider_cost), Micros(provider_cost), assumed)
        marked_up = -(-cost * (MARKUP_BASE_BP + markup_bp) // (MARKUP_BASE_BP * per_micro))
        return Charge(Micros(marked_up), Micros(provider_cost), assumed)

    def in_its_units(self, usage: Usage) -> Usage:
        """`usage`, or what it says `instead` where this card has no price for it."""
        if usage.instead is None or not self._band(usage)[0].gaps(usage):
            return usage
        return usage.instead

    def cost_picos(self, usage: Usage) -> int:
        """What `usage` costs by the list, without markup, rounded up to a whole pico. Raises NotPriced."""
        band, _ = self._band(usage)
        return -(-self._exact(band, usage) // band.per)

    def exact_picos(self, usage: Usage) -> Fraction:
        """What `usage` costs without markup, not rounded: for sums that are rounded once. Raises NotPriced."""
        if self.vendor_cost and usage.vendor_cost_picos > 0:
            return Fraction(usage.vendor_cost_picos)
        band, _ = self._band(usage)
        return Fraction(self._exact(band, usage), band.per)

    def worst(self, demand: Demand, *, context_window: int | None = None, markup_bp: int = 0) -> Worst:
        """The bound of the contract, section 6.2. `context_window` None means unknown: input is not clipped.

        Also where the provider says itself what a call costs: before the call, only the list is known.
        Raises NotPriced for a tier, speed or fee without a price, or whole-context input of unknown size.
        """
        prompt = most_input(demand, context_window)
        if prompt is None:
            raise NotPriced(self.provider, self.model, "input of unknown size (no known context window)")
        writes = self._writes(demand)
        base = slope = 0
        for bands in self._reachable(demand):
            for band in bands:
                if band.starts_at > prompt:
                    break
                token = band.dearest_input
                for name in writes:
                    token = max(token, band.weight(name))
                once = prompt * token + self._others(demand, band)
                base = max(base, -(-once // band.per))
                slope = max(slope, -(-demand.candidates * band.dearest_output // band.per))
        return Worst(base_picos=base, slope_picos=slope, markup_bp=markup_bp)

    def rate(self, quantity: str, key: LineKey = STANDARD) -> Rate | None:
        """The rate of a quantity in the first band of a line, or None. For catalogs and reports."""
        return self.lines[key][0].rates.get(quantity)

    def _as_told(self, usage: Usage, markup_bp: int) -> Charge:
        told = usage.vendor_cost_picos
        assumed, listed = (), None
        try:
            band, assumed = self._band(usage)
            listed = with_markup(-(-self._exact(band, usage) // band.per), 0)
        except NotPriced:
            pass  # the provider's word needs no list
        return Charge(with_markup(told, markup_bp), with_markup(told, 0), assumed, listed)

    def _band(self, usage: Usage) -> tuple[Band, tuple[str, ...]]:
        if not (usage.tier or usage.speed or usage.geo or usage.grade):
            return _band_at(self.lines[STANDARD], usage), ()
        grade = self.terms.grade.names.get(usage.grade, usage.grade)
        if grade in self.grades:
            bands, assumed = self._answered(usage, grade)
            return _band_at(bands, usage), assumed
        answered = [self._answered(usage, known) for known in self.grades]
        band, assumed = max(
            ((_band_at(bands, usage), assumed) for bands, assumed in answered),
            key=lambda found: Fraction(self._exact(found[0], usage), found[0].per),
        )
        return band, (*assumed, usage.grade) if len(self.grades) > 1 else assumed

    def _answered(self, usage: Usage, grade: str) -> tuple[tuple[Band, ...], tuple[str, ...]]:
        """The bands of the context as answered, the grade as given, and the words that had no line."""
        terms = self.terms
        tier = terms.tier.names.get(usage.tier, usage.tier)
        speed = terms.speed.names.get(usage.speed, usage.speed)
        geo = terms.geo.names.get(usage.geo, usage.geo)
        key = (tier, speed, geo, grade)
        bands = self.lines.get(key)
        if bands is not None:
            return bands, ()
        for found in (
            ("", speed, geo, grade),
            (tier, "", geo, grade),
            (tier, speed, "", grade),
            ("", "", geo, grade),
            ("", speed, "", grade),
            ("", "", "", grade),
        ):
            if found in self.lines:
                return self.lines[found], _dropped(key, found, terms)
        raise ValueError(f"{self.provider} {self.model}: no standard line of grade {grade}")

    def _reachable(self, demand: Demand) -> Iterable[tuple[Band, ...]]:
        if self.usual is not None and not (demand.tier or demand.speed or demand.geo or demand.grade):
            return self.usual
        return self._lines((demand.tier, demand.speed, demand.geo, demand.grade))

    def _lines(self, asked: LineKey) -> Iterable[tuple[Band, ...]]:
        """The bands of every context that an answer to what was `asked` may be billed at. Raises NotPriced."""
        for tier, speed, geo, grade in product(
            self._reach(self.terms.tier, asked[0], "service tier"),
            self._reach(self.terms.speed, asked[1], "speed"),
            self._reach(self.terms.geo, asked[2], "geography"),
            self._grades_of(asked[3]),
        ):
            bands = self.lines.get((tier, speed, geo, grade))
            if bands is None and tier in self.terms.tier.optional:
                bands = self.lines.get(("", speed, geo, grade))
            if bands is None:
                raise NotPriced(self.provider, self.model, f"`{tier or speed or geo}`")
            yield bands

    def _grades_of(self, asked: str) -> tuple[str, ...]:
        """The grades an answer may be billed at: those the word stands for, or any where it is none of the card's."""
        axis = self.terms.grade
        words = axis.reach.get(asked, (axis.names.get(asked, asked),))
        known = tuple(word for word in words if word in self.grades)
        return known if len(known) == len(words) else self.grades

    def _reach(self, axis: Axis, asked: str, what: str) -> tuple[str, ...]:
        reached = axis.reach.get(asked)
        if reached is None:
            raise NotPriced(self.provider, self.model, f"{what} `{asked}`")
        return reached

    def _writes(self, demand: Demand) -> Iterable[str]:
        """The cache writes that may be billed. A write of unknown life is billed as 5m, so that one is always in."""
        asked = demand.cache_ttls
        if not asked and not self.implicit_ttls:
            return ()
        if asked - CACHE_WRITES.keys():
            return CACHE_WRITES.values()
        return [CACHE_WRITES[ttl] for ttl in asked | self.implicit_ttls | {"5m"}]

    def _others(self, demand: Demand, band: Band) -> int:
        """What no token costs, in picos times `per`: of the units it may be counted in, the dearest with a price."""
        if not demand.most and not demand.instead:
            return band.weight("calls")
        ways = (demand.most, demand.instead) if demand.instead else (demand.most,)
        priced = [
            units
            for units in ways
            if not any(most and name not in band.rates for name, most in units.items())
        ]
        if not priced:
            gap = next(name for name, most in demand.most.items() if most and name not in band.rates)
            raise NotPriced(self.provider, self.model, gap)
        fee = band.weight("calls")
        return max(
            sum(
                max(most, self.least.get(name, 0)) * band.weight(name) for name, most in units.items() if most
            )
            + (fee if "calls" not in units else 0)
            for units in priced
        )

    def _exact(self, band: Band, usage: Usage) -> int:
        cost = band.cost(self._raised(usage) if self.least else usage)
        if cost is None:
            raise NotPriced(self.provider, self.model, ", ".join(band.gaps(usage)))
        return cost

    def _raised(self, usage: Usage) -> Usage:
        """`usage` as it is billed, where that is more than was used."""
        more = {name: least for name, least in self.least.items() if 0 < getattr(usage, name) < least}
        return replace(usage, **more) if more else usage


def charge_of(picos: Fraction, markup_bp: int) -> Charge:
    """The charge for a sum of exact costs, rounded up once."""
    whole, per = picos.numerator, picos.denominator * PICOS_PER_MICRO
    marked_up = -(-whole * (MARKUP_BASE_BP + markup_bp) // (MARKUP_BASE_BP * per))
    return Charge(Micros(marked_up), Micros(-(-whole // per)))


def _band_at(bands: tuple[Band, ...], usage: Usage) -> Band:
    """The band of the prompt's length."""
    if len(bands) == 1:
        return bands[0]
    prompt = usage.prompt_tokens
    return next(band for band in reversed(bands) if band.starts_at <= prompt)


def _dropped(asked: LineKey, found: LineKey, terms: Terms) -> tuple[str, ...]:
    """The words that had no line; discounts a card does not give are not worth a word."""
    return tuple(
        word
        for word, kept in zip(asked, found, strict=True)
        if word != kept and word not in terms.tier.optional
    )
