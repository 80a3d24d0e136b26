"""What genai-prices would charge, to compare our engine with. Loads the library: for `prices check` and tests only."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import genai_prices
from msgspec.structs import replace

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


CORRECTED = frozenset(("input_tokens", "output_tokens", "cache_read_tokens", "calls"))
"""What a correction is about, where it explains a difference in the samples."""


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
    blind: str = ""
    """What their row does not know and prices as if it were not there: `tier`, `search`; or what ours is only told
    by a wire: `request`."""
    corrected: bool = False
    """A file of ours says that their token prices of this model are wrong, and names its source."""


EXPECTED: Mapping[str, Callable[[Difference], bool]] = {
    "a quantity without a price is an error for us and free for them": lambda d: d.ours is None,
    "we know the fee of a web search where their row has none": lambda d: d.blind == "search",
    "they price a tier that their row does not know as standard, and we know its price": lambda d: (
        d.blind == "tier"
    ),
    "they add the fee of the request by themselves, we where the wire counts it": lambda d: (
        d.blind == "request"
    ),
    "a file of ours corrects their prices, and names its source": lambda d: d.corrected,
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
        "output_reasoning_tokens": usage.reasoning_tokens,
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
    corrected = {
        model
        for change in overlay.change
        for model in change.models
        if not change.only_missing and CORRECTED & change.rates.keys()
    }
    seeded = seed_models(
        overlay.seed.provider, cache_write="", skip=frozenset(overlay.seed.skip), only=overlay.seed.only
    )
    for model in seeded:
        if model.id.lower() in own or has_hours(model):
            continue
        for sample, usage in SAMPLES.items():

            def ours(what: Usage, model_id: str = model.id) -> int | None:
                return _ours(prices.book, overlay.provider, model_id, what, at_ms)

            def theirs(
                what: Usage, provider: str = overlay.seed.provider, model_id: str = model.id
            ) -> int | None:
                return oracle_picos(provider, model_id, what, at_ms)

            said, known = theirs(usage), ours(usage)
            if said is not None and known != said:
                yield Difference(
                    overlay.provider,
                    model.id,
                    sample,
                    at_ms,
                    known,
                    said,
                    _blind(usage, said, ours, theirs),
                    model.id in corrected,
                )


Pricing = Callable[[Usage], int | None]


def _blind(usage: Usage, said: int, ours: Pricing, theirs: Pricing) -> str:
    """What explains the difference, if one thing does."""
    plain = replace(usage, tier="", speed="")
    if plain != usage and said == theirs(plain) == ours(plain):
        return "tier"
    without = replace(usage, web_searches=0)
    if usage.web_searches and said == theirs(without) == ours(without):
        return "search"
    if said == ours(replace(usage, calls=1)):
        return "request"
    return ""


def _ours(book: PriceBook, provider: str, model: str, usage: Usage, at_ms: int) -> int | None:
    card = book.card(provider, model, at_ms)
    try:
        return card.cost_picos(usage) if card else None
    except NotPriced:
        return None
