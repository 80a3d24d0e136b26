"""Rules that compare the code with what is written about it: errors, settings, flags, routes, dependencies."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.tidy.sources import Source

SETTING = re.compile(r"\bQLAUD_[A-Z0-9_]*[A-Z0-9]\b")
DRAWN = re.compile(
    r"^\s*(?P<rails>[│ ]*(?:[├└]── )?)(?P<name>[A-Z]\w*)\s+(?P<status>\d{3}|\(its\)|status)\s*(?P<code>.*)$"
)


@dataclass(frozen=True)
class Condition:
    """One class of the error tree: its parent, and what it says itself or inherits."""

    parent: str
    status: str
    code: str


def drawn_errors(source: Source) -> dict[str, Condition]:
    """The tree in the docstring. `(its)` and an empty code mean that the drawing leaves it open."""
    drawn: dict[str, Condition] = {}
    branch: list[tuple[int, str]] = []
    for line in (ast.get_docstring(source.tree) or "").splitlines():
        if not (match := DRAWN.match(line)):
            continue
        depth = match.start("name")
        branch = [(column, name) for column, name in branch if column < depth]
        drawn[match["name"]] = Condition(
            branch[-1][1] if branch else "", match["status"], match["code"].strip()
        )
        branch.append((depth, match["name"]))
    return drawn


def built_errors(source: Source) -> dict[str, Condition]:
    """The classes below QlaudError, as the code has them."""
    built: dict[str, Condition] = {}
    for node in source.tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        base = ast.unparse(node.bases[0]) if node.bases else ""
        if node.name != "QlaudError" and base not in built:
            continue
        own = {
            ast.unparse(target): ast.literal_eval(statement.value)
            for statement in node.body
            if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Constant)
            for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        }
        parent = built.get(base, Condition("", "500", "internal"))
        built[node.name] = Condition(
            base if base in built else "",
            str(own.get("status", parent.status)),
            str(own.get("code", parent.code)),
        )
    return built


def error_tree(source: Source) -> Iterator[str]:
    drawn, built = drawn_errors(source), built_errors(source)
    for name in sorted(drawn.keys() ^ built.keys()):
        where = "drawn but not defined" if name in drawn else "defined but not drawn"
        yield source.at(1, f"{name} is {where}: the docstring's tree is the index of errors, keep them equal")
    for name in sorted(drawn.keys() & built.keys()):
        says, does = drawn[name], built[name]
        if says.parent != does.parent:
            yield source.at(
                1, f"{name} is drawn under {says.parent or 'nothing'} but derives from {does.parent}"
            )
        if says.status.isdigit() and says.status != does.status:
            yield source.at(1, f"{name} is drawn with status {says.status} but has {does.status}")
        if says.status.isdigit() and says.code and says.code != does.code:
            yield source.at(1, f"{name} is drawn with code {says.code} but has {does.code}")


def error_codes(source: Source) -> set[str]:
    """Every wire code that stands in the tree."""
    conditions = drawn_errors(source).items()
    return {
        code.strip()
        for name, one in conditions
        for code in one.code.split(",")
        if code.strip() and name != "QlaudError"
    }


def settings_in(source: Source) -> set[str]:
    """The settings that config.py reads: named outright, or made of `QLAUD_` and the fields of Settings."""
    names = set(SETTING.findall(source.text))
    if re.search(r"[\"']QLAUD_(\{|[\"'])", source.text):
        for node in source.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == "Settings":
                fields = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
                names |= {f"QLAUD_{field.id.upper()}" for field in fields if isinstance(field, ast.Name)}
    return names


def is_read_elsewhere(setting: str, source: Source) -> bool:
    """Whether config.py leaves the variable to others: a provider's base URL, or one listed in FROM_ELSEWHERE."""
    listed = {
        f"QLAUD_{node.value}"
        for statement in source.tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "FROM_ELSEWHERE"
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Constant)
    }
    return setting in listed or setting.endswith("_BASE_URL")


def settings_in_tables(text: str) -> set[str]:
    """The settings that have a row of a Markdown table."""
    return {
        name for line in text.splitlines() if line.lstrip().startswith("|") for name in SETTING.findall(line)
    }


def flags_in(source: Source) -> set[str]:
    """The long options that the command line spells out."""
    words = (
        word
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.split("/")
    )
    return {word for word in words if re.fullmatch(r"--[a-z][a-z0-9-]+", word)}


def routes_in(source: Source) -> set[str]:
    """The paths that the routing page spells out."""
    constants = (node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant))
    return {
        value for value in constants if isinstance(value, str) and re.fullmatch(r"/[a-z0-9][^\s?]*", value)
    }


def dependency_table(text: str) -> dict[str, dict[str, str]]:
    """Of CONTRIBUTING: file stem (`runtime`) to package to reason, from the table under "## Dependencies"."""
    section = text.split("\n## Dependencies", 1)[-1].split("\n## ", 1)[0]
    table: dict[str, dict[str, str]] = {}
    for line in section.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[1].endswith(".in"):
            table.setdefault(cells[1].removesuffix(".in"), {})[cells[0]] = cells[2]
    return table
