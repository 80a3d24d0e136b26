"""A model may be named in any case, and by any alias: what its calls may cost does not depend on the spelling."""

import json
from collections.abc import Iterator

import pytest

from qlaud.core.catalog import Catalog
from qlaud.core.demand import Demand
from qlaud.providers.model_files import read_model_files
from qlaud.providers.models import build_catalog
from qlaud.providers.pricebook import Prices
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import Asked

NOW = 1_795_600_000_000
PICTURE = "data:image/png;base64,AAAA"
ASKED: dict[str, dict[str, object]] = {
    "openai_chat": {
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        ]
    },
    "openai_responses": {
        "input": [{"role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]}]
    },
    "openai_images": {"prompt": "a tree", "size": "1024x1024", "quality": "high", "n": 2},
    "openai_image_edits": {"prompt": "a tree", "image": "AAAA"},
    "gemini_generate": {"contents": [{"parts": [{"text": "hi"}]}], "tools": [{"google_search": {}}]},
    "gemini_interactions": {"input": "hi", "tools": [{"type": "google_search"}]},
    "qwen_generation": {"input": {"messages": []}},
    "qwen_image": {"input": {"messages": []}},
}
"""What makes the readers look at the name of the model."""


@pytest.fixture(scope="module")
def catalog(prices: Prices) -> Catalog:
    return build_catalog(read_model_files(), prices, at_ms=NOW)


def demand(wire: str, name: str) -> Demand:
    fields = dict(ASKED[wire]) if wire == "gemini_generate" else {"model": name, **ASKED[wire]}
    return WIRES[wire].read_call(Asked(body=json.dumps(fields).encode(), model=name)).demand


def spellings(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    for model in catalog.models:
        names = {model.slug, *model.aliases}
        for host in model.hosts:
            for wire in ASKED.keys() & set(host.wires):
                for name in names | {name.upper() for name in names}:
                    yield wire, host.upstream_model, name


def test_what_a_call_may_cost_is_the_same_by_every_name_of_its_model(catalog: Catalog) -> None:
    seen = 0
    for wire, upstream, name in spellings(catalog):
        own, other = demand(wire, upstream), demand(wire, name)
        longer = 0 if wire == "gemini_generate" else len(name) - len(upstream)
        assert other.input_tokens - own.input_tokens == longer, name
        assert (other.most, other.grade, other.whole_context) == (own.most, own.grade, own.whole_context), (
            name
        )
        assert (other.unbounded_tool is None) == (own.unbounded_tool is None), name
        assert other.thinking_budget == own.thinking_budget, name
        seen += bool(own.most) or own.unbounded_tool is not None
    assert seen > 100, "some models are asked for more than tokens"
