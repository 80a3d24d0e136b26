"""Rules on the tests: no waiting by sleep, no silent skip, no test that cannot fail."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.shape_rules import Function, functions
from tests.tidy.sources import Source

VERDICTS = re.compile(r"(^|_)(assert|check|expect|verify|validate|prove|raises|warns|fail)", re.IGNORECASE)
REASON = re.compile(r"#\s*sleep:\s*\S+")


def sleeps(source: Source) -> Iterator[str]:
    """`asyncio.sleep(0)` only yields. A pace that is the subject itself says so: `# sleep: <reason>`."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in (
            "time.sleep",
            "asyncio.sleep",
            "sleep",
        ):
            continue
        yields = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        around = source.lines[max(node.lineno - 2, 0) : node.end_lineno]
        if not yields and not any(REASON.search(line) for line in around):
            yield source.at(
                node,
                "a sleep waits too long or too short: wait for the event; "
                "where it polls with a deadline, or the pace is what is tested, add `# sleep: <reason>`",
            )


def skips(source: Source) -> Iterator[str]:
    reasonless = "a skipped test looks like a passed one: give `reason=` and say what would bring it back"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {keyword.arg for keyword in node.keywords}
            said = "reason" in keywords or bool(node.args and name in ("pytest.skip", "pytest.xfail"))
            asks = re.fullmatch(r"pytest\.(mark\.)?(skip|skipif|xfail)|pytest\.importorskip", name)
            if asks and not said:
                yield source.at(node, reasonless)
        elif isinstance(node, Function | ast.ClassDef):
            for decorator in node.decorator_list:
                if re.fullmatch(r"pytest\.mark\.(skip|xfail)", ast.unparse(decorator)):
                    yield source.at(decorator, reasonless)


def _judges(function: Function, judges: set[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            if VERDICTS.search(name) or name in judges:
                return True
    return False


def _tests(source: Source) -> Iterator[Function]:
    owners = [source.tree, *(node for node in source.tree.body if isinstance(node, ast.ClassDef))]
    for owner in owners:
        for node in owner.body:
            if isinstance(node, Function) and node.name.startswith("test_"):
                yield node


def verdicts(source: Source) -> Iterator[str]:
    judges = {
        function.name
        for function in functions(source.tree)
        if any(isinstance(node, ast.Assert) for node in ast.walk(function))
    }
    for test in _tests(source):
        if not _judges(test, judges):
            yield source.at(test, f"`{test.name}` asserts nothing, so it cannot fail: state what must hold")


def names_are_sentences(source: Source) -> Iterator[str]:
    for test in _tests(source):
        if len(test.name.split("_")) < 4:
            yield source.at(
                test, f"`{test.name}` is a label: its name is the specification, make it a sentence"
            )
