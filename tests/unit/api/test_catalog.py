"""What the catalog says of models, hosts and prices."""

from decimal import Decimal

from tests.support.ledger_desk import FrozenClock

from qlaud.api.catalog import to_api_model
from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.providers import Provider, Registry, Secret
from qlaud.core.rates import Band, Rate
from qlaud.flows.directory import Directory, Outlets
from qlaud.flows.offer import Offer
from qlaud.providers.simulator import Simulator


def provider(slug: str, *keys: str) -> Provider:
    secrets = tuple(map(Secret, keys))
    return Provider(slug, slug.title(), "https://p.example", "", {}, key_variable="P_KEY", api_keys=secrets)


def card(provider: str, **rates: Rate) -> RateCard:
    return RateCard(provider, "m", "7", {STANDARD: (Band.of(0, rates),)})


def offer(*models: Model) -> Offer:
    registry = Registry({"dear": provider("dear", "k"), "cheap": provider("cheap")})
    directory = Directory(Catalog(models, "7"), registry, Outlets(Simulator(), Simulator()))
    return Offer(directory, FrozenClock())


HERE, THERE = Host("dear", "m", ()), Host("cheap", "m", ())


def test_a_model_is_listed_with_the_hosts_that_are_configured() -> None:
    offered = offer(Model("m", (THERE, HERE)), Model("n", (THERE,))).now()
    assert [model.model.slug for model in offered.models] == ["m"]
    assert [host.host.provider for host in offered.models[0].hosts] == ["dear"]
    assert offered.providers == (("dear", "Dear"),)


def test_all_shows_the_rest_as_unavailable_and_no_model_without_a_host() -> None:
    offered = offer(Model("m", (THERE, HERE)), Model("n", (THERE,))).now(include_unavailable=True)
    assert [(model.model.slug, model.is_available) for model in offered.models] == [("m", True), ("n", False)]
    assert all(model.hosts for model in offered.models)
    assert [slug for slug, _ in offered.providers] == ["cheap", "dear"]


def test_token_prices_are_per_million_and_exact() -> None:
    priced = card(
        "dear", input_tokens=Rate.of_usd(Decimal("0.075"), 1_000_000), output_tokens=Rate(5_000_000)
    )
    host = to_api_model(offer(Model("m", (Host("dear", "m", (), (priced,)),))).now().models[0]).hosts[0]
    assert (host.input_per_mtok_usd, host.output_per_mtok_usd) == (Decimal("0.075"), Decimal("5"))
    assert host.cache_write_per_mtok_usd == Decimal("0.075")
    assert (host.unit, host.unit_price_usd) == (None, None)


def test_media_have_a_unit_and_its_price() -> None:
    by_minute = card("dear", audio_ms=Rate.of_usd(Decimal("0.006"), 60_000))
    host = to_api_model(offer(Model("m", (Host("dear", "m", (), (by_minute,)),))).now().models[0]).hosts[0]
    assert (host.unit, host.unit_price_usd) == ("audio_second", Decimal("0.0001"))
    assert host.input_per_mtok_usd is None


def test_tokens_of_pictures_and_sound_are_shown_where_they_cost_otherwise() -> None:
    rates = {"input_tokens": 5_000_000, "output_tokens": 10_000_000, "image_out_tokens": 32_000_000}
    priced = card("dear", **{name: Rate(picos) for name, picos in rates.items()})
    host = to_api_model(offer(Model("m", (Host("dear", "m", (), (priced,)),))).now().models[0]).hosts[0]
    assert host.other_per_mtok_usd == {"image_out_tokens": Decimal("32")}


def test_what_costs_credits_says_so() -> None:
    by_credit = card("dear", credits=Rate.of_usd(Decimal("0.3"), 1000))
    host = to_api_model(offer(Model("m", (Host("dear", "m", (), (by_credit,)),))).now().models[0]).hosts[0]
    assert (host.unit, host.unit_price_usd, host.other_per_mtok_usd) == ("credit", Decimal("0.0003"), {})


def test_a_model_without_a_price_says_so() -> None:
    shown = to_api_model(offer(Model("m", (HERE,), deprecated="2026-12-11", replaced_by="n")).now().models[0])
    assert (shown.priced, shown.deprecated, shown.replaced_by) == (False, "2026-12-11", "n")
    assert shown.hosts[0].input_per_mtok_usd is None
