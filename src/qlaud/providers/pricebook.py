"""The price book in this process: compiled by a child, kept in a cache, decoded here.

The child exists because genai-prices costs 40 MB and 0.4 s to import. The cache is keyed by everything a sheet is
made of, so it is never stale; a corrupt one is compiled again. Several workers may start at once: each writes its
own temporary file and renames it, the last one wins, and all of them are equal. Called by the composition root at
start and whenever prices are reloaded; a new book replaces the old one whole.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from qlaud.core.hours import Hours
from qlaud.core.price_book import PriceBook
from qlaud.core.pricing import STANDARD, Axis, RateCard, Terms
from qlaud.core.rates import CACHE_WRITES, Band, Rate
from qlaud.providers.price_rows import (
    EXIT_BAD_FILE,
    FORMAT,
    AxisRow,
    CardRow,
    HoursRow,
    ModelRow,
    Sheet,
    TermsRow,
)
from qlaud.providers.toml_files import BadFile, added, shipped

COMPILE_TIMEOUT_S = 120.0
"""Longer than any machine that can serve needs; a child that hangs must not hang the start."""
_BOOT = "import sys; sys.path[:0] = [sys.argv.pop(1)]; from qlaud.providers.price_compile import main; main()"


class PricesUnavailable(Exception):
    """The price sheet could not be made; the gateway must not start without prices."""


@dataclass(frozen=True, slots=True)
class PricedModel:
    """What the price sheet knows of a model besides its price."""

    provider: str
    id: str
    names: tuple[str, ...]
    """Other exact ids with the same price, lower case."""
    display_name: str
    context_window: int | None


@dataclass(frozen=True, slots=True)
class Prices:
    """A loaded price sheet."""

    book: PriceBook
    models: tuple[PricedModel, ...]
    left_out: tuple[str, ...]
    """Prices of the seed that could not be taken over, in words."""


def load_prices(
    *, cache_dir: Path | None, prices_dir: Path | None = None, providers_dir: Path | None = None
) -> Prices:
    """The current prices: ours over those of genai-prices, an operator's `prices_dir` over both, and his models.

    Raises BadFile naming file and key, PricesUnavailable when the child fails.
    """
    return prices_of(load_sheet(cache_dir=cache_dir, prices_dir=prices_dir, providers_dir=providers_dir))


def load_sheet(
    *, cache_dir: Path | None, prices_dir: Path | None = None, providers_dir: Path | None = None
) -> Sheet:
    """The sheet from the cache, or compiled now. A cache that cannot be written is done without."""
    if cache_dir is None:
        return _decode(_compile(prices_dir, providers_dir))
    cached = cache_dir / f"prices-{_fingerprint(prices_dir, providers_dir)}.msgpack"
    with suppress(OSError, msgspec.DecodeError, PricesUnavailable):
        return _decode(cached.read_bytes())
    packed = _compile(prices_dir, providers_dir)
    sheet = _decode(packed)
    with suppress(OSError), _replacing(cached) as temporary:
        temporary.write_bytes(packed)
    return sheet


def prices_of(sheet: Sheet) -> Prices:
    """The sheet as rate cards by every id and name."""
    terms = {provider: _terms(row.terms) for provider, row in sheet.providers.items()}
    made = [
        (row, [_card(row, card, sheet, terms[row.provider]) for card in row.cards]) for row in sheet.models
    ]
    cards: dict[tuple[str, str], list[RateCard]] = {}
    for row, its in made:
        for name in row.names:
            cards.setdefault((row.provider, name), its)
    for row, its in made:
        cards[row.provider, row.id.lower()] = its
    models = [
        PricedModel(r.provider, r.id, tuple(r.names), r.display_name, r.context_window) for r in sheet.models
    ]
    return Prices(PriceBook(sheet.version, cards), tuple(models), tuple(sheet.left_out))


def _card(row: ModelRow, card: CardRow, sheet: Sheet, terms: Terms) -> RateCard:
    provider = sheet.providers[row.provider]
    lines = {
        (line.tier, line.speed, line.geo, line.grade): tuple(
            Band.of(band.starts_at, {name: Rate(*rate) for name, rate in band.rates.items()})
            for band in line.bands
        )
        for line in card.lines
    }
    stated = lines[STANDARD][0].stated
    return RateCard(
        provider=row.provider,
        model=row.id,
        version=sheet.version,
        lines=lines,
        terms=terms,
        from_ms=card.from_ms,
        implicit_ttls=frozenset(ttl for ttl in provider.implicit_writes if CACHE_WRITES[ttl] in stated),
        source=card.source,
        verified=card.verified,
        hours=_hours(card.hours) if card.hours else None,
        vendor_cost=provider.vendor_cost,
        least=provider.least,
    )


def _terms(row: TermsRow) -> Terms:
    return Terms(_axis(row.tier), _axis(row.speed), _axis(row.geo), _axis(row.grade))


def _hours(row: HoursRow) -> Hours:
    return Hours(tuple(row.windows), frozenset(row.weekdays), frozenset(row.not_on))


def _axis(row: AxisRow) -> Axis:
    if not row.names:
        return Axis()
    return Axis(row.names, {word: tuple(names) for word, names in row.reach.items()}, frozenset(row.optional))


def _decode(packed: bytes) -> Sheet:
    sheet = msgspec.msgpack.decode(packed, type=Sheet)
    if sheet.format != FORMAT or not sheet.models:
        raise PricesUnavailable(f"price sheet of format {sheet.format} with {len(sheet.models)} models")
    return sheet


def _compile(prices_dir: Path | None, providers_dir: Path | None) -> bytes:
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-P", "-c", _BOOT, root, str(prices_dir or ""), str(providers_dir or "")]
    try:
        child = subprocess.run(command, capture_output=True, timeout=COMPILE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PricesUnavailable(f"the prices could not be compiled: {error}") from error
    said = child.stderr.decode("utf-8", "replace").strip()
    if child.returncode == EXIT_BAD_FILE:
        name, _, reason = said.partition(": ")
        raise BadFile(name, reason)
    if child.returncode != 0:
        raise PricesUnavailable(f"the prices could not be compiled (exit {child.returncode}): {said[-2000:]}")
    return child.stdout


def _fingerprint(prices_dir: Path | None, providers_dir: Path | None) -> str:
    """A hash of everything a sheet is made of: our files, the code that reads them, and the seed's version."""
    digest = hashlib.sha256(f"{FORMAT} {version('genai-prices')}".encode())
    files: Sequence[Traversable] = [
        *shipped("prices"),
        *shipped("models"),
        *sorted(Path(__file__).parent.glob("*.py")),
        *(added(prices_dir) if prices_dir else ()),
        *(added(providers_dir) if providers_dir else ()),
    ]
    for file in files:
        content = file.read_bytes()
        digest.update(f"\n{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


@contextmanager
def _replacing(target: Path) -> Generator[Path]:
    """A file beside `target` that takes its place, whole, when it was written without a fault."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
