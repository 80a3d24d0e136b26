"""What an operator's provider serves: `[[model]]` in its file with the price beside it, and what can be wrong there."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date

import msgspec

from qlaud.core.usage import QUANTITIES
from qlaud.providers.model_files import LONGEST_SENTENCE, TraitsFile
from qlaud.providers.toml_files import BadFile, nearest

TASKS = ("text-generation", "image-generation", "tts", "stt", "video-generation", "embeddings", "search")
CAPABILITIES = ("function-calling", "streaming", "reasoning", "vision", "audio-in", "audio-out")
TEXT = ("", "text-generation", "search")
INPUT, OUTPUT = "input_tokens", "output_tokens"


class ServedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that an operator's provider serves, and what it costs there."""

    slug: str
    upstream: str = ""
    """The provider's id; the slug when empty."""
    aliases: list[str] = []
    display_name: str = ""
    rates: dict[str, str] = {}
    """As in price files; without any the model has no price, and capped keys cannot call it."""
    verified: date | None = None
    """When somebody looked at the rates; the day of the file when absent."""
    traits: TraitsFile = TraitsFile()


def check_served(
    name: str, models: Sequence[ServedFile], wires: Collection[str], quirks: Collection[str]
) -> None:
    """Raises BadFile for what the types cannot say; the units of rates are checked with the prices."""
    seen: set[str] = set()
    for model in models:
        if model.slug in seen:
            raise BadFile(name, f'model "{model.slug}": stands twice; give each model one table')
        seen.add(model.slug)
        for complaint in _complaints(model, wires, quirks):
            raise BadFile(name, f'model "{model.slug}": {complaint}')


def _complaints(model: ServedFile, wires: Collection[str], quirks: Collection[str]) -> Iterator[str]:
    traits = model.traits
    if not model.slug:
        yield "slug: expected the name that callers write"
    for key, given, known in (
        ("traits.task", [traits.task] if traits.task is not None else [], TASKS),
        ("traits.wires", traits.wires or [], wires),
        ("traits.capabilities", traits.capabilities or [], CAPABILITIES),
        ("traits.quirks", traits.quirks or [], quirks),
    ):
        if unknown := [one for one in given if one not in known]:
            yield f'{key}: "{unknown[0]}" is none of {", ".join(known)}'
    for key, number in (
        ("context_window", traits.context_window),
        ("max_output", traits.max_output),
        ("default_max_tokens", traits.default_max_tokens),
    ):
        if number is not None and number < 1:
            yield f"traits.{key}: expected a number of tokens above 0"
    if len((traits.description or "").split(". ")[0]) > LONGEST_SENTENCE:
        yield f"traits.description: expected a first sentence of at most {LONGEST_SENTENCE} characters"
    for quantity in model.rates.keys() - set(QUANTITIES):
        yield f"rates.{quantity}: is no quantity{nearest(quantity, QUANTITIES)}"
    missing = {INPUT, OUTPUT} - model.rates.keys()
    if (traits.task or "") in TEXT and len(missing) == 1:
        yield f'rates.{missing.pop()}: is missing, and would cost nothing; add it ("0/M" is free)'
