"""Each rule on documents, lock files and the product's lists catches the violation it is there for."""

import pytest
from tests.tidy import product_rules, text_rules
from tests.tidy.sources import Rule, Source

ERRORS = '''"""The tree.

    QlaudError           status  code
    ├── A                400     a
    │   └── B            402     b
    ├── Open             (its)   x, y
    └── Group            403
        └── C            403     c
"""
class QlaudError(Exception):
    status: int = 500
    code: str = "internal"
class A(QlaudError):
    status = 400
    code = "a"
class B(A):
    status = 402
    code = "b"
class Open(QlaudError): ...
class Group(QlaudError):
    status = 403
class C(Group):
    code = "c"
'''


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (text_rules.leftovers, "# TO" + "DO later"),
        (text_rules.leftovers, "# FIX" + "ME"),
        (text_rules.addresses, "https://py" + "pi.org/project/x"),
        (text_rules.addresses, "--extra-index-" + "url x"),
        (text_rules.addresses, "PIP_FIND_LINKS or --find-" + "links"),
        (text_rules.machine_paths, "see /wor" + "k/main"),
        (text_rules.machine_paths, "see /ho" + "me/ann/x"),
    ],
)
def test_a_planted_line_is_found_by_its_number(rule: Rule, line: str) -> None:
    assert [finding.split(":")[1] for finding in rule(Source("docs/x.md", f"fine\n{line}\n"))] == ["2"]


def test_fine_lines_are_spared() -> None:
    text = "todo lists, autodoc, /home, a worker, uv pip compile --no-emit-index-" + "url\n"
    for rule in (text_rules.leftovers, text_rules.addresses, text_rules.machine_paths):
        assert list(rule(Source("docs/x.md", text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "a==1\n",
        "a>=1 \\\n    --hash=sha256:00\n",
        "a @ https://x/a.whl \\\n    --hash=sha256:00\n",
        "--index https://x\na==1 \\\n    --hash=sha256:00\n",
    ],
)
def test_a_requirement_that_is_not_one_version_with_hashes_is_found(text: str) -> None:
    assert list(text_rules.pinned_by_hash(Source("requirements/x.txt", text)))


def test_a_lock_file_as_it_should_be_is_spared() -> None:
    hashes = " \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n    # via b\n"
    text = f"a==1 ; python_version < '3.12'{hashes}b==2{hashes}"
    assert list(text_rules.pinned_by_hash(Source("requirements/x.txt", text))) == []
    assert text_rules.requirement_names(text) == {"a", "b"}


def test_a_link_that_leads_nowhere_is_found_and_the_others_are_not() -> None:
    links = "[a](gone.md) [b](../README.md#top) [c](https://x/y) [d](#here) [g](sub/)"
    text = f"{links} `[e](code.md)`\n```\n[f](fenced.md)\n```\n"
    found = list(text_rules.dead_links(Source("docs/x.md", text), frozenset({"README.md", "docs/sub"})))
    assert len(found) == 1
    assert "gone.md" in found[0]


def test_an_error_tree_that_agrees_is_spared() -> None:
    assert list(product_rules.error_tree(Source("e.py", ERRORS))) == []
    assert product_rules.error_codes(Source("e.py", ERRORS)) == {"a", "b", "c", "x", "y"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("class B(A)", "class B(QlaudError)"),
        ('code = "b"', 'code = "bb"'),
        ("status = 402", "status = 409"),
        ("class C(Group)", "class D(Group)"),
        ("└── B ", "└── Z "),
        ("│   └── B            402", "├── B                402"),
    ],
)
def test_an_error_tree_that_differs_in_one_place_is_found(old: str, new: str) -> None:
    changed = ERRORS.replace(old, new)
    assert changed != ERRORS
    assert list(product_rules.error_tree(Source("e.py", changed)))


def test_settings_are_read_from_names_and_from_fields() -> None:
    named = 'port = env["QLAUD_PORT"]'
    derived = 'PREFIX = "QLAUD_"\nclass Settings:\n    port: int\n    idle_timeout_s: float\n'
    assert product_rules.settings_in(Source("c.py", named)) == {"QLAUD_PORT"}
    assert product_rules.settings_in(Source("c.py", derived)) == {"QLAUD_PORT", "QLAUD_IDLE_TIMEOUT_S"}
    elsewhere = Source("c.py", 'FROM_ELSEWHERE = frozenset({"CONFIG"})')
    assert product_rules.is_read_elsewhere("QLAUD_CONFIG", elsewhere)
    assert product_rules.is_read_elsewhere("QLAUD_OPENAI_BASE_URL", elsewhere)
    assert not product_rules.is_read_elsewhere("QLAUD_PORT", elsewhere)
    assert product_rules.settings_in_tables("QLAUD_A is\n| `QLAUD_B` | 1 |") == {"QLAUD_B"}


def test_flags_and_routes_are_read_from_the_source() -> None:
    assert product_rules.flags_in(Source("c.py", 'option("--once/--forever", "-o", help="use --x now")')) == {
        "--once",
        "--forever",
    }
    assert product_rules.routes_in(Source("r.py", 'get("/v1/keys/{id}", "not /a path", "/")')) == {
        "/v1/keys/{id}"
    }


def test_the_dependency_table_is_read_by_file() -> None:
    head = "# C\n\n## Dependencies\n\n| package | file | why |\n| --- | --- | --- |\n"
    text = head + "| `a` | `dev.in` | tests |\n\n## Next\n| `b` | `dev.in` | x |"
    assert product_rules.dependency_table(text) == {"dev": {"a": "tests"}}
