"""The one pricing function: usage in, money out; and the bound on it before a call leaves.

A `RateCard` is the price of one model at one provider from one moment on. It holds a line of bands for every
context a price may depend on (service tier, speed, geography). What a call cost is read from the context *as
answered*; what it may cost at most covers every context the answer may bring, given what was asked. Both come
from the same bands, so `charge(usage) <= worst(demand)` holds for every usage that fits the demand.

Invariants: integers only; one rounding (up) per amount; a quantity without a price raises NotPriced, it is never
free. When an answer names a model other than the one asked (a dated id of the family), the caller prices by the
answered model's card if the book has one, else by the card of the model asked.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from qlaud.core.demand import Demand, Worst
from qlaud.core.money import MARKUP_BASE_BP, PICOS_PER_MICRO, Micros
from qlaud.core.rates import CACHE_WRITES, Band, Rate
from qlaud.core.usage import Usage

LineKey = tuple[str, str, str]
"""Tier, speed, geo, in the card's own names; "" is the standard one."""
STANDARD: LineKey = ("", "", "")

_DATED = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d)\Z")


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


class Charge(Struct, frozen=True, gc=False):
    """What one call costs. Both amounts are the exact cost rounded up once to a whole micro."""

    cost_micros: Micros
    """With markup: what is posted."""
    provider_cost_micros: Micros
    assumed: tuple[str, ...] = ()
    """Context words the card does not know, billed at the standard line: worth a metric."""


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

    def __post_init__(self) -> None:
        if STANDARD not in self.lines:
            raise ValueError(f"{self.provider} {self.model}: no standard line")
        for bands in self.lines.values():
            starts = [band.starts_at for band in bands]
            if not bands or starts[0] != 0 or starts != sorted(set(starts)):
                raise ValueError(f"{self.provider} {self.model}: bands must rise from 0")

    def charge(self, usage: Usage, markup_bp: int = 0) -> Charge:
        """What `usage` costs. Raises NotPriced when something used has no price."""
        band, assumed = self._band(usage)
        cost = self._exact(band, usage)
        per_micro = PICOS_PER_MICRO * band.per
        provider_cost = -(-cost // per_micro)
        if not markup_bp:
            return Charge(Micros(provider_cost), Micros(provider_cost), assumed)
        with_markup = -(-cost * (MARKUP_BASE_BP + markup_bp) // (MARKUP_BASE_BP * per_micro))
        return Charge(Micros(with_markup), Micros(provider_cost), assumed)

    def cost_picos(self, usage: Usage) -> int:
        """What `usage` costs without markup, rounded up to a whole pico. Raises NotPriced."""
        band, _ = self._band(usage)
        return -(-self._exact(band, usage) // band.per)

    def worst(self, demand: Demand, *, context_window: int | None = None, markup_bp: int = 0) -> Worst:
        """The bound of the contract, section 6.2. `context_window` None means unknown: input is not clipped.

        Raises NotPriced for a tier, speed or fee without a price, or whole-context input of unknown size.
        """
        if demand.whole_context:
            if context_window is None:
                raise NotPriced(self.provider, self.model, "input of unknown size (no known context window)")
            prompt = context_window
        else:
            prompt = (
                demand.input_tokens if context_window is None else min(demand.input_tokens, context_window)
            )
        writes = self._writes(demand)
        base = slope = 0
        for bands in self._reachable(demand):
            for band in bands:
                if band.starts_at > prompt:
                    break
                token = max(band.dearest_input, *(band.weight(name) for name in writes), 0)
                once = prompt * token + self._others(demand, band)
                base = max(base, -(-once // band.per))
                slope = max(slope, -(-demand.candidates * band.dearest_output // band.per))
        return Worst(base_picos=base, slope_picos=slope, markup_bp=markup_bp)

    def rate(self, quantity: str, key: LineKey = STANDARD) -> Rate | None:
        """The rate of a quantity in the first band of a line, or None. For catalogs and reports."""
        return self.lines[key][0].rates.get(quantity)

    def _band(self, usage: Usage) -> tuple[Band, tuple[str, ...]]:
        assumed: tuple[str, ...] = ()
        if usage.tier or usage.speed or usage.geo:
            bands, assumed = self._answered(usage)
        else:
            bands = self.lines[STANDARD]
        if len(bands) == 1:
            return bands[0], assumed
        prompt = usage.prompt_tokens
        return next(band for band in reversed(bands) if band.starts_at <= prompt), assumed

    def _answered(self, usage: Usage) -> tuple[tuple[Band, ...], tuple[str, ...]]:
        terms = self.terms
        key = (
            terms.tier.names.get(usage.tier, usage.tier),
            terms.speed.names.get(usage.speed, usage.speed),
            terms.geo.names.get(usage.geo, usage.geo),
        )
        bands = self.lines.get(key)
        if bands is not None:
            return bands, ()
        tier, speed, geo = key
        for known in (("", speed, geo), (tier, "", geo), (tier, speed, ""), ("", "", geo), ("", speed, "")):
            if known in self.lines:
                return self.lines[known], _dropped(key, known, terms)
        return self.lines[STANDARD], _dropped(key, STANDARD, terms)

    def _reachable(self, demand: Demand) -> Iterable[tuple[Band, ...]]:
        keys = [
            (tier, speed, geo)
            for tier in self._reach(self.terms.tier, demand.tier, "service tier")
            for speed in self._reach(self.terms.speed, demand.speed, "speed")
            for geo in self._reach(self.terms.geo, demand.geo, "geography")
        ]
        for tier, speed, geo in keys:
            bands = self.lines.get((tier, speed, geo))
            if bands is None and tier in self.terms.tier.optional:
                bands = self.lines.get(("", speed, geo))
            if bands is None:
                raise NotPriced(self.provider, self.model, f"`{tier or speed or geo}`")
            yield bands

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
        total = 0
        for quantity, most in demand.most.items():
            if most and quantity not in band.rates:
                raise NotPriced(self.provider, self.model, quantity)
            total += most * band.weight(quantity)
        if "calls" not in demand.most:
            total += band.weight("calls")
        return total

    def _exact(self, band: Band, usage: Usage) -> int:
        cost = band.cost(usage)
        if cost is None:
            raise NotPriced(self.provider, self.model, ", ".join(band.gaps(usage)))
        return cost


def _dropped(asked: LineKey, found: LineKey, terms: Terms) -> tuple[str, ...]:
    """The words that had no line; discounts a card does not give are not worth a word."""
    return tuple(
        word
        for word, kept in zip(asked, found, strict=True)
        if word != kept and word not in terms.tier.optional
    )


class PriceBook:
    """Rate cards by provider and model id, dated. Immutable."""

    __slots__ = ("_cards", "version")

    def __init__(self, version: str, cards: Mapping[tuple[str, str], Sequence[RateCard]]) -> None:
        self.version = version
        self._cards = {
            (provider, model.lower()): tuple(sorted(dated, key=lambda card: -card.from_ms))
            for (provider, model), dated in cards.items()
        }

    def cards(self, provider: str, model: str) -> tuple[RateCard, ...]:
        """Every card of a model, newest first; empty when unknown.

        A dated id (`-20251001`, `-2025-10-01`, `@20251001`) that the book does not list is the id without its
        date. No other prefix ever matches: `x-4-8` is not `x-4`.
        """
        name = model.lower()
        found = self._cards.get((provider, name))
        if found is None and (dated := _DATED.search(name)):
            found = self._cards.get((provider, name[: dated.start()]))
        return found or ()

    def card(self, provider: str, model: str, at_ms: int) -> RateCard | None:
        """The card in force at `at_ms`, or None when the model has no price then."""
        return card_in_force(self.cards(provider, model), at_ms)

    def models(self, provider: str) -> tuple[str, ...]:
        """Every model id with a price at a provider, in lower case, sorted."""
        return tuple(sorted(model for owner, model in self._cards if owner == provider))


def card_in_force(newest_first: Sequence[RateCard], at_ms: int) -> RateCard | None:
    """The newest card that has begun at `at_ms`."""
    for card in newest_first:
        if card.from_ms <= at_ms:
            return card
    return None
