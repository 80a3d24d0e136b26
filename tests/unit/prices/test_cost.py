"""What a call costs: one sum, exact, rounded up once."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from qlaud.core.price_book import PriceBook
from qlaud.core.pricing import STANDARD, Axis, NotPriced, RateCard, Terms
from qlaud.core.rates import Band, Rate
from qlaud.core.usage import Usage
from qlaud.providers.pricebook import Prices

MILLION = 1_000_000


def at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000


NOW = at(2026, 11, 21)


def usd(dollars: str, units: int = MILLION) -> Rate:
    return Rate.of_usd(Fraction(dollars), units)


def card(**rates: Rate) -> RateCard:
    return RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, rates),)})


def cost(prices: Prices, provider: str, model: str, usage: Usage, at_ms: int = NOW) -> int:
    found = prices.book.card(provider, model, at_ms)
    assert found is not None
    return found.charge(usage).cost_micros


@pytest.mark.parametrize(
    ("provider", "model", "usage", "micros"),
    [
        # The golden vectors of the provider facts, A.3, in micros rounded up.
        (
            "anthropic",
            "claude-opus-5-5",
            Usage(
                input_tokens=16,
                cache_read_tokens=13637,
                cache_write_5m_tokens=49,
                cache_write_1h_tokens=7000,
                output_tokens=344,
                reasoning_tokens=33,
                web_searches=2,
            ),
            85_917,
        ),
        ("anthropic", "claude-opus-5-5", Usage(input_tokens=90_100, output_tokens=1550), 391_400),
        (
            "openai",
            "gpt-6-sol",
            Usage(input_tokens=8, cache_write_30m_tokens=4012, output_tokens=316, reasoning_tokens=200),
            13_206,
        ),
        (
            "openai",
            "gpt-6-sol",
            Usage(
                input_tokens=500,
                cache_read_tokens=3000,
                cache_write_30m_tokens=500,
                cache_write_12h_tokens=1000,
            ),
            7_850,
        ),
        # Cliffs reprice every token, and the cache counts towards the prompt.
        ("anthropic", "claude-haiku-5-5", Usage(input_tokens=100_000), 10_000),
        ("anthropic", "claude-haiku-5-5", Usage(input_tokens=100_001), 50_001),
        ("anthropic", "claude-haiku-5-5", Usage(input_tokens=1, cache_read_tokens=100_000), 5_001),
        ("openai", "gpt-6-sol", Usage(input_tokens=272_000), 544_000),
        ("openai", "gpt-6-sol", Usage(input_tokens=272_001), 1_088_004),
        # Contexts, as answered.
        ("anthropic", "claude-opus-5-5", Usage(input_tokens=MILLION, speed="fast"), 8_000_000),
        ("anthropic", "claude-opus-5-5", Usage(input_tokens=MILLION, geo="us"), 4_400_000),
        ("anthropic", "claude-opus-5-5", Usage(input_tokens=MILLION, speed="fast", geo="us"), 8_800_000),
        ("anthropic", "claude-opus-5-5", Usage(web_searches=1, speed="fast", geo="us"), 10_000),
        ("anthropic", "claude-opus-5-5", Usage(input_tokens=MILLION, tier="batch"), 2_000_000),
        (
            "anthropic",
            "claude-opus-5-5",
            Usage(input_tokens=MILLION, tier="priority", geo="global"),
            4_000_000,
        ),
        ("anthropic", "claude-haiku-4-5", Usage(input_tokens=MILLION, geo="not_available"), 1_000_000),
        ("openai", "gpt-6.2-sol", Usage(input_tokens=MILLION, tier="flex"), 2_000_000),
        ("openai", "gpt-6.2-sol", Usage(input_tokens=1000, output_tokens=1000, tier="flex"), 6_000),
        ("openai", "gpt-6.2-sol", Usage(input_tokens=1000, output_tokens=1000, tier="priority"), 24_000),
        ("openai", "gpt-6.2-sol", Usage(input_tokens=1000, output_tokens=1000, tier="ultrafast"), 36_000),
        ("openai", "gpt-6-astra", Usage(input_tokens=1000, output_tokens=1000, tier="ultrafast"), 360_000),
        ("openai", "gpt-5.5", Usage(input_tokens=300_000, tier="priority"), 3_750_000),
        ("openai", "gpt-5.5", Usage(input_tokens=300_000, tier="default"), 3_000_000),
        # Other units.
        ("openai", "whisper-1", Usage(audio_ms=60_000), 6_000),
        ("openai", "tts-1", Usage(characters=1000), 15_000),
        ("sim", "sim/echo", Usage(input_tokens=2000, output_tokens=10, cache_read_tokens=100), 2_060),
    ],
)
def test_a_call_costs_what_the_provider_bills(
    prices: Prices, provider: str, model: str, usage: Usage, micros: int
) -> None:
    assert cost(prices, provider, model, usage) == micros


def test_the_price_of_the_day_is_used(prices: Prices) -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    assert cost(prices, "openai", "o3", usage, at(2025, 6, 9)) == 50_000
    assert cost(prices, "openai", "o3", usage, at(2025, 6, 10)) == 10_000
    fast = Usage(input_tokens=1000, output_tokens=1000, tier="ultrafast")
    assert cost(prices, "openai", "gpt-6.2-sol", fast, at(2027, 2, 28)) == 36_000
    assert cost(prices, "openai", "gpt-6.2-sol", fast, at(2027, 3, 1)) == 72_000


def test_the_exact_cost_is_rounded_up_once_and_the_markup_is_inside() -> None:
    charge = card(input_tokens=usd("0.10")).charge(Usage(input_tokens=1), 700)
    assert (charge.cost_micros, charge.provider_cost_micros) == (1, 1)
    charge = card(input_tokens=usd("0.10")).charge(Usage(input_tokens=100_001), 700)
    assert (charge.cost_micros, charge.provider_cost_micros) == (10_701, 10_001)  # 10700.107 and 10000.1
    assert card(input_tokens=usd("1")).charge(Usage(), 700).cost_micros == 0


def test_a_rate_of_a_fraction_of_a_pico_does_not_drift() -> None:
    minute = card(audio_ms=usd("0.0043", 60_000))
    assert minute.charge(Usage(audio_ms=60_000)).cost_micros == 4300
    assert minute.charge(Usage(audio_ms=180_000_000)).cost_micros == 12_900_000
    assert minute.charge(Usage(audio_ms=180_000_001)).cost_micros == 12_900_001
    assert minute.cost_picos(Usage(audio_ms=1)) == 71_667


@pytest.mark.parametrize(
    ("quantity", "parent"),
    [
        ("cache_read_tokens", "input_tokens"),
        ("cache_write_5m_tokens", "input_tokens"),
        ("cache_write_1h_tokens", "cache_write_5m_tokens"),
        ("cache_write_5m_tokens", "cache_write_30m_tokens"),
        ("cache_read_explicit_tokens", "cache_read_tokens"),
        ("image_cache_read_tokens", "image_in_tokens"),
        ("video_in_tokens", "image_in_tokens"),
        ("video_in_tokens", "input_tokens"),
        ("cache_write_12h_tokens", "cache_write_30m_tokens"),
        ("audio_in_tokens", "input_tokens"),
        ("audio_cache_read_tokens", "audio_in_tokens"),
        ("audio_out_tokens", "output_tokens"),
        ("image_out_tokens", "output_tokens"),
    ],
)
def test_a_quantity_without_a_price_has_its_parents_price(quantity: str, parent: str) -> None:
    priced = card(**{"input_tokens": usd("1"), "output_tokens": usd("2"), parent: usd("7")})
    assert priced.charge(Usage(**{quantity: MILLION})).cost_micros == 7_000_000  # pyright: ignore[reportArgumentType]


def test_a_stated_price_of_zero_is_free() -> None:
    assert (
        card(input_tokens=usd("1"), cache_read_tokens=Rate(0)).charge(Usage(cache_read_tokens=9)).cost_micros
        == 0
    )


@pytest.mark.parametrize(
    "usage",
    [
        Usage(output_tokens=1),
        Usage(web_searches=1),
        Usage(characters=1),
        Usage(calls=1),
        Usage(images_in=1),
        Usage(credits=1),
    ],
)
def test_a_quantity_without_price_or_parent_is_an_error_never_free(usage: Usage) -> None:
    with pytest.raises(NotPriced, match="acme m has no price for"):
        card(input_tokens=usd("1")).charge(usage)


def test_reasoning_has_its_own_price_only_where_one_is_stated() -> None:
    usage = Usage(output_tokens=1000, reasoning_tokens=400)
    plain = card(input_tokens=usd("1"), output_tokens=usd("10"))
    dear = card(input_tokens=usd("1"), output_tokens=usd("10"), reasoning_tokens=usd("20"))
    cheap = card(input_tokens=usd("1"), output_tokens=usd("10"), reasoning_tokens=usd("4"))
    assert [one.charge(usage).cost_micros for one in (plain, dear, cheap)] == [10_000, 14_000, 7_600]


def test_an_unknown_context_is_billed_as_standard_and_told() -> None:
    terms = Terms(tier=Axis({"": "", "gold": "gold"}, {"": ("",)}, optional=frozenset({"thrift"})))
    priced = RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, {"input_tokens": usd("1")}),)}, terms)
    assert priced.charge(Usage(input_tokens=5, tier="platinum")).assumed == ("platinum",)
    assert priced.charge(Usage(input_tokens=5, tier="gold")).assumed == ("gold",)
    assert priced.charge(Usage(input_tokens=5, tier="thrift")).assumed == ()
    assert priced.charge(Usage(input_tokens=5, speed="warp", geo="mars")).assumed == ("warp", "mars")


def test_an_unknown_word_does_not_hide_a_known_one(prices: Prices) -> None:
    found = prices.book.card("anthropic", "claude-opus-5-5", NOW)
    assert found is not None
    charge = found.charge(Usage(input_tokens=MILLION, tier="platinum", geo="us"))
    assert (charge.cost_micros, charge.assumed) == (4_400_000, ("platinum",))


def test_a_prefix_never_matches_across_a_version_digit(prices: Prices) -> None:
    book = prices.book
    assert book.cards("anthropic", "claude-opus-4")[0].rate("input_tokens") == Rate(15_000_000)
    assert book.cards("anthropic", "claude-opus-4-8")[0].rate("input_tokens") == Rate(5_000_000)
    for unknown in (
        "claude-opus-4-9",
        "claude-opus-4-70",
        "claude-opus",
        "gpt-6",
        "gpt-6.3-sol",
        "gpt-5.4-min",
        "",
    ):
        assert book.card("openai", unknown, NOW) is None
        assert book.card("anthropic", unknown, NOW) is None


@pytest.mark.parametrize(
    ("provider", "dated", "base"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-5-5-20261103", "claude-opus-5-5"),
        ("anthropic", "claude-opus-5-5@20261103", "claude-opus-5-5"),
        ("openai", "gpt-6-sol-2026-09-22", "gpt-6-sol"),
        ("openai", "GPT-6-Sol", "gpt-6-sol"),
        ("openai", "gpt-5-nano-2025-08-07", "gpt-5-nano"),
    ],
)
def test_a_dated_id_has_the_price_of_its_model(prices: Prices, provider: str, dated: str, base: str) -> None:
    assert prices.book.card(provider, dated, NOW) == prices.book.card(provider, base, NOW) != None  # noqa: E711


def test_a_dated_id_with_its_own_price_keeps_it(prices: Prices) -> None:
    usage = Usage(input_tokens=MILLION)
    assert cost(prices, "openai", "gpt-4o-2024-05-13", usage) == 5_000_000
    assert cost(prices, "openai", "gpt-4o-2024-08-06", usage) == 2_500_000


def test_there_is_no_price_before_the_first_card() -> None:
    late = RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, {"input_tokens": usd("1")}),)}, from_ms=1000)
    book = PriceBook("v1", {("acme", "M"): [late]})
    assert book.card("acme", "m", 999) is None
    assert book.card("acme", "m", 1000) is late


def test_bands_must_rise_from_zero() -> None:
    first, second = Band.of(0, {}), Band.of(10, {})
    for bands in ((), (second,), (first, first), (first, second, first)):
        with pytest.raises(ValueError, match="bands must rise"):
            RateCard("acme", "m", "v1", {STANDARD: bands})


def test_every_card_carries_the_version_of_the_book(prices: Prices) -> None:
    found = prices.book.card("openai", "gpt-6-sol", NOW)
    assert found is not None
    assert found.version == prices.book.version
    assert prices.book.version.startswith("2026-11-25.0.2.3+")
