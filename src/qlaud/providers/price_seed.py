"""The prices of genai-prices in our own quantities. Imported by the compiling child and by tests, never to serve.

Facts of its data (0.2.3): a tier applies when the whole prompt is *above* its start; the last active dated price
wins; variants override single prices and say nothing about the others; dates are UTC days.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

from genai_prices import types as seed
from genai_prices.data_snapshot import get_snapshot

from qlaud.core.clock import MS_PER_S
from qlaud.core.pricing import STANDARD, LineKey
from qlaud.core.rates import Rate
from qlaud.providers.price_rows import Bands, Lines

MILLION = 1_000_000
MS_PER_HOUR = 3_600_000

QUANTITY_OF: dict[str, tuple[str, int]] = {
    "input_mtok": ("input_tokens", MILLION),
    "output_mtok": ("output_tokens", MILLION),
    "cache_read_mtok": ("cache_read_tokens", MILLION),
    "cache_write_5m_mtok": ("cache_write_5m_tokens", MILLION),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", MILLION),
    "input_audio_mtok": ("audio_in_tokens", MILLION),
    "cache_audio_read_mtok": ("audio_cache_read_tokens", MILLION),
    "output_audio_mtok": ("audio_out_tokens", MILLION),
    "output_reasoning_mtok": ("reasoning_tokens", MILLION),
    "input_image_mtok": ("image_in_tokens", MILLION),
    "cache_image_read_mtok": ("image_cache_read_tokens", MILLION),
    "input_video_mtok": ("video_in_tokens", MILLION),
    "output_image_mtok": ("image_out_tokens", MILLION),
    "output_video_mtok": ("video_out_tokens", MILLION),
    "input_mchars": ("characters", MILLION),
    "web_searches_kcount": ("web_searches", 1000),
    "storage_searches_kcount": ("tool_calls", 1000),
    "audio_hours": ("audio_ms", MS_PER_HOUR),
    "requests_kcount": ("calls", 1000),
    "input_text_messages_kcount": ("calls", 1000),
    "input_document_kpages": ("pages", 1000),
}
"""Price key to our quantity and the units the price is for. `cache_write_mtok` depends on the provider."""
SAID_TWICE = frozenset({"input_audio_hours", "input_annotated_document_kpages", "output_citation_mtok"})
"""Keys that repeat another (`audio_hours`) where both are given, or that our own files say in other words: a page
with annotations is a grade of page (Mistral), a citation token costs what an input token does (Perplexity)."""

_NEXT_VERSION = re.compile(r"\d|[-.]\d{1,2}(?!\d)")
"""What may not follow a prefix: another digit, or another part of a version."""


@dataclass(frozen=True, slots=True)
class SeedModel:
    """One model of the seed."""

    info: seed.ModelInfo
    cache_write: str
    """The quantity that the plain cache write is."""
    left_out: tuple[str, ...]
    """Price keys we have no quantity for."""
    only: str = ""
    """A pattern that every name must match; empty: any may."""

    @property
    def id(self) -> str:
        """Its id, as the seed spells it."""
        return self.info.id

    def names(self) -> frozenset[str]:
        """The exact ids its match clauses name, lower case."""
        named = frozenset(_equals(self.info.match)) - {self.info.id.lower()}
        return frozenset(name for name in named if _is_meant(name, self.only))

    def matches(self, known_id: str) -> bool:
        """Whether its clauses match an id we know; a prefix never matches across a version digit."""
        return any(_matches(clause, known_id.lower()) for clause in _leaves(self.info.match))

    def moments_ms(self) -> set[int]:
        """When its prices change; 0 is the beginning."""
        dated: list[object] = [variant.constraint for variant in self.info.price_variants or ()]
        if isinstance(self.info.prices, list):
            dated += [price.constraint for price in self.info.prices]
        starts = (one.start_date for one in dated if isinstance(one, seed.StartDateConstraint))
        midnights = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in starts)
        return {0, *(int(moment.timestamp()) * MS_PER_S for moment in midnights)}

    def lines_at(self, at_ms: int) -> Lines:
        """Its prices in every context, as of a moment; empty when it has none."""
        moment = datetime.fromtimestamp(at_ms / MS_PER_S, UTC)
        standard = self._bands(self.info.get_prices(moment))
        if not standard:
            return {}
        lines: Lines = {STANDARD: standard}
        for variant in self.info.price_variants or ():
            key = _line_key(variant.when)
            active = variant.constraint is None or variant.constraint.active(moment)
            if key is not None and active and key not in lines:
                lines[key] = self._bands(self.info.get_prices(moment, variant.when))
        return lines

    def _bands(self, price: seed.ModelPrice) -> Bands:
        stated = {
            self._quantity(key): (value, self._units(key))
            for key, value in vars(price).items()
            if isinstance(value, Decimal | seed.TieredPrices) and self._units(key)
        }
        starts = {0}
        for value, _ in stated.values():
            if isinstance(value, seed.TieredPrices):
                starts |= {tier.start + 1 for tier in value.tiers}
        if not stated:
            return {}
        return {
            start: {
                name: Rate.of_usd(_price_at(value, start), units) for name, (value, units) in stated.items()
            }
            for start in sorted(starts)
        }

    def _quantity(self, key: str) -> str:
        return self.cache_write if key == "cache_write_mtok" else QUANTITY_OF.get(key, ("", 0))[0]

    def _units(self, key: str) -> int:
        return MILLION if key == "cache_write_mtok" else QUANTITY_OF.get(key, ("", 0))[1]


def seed_version() -> str:
    """The installed version of genai-prices."""
    return version("genai-prices")


def seed_models(
    provider_id: str, *, cache_write: str, skip: frozenset[str], only: str = ""
) -> list[SeedModel]:
    """The models of a provider of the seed, `only` those whose whole id matches it.

    Raises LookupError for an unknown provider.
    """
    for provider in get_snapshot().providers:
        if provider.id == provider_id:
            return [
                SeedModel(model, cache_write, tuple(sorted(_unknown_keys(model))), only)
                for model in provider.models
                if model.id not in skip and _is_meant(model.id, only)
            ]
    raise LookupError(f"genai-prices has no provider {provider_id}")


def has_hours(model: SeedModel) -> bool:
    """Whether its price depends on the time of day: ours to write, the seed knows neither weekdays nor holidays."""
    prices = model.info.prices
    dated: list[object] = [price.constraint for price in prices] if isinstance(prices, list) else []
    dated += [variant.constraint for variant in model.info.price_variants or ()]
    return any(isinstance(one, seed.TimeOfDateConstraint) for one in dated)


def _is_meant(name: str, only: str) -> bool:
    return not only or re.fullmatch(only, name, re.IGNORECASE) is not None


def _price_at(value: Decimal | seed.TieredPrices, prompt: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    price = value.base
    for tier in value.tiers:
        if prompt > tier.start:
            price = tier.price
    return price


def _line_key(when: dict[str, str]) -> LineKey | None:
    """The line of a variant; None for the standard and for contexts of no interest."""
    match when:
        case {"processing": "batch", **rest} if not rest:
            return ("batch", "", "", "")
        case {"service_tier": tier, **rest} if not rest and tier != "default":
            return ("priority" if tier == "fast" else tier, "", "", "")  # two words for one tier
        case {"speed": speed, **rest} if not rest:
            return ("", speed, "", "")
        case _:
            return None


def _unknown_keys(model: seed.ModelInfo) -> Iterator[str]:
    prices = model.prices
    for price in [one.prices for one in prices] if isinstance(prices, list) else [prices]:
        for key, value in vars(price).items():
            if (
                value is not None
                and key not in QUANTITY_OF
                and key not in SAID_TWICE
                and key != "cache_write_mtok"
            ):
                yield key


def _leaves(clause: object) -> Iterable[object]:
    return clause.or_ if isinstance(clause, seed.ClauseOr) else (clause,)


def _equals(clause: object) -> Iterator[str]:
    for leaf in _leaves(clause):
        if isinstance(leaf, seed.ClauseEquals):
            yield leaf.equals.lower()


def _matches(clause: object, known_id: str) -> bool:
    if isinstance(clause, seed.ClauseStartsWith):
        prefix = clause.starts_with.lower()
        return known_id.startswith(prefix) and not _NEXT_VERSION.match(known_id, len(prefix))
    if isinstance(clause, seed.ClauseEquals | seed.ClauseRegex):
        return clause.is_match(known_id)
    return False
