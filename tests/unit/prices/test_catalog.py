"""Which names lead to which model, and what is known of it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.errors import ModelNotFound
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.providers.model_files import LONGEST_SENTENCE, ModelsFile, read_model_files
from qlaud.providers.models import build_catalog
from qlaud.providers.pricebook import Prices
from qlaud.providers.registry import load_registry
from qlaud.providers.simulator import scripts
from qlaud.providers.toml_files import BadFile, read

NOW = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * 1000


@pytest.fixture(scope="module")
def catalog(prices: Prices) -> Catalog:
    return build_catalog(read_model_files(), prices, at_ms=NOW)


@pytest.mark.parametrize(
    ("asked", "slug", "upstream"),
    [
        ("claude-opus-4-7", "claude-opus-4-7", "claude-opus-4-7"),
        ("Claude-Opus-4-7", "claude-opus-4-7", "claude-opus-4-7"),
        ("claude-opus-4-7[1m]", "claude-opus-4-7", "claude-opus-4-7"),
        ("CLAUDE-OPUS-4-7[1M]", "claude-opus-4-7", "claude-opus-4-7"),
        ("claude-sonnet-4-6", "claude-sonnet-4-6", "claude-sonnet-4-6"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-3-haiku", "claude-3-haiku", "claude-3-haiku-20240307"),
        ("claude-3-haiku-20240307", "claude-3-haiku", "claude-3-haiku-20240307"),
        ("gpt-5.4", "gpt-5.4", "gpt-5.4"),
        ("gpt-5-4", "gpt-5.4", "gpt-5.4"),
        ("gpt-5.4-mini", "gpt-5.4-mini", "gpt-5.4-mini"),
        ("gpt-4o-mini", "gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("gpt-4.1-mini", "gpt-4.1-mini", "gpt-4.1-mini"),
        ("gpt-5-codex", "gpt-5-codex", "gpt-5-codex"),
        ("gpt-5-1-codex", "gpt-5.1-codex", "gpt-5.1-codex"),
        ("gpt-5.3-chat-latest", "gpt-5.3", "gpt-5.3-chat-latest"),
        ("chat-latest", "gpt-chat-latest", "chat-latest"),
        ("sim/echo", "sim/echo", "sim/echo"),
    ],
)
def test_a_name_leads_to_a_model_and_the_id_that_goes_upstream(
    catalog: Catalog, asked: str, slug: str, upstream: str
) -> None:
    model = catalog.resolve(asked)
    assert (model.slug, model.hosts[0].upstream_name(asked)) == (slug, upstream)


@pytest.mark.parametrize(
    "slug",
    ["gpt-image-1", "gpt-4o-mini-tts", "whisper-1", "sora-2", "sora-2-pro", "text-embedding-3-large"],
)
def test_the_media_slugs_that_clients_name_are_there(catalog: Catalog, slug: str) -> None:
    assert catalog.resolve(slug).task != "text-generation"


def test_an_unknown_name_gets_the_three_nearest(catalog: Catalog) -> None:
    with pytest.raises(ModelNotFound) as caught:
        catalog.resolve("claude-haiku-45")
    assert caught.value.nearest[0] == "claude-haiku-4-5"
    assert len(caught.value.nearest) == 3
    assert str(caught.value).startswith('unknown model "claude-haiku-45"; nearest: claude-haiku-4-5, ')


@pytest.mark.parametrize("name", ["", "x" * 1_000_000, "claude-opus-4-77", "gpt-5.4-", " gpt-5.4"])
def test_nothing_but_a_whole_name_matches(catalog: Catalog, name: str) -> None:
    with pytest.raises(ModelNotFound):
        catalog.resolve(name)


def test_every_priced_model_of_both_providers_resolves_unless_it_is_unlisted(
    prices: Prices, catalog: Catalog
) -> None:
    unlisted = {name for file in read_model_files() for name in file.unlisted}
    for model in prices.models:
        if model.id not in unlisted:
            assert catalog.resolve(model.id).hosts[0].card_at(NOW) is not None, model.id


def test_every_model_is_complete(catalog: Catalog) -> None:
    registry = load_registry({})
    for model in catalog.models:
        assert model.display_name, model.slug
        assert 0 < len(model.description.split(". ")[0]) <= LONGEST_SENTENCE, model.slug
        assert (model.max_output > 0) == (model.task == "text-generation"), model.slug
        assert model.default_max_tokens <= model.max_output, model.slug
        for host in model.hosts:
            assert set(host.wires) <= registry.provider(host.provider).wires.keys(), model.slug
            assert host.wires, model.slug
            if model.task == "text-generation" and model.context_window:
                assert model.max_output <= model.context_window, model.slug


@pytest.mark.parametrize(
    ("slug", "window", "most"),
    [
        ("claude-haiku-4-5", 200_000, 64_000),
        ("claude-opus-5-5", 1_000_000, 128_000),
        ("claude-3-opus-latest", 200_000, 4096),
        ("gpt-6.2-sol", 1_050_000, 128_000),
        ("gpt-4o-mini", 128_000, 16_384),
        ("gpt-4", 8192, 4096),
        ("gpt-rosalind-research", None, 4096),
    ],
)
def test_limits_come_from_model_family_price_list_or_the_careful_default(
    catalog: Catalog, slug: str, window: int | None, most: int
) -> None:
    model = catalog.resolve(slug)
    assert (model.context_window, model.max_output) == (window, most)


def test_every_model_file_names_priced_models_only(prices: Prices) -> None:
    """A family member that no price and no [[model]] knows is a typing mistake."""
    for file in read_model_files():
        known = {model.slug for model in file.model} | {
            m.id for m in prices.models if m.provider == file.provider
        }
        for family in file.family:
            assert set(family.models) <= known
        assert set(file.unlisted) <= known


def test_the_simulators_models_are_the_catalogs(catalog: Catalog) -> None:
    assert {model.slug for model in catalog.models if model.hosts[0].provider == "sim"} == set(scripts.MODELS)


def test_a_slug_of_two_providers_is_one_model_with_the_cheapest_host_first(prices: Prices) -> None:
    anthropic = next(file for file in read_model_files() if file.provider == "anthropic")
    sim = next(file for file in read_model_files() if file.provider == "sim")
    shared = msgspec.structs.replace(sim.model[0], slug="claude-haiku-4-5", upstream="sim/echo")
    dear = msgspec.structs.replace(sim.model[0], slug="claude-haiku-5-5", upstream="sim/slow")
    unpriced = msgspec.structs.replace(sim.model[0], slug="claude-opus-5-5", upstream="sim/nothing")
    sim = msgspec.structs.replace(sim, model=[shared, dear, unpriced])
    found = build_catalog([sim, anthropic], prices, at_ms=NOW)
    assert [host.provider for host in found.resolve("claude-haiku-5-5").hosts] == ["anthropic", "sim"]
    assert [host.provider for host in found.resolve("claude-opus-5-5").hosts] == ["anthropic", "sim"]
    assert len(found.resolve("claude-haiku-4-5").hosts) == 2
    assert found.resolve("claude-haiku-4-5").max_output == 64_000


def test_a_host_has_the_price_of_the_day() -> None:
    old, new = (
        RateCard("a", "m", "v", {STANDARD: (Band.of(0, {"images": Rate(1)}),)}, from_ms=at) for at in (0, 50)
    )
    host = Host("a", "m", ("messages",), (new, old))
    assert (host.card_at(49), host.card_at(50)) == (old, new)
    assert replace(host, cards=()).card_at(50) is None


def test_two_models_cannot_share_a_name() -> None:
    host = Host("a", "m", ())
    one, two = Model("one", (host,), aliases=("both",)), Model("two", (host,), aliases=("Both",))
    with pytest.raises(ValueError, match="names both one and two"):
        Catalog((one, two), "v")
    with pytest.raises(ValueError, match="twice"):
        Catalog((one, one), "v")
    with pytest.raises(ValueError, match="no host"):
        Catalog((Model("lonely", ()),), "v")


def test_a_wrong_model_file_is_named_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "acme.toml"
    file.write_text(
        'provider = "acme"\nauthor = "A"\nsource = "s"\nverified = 2026-01-01\n[defaults]\nmax_outputs = 3\n'
    )
    with pytest.raises(BadFile, match=r"acme\.toml: .*max_outputs.*defaults"):
        read(file, ModelsFile)
