"""docs/providers.md: what the registry says about each provider, and what the tests have shown. Never written by hand.

`make providers-matrix` writes it from the registry and the record of the last test runs; a tick whose test was not run
here stays. A tidy test holds it to the registry and to the marks of the tests.
"""

import re
import sys
from collections.abc import Iterable, Iterator

from tests.support.matrix import CASES, MODALITIES, ROOT, Cell, earned, has_case

from qlaud.core.providers import Provider, Wire
from qlaud.providers.provider_files import QUIRKS
from qlaud.providers.registry import load_registry

PAGE = ROOT / "docs" / "providers.md"
UNITS = {
    "text": "tokens",
    "embeddings": "tokens",
    "images": "tokens or pictures",
    "speech": "characters or tokens",
    "transcription": "seconds or tokens",
    "video": "seconds",
    "ocr": "pages",
    "batches": "tokens",
    "music": "credits or pieces",
    "sound effects": "credits",
    "voice changing": "credits",
    "voice isolation": "credits",
    "voice design": "credits",
    "live conversation": "tokens or seconds",
    "live transcription": "seconds",
    "live speech": "characters",
}
NO_SUCH = "\u2013"
HEAD = """# Providers

Written by `make providers-matrix` from the registry (`src/qlaud/data/providers`) and the tests. Do not edit.

Give an SDK the base URL of the gateway and a key of the gateway, and nothing else changes. Every provider has its own
paths below its name: `/google/…` goes to Google's own `/…`. Paths that one provider alone has, and those of OpenAI's
and Anthropic's APIs, also work without the name. How a provider is added is in [prices.md](prices.md#providers).

| provider | below | goes to | key | quirks |
| --- | --- | --- | --- | --- |
"""
METERED = """
## What is metered

A path that is not here has no metering rule: it is refused on every key with a cap.

| provider | wire | paths | billed by |
| --- | --- | --- | --- |
"""
SHOWN = f"""
## What is tested

✓ has a passing test, {NO_SUCH} does not exist for this modality, and an empty cell lacks a test. *cap*: a call beyond
the cap is refused with 402 in the vendor's own shape, and the SDK does not try again. *cancel*: the caller hangs up in
the middle, and what was used is billed. The last column names the SDKs that the real process was tested with.

"""


def page(cells: Iterable[Cell]) -> str:
    """The whole page."""
    providers = load_registry({}).providers
    known = [provider for provider in providers.values() if provider.origin]
    return "".join(
        (
            HEAD,
            *(f"{_about(provider)}\n" for provider in known),
            METERED,
            *(f"{row}\n" for provider in known for row in _metered(provider)),
            SHOWN,
            f"| provider | modality | {' | '.join(CASES)} | SDKs |\n",
            f"| --- | --- | {' | '.join('---' for _ in CASES)} | --- |\n",
            *(f"{row}\n" for row in _matrix(known, set(cells))),
        )
    )


def cells_on(text: str) -> Iterator[Cell]:
    """The ticks of a page, each once for every SDK that its row names, and once without."""
    shown = text.partition("## What is tested")[2]
    slugs = {provider.display_name: provider.slug for provider in load_registry({}).providers.values()}
    for line in shown.splitlines():
        columns = [column.strip() for column in line.strip("|").split("|")]
        if len(columns) != len(CASES) + 3 or columns[0] not in slugs:
            continue
        for case, tick in zip(CASES, columns[2:-1], strict=True):
            if tick == "✓":
                for sdk in ("", *re.findall(r"`([^`]+)`", columns[-1])):
                    yield Cell(slugs[columns[0]], columns[1], case, sdk)


def modalities_of_wire(wire: Wire) -> tuple[str, ...]:
    """What a wire is for; its own name where the table of modalities lacks it."""
    return () if wire.kind == "free" else MODALITIES.get(wire.name, (wire.name,))


def modalities_of(slug: str) -> list[str]:
    """What a provider can be asked for, as far as the registry says; empty for one that it does not have."""
    provider = load_registry({}).providers.get(slug)
    wires = provider.wires.values() if provider is not None else ()
    return list(dict.fromkeys(modality for wire in wires for modality in modalities_of_wire(wire)))


def _about(provider: Provider) -> str:
    quirks = "; ".join(QUIRKS.get(quirk, quirk) for quirk in sorted(provider.quirks))
    places = f"`/{provider.slug}` | `{provider.origin}` | `{provider.key_variable}`"
    return f"| {provider.display_name} | {places} | {quirks} |"


def _metered(provider: Provider) -> Iterator[str]:
    for wire in provider.wires.values():
        paths = ", ".join(f"`{provider.usual_base_path}{path.text}`" for path in wire.all_paths)
        units = [UNITS.get(modality.partition(" (")[0], "") for modality in modalities_of_wire(wire)]
        unit = ", ".join(dict.fromkeys(units)) if units else "nothing"
        yield f"| {provider.display_name} | `{wire.name}` | {paths} | {unit} |"


def _matrix(providers: Iterable[Provider], cells: set[Cell]) -> Iterator[str]:
    for provider in providers:
        own = {cell for cell in cells if cell.provider == provider.slug}
        further = sorted(cell.modality for cell in own)
        for modality in dict.fromkeys((*modalities_of(provider.slug), *further)):
            row = {cell for cell in own if cell.modality == modality}
            ticks = " | ".join(_tick(provider.slug, modality, case, row) for case in CASES)
            sdks = ", ".join(f"`{sdk}`" for sdk in sorted({cell.sdk for cell in row} - {""}))
            yield f"| {provider.display_name} | {modality} | {ticks} | {sdks} |"


def _tick(provider: str, modality: str, case: str, row: set[Cell]) -> str:
    if any(cell.case == case for cell in row):
        return "✓"
    return "" if has_case(provider, modality, case) else NO_SUCH


if __name__ == "__main__":
    PAGE.write_text(page(earned(cells_on(PAGE.read_text()) if PAGE.exists() else ())))
    sys.stdout.write(f"wrote {PAGE.relative_to(ROOT)}\n")
