"""The bound before a call leaves."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from qlaud.core.demand import Demand
from qlaud.core.pricing import STANDARD, NotPriced, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.providers.pricebook import Prices

NOW = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * 1000
ASKED = Demand(input_tokens=2000)


def found(prices: Prices, provider: str, model: str) -> RateCard:
    card = prices.book.card(provider, model, NOW)
    assert card is not None
    return card


def test_the_example_of_the_contract(prices: Prices) -> None:
    worst = found(prices, "anthropic", "claude-haiku-4-5").worst(ASKED, context_window=200_000)
    assert worst.micros(16_000) == 82_500
    assert worst.largest_limit(50_000) == 9500
    assert worst.micros(9500) == 50_000
    assert worst == found(prices, "sim", "sim/echo").worst(ASKED, context_window=200_000)


@pytest.mark.parametrize(
    ("model", "demand", "base", "slope"),
    [
        # gpt-6-sol: $2 in, $2.50 written, $5 for 12 h, $10 out; twice and 1.5 times above 272000.
        ("gpt-6-sol", ASKED, 5_000_000_000, 10_000_000),
        ("gpt-6-sol", replace(ASKED, input_tokens=272_000), 680_000_000_000, 10_000_000),
        ("gpt-6-sol", replace(ASKED, input_tokens=272_001), 1_360_005_000_000, 15_000_000),
        ("gpt-6-sol", replace(ASKED, input_tokens=9_999_999), 5_250_000_000_000, 15_000_000),
        ("gpt-6-sol", replace(ASKED, whole_context=True), 5_250_000_000_000, 15_000_000),
        ("gpt-6-sol", replace(ASKED, cache_ttls=frozenset({"12h"})), 10_000_000_000, 10_000_000),
        ("gpt-6-sol", replace(ASKED, cache_ttls=frozenset({"3y"})), 10_000_000_000, 10_000_000),
        ("gpt-6-sol", replace(ASKED, candidates=3), 5_000_000_000, 30_000_000),
        ("gpt-6-sol", replace(ASKED, tier="priority"), 10_000_000_000, 20_000_000),
        ("gpt-6-sol", replace(ASKED, tier="fast"), 10_000_000_000, 20_000_000),
        ("gpt-6-sol", replace(ASKED, tier="auto"), 5_000_000_000, 10_000_000),
        ("gpt-6-sol", replace(ASKED, tier="flex"), 5_000_000_000, 10_000_000),
        ("gpt-6.2-sol", replace(ASKED, tier="ultrafast"), 15_000_000_000, 30_000_000),
        ("gpt-6-sol", replace(ASKED, most={"web_searches": 5}), 55_000_000_000, 10_000_000),
        # Writes without a price cost what input costs. A discount the model does not have is no reason to refuse.
        ("gpt-4o", ASKED, 5_000_000_000, 10_000_000),
        ("gpt-4o", replace(ASKED, tier="flex"), 5_000_000_000, 10_000_000),
        # Audio in the body cannot be told from text before the call.
        ("gpt-audio", ASKED, 64_000_000_000, 64_000_000),
        # Media: no output limit.
        ("whisper-1", Demand(input_tokens=0, most={"audio_ms": 60_000}), 6_000_000_000, 0),
        ("tts-1", Demand(input_tokens=0, most={"characters": 1000}), 15_000_000_000, 0),
        ("text-embedding-3-small", ASKED, 40_000_000, 0),
    ],
)
def test_the_dearest_rate_that_the_call_can_reach(
    prices: Prices, model: str, demand: Demand, base: int, slope: int
) -> None:
    worst = found(prices, "openai", model).worst(demand, context_window=1_050_000)
    assert (worst.base_picos, worst.slope_picos) == (base, slope)


@pytest.mark.parametrize(
    ("demand", "base"),
    [
        (ASKED, 10_000_000_000),
        (replace(ASKED, cache_ttls=frozenset({"5m"})), 10_000_000_000),
        (replace(ASKED, cache_ttls=frozenset({"1h"})), 16_000_000_000),
        (replace(ASKED, geo="us"), 11_000_000_000),
        (replace(ASKED, speed="fast"), 20_000_000_000),
        (replace(ASKED, speed="fast", geo="us", cache_ttls=frozenset({"1h"})), 35_200_000_000),
        (replace(ASKED, tier="standard_only"), 10_000_000_000),
    ],
)
def test_a_context_asked_for_is_held_for(prices: Prices, demand: Demand, base: int) -> None:
    assert (
        found(prices, "anthropic", "claude-opus-5-5").worst(demand, context_window=1_000_000).base_picos
        == base
    )


MEDIA = Demand(input_tokens=0)


@pytest.mark.parametrize(
    ("provider", "model", "demand", "base_micros"),
    [
        # A film costs by its size; one of a size nobody knows as much as the dearest.
        ("openai", "sora-2-pro", replace(MEDIA, grade="720x1280", most={"video_ms": 4000}), 1_200_000),
        ("openai", "sora-2-pro", replace(MEDIA, grade="1080x1920", most={"video_ms": 4000}), 2_000_000),
        ("xai", "grok-imagine-video-1.5", replace(MEDIA, most={"video_ms": 4000}), 1_000_000),
        ("google", "veo-3.1-generate-preview", replace(MEDIA, grade="4K", most={"video_ms": 1000}), 600_000),
        ("deepgram", "nova-3", replace(MEDIA, grade="streaming", most={"audio_ms": 60_000}), 4800),
        ("deepgram", "nova-3", replace(MEDIA, grade="sung", most={"audio_ms": 60_000}), 16_200),
        # The fee of the request is held unasked, the dearest where the context is not named.
        ("perplexity", "sonar", replace(MEDIA, grade="low"), 5000),
        ("perplexity", "sonar", MEDIA, 12_000),
        ("perplexity", "sonar-pro", replace(MEDIA, grade="low+auto"), 22_000),
        # Pictures in tokens: the wire says how many at most.
        ("openai", "gpt-image-1.5", replace(MEDIA, most={"image_out_tokens": 1056}), 33_792),
        # A tier that may be served as standard is held at the dearer of the two.
        ("google", "gemini-3.8-flash", replace(ASKED, tier="priority"), 2700),
        ("google", "gemini-3.8-flash", replace(ASKED, tier="flex"), 1500),
        # A vector may be of a film; a token of a prompt may be one of speech.
        ("google", "gemini-embedding-2", ASKED, 24_000),
        ("google", "gemini-2.5-flash", ASKED, 2000),
        # What the provider will say is not known yet: the list counts.
        ("xai", "grok-4.7", ASKED, 4000),
        ("elevenlabs", "music_v1", replace(MEDIA, most={"credits": 1000}), 300_000),
    ],
)
def test_other_providers_are_held_for_what_a_call_may_cost(
    prices: Prices, provider: str, model: str, demand: Demand, base_micros: int
) -> None:
    worst = found(prices, provider, model).worst(demand, context_window=1_000_000)
    assert worst.base_picos == base_micros * 1_000_000


@pytest.mark.parametrize(
    ("provider", "model", "demand"),
    [
        ("xai", "grok-4.7", replace(ASKED, tier="priority")),
        ("google", "gemini-3.8-flash", replace(ASKED, tier="PRIORITY")),
        ("deepgram", "nova-3", replace(MEDIA, most={"characters": 1})),
        ("anthropic", "claude-haiku-4-5", replace(ASKED, speed="fast")),
        ("anthropic", "claude-haiku-4-5", replace(ASKED, geo="us")),
        ("anthropic", "claude-opus-5-5", replace(ASKED, geo="moon")),
        ("anthropic", "claude-opus-5-5", replace(ASKED, tier="gold")),
        ("anthropic", "claude-opus-5-5", replace(ASKED, most={"images": 1})),
        ("openai", "gpt-6-sol", replace(ASKED, tier="ultrafast")),
        ("openai", "o1", replace(ASKED, tier="priority")),
        ("openai", "gpt-6-sol", replace(ASKED, tier="Priority")),
    ],
)
def test_what_has_no_price_is_refused_before_the_call(
    prices: Prices, provider: str, model: str, demand: Demand
) -> None:
    with pytest.raises(NotPriced):
        found(prices, provider, model).worst(demand, context_window=1_000_000)


def test_whole_context_of_unknown_size_is_refused(prices: Prices) -> None:
    card = found(prices, "openai", "gpt-6-sol")
    with pytest.raises(NotPriced, match="unknown size"):
        card.worst(replace(ASKED, whole_context=True), context_window=None)
    assert card.worst(ASKED, context_window=None) == card.worst(ASKED, context_window=1_050_000)


@pytest.mark.parametrize(
    "quantity",
    [
        "input_tokens",
        "cache_read_tokens",
        "cache_read_explicit_tokens",
        "audio_in_tokens",
        "audio_cache_read_tokens",
        "image_in_tokens",
        "image_cache_read_tokens",
        "video_in_tokens",
    ],
)
def test_any_token_of_a_prompt_may_be_of_the_dearest_kind(quantity: str) -> None:
    card = RateCard(
        "acme", "m", "v1", {STANDARD: (Band.of(0, {"input_tokens": Rate(2), quantity: Rate(9)}),)}
    )
    assert card.worst(Demand(input_tokens=10)).base_picos == 90


def test_a_fee_for_the_call_itself_is_always_held() -> None:
    card = RateCard(
        "acme", "m", "v1", {STANDARD: (Band.of(0, {"input_tokens": Rate(1), "calls": Rate(5_000_000)}),)}
    )
    assert card.worst(Demand(input_tokens=10)).base_picos == 5_000_010
    assert card.worst(Demand(input_tokens=10, most={"calls": 2})).base_picos == 10_000_010


def test_zero_uses_of_a_tool_need_no_price(prices: Prices) -> None:
    worst = found(prices, "anthropic", "claude-opus-5-5").worst(
        replace(ASKED, most={"images": 0}), context_window=10**6
    )
    assert worst.base_picos == 10_000_000_000


def test_a_write_nobody_asked_for_is_held_for_where_the_provider_may_bill_one() -> None:
    rates = {"input_tokens": Rate(2), "cache_write_5m_tokens": Rate(3), "cache_write_30m_tokens": Rate(7)}
    silent = RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, rates),)})
    implicit = RateCard("acme", "m", "v1", silent.lines, implicit_ttls=frozenset({"30m"}))
    assert [card.worst(Demand(input_tokens=10)).base_picos for card in (silent, implicit)] == [20, 70]
    asked = Demand(input_tokens=10, cache_ttls=frozenset({"1h"}))
    assert [card.worst(asked).base_picos for card in (silent, implicit)] == [30, 70]


def test_the_bound_is_rounded_up_to_a_whole_pico() -> None:
    card = RateCard(
        "acme", "m", "v1", {STANDARD: (Band.of(0, {"audio_ms": Rate(10, 3), "output_tokens": Rate(1, 7)}),)}
    )
    worst = card.worst(Demand(input_tokens=0, most={"audio_ms": 1}))
    assert (worst.base_picos, worst.slope_picos) == (4, 1)


EITHER = Demand(input_tokens=10, most={"characters": 7}, instead={"audio_out_tokens": 100})


@pytest.mark.parametrize(
    ("rates", "picos"),
    [
        ({"characters": Rate(3)}, 21),
        ({"input_tokens": Rate(1), "output_tokens": Rate(2)}, 210),
        # Priced both ways, it is not known which will be billed.
        ({"input_tokens": Rate(1), "audio_out_tokens": Rate(2), "characters": Rate(3)}, 210),
        ({"input_tokens": Rate(1), "audio_out_tokens": Rate(2), "characters": Rate(300)}, 2110),
    ],
)
def test_what_may_be_counted_in_one_unit_or_another_is_held_for_in_the_dearer_one_with_a_price(
    rates: dict[str, Rate], picos: int
) -> None:
    card = RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, rates),)})
    assert card.worst(EITHER).base_picos == picos


def test_what_has_a_price_in_neither_unit_is_refused() -> None:
    card = RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, {"input_tokens": Rate(1)}),)})
    with pytest.raises(NotPriced, match="characters"):
        card.worst(EITHER)


def test_a_fee_for_the_call_itself_is_held_in_either_unit() -> None:
    rates = {"characters": Rate(3), "calls": Rate(1000)}
    card = RateCard("acme", "m", "v1", {STANDARD: (Band.of(0, rates),)})
    assert card.worst(EITHER).base_picos == 1021


def test_many_inputs_are_held_for_as_many_contexts(prices: Prices) -> None:
    card = found(prices, "openai", "text-embedding-3-small")
    texts = Demand(input_tokens=300_000, inputs=40, max_output=0)
    assert card.worst(texts, context_window=8192).base_picos == 300_000 * 20_000
    assert card.worst(replace(texts, inputs=2), context_window=8192).base_picos == 2 * 8192 * 20_000
    pictures = replace(texts, input_tokens=50, whole_context=True)
    assert card.worst(pictures, context_window=8192).base_picos == 40 * 8192 * 20_000
