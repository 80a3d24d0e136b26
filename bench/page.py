"""docs/speed.md: what one run measured, as a page. Pure: figures in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report import Aim, markdown_table

HEAD = """\
# Speed

Written by `make bench ARGS="--write docs/speed.md"`. Do not edit. What the gateway adds to a call, to a streamed event
and to a large body, beside nginx and a plain proxy in the same run. Figures are for the machine they were made on;
ratios travel better.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One table, and how its figures were made."""

    title: str
    rows: Sequence[Sequence[str]]
    """The head first."""
    notes: str


def text(facts: Mapping[str, str], sections: Sequence[Section], aims: Sequence[Aim], *, noise: str) -> str:
    """The whole page."""
    shown = ", ".join(f"{name}: {fact}" for name, fact in facts.items())
    told = [
        ("aim", "at most", "measured", ""),
        *(
            (
                aim.promise,
                f"{aim.limit:g}",
                "-" if aim.measured is None else f"{aim.measured:.2f}",
                aim.verdict,
            )
            for aim in aims
        ),
    ]
    parts = [f"{HEAD}\n{shown}.\n", f"## Aims\n\n{markdown_table(told)}\n"]
    if noise:
        parts.append(f"{noise[0].upper()}{noise[1:]}.\n")
    parts += [f"## {one.title}\n\n{markdown_table(one.rows)}\n\n{one.notes}\n" for one in sections]
    return "\n".join(parts)
