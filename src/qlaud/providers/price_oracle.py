"""What genai-prices would charge, to compare our engine with. Loads the library: for `prices check` and tests only."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import genai_prices

from qlaud.core.clock import MS_PER_S
from qlaud.core.price_book import PriceBook
from qlaud.core.pricing import NotPriced
from qlaud.core.rates import PICOS_PER_USD
from qlaud.core.usage import Usage
from qlaud.providers.price_overlay import OverlayFile
from qlaud.providers.price_seed import has_hours, seed_models
from qlaud.providers.pricebook import Prices

SAMPLES: Mapping[str, Usage] = {
    "plain": Usage(input_tokens=1000, output_tokens=500),
    "thinking": Usage(input_tokens=12, output_tokens=700, reasoning_tokens=650),
    "cache read": Usage(input_tokens=16, cache_read_tokens=13637, output_tokens=344),
    "cache write": Usage(input_tokens=8, cache_write_5m_tokens=4012, output_tokens=316),
    "cache write 30m": Usage(input_tokens=8, cache_write_30m_tokens=4012, output_tokens=316),
    "cache write 1h": Usage(
        input_tokens=16,
        cache_read_tokens=5,
        cache_write_5m_tokens=49,
        cache_write_1h_tokens=7000,
        output_tokens=344,
    ),
    "prompt 99999": Usage(input_tokens=99_000, cache_read_tokens=999, output_tokens=10),
    "prompt 100000": Usage(input_tokens=99_000, cache_read_tokens=1000, output_tokens=10),
    "prompt 100001": Usage(input_tokens=99_001, cache_read_tokens=1000, output_tokens=10),
    "prompt 200001": Usage(input_tokens=200_001, output_tokens=10),
    "prompt 272000": Usage(input_tokens=270_000, cache_read_tokens=2000, output_tokens=10),
    "prompt 272001": Usage(input_tokens=270_001, cache_read_tokens=2000, output_tokens=10),
    "batch": Usage(input_tokens=300_000, cache_read_tokens=10, output_tokens=7, tier="batch"),
    "flex": Usage(input_tokens=300_000, cache_read_tokens=10, output_tokens=7, tier="flex"),
    "priority": Usage(input_tokens=300_000, cache_read_tokens=10, output_tokens=7, tier="priority"),
    "fast": Usage(input_tokens=300_000, cache_write_1h_tokens=10, output_tokens=7, speed="fast"),
    "web search": Usage(input_tokens=22_397, output_tokens=344, web_searches=2),
    "nothing": Usage(),
}


@dataclass(frozen=True, slots=True)
class Difference:
    """A usage that both price differently, in picos."""

    provider: str
    model: str
    sample: str
    at_ms: int
    ours: int | None
    """None: we have no price."""
    theirs: int


FEE_PICOS = 20_000_000_000
"""Two web searches at $10 a thousand, as in the sample."""

EXPECTED: Mapping[str, Callable[[Difference], bool]] = {
    "a quantity without a price is an error for us and free for them": lambda d: d.ours is None,
    "we know the fee of a web search where their row has none": lambda d: (
        d.sample == "web search" and d.ours == d.theirs + FEE_PICOS
    ),
}
"""Why the two may differ, by reason. Anything else is a fault of one of them."""


def reason(difference: Difference) -> str | None:
    """The expected reason of a difference, or None when it has none."""
    return next((why for why, holds in EXPECTED.items() if holds(difference)), None)


def oracle_picos(provider: str, model: str, usage: Usage, at_ms: int) -> int | None:
    """What genai-prices charges, rounded up to a pico; None when it does not know the model or refuses the usage."""
    counts = {
        "input_tokens": usage.prompt_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_tokens": usage.output_tokens,
        "web_searches": usage.web_searches,
    }
    context = {
        name: word
        for name, word in (
            ("processing", usage.tier if usage.tier == "batch" else ""),
            ("service_tier", usage.tier if usage.tier != "batch" else ""),
            ("speed", usage.speed),
        )
        if word
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            price = genai_prices.calc_price(
                genai_prices.Usage(**counts),
                model,
                provider_id=provider,
                genai_request_timestamp=datetime.fromtimestamp(at_ms / MS_PER_S, UTC),
                price_context=context or None,
            )
    except (LookupError, ValueError):
        return None
    exact = Fraction(price.total_price) * PICOS_PER_USD
    return -(-exact.numerator // exact.denominator)


def differences(overlay: OverlayFile, prices: Prices, *, at_ms: int) -> Iterator[Difference]:
    """Every sample that our engine and genai-prices price differently, for every model both know."""
    if overlay.seed is None:
        return
    own = {model.id.lower() for model in overlay.model}
    seeded = seed_models(
        overlay.seed.provider, cache_write="", skip=frozenset(overlay.seed.skip), only=overlay.seed.only
    )
    for model in seeded:
        if model.id.lower() in own or has_hours(model):
            continue
        for sample, usage in SAMPLES.items():
            theirs = oracle_picos(overlay.seed.provider, model.id, usage, at_ms)
            ours = _ours(prices.book, overlay.provider, model.id, usage, at_ms)
            if theirs is not None and ours != theirs:
                yield Difference(overlay.provider, model.id, sample, at_ms, ours, theirs)


def _ours(book: PriceBook, provider: str, model: str, usage: Usage, at_ms: int) -> int | None:
    card = book.card(provider, model, at_ms)
    try:
        return card.cost_picos(usage) if card else None
    except NotPriced:
        return None
