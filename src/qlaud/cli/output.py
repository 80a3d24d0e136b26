"""How commands print: one JSON document, one CSV, or a table; money always with six decimals.

What was asked for goes to standard output and nothing else does. What others wrote (names, ids of end users) is
shown without control characters, which could otherwise steer the terminal.
"""

import csv
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qlaud.core.clock import MS_PER_S
from qlaud.core.errors import usd_text
from qlaud.core.money import MICROS_PER_USD

PIPED_WIDTH = 240
"""Columns of a table that is not written to a terminal: enough to cut nothing off."""
NOTHING = "-"

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def tell(text: str) -> None:
    """A line for the operator beside the answer, on standard error."""
    typer.echo(text, err=True)


def print_json(document: object) -> None:
    """The document, indented; a Decimal becomes a number with exactly its digits."""
    typer.echo(msgspec.json.format(_ENCODER.encode(document), indent=2).decode())


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A header and rows; None becomes an empty cell."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, footer: Sequence[str] = ()) -> None:
    """A table. A column whose name begins with `>` is set to the right; without names there is no header."""
    named = any(column.strip(">") for column in columns)
    table = Table(box=None, show_header=named, show_footer=bool(footer), pad_edge=False, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(
            column.removeprefix(">"),
            footer=Text(footer[place]) if footer else "",
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console().print(table)


def console() -> Console:
    """Standard output, as wide as it is."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def clean(text: str) -> str:
    """`text` with a mark in place of each control character."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def money(micros: int | None) -> str:
    """`$1.234567`, or a dash where there is no amount."""
    return NOTHING if micros is None else usd_text(micros)


def usd(micros: int) -> Decimal:
    """Exact dollars without trailing zeros, as the API writes them."""
    whole, rest = divmod(abs(micros), MICROS_PER_USD)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return Decimal(f"-{text}" if micros < 0 else text)


def moment(at_ms: int | None) -> str:
    """`2026-05-04 13:00:05`, UTC."""
    if at_ms is None:
        return NOTHING
    return datetime.fromtimestamp(at_ms // MS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")


def day(at_ms: int) -> str:
    """`2026-05-04`, UTC."""
    return moment(at_ms)[:10]


def count(number: int | None) -> str:
    """`1,234`."""
    return NOTHING if number is None else f"{number:,}"
