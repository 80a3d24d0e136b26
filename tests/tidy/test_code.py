"""The code base as a test: every rule over every file it is meant for."""

import pytest
from tests.tidy import purity_rules, shape_rules, suite_rules, text_rules
from tests.tidy.sources import Rule, findings

CODE = ("src/*.py",)
TOLD = ("src/qlaud/core/*.py", "src/qlaud/flows/*.py", "src/qlaud/ports*.py")
NOUNS = ("src/qlaud/core/*.py", "src/qlaud/ports*.py")
TERMINAL = ("/cli.py", "/cli/", "/demo", "/__main__.py")
SUITE = ("tests/*.py",)

RULES: list[tuple[Rule, tuple[str, ...]]] = [
    (shape_rules.file_size, CODE),
    (shape_rules.function_size, CODE),
    (shape_rules.units_in_names, CODE),
    (shape_rules.names_of_the_field, CODE),
    (shape_rules.module_docstring, CODE),
    (shape_rules.module_docstring, ("bench/*.py",)),
    (shape_rules.public_docstrings, TOLD),
    (shape_rules.frozen_slotted, NOUNS),
    (shape_rules.late_imports, CODE),
    (shape_rules.only_importers, CODE),
    (shape_rules.blind_excepts, CODE),
    (purity_rules.floats_near_money, purity_rules.MONEY_PATHS),
    (purity_rules.floats_in_sql, ("src/*.sql",)),
    (purity_rules.wall_clock, CODE),
    (purity_rules.dice, CODE),
    (suite_rules.sleeps, SUITE),
    (suite_rules.skips, SUITE),
    (suite_rules.verdicts, SUITE),
    (suite_rules.names_are_sentences, SUITE),
    (text_rules.leftovers, ("*",)),
    (text_rules.addresses, ("*",)),
    (text_rules.machine_paths, ("*",)),
    (text_rules.pinned_by_hash, ("requirements/*.txt",)),
]


@pytest.mark.parametrize(
    ("rule", "patterns"), [pytest.param(*case, id=f"{case[0].__name__}-{case[1][0]}") for case in RULES]
)
def test_the_code_base_keeps_the_rule(rule: Rule, patterns: tuple[str, ...]) -> None:
    found = findings(rule, *patterns)
    assert not found, f"\n{found}"


def test_functions_take_at_most_six_parameters() -> None:
    """Of the command line each option is a parameter, so its commands are left out."""
    found = findings(shape_rules.parameter_count, *CODE)
    assert not "\n".join(line for line in found.splitlines() if not any(part in line for part in TERMINAL))


def test_only_the_terminal_programs_print() -> None:
    found = findings(purity_rules.prints, *CODE)
    assert not "\n".join(line for line in found.splitlines() if not any(part in line for part in TERMINAL))


def test_no_more_than_the_three_tops_catch_everything() -> None:
    assert len(shape_rules.BLIND_EXCEPTS) <= 3
