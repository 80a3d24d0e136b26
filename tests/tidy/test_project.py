"""The project's own files: layers, commands, migrations, the order of the suite."""

import os
import re
import tomllib

from tests.tidy.sources import ROOT, exists, paths, source

PROJECT = tomllib.loads(source("pyproject.toml").text)
CONTRACTS = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}


def packages() -> set[str]:
    """What stands directly in src/qlaud and has code: `core`, `ports`, ..."""
    inside = (path.removeprefix("src/qlaud/") for path in paths() if path.startswith("src/qlaud/"))
    return {path.split("/")[0].removesuffix(".py") for path in inside if path.endswith(".py")} - {"__init__"}


def test_every_package_has_its_layer() -> None:
    layers = next(contract for contract in CONTRACTS.values() if contract["type"] == "layers")["layers"]
    placed = set(re.findall(r"qlaud\.(\w+)", " ".join(layers)))
    assert not packages() - placed, f"pyproject.toml gives no layer to {sorted(packages() - placed)}"


def test_every_plug_is_forbidden_the_flows() -> None:
    plugs = {"store", "providers", "outbound"} & packages()
    listed = {name.removeprefix("qlaud.") for name in CONTRACTS["plugs know no verbs"]["source_modules"]}
    assert plugs == listed, f"the contract 'plugs know no verbs' in pyproject.toml must list {sorted(plugs)}"


def test_every_folder_of_tests_has_its_turn_and_tidy_comes_first() -> None:
    order = PROJECT["tool"]["pytest"]["ini_options"]["testpaths"]
    folders = {"/".join(path.split("/")[:2]) for path in paths() if re.match(r"tests/.*/test_\w+\.py$", path)}
    assert order[0] == "tests/tidy"
    assert not folders - set(order), (
        f"`testpaths` in pyproject.toml leaves out {sorted(folders - set(order))}"
    )


def test_the_automatic_run_is_the_test_command_of_the_readme() -> None:
    commands = [line for line in source(".ci/run").lines if line and not line.startswith(("#", "set "))]
    assert commands == ["make test"]
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert not exists("README.md") or "make test" in source("README.md").text, (
        "README.md must name `make test`"
    )


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = source("Makefile").text
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert {"install", "demo", "test", "check", "bench", "prove", "lock", "format"} <= targets
    told = source("CONTRIBUTING.md").text
    missing = {target for target in targets - {"help"} if f"make {target}" not in told}
    assert not missing, f"CONTRIBUTING.md does not say what these do: {sorted(missing)}"


def test_migrations_are_numbered_without_a_gap_and_say_why_they_exist() -> None:
    names = [
        path.rsplit("/", 1)[1] for path in paths() if re.match(r"src/qlaud/store/migrations/.*\.sql$", path)
    ]
    assert [name[:4] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]
    for name in names:
        assert re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name), f"{name}: four digits, then words in lower case"
        assert source(f"src/qlaud/store/migrations/{name}").text.startswith("--"), (
            f"{name} must open with why it exists"
        )
