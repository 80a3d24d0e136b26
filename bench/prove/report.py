"""What a campaign showed: for people, for the README, for machines. Every figure in docs/proof.md comes from here."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.prove.campaign import Outcome
from bench.prove.defects import DEFECTS
from bench.prove.kinds import KINDS, kind_of
from bench.prove.tally import Tally

BEGIN = "<!-- figures: begin, written by the command -->"
END = "<!-- figures: end -->"
WRONGFUL_LIMIT_PCT = 0.5


def wrongful_pct(tally: Tally) -> float:
    """Wrongful refusals in percent of the calls."""
    return 100 * tally.wrongful / tally.calls if tally.calls else 0.0


def holds(outcome: Outcome) -> bool:
    """Whether everything that was run keeps what is promised."""
    total = outcome.total
    return (
        total.overspend_micros == 0
        and total.unaccounted_micros == 0
        and wrongful_pct(total) < WRONGFUL_LIMIT_PCT
        and outcome.revoked_successes + total.revoked_successes == 0
        and len(outcome.caught) == outcome.planted
        and not [text for _, text in outcome.findings if "wrongly refused" not in text]
    )


def last_line(outcome: Outcome) -> str:
    """The line for machines."""
    total = outcome.total
    return (
        f"prove: runs={total.runs} overspend_micros={total.overspend_micros} "
        f"unaccounted_micros={total.unaccounted_micros} wrongful_refusals_pct={wrongful_pct(total):.1f} "
        f"revoked_successes={outcome.revoked_successes + total.revoked_successes} "
        f"planted_caught={len(outcome.caught)}/{outcome.planted} seed={outcome.seed}"
    )


def usd(micros: int) -> str:
    """Dollars for people."""
    return f"${micros // 1_000_000:,}.{micros % 1_000_000:06d}"


def headline(outcome: Outcome) -> list[tuple[str, str]]:
    """What is promised, as rows."""
    total = outcome.total
    wrongful = f"{total.wrongful} of {total.calls:,} calls ({wrongful_pct(total):.3f} %)"
    revoked = f"{outcome.revoked_successes} of {outcome.revocation_calls:,} calls, {outcome.revocation_trials:,} trials"
    return [
        ("randomised runs", f"{total.runs:,}"),
        ("calls sent; calls that reached the provider", f"{total.calls:,}; {total.reached:,}"),
        ("the provider's bill", usd(total.due_micros)),
        ("spent beyond a cap", usd(total.overspend_micros)),
        ("billed and accounted for by no row", usd(total.unaccounted_micros)),
        (
            "keys and wallets with posted + held + lost above the allowance at a sampled instant",
            f"{total.samples_above} in {total.samples:,} samples",
        ),
        ("refused although the books had the money", wrongful),
        (
            "successes of revoked keys after the answer to the revocation",
            revoked,
        ),
        ("planted defects caught", f"{len(outcome.caught)} of {outcome.planted}"),
    ]


def money(outcome: Outcome) -> list[tuple[str, str]]:
    """Where the provider's bill stands in the ledger."""
    total = outcome.total
    rows = total.rows
    return [
        ("events equal to the bill, to the micro", f"{usd(total.exact_micros)} in {rows['exact']:,} events"),
        ("estimates, flagged", f"{usd(total.estimated_micros)} in {rows['estimated']:,} events"),
        (
            "lost holds of killed processes (amount held)",
            f"{usd(total.lost_micros)} in {rows['lost']:,} holds",
        ),
        ("charged to the operator: providers that broke their limits and said so", usd(total.overage_micros)),
        ("exposure: billed by a provider that told nobody", usd(total.exposure_micros)),
        ("of that, beyond the cap of its key", usd(total.past_cap_untold_micros)),
        ("estimates above the bill", usd(total.over_estimated_micros)),
    ]


def table(rows: list[tuple[str, str]], head: tuple[str, str] = ("", "")) -> str:
    """Two columns in Markdown."""
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]
    return "\n".join(lines)


def kinds_table(outcome: Outcome) -> str:
    """What each deployment ran."""
    lines = [
        "| deployment | runs | calls | the provider's bill | runs with findings |",
        "|---|---|---|---|---|",
    ]
    for name, tally in outcome.by_kind.items():
        found = len({seed for seed, _ in outcome.findings if seed_kind(seed) == name})
        lines.append(
            f"| {KINDS[name].title} | {tally.runs:,} | {tally.calls:,} | {usd(tally.due_micros)} | {found} |"
        )
    return "\n".join(lines)


def seed_kind(seed: str) -> str:
    """The kind of the run with this seed, "" for other seeds."""
    from_number = seed.rpartition(":")[2]
    if seed.count(":") != 1 or not from_number.isdigit():
        return ""
    return kind_of(int(from_number))


def figures(outcome: Outcome, machine: str) -> str:
    """The generated part of docs/proof.md."""
    total = outcome.total
    date = datetime.fromtimestamp(outcome.begun, UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        f"Seed `{outcome.seed}`, begun {date}, {outcome.elapsed_s / 60:.0f} minutes, {machine}.",
        table(headline(outcome), ("what", "found")),
        "Where the provider's bill stands in the ledger:",
        table(money(outcome), ("part", "amount")),
        kinds_table(outcome),
        "Deaths: " + ", ".join(f"{count} {name}" for name, count in sorted(outcome.by_death.items())) + ".",
        "What providers did: " + counted(total.faults) + ".",
        "What callers got: " + counted(total.statuses) + ".",
        table(
            [(DEFECTS[name].mistake, f"`{short(sign)}`") for name, sign in outcome.caught.items()],
            ("planted defect", "what gave it away first"),
        ),
    ]
    if outcome.findings:
        parts.append("Findings that are open:")
        parts.append("\n".join(f"- `{seed}`: {text}" for seed, text in outcome.findings[:50]))
    return "\n\n".join(parts)


def counted(counts: Any) -> str:
    """`a 3, b 2`, the commonest first."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def short(text: str) -> str:
    """Without the tag of the call, and not longer than a line."""
    return text.partition("): ")[2][:110] if "): " in text else text[:110]


def markdown_short(outcome: Outcome) -> str:
    """The table for the README."""
    return table(headline(outcome), ("what", "found"))


def write_into(document: Path, outcome: Outcome, machine: str) -> None:
    """Put the figures between the marks of a document. Raises ValueError without marks."""
    text = document.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no marks for the figures")
    document.write_text(f"{head}{BEGIN}\n\n{figures(outcome, machine)}\n\n{END}{tail}")


def as_json(outcome: Outcome) -> str:
    """Every figure, for machines."""
    whole: dict[str, Any] = {name: getattr(outcome, name) for name in outcome.__slots__ if name != "by_kind"}
    whole["by_kind"] = {
        name: {field: getattr(tally, field) for field in tally.__slots__}
        for name, tally in outcome.by_kind.items()
    }
    return json.dumps(whole, indent=2) + "\n"
