"""The models callers may name, and where each can be had. Pure; built once at start, swapped whole on reload.

Look-up is exact, then case-insensitive, then by alias (contract, section 9): three dictionary reads, no scan. Only
a miss scans, for the three nearest slugs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from heapq import nlargest

from qlaud.core.errors import ModelNotFound
from qlaud.core.price_book import card_in_force
from qlaud.core.pricing import RateCard

NEAREST = 3
_LONGEST_GUESS = 64
"""Characters of an unknown name that are compared, so that a huge one costs no more."""


@dataclass(frozen=True, slots=True)
class Host:
    """One provider that serves a model."""

    provider: str
    upstream_model: str
    """The provider's own id."""
    wires: tuple[str, ...]
    """The wire formats the provider speaks for this model, the native one first."""
    cards: tuple[RateCard, ...] = ()
    """Dated prices, newest first, those of some hours before the one of all; empty means no price."""
    native_names: frozenset[str] = frozenset()
    """Other ids the provider itself takes for this model (dated ones), lower case."""
    quirks: frozenset[str] = frozenset()
    """Switches of this model at this provider, on top of the provider's own."""

    def card_at(self, at_ms: int) -> RateCard | None:
        """The price in force when a request begins at `at_ms`, or None."""
        return card_in_force(self.cards, at_ms)

    def upstream_name(self, asked: str) -> str:
        """The id to send: the one asked if the provider knows it (a dated id stays pinned), else its own."""
        return asked if asked.lower() in self.native_names else self.upstream_model


@dataclass(frozen=True, slots=True)
class Model:
    """One model as callers know it."""

    slug: str
    hosts: tuple[Host, ...]
    """Never empty; the cheapest first."""
    task: str = "text-generation"
    aliases: tuple[str, ...] = ()
    display_name: str = ""
    author: str = ""
    description: str = ""
    capabilities: tuple[str, ...] = ()
    context_window: int | None = None
    """Tokens, prompt and output together; None when unknown."""
    max_output: int = 0
    """The most output tokens a call may ask for; 0 where there is no such limit (media, embeddings)."""
    default_max_tokens: int = 0
    """Written where a surface demands a limit and the caller gave none."""
    deprecated: str = ""
    """The day the provider stops serving it, ISO; empty when none is announced. It may lie in the past."""
    replaced_by: str = ""
    """The slug its provider names for the time after; empty when none."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every model, by name."""

    models: tuple[Model, ...]
    price_version: str
    _exact: dict[str, Model] = field(init=False, repr=False, compare=False)
    _folded: dict[str, Model] = field(init=False, repr=False, compare=False)
    _aliases: dict[str, Model] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact: dict[str, Model] = {}
        folded: dict[str, Model] = {}
        aliases: dict[str, Model] = {}
        for model in self.models:
            if not model.hosts:
                raise ValueError(f"model {model.slug} has no host")
            if model.slug in exact:
                raise ValueError(f"model {model.slug} is in the catalog twice")
            exact[model.slug] = model
            folded.setdefault(model.slug.lower(), model)
        for model in self.models:
            for alias in model.aliases:
                other = aliases.setdefault(alias.lower(), model)
                if other is not model:
                    raise ValueError(f"alias {alias} names both {other.slug} and {model.slug}")
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_folded", folded)
        object.__setattr__(self, "_aliases", aliases)

    def resolve(self, text: str) -> Model:
        """The model called `text`. Raises ModelNotFound, naming the three nearest slugs."""
        found = self._exact.get(text)
        if found is not None:
            return found
        lower = text.lower()
        found = self._folded.get(lower) or self._aliases.get(lower)
        if found is None:
            raise ModelNotFound(text, self.nearest(text))
        return found

    def nearest(self, text: str, *, provider: str = "") -> tuple[str, ...]:
        """The slugs most like `text`, best first, of one provider if it is named. Scans the catalog."""
        matcher: SequenceMatcher[str] = SequenceMatcher(autojunk=False)
        matcher.set_seq2(text.lower()[:_LONGEST_GUESS])

        def likeness(slug: str) -> float:
            matcher.set_seq1(slug.lower())
            return matcher.ratio()

        return tuple(nlargest(NEAREST, _slugs(self.models, provider), key=likeness))


def _slugs(models: Iterable[Model], provider: str) -> list[str]:
    return [
        model.slug
        for model in models
        if not provider or any(host.provider == provider for host in model.hosts)
    ]
