"""`qlaud prices`, as a program of its own: it loads the price source, which the other commands must not.

Run by `qlaud.cli` as `python -m qlaud.cli.prices`.
"""

from dataclasses import fields
from typing import Annotated

import typer

from qlaud.app_prices import (
    MAX_AGE_DAYS,
    SHELF_FAILED,
    Check,
    Difference,
    ShownBand,
    check_prices,
    show_prices,
)
from qlaud.cli.desk import JsonOption, settings_here
from qlaud.cli.output import NOTHING, print_json, print_table, tell
from qlaud.cli.running import run_program

prices = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Prices of models."
)


@prices.command("show")
def show(
    model: Annotated[str, typer.Argument(help="A model of the catalog, or an alias.")],
    as_json: JsonOption = False,
) -> None:
    """Every dated price of a model at every host, newest first. Without markup."""
    cards = show_prices(settings_here(), model)
    if as_json:
        print_json({"model": model, "cards": cards})
        return
    if not cards:
        tell("no price: the model is refused on capped keys and free of charge on others")
    for card in cards:
        until = f" to {card.until_day}" if card.until_day else ""
        since = f"from {card.from_day}" if card.from_day else "always"
        since += f", {card.hours} UTC" if card.hours else ""
        force = "in force" if card.in_force else "not in force"
        typer.echo(
            f"{card.provider} {card.model}: {since}{until}, {force}; {card.source}, verified {card.verified}"
        )
        print_table(
            ("context", "quantity", ">USD", "for a"),
            [
                (_context(band), rate.quantity, str(rate.usd), rate.unit)
                for band in card.bands
                for rate in band.rates
                if not rate.inherited
            ],
        )


@prices.command("check")
def check(
    max_age_days: Annotated[
        int, typer.Option("--max-age-days", min=0, help="A price verified longer ago is stale.")
    ] = MAX_AGE_DAYS,
    as_json: JsonOption = False,
) -> None:
    """How old the prices are, which models have none, where sources disagree. Exit code 1: stale or disagreeing."""
    found = check_prices(settings_here(), max_age_days=max_age_days)
    if as_json:
        print_json({"fine": found.fine, **{one.name: getattr(found, one.name) for one in fields(found)}})
    else:
        _tell_check(found, max_age_days)
    if not found.fine:
        raise typer.Exit(1)


def _tell_check(found: Check, max_age_days: int) -> None:
    print_table(
        ("", ""),
        [
            ("version", found.version),
            ("oldest price verified", f"{found.oldest_verified or NOTHING} ({found.age_days} days ago)"),
            ("stale prices", str(len(found.stale))),
            ("models without a price", str(len(found.unpriced))),
            ("prices not taken over", str(len(found.left_out))),
            ("disagreements", str(len(found.disagreements))),
            ("differences with a known reason", str(sum(found.explained.values()))),
        ],
    )
    for title, lines in (
        (
            f"verified more than {max_age_days} days ago; look them up and date them anew in a price file",
            found.stale,
        ),
        ("no price: refused on capped keys; add a price file for those you use", found.unpriced),
        ("of the price source, could not be taken over", found.left_out),
        ("sources disagree; find out who is right", tuple(_difference(one) for one in found.disagreements)),
    ):
        if lines:
            typer.echo(f"\n{title}:")
            for line in lines:
                typer.echo(f"  {line}")


def _difference(one: Difference) -> str:
    return f"{one.provider} {one.model}, {one.sample}: ours {one.ours}, theirs {one.theirs} picos"


def _context(band: ShownBand) -> str:
    words = [word for word in (band.tier, band.speed, band.geo, band.grade) if word]
    if band.from_tokens:
        words.append(f"prompt from {band.from_tokens:,} tokens")
    return ", ".join(words) or NOTHING


def main() -> None:
    """Run the program."""
    run_program(prices, "qlaud prices", SHELF_FAILED)


if __name__ == "__main__":
    main()
