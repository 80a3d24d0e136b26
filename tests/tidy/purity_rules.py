"""Rules on what the code may touch: floats near money, clocks, dice, the terminal."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.sources import Source

MONEY_PATHS = (
    "src/qlaud/core/money.py",
    "src/qlaud/core/pricing*.py",
    "src/qlaud/core/rates*.py",
    "src/qlaud/core/demand*.py",
    "src/qlaud/core/ledger*.py",
    "src/qlaud/core/wallet*.py",
    "src/qlaud/flows/metered*.py",
    "src/qlaud/flows/wallet*.py",
    "src/qlaud/store/ledger*.py",
    "src/qlaud/store/wallet*.py",
)

CLOCK_READS = {
    "time": {
        "time",
        "time_ns",
        "monotonic",
        "monotonic_ns",
        "perf_counter",
        "perf_counter_ns",
        "localtime",
        "gmtime",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}

CLOCK_PLUG = "src/qlaud/system.py"

SUPERVISORS = ("src/qlaud/store/embedded*",)
"""Where a deadline for another process of this machine is measured with the monotonic clock itself."""

DURATION = re.compile(r"_m?s$", re.IGNORECASE)


def _defaults(given: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr]]:
    places = [*given.posonlyargs, *given.args]
    yield from zip(places[len(places) - len(given.defaults) :], given.defaults, strict=True)
    yield from (
        (arg, default) for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default
    )


def _durations(tree: ast.AST) -> set[int]:
    """The nodes that belong to a name ending in `_s` or `_ms`: a duration may be a float, an amount never."""
    spared: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)) | ast.keyword(arg=str(name)):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case ast.arguments():
                spared |= {id(default) for arg, default in _defaults(node) if DURATION.search(arg.arg)}
                continue
            case _:
                continue
        if DURATION.search(name):
            spared |= {id(inner) for inner in ast.walk(node)}
    return spared


def floats_near_money(source: Source) -> Iterator[str]:
    spared = _durations(source.tree)
    for node in ast.walk(source.tree):
        if id(node) in spared:
            continue
        match node:
            case ast.Constant(value=float()):
                found = f"the literal {node.value!r}"
            case ast.Name(id="float" | "round" as name):
                found = f"`{name}`"
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                if re.search(r"\b(Fraction|Decimal)\(", ast.unparse(node)):
                    continue  # exact
                if isinstance(node, ast.BinOp) and DURATION.search(ast.unparse(node.left)):
                    continue  # milliseconds to seconds
                found = "a true division"
            case _:
                continue
        yield source.at(
            node, f"{found} in a money path: amounts are whole micros, divide with `//` and round up once"
        )


def floats_in_sql(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.lines, 1):
        code = line.split("--")[0]
        if found := re.search(r"\b(real|float[48]?|double\s+precision|money)\b", code, re.IGNORECASE):
            yield source.at(number, f"the type {found[0]!r} cannot hold an exact amount: use BIGINT micros")


def wall_clock(source: Source) -> Iterator[str]:
    """Only the clock plug reads the time: everything else takes it as an argument."""
    if source.path == CLOCK_PLUG:
        return
    advice = "take the Clock of ports.py (or the time itself) as an argument, so that a test can freeze it"
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if name == "monotonic" and source.is_in(*SUPERVISORS):
                    continue
                if name in CLOCK_READS.get(owner, ()):
                    yield source.at(node, f"`{owner}.{name}` reads the clock: {advice}")
            case ast.ImportFrom(module="time", names=names):
                for alias in names:
                    if alias.name in CLOCK_READS["time"]:
                        yield source.at(node, f"`time.{alias.name}` reads the clock: {advice}")
            case _:
                pass


def dice(source: Source) -> Iterator[str]:
    """Only the plug beside the clock draws random bytes: a test must be able to seed all others."""
    if source.path == CLOCK_PLUG:
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=ast.Name(id="random" | "secrets" as owner), attr=attr):
                name = f"{owner}.{attr}"
            case ast.Attribute(attr="uuid1" | "uuid4" | "urandom" | "SystemRandom" as name):
                pass
            case ast.alias(name="random" | "secrets" | "uuid1" | "uuid4" | "urandom" as name):
                pass
            case ast.ImportFrom(module="random" | "secrets" as name):
                pass
            case _:
                continue
        yield source.at(node, f"`{name}` throws dice: take Ids, or random bytes, as an argument")


def prints(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield source.at(node, "`print` bypasses the log, its request id and its redaction: use telemetry")
