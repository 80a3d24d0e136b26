"""The examples of docs/prices.md are files that are read."""

import re
from pathlib import Path

import msgspec
import pytest

from qlaud.core.usage import QUANTITIES
from qlaud.providers import provider_files
from qlaud.providers.model_files import ModelsFile
from qlaud.providers.price_compile import compile_sheet
from qlaud.providers.registry import load_registry
from qlaud.providers.toml_files import read

TEXT = Path("docs/prices.md").read_text("utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def examples(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{number}.toml" for number in range(len(EXAMPLES))]
    for file, example in zip(files, EXAMPLES, strict=True):
        file.write_text(example)
    return files


def test_the_examples_are_valid(examples: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    prices, models, provider, own, addition = examples
    text = re.sub(r"\[seed\].*?\n\n", "", prices.read_text(), flags=re.DOTALL)
    text += '[[model]]\nid = "acme-1"\nsource = "s"\nverified = 2026-01-01\n'
    prices.write_text(text + '[[model.prices]]\nrates = { input_tokens = "1/M" }\n')
    assert {row.id for row in compile_sheet([prices], known={}).models} == {"acme-1", "acme-2", "acme-film"}
    assert msgspec.structs.asdict(read(models, ModelsFile))["provider"] == "acme"
    monkeypatch.setattr(provider_files, "shipped", lambda _: [provider])  # pyright: ignore[reportUnknownLambdaType]
    assert load_registry({"ACME_API_KEY": "k"}).provider("acme").configured
    monkeypatch.undo()
    folder = own.parent / "own"
    folder.mkdir()
    text = own.read_text()
    for whole in (text, f"{text}\n{addition.read_text()}"):
        (folder / "vllm.toml").write_text(whole)
        assert load_registry({}, folder).provider("vllm").configured
    assert "openai_embeddings" in load_registry({}, folder).provider("vllm").wires


def test_every_quantity_that_can_have_a_price_is_documented() -> None:
    assert [name for name in QUANTITIES if not re.search(rf"\b{name}\b", TEXT)] == []


def test_every_quirk_is_documented() -> None:
    assert [quirk for quirk in provider_files.QUIRKS if quirk not in TEXT] == []
