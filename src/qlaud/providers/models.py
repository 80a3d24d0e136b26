"""The catalog: model files, prices and providers joined. Built at start and whenever one of them is reloaded.

A model is offered when a file names it or the price book prices it. A name of the provider's own (a dated id) is an
alias that goes upstream as asked; any other alias goes upstream as the provider's id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import msgspec

from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.price_book import PriceBook
from qlaud.core.pricing import RateCard
from qlaud.core.providers import Registry
from qlaud.providers.model_files import ModelFile, ModelsFile, TraitsFile, read_model_files
from qlaud.providers.pricebook import PricedModel, Prices, load_prices
from qlaud.providers.provider_files import read_provider_files, served_models
from qlaud.providers.registry import build_registry
from qlaud.providers.toml_files import BadFile

INPUT, OUTPUT = "input_tokens", "output_tokens"
MEDIA = ("images", "video_ms", "audio_ms", "characters", "pages", "calls")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything data decides, as one consistent set. Swapped whole."""

    registry: Registry
    book: PriceBook
    catalog: Catalog


def load_catalog(
    *,
    env: Mapping[str, str],
    cache_dir: Path | None,
    at_ms: int,
    prices_dir: Path | None = None,
    providers_dir: Path | None = None,
) -> Shelf:
    """Registry, price book and catalog from the shipped files, the environment and an operator's folders.

    `at_ms` decides which host of a model is the cheapest today.
    Raises BadFile, BadSetting (see `providers.registry`) and PricesUnavailable.
    """
    prices = load_prices(cache_dir=cache_dir, prices_dir=prices_dir, providers_dir=providers_dir)
    rows = read_provider_files(providers_dir)
    registry = build_registry((row for _, row in rows), env)
    files = [file for file in read_model_files() if file.provider in registry.providers]
    served = [served_models(name, row) for name, row in rows if row.model]
    return Shelf(registry, prices.book, build_catalog(files, prices, at_ms=at_ms, served=served))


def build_catalog(
    files: Sequence[ModelsFile], prices: Prices, *, at_ms: int, served: Sequence[ModelsFile] = ()
) -> Catalog:
    """The catalog of these files and prices. A slug that two providers have becomes one model with two hosts.

    `served` are the models of an operator's own providers. Raises BadFile where one of their aliases is another's.
    """
    models: dict[str, Model] = {}
    names: dict[str, str] = {}
    for number, file in enumerate((*files, *served)):
        priced = [model for model in prices.models if model.provider == file.provider]
        for model in _models(file, priced, prices.book):
            if number >= len(files):
                model = _with_free_names(file, model, names)
            names.update(dict.fromkeys(model.aliases, model.slug))
            known = models.get(model.slug)
            models[model.slug] = _joined(known, model, at_ms) if known else model
    return Catalog(tuple(models[slug] for slug in sorted(models)), prices.book.version)


def _with_free_names(file: ModelsFile, model: Model, names: Mapping[str, str]) -> Model:
    """The model without the names that others have: several may be the same thing upstream."""
    taken = {alias for alias in model.aliases if names.get(alias, model.slug) != model.slug}
    for stated in file.model:
        for alias in stated.aliases if stated.slug == model.slug else ():
            if alias.lower() in taken:
                raise BadFile(
                    file.source,
                    f'model "{model.slug}": aliases: "{alias}" already names {names[alias.lower()]}; choose another',
                )
    return replace(model, aliases=tuple(alias for alias in model.aliases if alias not in taken))


def _models(file: ModelsFile, priced: Sequence[PricedModel], book: PriceBook) -> Iterable[Model]:
    named = {model.slug.lower(): model for model in file.model}
    by_id = {model.id.lower(): model for model in priced}
    taken = {(model.upstream or model.slug).lower() for model in file.model} | named.keys() | by_id.keys()
    taken |= {name.lower() for model in file.model for name in model.native}
    hidden = {name.lower() for name in (*file.unlisted, *file.foreign)}
    listed = {name for model in priced for name in model.names}
    slugs = [model.slug for model in file.model]
    slugs += [
        model.id for model in priced if model.id.lower() not in named and model.id.lower() not in hidden
    ]
    for slug in slugs:
        stated = named.get(slug.lower(), ModelFile(slug))
        row = by_id.get(slug.lower())
        spare = {name for name in (row.names if row else ()) if name not in taken and name not in hidden}
        respelt = {name for one in (*taken, *spare) for name in _respellings(one)}
        aliases = {name for one in (slug, *spare) for name in _respellings(one.lower()) if name in listed}
        yield _model(file, stated, row, book, native=spare - respelt, aliases=aliases - hidden)


