"""The compiled price sheet: made in a child, cached, never stale."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qlaud.providers import pricebook
from qlaud.providers.price_rows import Sheet
from qlaud.providers.pricebook import PricesUnavailable, load_prices, load_sheet
from qlaud.providers.toml_files import BadFile


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the children."""
    calls: list[int] = []
    compile_once = pricebook._compile  # pyright: ignore[reportPrivateUsage]

    def counted(prices_dir: Path | None, providers_dir: Path | None) -> bytes:
        calls.append(1)
        return compile_once(prices_dir, providers_dir)

    monkeypatch.setattr(pricebook, "_compile", counted)
    return calls


def test_the_child_makes_the_same_sheet_as_this_process(sheet: Sheet) -> None:
    assert load_sheet(cache_dir=None) == sheet


def test_a_second_start_reads_the_cache(tmp_path: Path, compiled: list[int]) -> None:
    first = load_sheet(cache_dir=tmp_path / "deep" / "cache")
    assert load_sheet(cache_dir=tmp_path / "deep" / "cache") == first
    assert len(compiled) == 1
    assert [path.suffix for path in (tmp_path / "deep" / "cache").iterdir()] == [".msgpack"]


@pytest.mark.parametrize("garbage", [b"", b"\x00", b"\x96\x01", b"not msgpack at all"])
def test_a_corrupt_cache_is_compiled_again(tmp_path: Path, compiled: list[int], garbage: bytes) -> None:
    whole = load_sheet(cache_dir=tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(garbage or cached.read_bytes()[:1000])
    assert load_sheet(cache_dir=tmp_path) == whole
    assert load_sheet(cache_dir=tmp_path) == whole
    assert len(compiled) == 2


def test_a_changed_file_of_the_operator_is_another_sheet(tmp_path: Path, compiled: list[int]) -> None:
    mine = tmp_path / "prices"
    mine.mkdir()
    plain = load_prices(cache_dir=tmp_path / "cache", prices_dir=mine).book
    (mine / "a.toml").write_text(
        'provider = "openai"\nreleased = 2026-12-24\n[[model]]\nid = "ours"\nsource = "s"\nverified = 2026-12-24\n'
        '[[model.prices]]\nrates = { input_tokens = "1/M" }\n'
    )
    changed = load_prices(cache_dir=tmp_path / "cache", prices_dir=mine).book
    assert plain.card("openai", "ours", 0) is None
    assert changed.card("openai", "ours", 0) is not None
    assert plain.version != changed.version
    assert len(compiled) == 2


def test_workers_that_start_together_all_get_the_whole_sheet(tmp_path: Path, sheet: Sheet) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: load_sheet(cache_dir=tmp_path), range(3)))
    assert found == [sheet, sheet, sheet]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, sheet: Sheet) -> None:
    (tmp_path / "file").write_text("in the way")
    assert load_sheet(cache_dir=tmp_path / "file") == sheet


def test_a_wrong_file_is_told_from_the_child(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("provider = 3\n")
    with pytest.raises(BadFile, match=r"bad\.toml: .*provider"):
        load_sheet(cache_dir=None, prices_dir=tmp_path)
    with pytest.raises(BadFile, match="cannot be read"):
        load_sheet(cache_dir=None, prices_dir=tmp_path / "missing")


def test_a_child_that_fails_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricebook, "_BOOT", "raise SystemExit('no memory')")
    with pytest.raises(PricesUnavailable, match="no memory"):
        load_sheet(cache_dir=None)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PricesUnavailable, match="could not be compiled"):
        load_sheet(cache_dir=None)


def test_serving_does_not_load_the_price_library(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from qlaud.providers.models import load_catalog; "
        "load_catalog(env={}, cache_dir=Path(sys.argv[1]), at_ms=0); "
        "sys.exit('genai_prices' in sys.modules or 'pydantic' in sys.modules)"
    )
    root = Path(pricebook.__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env={"PYTHONPATH": str(root)}, check=False
    )
    assert done.returncode == 0
