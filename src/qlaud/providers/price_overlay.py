"""Our own price files: what the seed lacks, and corrections to it.

A file is about one provider. It may say whose prices of genai-prices seed it, define models of its own, and change
models in file order. This is the format, described for people in docs/prices.md; `price_lines` turns it into rates.
Rates are written as people read them:
`"3/M"` dollars a million, `"10/1k"` a thousand, `"0.04/1"` each, `"0.0043/min"` a minute of audio or video, or
`"2.5 x input_tokens"`, relative to another rate of the same band.
"""

from datetime import date

import msgspec

from qlaud.providers.price_rows import TermsRow

EVERY_MODEL = "*"


class BandFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A long-context band: every token price times a factor. `above` is exclusive, `at` inclusive."""

    input: str
    output: str
    above: int | None = None
    at: int | None = None


class LineFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another context: the lines without it, every token price times `tokens`, then `rates` in place of theirs.

    A relative rate (`"0.5 x images"`) is relative to the line it is made from.
    """

    tokens: str = "1"
    tier: str = ""
    speed: str = ""
    geo: str = ""
    grade: str = ""
    rates: dict[str, str] = {}


class AddonFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something a call may have on top: its rates are added, and its name to the grade (`streaming+diarize`)."""

    grade: str
    rates: dict[str, str]


class HoursFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the week, by name, in UTC."""

    windows: list[str]
    """`"01:00-04:00"`, half-open."""
    days: list[str] = []
    """`mon` to `sun`; none named: all."""
    not_on: list[date] = []
    """Holidays."""


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
    """The prices of a model of our own, from a day on (default: always).

    With `hours`, in those hours only. A newer price without hours ends all earlier ones.
    """

    rates: dict[str, str]
    bands: list[BandFile] = []
    lines: list[LineFile] = []
    addons: list[AddonFile] = []
    from_day: date | None = None
    hours: str = ""


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
    only: str = ""
    """A pattern that the ids of all rows and names taken over match; empty: all do."""


class OverlayFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of data/prices."""

    provider: str
    released: date
    """Of this file; part of the price version."""
    seed: SeedFile | None = None
    terms: TermsRow = TermsRow()
    implicit_writes: list[str] = []
    vendor_cost: bool = False
    """The provider's answers say what a call costs, and that is what it bills."""
    least: dict[str, int] = {}
    """A call that uses any of a quantity is billed for at least so much of it."""
    hours: dict[str, HoursFile] = {}
    model: list[ModelFile] = []
    change: list[ChangeFile] = []
