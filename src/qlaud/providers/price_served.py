"""The prices that stand beside the models of an operator's providers, in the form of price files."""

from pathlib import Path

from qlaud.providers.price_lines import checked_overlay
from qlaud.providers.price_overlay import ModelFile, OverlayFile, PriceFile
from qlaud.providers.provider_files import day_of, read_provider_files


def served_prices(providers_dir: Path | None) -> list[tuple[str, OverlayFile]]:
    """The prices that stand beside the models of an operator's providers. Raises BadFile."""
    overlays: list[tuple[str, OverlayFile]] = []
    for name, row in read_provider_files(providers_dir) if providers_dir else ():
        priced = [model for model in row.model if model.rates]
        if priced:
            day = day_of(name)
            models = [
                ModelFile(
                    id=model.slug,
                    source=name,
                    verified=model.verified or day,
                    prices=[PriceFile(rates=model.rates)],
                    names=[model.upstream] if model.upstream else [],
                    display_name=model.display_name,
                    context_window=model.traits.context_window,
                )
                for model in priced
            ]
            overlay = OverlayFile(provider=row.slug, released=day, model=models)
            overlays.append((name, checked_overlay(name, overlay)))
    return overlays
