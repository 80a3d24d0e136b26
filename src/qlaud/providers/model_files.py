"""What we know of models besides their price: names, limits, capabilities, the words shown to people.

One file a provider under data/models. A `[[family]]` holds what several models share, a `[[model]]` is one slug; a
model takes its own value, else its family's, else the file's default.
"""

from datetime import date

import msgspec

from qlaud.providers.toml_files import BadFile, read, shipped

LONGEST_SENTENCE = 140
"""Characters of a description's first sentence, which end users see (contract, section 11)."""


class TraitsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is like; None means "as the family, or the default"."""

    task: str | None = None
    wires: list[str] | None = None
    capabilities: list[str] | None = None
    context_window: int | None = None
    max_output: int | None = None
    default_max_tokens: int | None = None
    quirks: list[str] | None = None
    description: str | None = None


class FamilyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models that are alike, by slug."""

    models: list[str]
    traits: TraitsFile
    source: str = ""


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One slug."""

    slug: str
    aliases: list[str] = []
    """Names callers may use that the provider does not know."""
    native: list[str] = []
    """Other ids that the provider itself takes; aliases too."""
    upstream: str = ""
    """The provider's id; the slug when empty."""
    display_name: str = ""
    traits: TraitsFile = TraitsFile()


class EndFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models that a provider stops serving, or has stopped serving."""

    models: list[str]
    """By slug."""
    on: date
    replaced_by: str = ""
    """A slug."""


class ModelsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of data/models."""

    provider: str
    author: str
    source: str
    verified: date
    defaults: TraitsFile
    """Also holds for priced models that the file does not name."""
    unlisted: list[str] = []
    """Priced ids that are not offered."""
    foreign: list[str] = []
    """Names in the price list that other resellers use; not taken over."""
    deprecated: list[EndFile] = []
    family: list[FamilyFile] = []
    model: list[ModelFile] = []


def read_model_files() -> list[ModelsFile]:
    """Every shipped file. Raises BadFile."""
    return [_checked(str(file), read(file, ModelsFile)) for file in shipped("models")]


def known_ids() -> dict[str, frozenset[str]]:
    """Every id the files name, by provider: what match clauses of prices are tried on."""
    return {
        models.provider: frozenset(
            name for model in models.model for name in (model.upstream or model.slug, *model.native)
        )
        | frozenset(slug for family in models.family for slug in family.models)
        for models in read_model_files()
    }


def _checked(name: str, models: ModelsFile) -> ModelsFile:
    seen: set[str] = set()
    for family in models.family:
        if twice := seen & set(family.models):
            raise BadFile(name, f"family: {', '.join(sorted(twice))} in two families")
        seen |= set(family.models)
    ending: set[str] = set()
    for end in models.deprecated:
        if twice := ending & set(end.models):
            raise BadFile(name, f"deprecated: {', '.join(sorted(twice))} twice")
        ending |= set(end.models)
    for traits in (models.defaults, *(f.traits for f in models.family), *(m.traits for m in models.model)):
        sentence = (traits.description or "").split(". ")[0]
        if len(sentence) > LONGEST_SENTENCE:
            raise BadFile(
                name, f"description: first sentence above {LONGEST_SENTENCE} characters: {sentence}"
            )
    return models
