"""Our own price files: what the seed lacks, and corrections to it.

A file is about one provider. It may say whose prices of genai-prices seed it, define models of its own, and change
models in file order. The format is described in docs/prices.md. Rates are written as people read them:
`"3/M"` dollars a million, `"10/1k"` a thousand, `"0.04/1"` each, `"0.0043/min"` a minute of audio or video, or
`"2.5 x input_tokens"`, relative to another rate of the same band.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from importlib.resources.abc import Traversable

import msgspec

from qlaud.core.clock import MS_PER_S
from qlaud.core.pricing import STANDARD
from qlaud.core.rates import CACHE_WRITES, INPUT_SIDE, OUTPUT_SIDE, Rate
from qlaud.core.usage import QUANTITIES
from qlaud.providers.price_rows import Bands, Lines, TermsRow
from qlaud.providers.toml_files import BadFile, read

TOKENS_IN = frozenset({*INPUT_SIDE, *CACHE_WRITES.values()})
TOKENS_OUT = frozenset(OUTPUT_SIDE)
EVERY_MODEL = "*"

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(M|1k|1|h|min|s)\Z")
_RELATIVE = re.compile(r"(\d+(?:\.\d+)?) x ([a-z0-9_]+)\Z")
_PLAIN_UNITS = {"M": 1_000_000, "1k": 1000, "1": 1}
_TIME_UNITS = {"h": 3_600_000, "min": 60_000, "s": 1000}


class BandFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A long-context band: every token price times a factor. `above` is exclusive, `at` inclusive."""

    input: str
    output: str
    above: int | None = None
    at: int | None = None


class LineFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another context: every token price of the lines without it, times `tokens`; per-call fees stay."""

    tokens: str
    tier: str = ""
    speed: str = ""
    geo: str = ""


class ChangeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_day": "from"}):
    """A correction to models that exist. Applies from `from` (inclusive) until `until` (exclusive), UTC days."""

    models: list[str]
    source: str
    verified: date
    why: str
    rates: dict[str, str] = {}
    only_missing: bool = False
    """Rates are set only where there is none."""
    lines: list[LineFile] = []
    from_day: date | None = None
    until: date | None = None


class PriceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_day": "from"}):
    """The prices of a model of our own, from a day on (default: always)."""

    rates: dict[str, str]
    bands: list[BandFile] = []
    lines: list[LineFile] = []
    from_day: date | None = None


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of our own; it replaces one of the seed with the same id."""

    id: str
    source: str
    verified: date
    prices: list[PriceFile]
    names: list[str] = []
    display_name: str = ""
    context_window: int | None = None


class SeedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose rows of genai-prices seed this provider."""

    provider: str
    verified: date
    """The oldest day its rows were verified, as far as they say."""
    cache_write: str = "5m"
    """The life of its plain cache write."""
    skip: list[str] = []
    """Rows that are no id anybody can call."""


class OverlayFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of data/prices."""

    provider: str
    released: date
    """Of this file; part of the price version."""
    seed: SeedFile | None = None
    terms: TermsRow = TermsRow()
    implicit_writes: list[str] = []
    model: list[ModelFile] = []
    change: list[ChangeFile] = []


def read_overlay(file: Traversable) -> OverlayFile:
    """The file, with every rate checked. Raises BadFile."""
    overlay = read(file, OverlayFile)
    try:
        for model in overlay.model:
            for price in model.prices:
                own_lines(price)
        for change in overlay.change:
            changed({STANDARD: {0: {"input_tokens": Rate(1), "output_tokens": Rate(1)}}}, change)
        if unknown := set(overlay.implicit_writes) - CACHE_WRITES.keys():
            raise ValueError(f"implicit_writes: unknown time to live {sorted(unknown)}")
        if overlay.seed and overlay.seed.cache_write not in CACHE_WRITES:
            raise ValueError(f"seed.cache_write: unknown time to live {overlay.seed.cache_write}")
    except ValueError as error:
        raise BadFile(str(file), str(error)) from None
    return overlay


def day_ms(day: date | None) -> int:
    """The UTC midnight a day begins with; 0 for None."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MS_PER_S if day else 0


def own_lines(price: PriceFile) -> Lines:
    """The lines of a price of our own. Raises ValueError for a rate that cannot be read."""
    base: Bands = {0: {}}
    _set_rates(base, price.rates, only_missing=False)
    for band in price.bands:
        if (band.above is None) == (band.at is None):
            raise ValueError("bands: give either `above` (exclusive) or `at` (inclusive)")
        start = band.above + 1 if band.above is not None else band.at or 0
        base[start] = _times(base[0], Fraction(band.input), Fraction(band.output))
    lines: Lines = {STANDARD: base}
    for line in price.lines:
        _add_line(lines, line)
    return lines


def changed(lines: Lines, change: ChangeFile) -> Lines:
    """A copy of the lines with the change made. Raises ValueError for a rate that cannot be read."""
    copy: Lines = {
        key: {start: dict(rates) for start, rates in bands.items()} for key, bands in lines.items()
    }
    for bands in copy.values():
        _set_rates(bands, change.rates, only_missing=change.only_missing)
    for line in change.lines:
        _add_line(copy, line)
    return copy


def _set_rates(bands: Bands, texts: Mapping[str, str], *, only_missing: bool) -> None:
    for rates in bands.values():
        for quantity, text in texts.items():
            if quantity not in QUANTITIES:
                raise ValueError(f"rates: unknown quantity {quantity}")
            if not (only_missing and quantity in rates):
                rates[quantity] = _rate(quantity, text, rates)


def _rate(quantity: str, text: str, beside: Mapping[str, Rate]) -> Rate:
    if found := _RATE.match(text):
        dollars, unit = found.groups()
        units = (_TIME_UNITS if quantity.endswith("_ms") else _PLAIN_UNITS).get(unit)
        if units is not None:
            return Rate.of_usd(Fraction(dollars), units)
    elif found := _RELATIVE.match(text):
        factor, other = found.groups()
        if other in beside:
            return beside[other].times(Fraction(factor))
        raise ValueError(f'rates.{quantity}: "{text}" is relative to a rate that is not there')
    raise ValueError(
        f'rates.{quantity}: "{text}" is not a rate such as "3/M", "10/1k", "0.04/1", "0.0043/min"'
    )


def _add_line(lines: Lines, line: LineFile) -> None:
    """Adds the context to every line that lacks it on the same axis."""
    axes = [at for at, value in enumerate((line.tier, line.speed, line.geo)) if value]
    if len(axes) != 1:
        raise ValueError("lines: give exactly one of `tier`, `speed`, `geo`")
    factor = Fraction(line.tokens)
    for key, bands in list(lines.items()):
        if not key[axes[0]]:
            new = (line.tier or key[0], line.speed or key[1], line.geo or key[2])
            lines[new] = {start: _times(rates, factor, factor) for start, rates in bands.items()}


def _times(rates: Mapping[str, Rate], into: Fraction, out: Fraction) -> dict[str, Rate]:
    factors = {**dict.fromkeys(TOKENS_IN, into), **dict.fromkeys(TOKENS_OUT, out)}
    return {name: rate.times(factors[name]) if name in factors else rate for name, rate in rates.items()}
