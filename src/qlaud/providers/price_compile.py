"""Makes the price sheet from genai-prices and our own files. Runs in a child process, once per change of either.

Order: the seed's models, then our own (which replace those of the same id), then the changes, shipped files before
an operator's. A model's cards begin wherever any of these says that a price changes.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from qlaud.core.rates import CACHE_WRITES
from qlaud.core.usage import QUANTITIES
from qlaud.providers.model_files import known_ids
from qlaud.providers.price_lines import changed, day_ms, own_lines, read_overlay, to_hours_row
from qlaud.providers.price_overlay import EVERY_MODEL, ChangeFile, ModelFile, OverlayFile
from qlaud.providers.price_rows import (
    EXIT_BAD_FILE,
    FORMAT,
    AxisRow,
    CardRow,
    HoursRow,
    LineRow,
    Lines,
    ModelRow,
    ProviderRow,
    Sheet,
    TermsRow,
    to_line_rows,
)
from qlaud.providers.price_seed import SeedModel, has_hours, seed_models, seed_version
from qlaud.providers.price_served import served_prices
from qlaud.providers.toml_files import BadFile, added, shipped


@dataclass(slots=True)
class _Draft:
    """A model while its cards are being made."""

    provider: str
    id: str
    source: str
    verified: str
    seed: SeedModel | None = None
    own: ModelFile | None = None
    names: set[str] = field(default_factory=lambda: set[str]())
    hours: Mapping[str, HoursRow] = field(default_factory=lambda: dict[str, HoursRow]())
    """By name, as its file defines them."""
    changes: list[ChangeFile] = field(default_factory=lambda: list[ChangeFile]())

    def moments_ms(self) -> list[int]:
        moments = self.seed.moments_ms() if self.seed else {0}
        if self.own:
            moments |= {day_ms(price.from_day) for price in self.own.prices}
        for change in self.changes:
            moments |= {day_ms(change.from_day), day_ms(change.until)}
        return sorted(moments)

    def lines_at(self, at_ms: int, hours: str = "") -> Lines:
        """Its lines as of a moment, in those hours; empty when there is no price for them."""
        lines: Lines = {}
        if self.own:
            lines = _own_lines_at(self.own, at_ms, hours)
        elif self.seed and not hours:
            lines = self.seed.lines_at(at_ms)
        for change in self.changes:
            if day_ms(change.from_day) <= at_ms and (change.until is None or at_ms < day_ms(change.until)):
                lines = changed(lines, change) if lines or (change.rates and not hours) else lines
        return lines

    def cards(self) -> list[CardRow]:
        cards: list[CardRow] = []
        before: list[tuple[str, list[LineRow]]] = []
        for at_ms in self.moments_ms():
            made = [(name, to_line_rows(self.lines_at(at_ms, name))) for name in (*self.hours, "")]
            if made != before:
                cards += [
                    CardRow(at_ms, self.source, self.verified, rows, self.hours.get(name))
                    for name, rows in made
                    if rows
                ]
            before = made
        return cards


def _own_lines_at(model: ModelFile, at_ms: int, hours: str) -> Lines:
    """The newest price of these hours that has begun, unless a newer one without hours ended it."""
    begun = [price for price in model.prices if day_ms(price.from_day) <= at_ms]
    always = max((day_ms(price.from_day) for price in begun if not price.hours), default=0)
    meant = [price for price in begun if price.hours == hours and day_ms(price.from_day) >= always]
    return own_lines(max(meant, key=lambda price: day_ms(price.from_day))) if meant else {}


def compile_sheet(
    price_files: Sequence[Traversable],
    *,
    known: dict[str, frozenset[str]],
    served: Sequence[tuple[str, OverlayFile]] = (),
) -> Sheet:
    """The sheet of these files, then of the models an operator's providers serve.

    `known` are the ids of each provider that match clauses are tried on.

    Raises BadFile when a file breaks the format, names a model nobody knows, or two models claim one id.
    """
    overlays = [*((str(file), read_overlay(file)) for file in price_files), *served]
    drafts: dict[tuple[str, str], _Draft] = {}
    left_out: list[str] = []
    for file, overlay in overlays:
        for draft in _seeded(file, overlay, left_out):
            drafts[draft.provider, draft.id.lower()] = draft
        for model in overlay.model:
            drafts[overlay.provider, model.id.lower()] = _own(overlay, model)
    for file, overlay in overlays:
        _attach(file, overlay, drafts)
    _name(drafts, known)
    rows = [
        ModelRow(
            draft.provider,
            draft.id,
            sorted(draft.names),
            (draft.own.display_name if draft.own else draft.seed.info.name if draft.seed else "") or "",
            draft.own.context_window if draft.own else draft.seed.info.context_window if draft.seed else None,
            cards,
        )
        for draft in drafts.values()
        if (cards := _cards(draft))
    ]
    providers = _providers(overlays)
    return Sheet(
        format=FORMAT,
        version=_version(overlays, providers, rows),
        seed_version=seed_version(),
        providers=providers,
        models=rows,
        left_out=left_out,
    )


def _cards(draft: _Draft) -> list[CardRow]:
    try:
        return draft.cards()
    except ValueError as error:
        raise BadFile(f"{draft.provider} {draft.id}", str(error)) from None


def _seeded(file: str, overlay: OverlayFile, left_out: list[str]) -> Iterable[_Draft]:
    if overlay.seed is None:
        return
    try:
        models = seed_models(
            overlay.seed.provider,
            cache_write=CACHE_WRITES[overlay.seed.cache_write],
            skip=frozenset(overlay.seed.skip),
            only=overlay.seed.only,
        )
    except LookupError as error:
        raise BadFile(file, f"seed.provider: {error}") from None
    source, verified = f"genai-prices {seed_version()}", overlay.seed.verified.isoformat()
    replaced = {model.id.lower() for model in overlay.model}
    for model in models:
        if model.id.lower() in replaced:
            continue
        if has_hours(model):
            left_out.append(f"{overlay.provider} {model.id}: its price depends on the time of day")
            continue
        left_out.extend(f"{overlay.provider} {model.id}: no quantity for {key}" for key in model.left_out)
        yield _Draft(overlay.provider, model.id, source, verified, seed=model, names=set(model.names()))


def _own(overlay: OverlayFile, model: ModelFile) -> _Draft:
    names = {name.lower() for name in model.names}
    hours = {
        name: to_hours_row(overlay.hours[name])
        for name in sorted({price.hours for price in model.prices if price.hours})
    }
    return _Draft(
        overlay.provider,
        model.id,
        model.source,
        model.verified.isoformat(),
        own=model,
        names=names,
        hours=hours,
    )


def _attach(file: str, overlay: OverlayFile, drafts: dict[tuple[str, str], _Draft]) -> None:
    for number, change in enumerate(overlay.change, 1):
        for model in change.models:
            if model == EVERY_MODEL:
                found = [draft for (owner, _), draft in drafts.items() if owner == overlay.provider]
            else:
                found = [draft for draft in [drafts.get((overlay.provider, model.lower()))] if draft]
            if not found:
                raise BadFile(file, f"change {number}: models: no model {model} at {overlay.provider}")
            for draft in found:
                draft.changes.append(change)


def _name(drafts: dict[tuple[str, str], _Draft], known: dict[str, frozenset[str]]) -> None:
    """Gives every known id that nobody claims to the first model whose clauses match it; drops names that are ids."""
    for (provider, _), draft in drafts.items():
        draft.names = {name for name in draft.names if (provider, name) not in drafts}
    claimed = {(draft.provider, name) for draft in drafts.values() for name in draft.names} | set(drafts)
    for provider, ids in known.items():
        for known_id in sorted(ids):
            name = known_id.lower()
            if (provider, name) in claimed:
                continue
            for draft in drafts.values():
                if draft.provider == provider and draft.seed and draft.seed.matches(name):
                    draft.names.add(name)
                    break


def _providers(overlays: Sequence[tuple[str, OverlayFile]]) -> dict[str, ProviderRow]:
    rows: dict[str, ProviderRow] = {}
    for file, overlay in overlays:
        for name, units in overlay.least.items():
            if name not in QUANTITIES or units < 1:
                raise BadFile(file, f"least: {name} = {units} is not a quantity and a number above 0")
        before = rows.get(overlay.provider, ProviderRow(TermsRow(), [], vendor_cost=False))
        rows[overlay.provider] = ProviderRow(
            TermsRow(
                *(
                    given if given != AxisRow() else had
                    for given, had in zip(_axes(overlay.terms), _axes(before.terms), strict=True)
                )
            ),
            overlay.implicit_writes or before.implicit_writes,
            overlay.vendor_cost or before.vendor_cost,
            before.least | overlay.least,
        )
    return rows


def _axes(terms: TermsRow) -> tuple[AxisRow, AxisRow, AxisRow, AxisRow]:
    return terms.tier, terms.speed, terms.geo, terms.grade


def _version(
    overlays: Sequence[tuple[str, OverlayFile]], providers: dict[str, ProviderRow], rows: list[ModelRow]
) -> str:
    """`2026-11-21.0.2.3+1a2b3c4d`: newest of our files, the seed's version, a hash of every price."""
    newest = max((overlay.released for _, overlay in overlays), default=None)
    digest = hashlib.sha256(msgspec.msgpack.encode((providers, rows))).hexdigest()[:8]
    return f"{newest}.{seed_version()}+{digest}"


def price_files(prices_dir: Path | None) -> list[Traversable]:
    """The shipped price files, then an operator's."""
    return [*shipped("prices"), *(added(prices_dir) if prices_dir else ())]


def main() -> None:
    """Writes the sheet to standard output; complaints about a file go to standard error with exit code 3."""
    prices_dir, providers_dir = (Path(word) if word else None for word in sys.argv[1:3])
    try:
        sheet = compile_sheet(price_files(prices_dir), known=known_ids(), served=served_prices(providers_dir))
    except BadFile as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(EXIT_BAD_FILE) from None
    sys.stdout.buffer.write(msgspec.msgpack.encode(sheet))
