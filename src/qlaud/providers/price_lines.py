"""From the words of a price file to rates by context and prompt length. For the compiling child, never to serve."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from fractions import Fraction
from importlib.resources.abc import Traversable

from qlaud.core.clock import MS_PER_DAY, MS_PER_S
from qlaud.core.hours import EVERY_DAY, Hours
from qlaud.core.pricing import STANDARD, LineKey
from qlaud.core.rates import CACHE_WRITES, INPUT_SIDE, OUTPUT_SIDE, Rate
from qlaud.core.usage import QUANTITIES
from qlaud.providers.price_overlay import AddonFile, ChangeFile, HoursFile, LineFile, OverlayFile, PriceFile
from qlaud.providers.price_rows import Bands, HoursRow, Lines
from qlaud.providers.toml_files import BadFile, nearest, read

TOKENS_IN = frozenset({*INPUT_SIDE, *CACHE_WRITES.values()})
TOKENS_OUT = frozenset(OUTPUT_SIDE)
MOST_ADDONS = 6
"""Every combination becomes a line."""

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(M|1k|1|h|min|s)\Z")
_RELATIVE = re.compile(r"(\d+(?:\.\d+)?) x ([a-z0-9_]+)\Z")
_PLAIN_UNITS = {"M": 1_000_000, "1k": 1000, "1": 1}
_TIME_UNITS = {"h": 3_600_000, "min": 60_000, "s": 1000}
_WINDOW = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)\Z")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_overlay(file: Traversable) -> OverlayFile:
    """The file, with every rate checked. Raises BadFile."""
    return checked_overlay(str(file), read(file, OverlayFile))


def checked_overlay(name: str, overlay: OverlayFile) -> OverlayFile:
    """The overlay of the file `name`, with every rate checked. Raises BadFile."""
    try:
        for model in overlay.model:
            for price in model.prices:
                _own_lines_of(model.id, price)
                if price.hours and price.hours not in overlay.hours:
                    raise ValueError(f"{model.id}: unknown hours {price.hours}")
        for change in overlay.change:
            changed({STANDARD: {0: dict.fromkeys(QUANTITIES, Rate(1))}}, change)
        for hours in overlay.hours.values():
            to_hours_row(hours)
        if unknown := set(overlay.implicit_writes) - CACHE_WRITES.keys():
            raise ValueError(f"implicit_writes: unknown time to live {sorted(unknown)}")
        if overlay.seed and overlay.seed.cache_write not in CACHE_WRITES:
            raise ValueError(f"seed.cache_write: unknown time to live {overlay.seed.cache_write}")
        if overlay.seed:
            re.compile(overlay.seed.only)
    except (ValueError, re.error) as error:
        raise BadFile(name, str(error)) from None
    return overlay


def _own_lines_of(model: str, price: PriceFile) -> None:
    try:
        own_lines(price)
    except ValueError as error:
        raise ValueError(f'model "{model}": {error}') from None


def day_ms(day: date | None) -> int:
    """The UTC midnight a day begins with; 0 for None."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * MS_PER_S if day else 0


def to_hours_row(hours: HoursFile) -> HoursRow:
    """The hours, checked. Raises ValueError."""
    windows: list[tuple[int, int]] = []
    for text in hours.windows:
        found = _WINDOW.match(text)
        if not found:
            raise ValueError(f'hours: "{text}" is not a window such as "01:00-04:00"')
        since_h, since_m, until_h, until_m = map(int, found.groups())
        windows.append((since_h * 60 + since_m, until_h * 60 + until_m))
    if unknown := set(hours.days) - set(_DAYS):
        raise ValueError(f"hours: unknown days {sorted(unknown)}")
    weekdays = sorted(_DAYS.index(day) for day in hours.days) or sorted(EVERY_DAY)
    not_on = sorted(day_ms(day) // MS_PER_DAY for day in hours.not_on)
    Hours(tuple(windows), frozenset(weekdays))  # says what is wrong
    return HoursRow(windows, weekdays, not_on)


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
    if len(price.addons) > MOST_ADDONS:
        raise ValueError(f"addons: at most {MOST_ADDONS}")
    for addon in sorted(price.addons, key=lambda one: one.grade):
        for (tier, speed, geo, grade), bands in list(lines.items()):
            key = (tier, speed, geo, "+".join(filter(None, (grade, addon.grade))))
            lines[key] = {start: _plus(rates, addon) for start, rates in bands.items()}
    return lines


def changed(lines: Lines, change: ChangeFile) -> Lines:
    """A copy of the lines with the change made. Raises ValueError for a rate that cannot be read."""
    copy: Lines = {
        key: {start: dict(rates) for start, rates in bands.items()} for key, bands in lines.items()
    }
    for bands in copy.values():
        _set_rates(bands, change.rates, only_missing=change.only_missing)
    for line in change.lines:
        _add_line(copy, line, only_missing=change.only_missing)
    return copy


def _set_rates(bands: Bands, texts: Mapping[str, str], *, only_missing: bool) -> None:
    for rates in bands.values():
        for quantity, text in texts.items():
            if quantity not in QUANTITIES:
                raise ValueError(f"rates: unknown quantity {quantity}{nearest(quantity, QUANTITIES)}")
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


def _add_line(lines: Lines, line: LineFile, *, only_missing: bool = False) -> None:
    """Adds the context to every line that lacks it on the same axis."""
    own = (line.tier, line.speed, line.geo, line.grade)
    axes = [at for at, word in enumerate(own) if word]
    if len(axes) != 1:
        raise ValueError("lines: give exactly one of `tier`, `speed`, `geo`, `grade`")
    factor = Fraction(line.tokens)
    for key, bands in list(lines.items()):
        tier, speed, geo, grade = (word or had for word, had in zip(own, key, strict=True))
        new: LineKey = (tier, speed, geo, grade)
        if not key[axes[0]] and not (only_missing and new in lines):
            made = {start: _times(rates, factor, factor) for start, rates in bands.items()}
            _set_rates(made, line.rates, only_missing=False)
            lines[new] = made


def _plus(rates: Mapping[str, Rate], addon: AddonFile) -> dict[str, Rate]:
    more: Bands = {0: {}}
    _set_rates(more, addon.rates, only_missing=False)
    sums = {
        name: Rate.of_picos(rate.exact + rates[name].exact) if name in rates else rate
        for name, rate in more[0].items()
    }
    return {**rates, **sums}


def _times(rates: Mapping[str, Rate], into: Fraction, out: Fraction) -> dict[str, Rate]:
    factors = {**dict.fromkeys(TOKENS_IN, into), **dict.fromkeys(TOKENS_OUT, out)}
    return {name: rate.times(factors[name]) if name in factors else rate for name, rate in rates.items()}
