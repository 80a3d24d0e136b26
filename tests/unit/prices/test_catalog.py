"""Which names lead to which model, and what is known of it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.errors import ModelNotFound
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.providers import models
from qlaud.providers.model_files import LONGEST_SENTENCE, EndFile, ModelsFile, read_model_files
from qlaud.providers.models import build_catalog, load_catalog
from qlaud.providers.pricebook import Prices
from qlaud.providers.registry import load_registry
from qlaud.providers.simulator import films, scripts
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
        ("nano-banana", "nano-banana", "gemini-nano-banana-2.1"),
        ("gemini-nano-banana-2.1", "nano-banana", "gemini-nano-banana-2.1"),
        ("gemini-2.5-flash-tts", "gemini-2.5-flash-tts", "gemini-2.5-flash-preview-tts"),
        ("gemini-flash-latest", "gemini-3.8-flash", "gemini-flash-latest"),
        ("grok-4.20-0309-reasoning", "grok-4.20-0309-reasoning", "grok-4.20-0309-reasoning"),
        ("grok-4.7-latest", "grok-4.7", "grok-4.7-latest"),
        ("MiniMax-M2", "MiniMax-M2", "MiniMax-M2"),
        ("minimax-m3", "MiniMax-M3", "MiniMax-M3"),
        ("MiniMax-M2.5", "MiniMax-M2.5", "MiniMax-M2.5"),
        ("mistral-medium-3", "mistral-medium-3", "mistral-medium-3"),
        ("mistral-medium-2604", "mistral-medium-3-5", "mistral-medium-2604"),
        ("nova-3-general", "nova-3", "nova-3-general"),
        ("aura-2-thalia-en", "aura-2", "aura-2-thalia-en"),
        ("eleven_flash_v2", "eleven_flash_v2", "eleven_flash_v2"),
        ("sonic-3.5", "sonic-3.5", "sonic-3.5"),
        ("qwen3-max-preview", "qwen3-max", "qwen3-max-preview"),
        ("openai/gpt-oss-120b", "openai/gpt-oss-120b", "openai/gpt-oss-120b"),
        ("anthropic/claude-opus-5.5", "anthropic/claude-opus-5.5", "anthropic/claude-opus-5.5"),
    ],
)
def test_a_name_leads_to_a_model_and_the_id_that_goes_upstream(
    catalog: Catalog, asked: str, slug: str, upstream: str
) -> None:
    model = catalog.resolve(asked)
    assert (model.slug, model.hosts[0].upstream_name(asked)) == (slug, upstream)


PUBLISHED = {
    "text-generation": (
        "claude-opus-4-7",
        "claude-opus-4-7[1m]",
        "claude-sonnet-4-6",
        "claude-haiku-4-5",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-4o-mini",
        "gpt-4.1-mini",
        "grok-4.20-0309-reasoning",
        "deepseek-chat",
        "deepseek-reasoner",
        "kimi-k2.6",
        "qwen-coder-plus",
        "gemini-3-pro-preview",
        "gemini-2.5-flash",
        "MiniMax-M2",
        "mistral-medium-3",
    ),
    "search": ("sonar-pro",),
    "image-generation": ("gpt-image-1", "nano-banana"),
    "tts": ("gpt-4o-mini-tts", "eleven_multilingual_v2", "eleven_turbo_v2_5"),
    "stt": ("whisper-1", "nova-3"),
    "video-generation": ("sora-2", "sora-2-pro"),
    "embeddings": ("text-embedding-3-large",),
}
"""The names that published clients use (contract, section 11)."""


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task, names in PUBLISHED.items() for name in names]
)
def test_every_name_that_clients_use_leads_to_a_priced_model(catalog: Catalog, task: str, name: str) -> None:
    model = catalog.resolve(name)
    assert model.task == task
    assert all(host.card_at(NOW) for host in model.hosts)


def test_what_a_provider_stops_serving_is_told(catalog: Catalog) -> None:
    whisper = catalog.resolve("whisper-1")
    assert (whisper.deprecated, whisper.replaced_by) == ("2027-02-26", "gpt-transcribe")
    assert catalog.resolve("gpt-6-sol").deprecated == ""
    slugs = {model.slug for model in catalog.models}
    for file in read_model_files():
        for end in file.deprecated:
            assert set(end.models) <= slugs
            assert end.replaced_by in slugs | {""}
            assert end.replaced_by not in end.models


def test_a_model_of_two_hosts_lives_as_long_as_one_of_them(prices: Prices) -> None:
    anthropic = next(file for file in read_model_files() if file.provider == "anthropic")
    sim = next(file for file in read_model_files() if file.provider == "sim")
    shared = msgspec.structs.replace(sim.model[0], slug="claude-haiku-4-5", upstream="sim/echo")

    def host_of(file: ModelsFile, day: date | None) -> ModelsFile:
        ends = [EndFile(["claude-haiku-4-5"], day, "claude-haiku-5-5")] if day else []
        return msgspec.structs.replace(file, deprecated=ends)

    sim = msgspec.structs.replace(sim, model=[shared])

    def joined(one: date | None, other: date | None) -> tuple[str, str]:
        files = [host_of(anthropic, one), host_of(sim, other)]
        model = build_catalog(files, prices, at_ms=NOW).resolve("claude-haiku-4-5")
        return model.deprecated, model.replaced_by

    assert joined(date(2027, 1, 1), date(2027, 2, 2)) == ("2027-02-02", "claude-haiku-5-5")
    assert joined(date(2027, 1, 1), None) == ("", "")


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


def test_every_priced_model_resolves_unless_it_is_unlisted(prices: Prices, catalog: Catalog) -> None:
    hidden = {
        (file.provider, name) for file in read_model_files() for name in (*file.unlisted, *file.foreign)
    }
    for model in prices.models:
        if (model.provider, model.id) not in hidden:
            hosts = {host.provider: host for host in catalog.resolve(model.id).hosts}
            assert hosts[model.provider].card_at(NOW) is not None, model.id


def test_every_model_that_is_offered_has_a_price_at_every_host(catalog: Catalog) -> None:
    for model in catalog.models:
        for host in model.hosts:
            assert host.card_at(NOW), f"{host.provider} {model.slug}"


def test_a_provider_speaks_the_wires_of_its_models(catalog: Catalog) -> None:
    providers = load_registry({}).providers
    for model in catalog.models:
        for host in model.hosts:
            if host.provider in providers:
                spoken = providers[host.provider].wires.keys()
                assert set(host.wires) <= spoken, f"{host.provider} {model.slug}"


def test_every_model_is_complete(catalog: Catalog) -> None:
    for model in catalog.models:
        assert model.display_name, model.slug
        assert 0 < len(model.description.split(". ")[0]) <= LONGEST_SENTENCE, model.slug
        answers = model.task in ("text-generation", "search") and model.hosts[0].wires != ("mistral_ocr",)
        answers = (
            answers or "gemini_generate" in model.hosts[0].wires
        )  # pictures and sound are tokens of its answer
        assert (model.max_output > 0) == answers, model.slug
        assert model.default_max_tokens <= model.max_output, model.slug
        for host in model.hosts:
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


def test_a_model_file_without_a_provider_offers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "read_provider_files", lambda _: [])  # pyright: ignore[reportUnknownLambdaType]
    assert load_catalog(env={}, cache_dir=tmp_path, at_ms=NOW).catalog.models == ()


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
    assert {model.slug for model in catalog.models if model.hosts[0].provider == "sim"} == {
        *scripts.MODELS,
        *films.MODELS,
    }


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


def test_a_model_of_two_hosts_reads_as_much_as_the_larger_of_them(catalog: Catalog) -> None:
    """Else a call that may take the whole window of one would be held for that of the other."""
    sonar = catalog.resolve("perplexity/sonar")
    assert {host.provider: host.wires for host in sonar.hosts} == {
        "perplexity": ("openai_responses",),
        "openrouter": ("openai_chat", "openai_responses"),
    }
    assert sonar.context_window == 128_000  # 127,072 at OpenRouter


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
    with pytest.raises(BadFile, match=r"acme\.toml: .*defaults\.max_outputs"):
        read(file, ModelsFile)
