"""What is written about the project, compared with the project."""

import dataclasses
import os
import re

from tests.tidy import product_rules, text_rules
from tests.tidy.sources import exists, findings, paths, source, sources

from qlaud.config import Settings

CONFIG = "src/qlaud/config.py"
ERRORS = "src/qlaud/core/errors.py"


def words_for_users() -> str:
    """README and docs, as one text."""
    return "\n".join(one.text for one in sources("README.md", "docs/*.md"))


def test_the_drawn_error_tree_is_the_tree_of_classes() -> None:
    found = findings(product_rules.error_tree, ERRORS)
    assert product_rules.drawn_errors(source(ERRORS)), "the docstring of core/errors.py draws no tree"
    assert not found, f"\n{found}"


def test_every_error_code_is_documented() -> None:
    """From the day docs/errors.md exists."""
    told = source("docs/errors.md").text if exists("docs/errors.md") else None
    missing = {
        code
        for code in product_rules.error_codes(source(ERRORS))
        if told is not None and f"`{code}`" not in told
    }
    assert not missing, (
        f"docs/errors.md lacks {sorted(missing)}: say when it happens and what the caller does"
    )


def test_every_setting_has_a_row_in_a_table_and_every_row_a_setting() -> None:
    """From the day config.py and README.md both exist."""
    if not (exists(CONFIG) and exists("README.md")):
        return
    config = source(CONFIG)
    read = product_rules.settings_in(config)
    told = product_rules.settings_in_tables(
        "\n".join(one.text for one in sources("README.md", "docs/settings.md"))
    )
    unread = {name for name in told - read if not product_rules.is_read_elsewhere(name, config)}
    assert read, "no QLAUD_ setting was found in config.py: teach settings_in its new form"
    assert not read - told, (
        f"README's table of settings lacks {sorted(read - told)}: name, default, unit, meaning"
    )
    assert not unread, f"README's table of settings has {sorted(unread)}, which config.py does not read"


def test_every_setting_is_explained_in_the_words_of_its_own_definition() -> None:
    """From the day README.md exists."""
    if not (exists(CONFIG) and exists("README.md")):
        return
    rows = [
        line for one in sources("README.md", "docs/settings.md") for line in one.lines if line.startswith("|")
    ]
    for setting in dataclasses.fields(Settings):
        name, text = f"`QLAUD_{setting.name.upper()}`", setting.metadata["doc"]
        assert any(name in row and text in row for row in rows), (
            f"no row of the table says {name} and {text!r}"
        )


def test_every_setting_named_anywhere_is_one_that_config_reads() -> None:
    if not exists(CONFIG):
        return
    config = source(CONFIG)
    known = product_rules.settings_in(config)
    named = {
        (name, one.path)
        for one in sources("src/*.py", "README.md", "docs/*.md", "examples/*")
        if not one.path.startswith("docs/decisions/")
        for name in product_rules.SETTING.findall(one.text)
    }
    unknown = sorted(
        f"{path}: {name}"
        for name, path in named
        if name not in known and not product_rules.is_read_elsewhere(name, config)
    )
    assert not unknown, "named but never read by config.py, correct the name: " + ", ".join(unknown)


def test_every_flag_of_the_command_line_is_documented() -> None:
    """From the day README.md exists."""
    if not exists("README.md"):
        return
    flags = {
        flag
        for one in sources("src/qlaud/cli.py", "src/qlaud/cli/*.py")
        for flag in product_rules.flags_in(one)
    }
    missing = {flag for flag in flags if flag not in words_for_users()}
    assert not missing, f"neither README.md nor docs/ name {sorted(missing)}: say what each does"


def test_every_route_is_documented() -> None:
    """From the day docs/api.md exists."""
    if not (exists("docs/api.md") and exists("src/qlaud/api/routes.py")):
        return
    told = source("docs/api.md").text
    missing = {
        route for route in product_rules.routes_in(source("src/qlaud/api/routes.py")) if route not in told
    }
    assert not missing, f"docs/api.md lacks {sorted(missing)}: say what each takes and answers"


def test_links_in_documents_lead_somewhere() -> None:
    files = set(paths())
    folders = {path.rsplit("/", depth)[0] for path in files for depth in range(1, path.count("/") + 1)}
    existing = frozenset(files | folders)
    found = "\n".join(line for one in sources("*.md") for line in text_rules.dead_links(one, existing))
    assert not found, f"\n{found}"


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert re.search(r"^## Unreleased$", source("CHANGELOG.md").text, re.MULTILINE), (
        "add `## Unreleased` on top"
    )


def test_every_direct_dependency_has_its_reason_in_contributing() -> None:
    table = product_rules.dependency_table(source("CONTRIBUTING.md").text)
    for one in sources("requirements/*.in"):
        stem = one.path.removeprefix("requirements/").removesuffix(".in")
        asked, told = text_rules.requirement_names(one.text), table.get(stem, {})
        assert asked == told.keys(), (
            f"{one.path} and the table in CONTRIBUTING.md differ: {sorted(asked ^ told.keys())}"
        )
        assert all(told.values()), f"a dependency of {one.path} has no reason in CONTRIBUTING.md"


def test_every_direct_dependency_is_locked() -> None:
    for one in sources("requirements/*.in"):
        lock = source(one.path.removesuffix(".in") + ".txt")
        missing = text_rules.requirement_names(one.text) - text_rules.requirement_names(lock.text)
        assert not missing, f"{lock.path} lacks {sorted(missing)}: run `make lock`"


def test_what_is_tested_and_measured_is_what_is_installed() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", source("requirements/runtime.txt").text, re.MULTILINE))
    for lock in ("dev", "bench", "demo"):
        theirs = dict(
            re.findall(r"^([\w.-]+)==([^\s;]+)", source(f"requirements/{lock}.txt").text, re.MULTILINE)
        )
        moved = {name for name, version in pins.items() if theirs.get(name) != version}
        assert not moved, (
            f"{lock}.txt has other versions of {sorted(moved)} than runtime.txt: run `make lock`"
        )


def test_every_decision_is_in_the_index_and_has_its_four_parts() -> None:
    index = source("docs/decisions/README.md").text
    for one in sources("docs/decisions/[0-9]*.md"):
        name = os.path.basename(one.path)
        assert f"({name})" in index, f"docs/decisions/README.md does not link {name}"
        for part in ("Context", "Decision", "Consequences", "Alternatives"):
            assert f"\n## {part}\n" in one.text, f"{one.path} has no part {part!r}"
        assert len(one.lines) <= 70, f"{one.path} is longer than a screen: cut it"
