"""docs/providers.md is what the registry says and what tests claim; no tick outlives its test."""

import json
import subprocess
import sys

import pytest
from tests.support.matrix import Cell, cells_of
from tests.support.providers_page import PAGE, cells_on, page
from tests.tidy.sources import ROOT, sources

AGAIN = "run `make providers-matrix`, after the tests whose ticks are new"


def claimed() -> set[Cell]:
    """What the tests claim, as pytest collects them."""
    files = [one.path for one in sources("tests/*.py") if "matrix" in one.text and "/test_" in one.path]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode in (0, 5), listed.stdout + listed.stderr
    lines = (
        line.removeprefix("matrix: ") for line in listed.stdout.splitlines() if line.startswith("matrix: ")
    )
    return {Cell(*json.loads(line)) for line in lines}


def test_the_page_says_what_the_registry_says() -> None:
    text = PAGE.read_text()
    assert page(cells_on(text)) == text, f"docs/providers.md is not what the registry says: {AGAIN}"


def test_every_tick_has_a_test_that_carries_its_mark() -> None:
    carried = claimed()
    assert carried
    places = {cell.place for cell in carried}
    sdks = {(cell.provider, cell.modality, cell.sdk) for cell in carried}
    stale = {
        cell
        for cell in cells_on(PAGE.read_text())
        if cell.place not in places or (cell.sdk and (cell.provider, cell.modality, cell.sdk) not in sdks)
    }
    assert not stale, f"no test claims {sorted(stale)}: {AGAIN}"


def test_a_tick_in_the_page_is_read_back() -> None:
    cell = Cell("anthropic", "text (messages)", "call", "anthropic")
    assert cell in set(cells_on(page([cell])))
    assert page(cells_on(page([cell]))) == page([cell])
    assert list(cells_on(page([]))) == []


def test_a_mark_for_a_cell_that_is_not_there_is_an_error() -> None:
    mark = pytest.mark.matrix(provider="openai", modality="embeddings", case="tools").mark
    with pytest.raises(ValueError, match="no cell"):
        cells_of([mark])