def _model(
    file: ModelsFile,
    stated: ModelFile,
    row: PricedModel | None,
    book: PriceBook,
    *,
    native: set[str],
    aliases: set[str],
) -> Model:
    traits = _traits(file, stated, row)
    upstream = stated.upstream or stated.slug
    native = native | {name.lower() for name in stated.native}
    host = Host(
        provider=file.provider,
        upstream_model=upstream,
        wires=tuple(traits.wires or ()),
        cards=book.cards(file.provider, upstream) or book.cards(file.provider, stated.slug),
        native_names=frozenset(native),
        quirks=frozenset(traits.quirks or ()),
    )
    end = next((end for end in file.deprecated if stated.slug in end.models), None)
    names = {*map(str.lower, stated.aliases), *aliases, *native, upstream.lower()} - {stated.slug.lower()}
    return Model(
        slug=stated.slug,
        hosts=(host,),
        task=traits.task or "text-generation",
        aliases=tuple(sorted(names)),
        display_name=stated.display_name or (row.display_name if row else "") or stated.slug,
        author=file.author,
        description=traits.description or "",
        capabilities=tuple(traits.capabilities or ()),
        context_window=traits.context_window,
        max_output=traits.max_output or 0,
        default_max_tokens=traits.default_max_tokens or 0,
        deprecated=end.on.isoformat() if end else "",
        replaced_by=end.replaced_by if end else "",
    )


def _traits(file: ModelsFile, stated: ModelFile, row: PricedModel | None) -> TraitsFile:
    """A model's own values, else its family's, else the price list's, else the file's defaults."""
    slug = stated.slug.lower()
    family = next((f.traits for f in file.family if slug in map(str.lower, f.models)), TraitsFile())
    listed = _listed(file.defaults, row.context_window if row else None)
    layers = [msgspec.structs.asdict(layer) for layer in (file.defaults, listed, family, stated.traits)]
    chosen: dict[str, object] = {}
    for layer in layers:
        chosen.update({name: value for name, value in layer.items() if value is not None})
    return msgspec.convert(chosen, TraitsFile)


def _listed(defaults: TraitsFile, window: int | None) -> TraitsFile:
    """What the price list tells; the default output limits leave half of a small window to the prompt."""
    most = defaults.max_output
    if window is None or not most:
        return TraitsFile(context_window=window)
    most = min(most, window // 2)
    return TraitsFile(
        context_window=window,
        max_output=most,
        default_max_tokens=min(most, defaults.default_max_tokens or most),
    )


def _respellings(name: str) -> set[str]:
    """The ways others write a version without its dot (`gpt-5-4`, `gpt-35`), which the provider does not take."""
    return {name.replace(".", "-"), name.replace(".", "")} - {name}


def _joined(known: Model, other: Model, at_ms: int) -> Model:
    """One model with the hosts of both, the cheapest first."""
    hosts = sorted((*known.hosts, *other.hosts), key=lambda host: _dearness(host.card_at(at_ms)))
    return Model(
        slug=known.slug,
        hosts=tuple(hosts),
        task=known.task,
        aliases=tuple(sorted({*known.aliases, *other.aliases})),
        display_name=known.display_name,
        author=known.author,
        description=known.description,
        capabilities=known.capabilities,
        context_window=max((known.context_window or 0, other.context_window or 0)) or None,
        max_output=min(known.max_output, other.max_output),
        default_max_tokens=min(known.default_max_tokens, other.default_max_tokens),
        # A model lives as long as one of its hosts serves it.
        deprecated=max(known.deprecated, other.deprecated) if known.deprecated and other.deprecated else "",
        replaced_by=known.replaced_by if known.deprecated and other.deprecated else "",
    )


def _dearness(card: RateCard | None) -> tuple[bool, Fraction]:
    """Sorts by the price of a prompt token and an answer token, of media by their first unit; no price comes last."""
    for names in ((INPUT, OUTPUT), *((unit,) for unit in MEDIA)):
        rates = [rate for name in names if card and (rate := card.rate(name))]
        if rates:
            return (False, sum((rate.exact for rate in rates), Fraction(0)))
    return (True, Fraction(0))
