"""What `qlaud prices show` and `qlaud prices check` say, as values; the command line prints them.

Loads genai-prices to compare with, so it is for the command line and tests, never for the serving process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from qlaud.core.catalog import Catalog
from qlaud.core.clock import MS_PER_DAY, MS_PER_S
from qlaud.core.hours import Hours
from qlaud.core.pricing import RateCard
from qlaud.core.rates import Band
from qlaud.core.usage import QUANTITIES
from qlaud.providers.price_compile import price_files
from qlaud.providers.price_lines import read_overlay
from qlaud.providers.price_oracle import Difference, differences, reason
from qlaud.providers.pricebook import Prices

MAX_AGE_DAYS = 45
"""A price that nobody looked at for longer raises the alarm: list prices changed monthly in 2026."""

_UNITS = {"_ms": (60_000, "minute"), "_tokens": (1_000_000, "million"), "characters": (1_000_000, "million")}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FEE_UNIT = (1000, "thousand")
BUILT_IN = "built in"
"""The source of the simulator's prices, which do not age."""


@dataclass(frozen=True, slots=True)
class ShownRate:
    """One rate as people read it."""

    quantity: str
    usd: Decimal
    unit: str
    """What `usd` is for: a million, a thousand, a minute."""
    inherited: bool
    """Taken from a related quantity, not stated."""


@dataclass(frozen=True, slots=True)
class ShownBand:
    """Rates from a prompt length on, in one context."""

    tier: str
    speed: str
    geo: str
    grade: str
    from_tokens: int
    rates: tuple[ShownRate, ...]


@dataclass(frozen=True, slots=True)
class ShownCard:
    """One dated price."""

    provider: str
    model: str
    from_day: date | None
    """None: always."""
    until_day: date | None
    source: str
    verified: str
    in_force: bool
    hours: str
    """When it applies, in UTC: `mon tue 01:00-04:00 06:00-10:00`; empty: always."""
    bands: tuple[ShownBand, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """The health of the price book. `fine` is what an exit code should follow."""

    version: str
    oldest_verified: date | None
    age_days: int
    stale: tuple[str, ...]
    """`provider model (day)` of every price verified too long ago."""
    unpriced: tuple[str, ...]
    """Catalog slugs with a host that has no price now."""
    left_out: tuple[str, ...]
    """Prices of genai-prices that could not be taken over."""
    disagreements: tuple[Difference, ...]
    """Where our engine and genai-prices differ for no reason we expect."""
    explained: dict[str, int]
    """How many differences each expected reason accounts for."""

    @property
    def fine(self) -> bool:
        """Whether nothing needs a person: gaps are shown but are no fault by themselves."""
        return not (self.stale or self.disagreements)


def show(catalog: Catalog, model: str, *, at_ms: int) -> tuple[ShownCard, ...]:
    """Every dated price of a model at every host, newest first. Raises ModelNotFound."""
    return tuple(
        _shown(card, min(later, default=0), host.card_at(at_ms) is card)
        for host in catalog.resolve(model).hosts
        for card in host.cards
        for later in ([other.from_ms for other in host.cards if other.from_ms > card.from_ms],)
    )


def check(
    catalog: Catalog,
    prices: Prices,
    *,
    at_ms: int,
    prices_dir: Path | None = None,
    max_age_days: int = MAX_AGE_DAYS,
) -> Check:
    """Age, gaps and disagreements of the price book as of `at_ms`."""
    today = _day(at_ms)
    dated = sorted(_verified(catalog, at_ms))
    found = [
        difference
        for file in price_files(prices_dir)
        for difference in differences(read_overlay(file), prices, at_ms=at_ms)
    ]
    explained: dict[str, int] = {}
    for difference in found:
        if why := reason(difference):
            explained[why] = explained.get(why, 0) + 1
    return Check(
        version=prices.book.version,
        oldest_verified=dated[0][0] if dated else None,
        age_days=(today - dated[0][0]).days if dated else 0,
        stale=tuple(f"{what} ({day})" for day, what in dated if (today - day).days > max_age_days),
        unpriced=tuple(
            m.slug for m in catalog.models if any(host.card_at(at_ms) is None for host in m.hosts)
        ),
        left_out=prices.left_out,
        disagreements=tuple(difference for difference in found if reason(difference) is None),
        explained=explained,
    )


def _verified(catalog: Catalog, at_ms: int) -> Iterator[tuple[date, str]]:
    for model in catalog.models:
        for host in model.hosts:
            card = host.card_at(at_ms)
            if card and card.source != BUILT_IN:
                day = date.fromisoformat(card.verified) if card.verified else date.min
                yield day, f"{card.provider} {model.slug}"


def _shown(card: RateCard, until_ms: int, in_force: bool) -> ShownCard:
    return ShownCard(
        provider=card.provider,
        model=card.model,
        from_day=_day(card.from_ms) if card.from_ms else None,
        until_day=_day(until_ms) if until_ms else None,
        source=card.source,
        verified=card.verified,
        in_force=in_force,
        hours=_hours(card.hours) if card.hours else "",
        bands=tuple(
            ShownBand(*key, band.starts_at, tuple(_rates(band)))
            for key in sorted(card.lines)
            for band in card.lines[key]
        ),
    )


def _hours(hours: Hours) -> str:
    days = " ".join(name for at, name in enumerate(_DAYS) if at in hours.weekdays)
    windows = " ".join(f"{_clock(start)}-{_clock(end)}" for start, end in hours.windows)
    return f"{days} {windows}" + (f", not on {len(hours.not_on)} holidays" if hours.not_on else "")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _rates(band: Band) -> Iterator[ShownRate]:
    for quantity in QUANTITIES:
        rate = band.rates.get(quantity)
        if rate is not None:
            units, unit = next((unit for end, unit in _UNITS.items() if quantity.endswith(end)), _FEE_UNIT)
            yield ShownRate(quantity, rate.usd(units), unit, quantity not in band.stated)


def _day(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms // MS_PER_DAY * MS_PER_DAY / MS_PER_S, UTC).date()
