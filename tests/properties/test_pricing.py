"""The bound holds for every usage that fits the demand, on every card we ship."""

from dataclasses import replace
from functools import cache

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qlaud.core.demand import Demand, Worst
from qlaud.core.money import with_markup
from qlaud.core.pricing import NotPriced, RateCard
from qlaud.core.rates import CACHE_WRITES, INPUT_SIDE
from qlaud.core.usage import Usage
from qlaud.providers.model_files import known_ids
from qlaud.providers.price_compile import compile_sheet, price_files
from qlaud.providers.pricebook import prices_of

WINDOW = 1_050_000
CLIFFS = (
    *(1, 32_000, 32_001, 99_999, 100_000, 100_001, 128_001, 199_999, 200_000, 200_001, 256_000, 256_001),
    *(271_999, 272_000, 272_001, 512_000, 512_001, WINDOW),
)
FEES = (
    "web_searches",
    "tool_calls",
    "calls",
    "audio_ms",
    "video_ms",
    "characters",
    "images",
    "images_in",
    "pages",
    "credits",
)
MEDIA_OUT = ("image_out_tokens", "audio_out_tokens", "video_out_tokens")
"""What a media model makes in tokens: no output limit bounds it, so the wire does."""


@cache
def cards() -> tuple[RateCard, ...]:
    prices = prices_of(compile_sheet(price_files(None), known=known_ids()))
    return tuple(card for model in prices.models for card in prices.book.cards(model.provider, model.id))


@st.composite
def calls(draw: st.DrawFn) -> tuple[RateCard, Demand, Usage, int]:
    """A card, a demand it prices, a usage within the demand, and an output limit."""
    card = draw(st.sampled_from(cards()))
    terms = card.terms
    fees = {fee: draw(st.integers(0, 90_000)) for fee in FEES if card.rate(fee) and draw(st.booleans())}
    for made in MEDIA_OUT:
        if card.rate(made) and draw(st.booleans()):
            fees[made] = draw(st.integers(0, 90_000))
    words = sorted({*card.grades, *card.terms.grade.names, *card.terms.grade.reach, "no such grade"})
    demand = Demand(
        input_tokens=draw(st.sampled_from(CLIFFS) | st.integers(0, 2 * WINDOW)),
        whole_context=draw(st.booleans()),
        candidates=draw(st.integers(1, 4)),
        cache_ttls=draw(st.frozensets(st.sampled_from(sorted(CACHE_WRITES)))),
        tier=draw(st.sampled_from(sorted(terms.tier.reach))),
        speed=draw(st.sampled_from(sorted(terms.speed.reach))),
        geo=draw(st.sampled_from(sorted(terms.geo.reach))),
        grade=draw(st.sampled_from(words)),
        most=fees,
    )
    limit = draw(st.integers(0, 130_000))
    return card, demand, draw(usages(card, demand, limit)), limit


@st.composite
def usages(draw: st.DrawFn, card: RateCard, demand: Demand, limit: int) -> Usage:
    most = WINDOW if demand.whole_context else min(demand.input_tokens, WINDOW)
    prompt = most if draw(st.booleans()) else draw(st.integers(0, most))
    unknown = {"5m"} if demand.cache_ttls else set[str]()
    written = [CACHE_WRITES[ttl] for ttl in sorted(demand.cache_ttls | card.implicit_ttls | unknown)]
    sides = [*INPUT_SIDE, *written]
    counts: dict[str, int] = {}
    for side in draw(st.permutations([name for name in sides if card.rate(name)])):
        counts[side] = draw(st.sampled_from((0, prompt)) | st.integers(0, prompt))
        prompt -= counts[side]
    room = demand.candidates * limit
    if card.rate("output_tokens"):
        counts["output_tokens"] = draw(st.sampled_from((0, room)) | st.integers(0, room))
        counts["reasoning_tokens"] = draw(st.integers(0, counts["output_tokens"]))
        side = draw(st.sampled_from(MEDIA_OUT))
        counts[side] = draw(st.sampled_from((0, room - counts["output_tokens"])))
    for fee, uses in demand.most.items():
        counts[fee] = counts.get(fee, 0) + draw(st.sampled_from((0, uses)))
    return Usage(
        tier=draw(st.sampled_from(card.terms.tier.reach[demand.tier])),
        speed=draw(st.sampled_from(card.terms.speed.reach[demand.speed])),
        geo=draw(st.sampled_from(card.terms.geo.reach[demand.geo])),
        grade=draw(st.sampled_from(card._grades_of(demand.grade))),  # pyright: ignore[reportPrivateUsage]
        **counts,  # pyright: ignore[reportArgumentType]
    )


@settings(max_examples=600, deadline=None)
@given(
    calls(),
    st.sampled_from((0, 1, 700, 10_000)),
    st.dictionaries(st.sampled_from(FEES), st.integers(1, 20_000), max_size=2),
)
def test_no_usage_within_the_demand_costs_more_than_the_bound(
    call: tuple[RateCard, Demand, Usage, int], markup_bp: int, least: dict[str, int]
) -> None:
    card, demand, usage, limit = call
    card = replace(card, least=least)
    try:
        worst = card.worst(demand, context_window=WINDOW, markup_bp=markup_bp)
    except NotPriced:
        assume(False)
        raise
    charge = card.charge(usage, markup_bp)
    assert charge.assumed == ()
    assert charge.cost_micros <= worst.micros(limit)
    assert 0 <= charge.provider_cost_micros <= charge.cost_micros


@settings(max_examples=300)
@given(st.integers(0, 10**15), st.integers(0, 10**9), st.integers(0, 20_000), st.integers(0, 10**12))
def test_the_largest_limit_is_the_largest(base: int, slope: int, markup_bp: int, free: int) -> None:
    worst = Worst(base_picos=base, slope_picos=slope, markup_bp=markup_bp)
    limit = worst.largest_limit(free)
    if limit >= 0:
        assert worst.micros(limit) <= free
    if slope:
        assert worst.micros(max(0, limit + 1)) > free
    else:
        assert limit == (0 if worst.micros(0) <= free else -1)


@given(st.integers(0, 10**18), st.integers(0, 10**12), st.integers(0, 20_000), st.integers(0, 20_000))
def test_more_cost_or_more_markup_is_never_less_money(
    picos: int, more: int, markup_bp: int, extra_bp: int
) -> None:
    assert with_markup(picos, markup_bp) <= with_markup(picos + more, markup_bp + extra_bp)


@settings(max_examples=200, deadline=None)
@given(calls())
def test_a_sum_of_parts_is_the_whole(call: tuple[RateCard, Demand, Usage, int]) -> None:
    card, _, usage, _ = call
    card = replace(card, least={})
    band, _ = card._band(usage)  # pyright: ignore[reportPrivateUsage]
    parts = sum(
        getattr(usage, name) * rate.exact for name, rate in band.rates.items() if name != "reasoning_tokens"
    )
    if "reasoning_tokens" in band.stated:
        parts += usage.reasoning_tokens * (
            band.rates["reasoning_tokens"].exact - band.rates["output_tokens"].exact
        )
    assert card.cost_picos(usage) == -(-parts.numerator // parts.denominator) if parts else True
