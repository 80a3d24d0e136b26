"""The compiled price sheet: plain rows that one process writes and the others read back.

A sheet is what a price book is made of, in msgpack, so that the library of prices (40 MB, 0.4 s) is loaded in a
short-lived child only. `FORMAT` changes with the meaning of a row.
"""

import msgspec

from qlaud.core.pricing import LineKey
from qlaud.core.rates import Rate

FORMAT = 3
EXIT_BAD_FILE = 3
"""How the compiling child says that a price file is to blame."""

Bands = dict[int, dict[str, Rate]]
"""Rates by the prompt length they start at, while a sheet is being made."""
Lines = dict[LineKey, Bands]


class BandRow(msgspec.Struct, frozen=True, array_like=True):
    """Stated rates from a prompt length on: quantity to (picos, per)."""

    starts_at: int
    rates: dict[str, tuple[int, int]]


class LineRow(msgspec.Struct, frozen=True, array_like=True):
    """The bands of one price context."""

    tier: str
    speed: str
    geo: str
    grade: str
    bands: list[BandRow]


class HoursRow(msgspec.Struct, frozen=True, array_like=True):
    """`core.hours.Hours`."""

    windows: list[tuple[int, int]]
    weekdays: list[int]
    not_on: list[int]


class CardRow(msgspec.Struct, frozen=True, array_like=True):
    """The prices of a model from a moment on, `hours` None: always."""

    from_ms: int
    source: str
    verified: str
    lines: list[LineRow]
    hours: HoursRow | None


class ModelRow(msgspec.Struct, frozen=True, array_like=True):
    """One priced model; `names` are the other exact ids with the same price."""

    provider: str
    id: str
    names: list[str]
    display_name: str
    context_window: int | None
    cards: list[CardRow]


class AxisRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`core.pricing.Axis`, as it stands in a price file."""

    names: dict[str, str] = {}
    reach: dict[str, list[str]] = {}
    optional: list[str] = []


class TermsRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`core.pricing.Terms`, as it stands in a price file."""

    tier: AxisRow = AxisRow()
    speed: AxisRow = AxisRow()
    geo: AxisRow = AxisRow()
    grade: AxisRow = AxisRow()


class ProviderRow(msgspec.Struct, frozen=True):
    """What all models of a provider share."""

    terms: TermsRow
    implicit_writes: list[str]
    vendor_cost: bool
    least: dict[str, int] = {}


class Sheet(msgspec.Struct, frozen=True):
    """Everything a price book is made of."""

    format: int
    version: str
    seed_version: str
    """Of genai-prices."""
    providers: dict[str, ProviderRow]
    models: list[ModelRow]
    left_out: list[str]
    """Prices of the seed that could not be taken over, in words."""


def to_line_rows(lines: Lines) -> list[LineRow]:
    """The rows of these lines, in a stable order."""
    return [
        LineRow(
            *key,
            [
                BandRow(start, {name: (rate.picos, rate.per) for name, rate in sorted(rates.items())})
                for start, rates in sorted(bands.items())
            ],
        )
        for key, bands in sorted(lines.items())
    ]
