"""The provider's own price list and the bound of the contract, written a second time from the providers' pages.

Rates are picos a token ($1 per million tokens is 1_000_000). A bill is one sum of integers, rounded up once to a
whole micro-dollar. The figures must equal the gateway's price book; a difference shows as unaccounted money.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

PICOS_PER_MICRO = 1_000_000
BASE_BP = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Picos a token."""

    read: int
    fresh: int
    write_5m: int
    write_1h: int
    write_30m: int
    write_12h: int
    output: int


@dataclass(frozen=True, slots=True)
class Band:
    """The rates of prompts of at least `starts_at` tokens."""

    starts_at: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Model:
    """One model as its provider sells it."""

    name: str
    wire: str
    window: int
    max_output: int
    contexts: Mapping[str, tuple[Band, ...]]
    """Bands by what the answer says: a service tier, a speed or a geography; "" is the standard."""
    writes: tuple[str, ...]
    """Times to live of the cache writes it bills."""
    unasked: str | None
    """The write the provider may bill unasked, which the gateway holds for."""
    image_tokens: int
    """The most one picture may cost."""


@dataclass(frozen=True, slots=True)
class Used:
    """What a call used, disjoint."""

    fresh: int = 0
    read: int = 0
    writes: Mapping[str, int] = field(default_factory=dict)
    output: int = 0
    context: str = ""

    @property
    def prompt(self) -> int:
        """Every input token."""
        return self.fresh + self.read + sum(self.writes.values())


def _rates(fresh: str, read: str, output: str, writes: Mapping[str, str]) -> Rates:
    def picos(dollars: str) -> int:
        exact = Decimal(dollars) * PICOS_PER_MICRO
        assert exact == int(exact), dollars
        return int(exact)

    price = {ttl: picos(writes.get(ttl, fresh)) for ttl in ("5m", "1h", "30m", "12h")}
    return Rates(
        picos(read), picos(fresh), price["5m"], price["1h"], price["30m"], price["12h"], picos(output)
    )


def _times(rates: Rates, tokens: str, output: str | None = None) -> Rates:
    def times(picos: int, factor: str) -> int:
        exact = picos * Decimal(factor)
        assert exact == int(exact)
        return int(exact)

    names = ("read", "fresh", "write_5m", "write_1h", "write_30m", "write_12h")
    return Rates(
        *(times(getattr(rates, name), tokens) for name in names), times(rates.output, output or tokens)
    )


def _claude(name: str, window: int, most: int, contexts: Mapping[str, tuple[Band, ...]]) -> Model:
    return Model(name, "anthropic", window, most, contexts, ("5m", "1h"), "5m", 5_000)


HAIKU = _rates("1", "0.10", "5", {"5m": "1.25", "1h": "2"})
SMALL = _rates("0.10", "0.01", "0.50", {"5m": "0.125", "1h": "0.20"})
OPUS = _rates("5", "0.50", "25", {"5m": "6.25", "1h": "10"})
LUNA = _rates("0.10", "0.01", "0.50", {"30m": "0.125", "12h": "0.25"})
MINI = _rates("0.75", "0.075", "4.5", {})
OMNI = _rates("2.5", "1.25", "10", {})


def _luna(factor: str) -> tuple[Band, ...]:
    low = _times(LUNA, factor)
    return (Band(0, low), Band(272_001, _times(low, "2", "1.5")))


def _small(factor: str) -> tuple[Band, ...]:
    low = _times(SMALL, factor)
    return (Band(0, low), Band(100_001, _times(low, "5")))


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        _claude("claude-haiku-4-5", 200_000, 64_000, {"": (Band(0, HAIKU),)}),
        _claude("claude-haiku-5-5", 1_000_000, 128_000, {"": _small("1"), "us": _small("1.1")}),
        _claude(
            "claude-opus-4-8",
            1_000_000,
            128_000,
            {
                "": (Band(0, OPUS),),
                "fast": (Band(0, _times(OPUS, "2")),),
                "us": (Band(0, _times(OPUS, "1.1")),),
            },
        ),
        Model(
            "gpt-6-luna",
            "openai",
            1_050_000,
            128_000,
            {"": _luna("1"), "flex": _luna("0.5"), "priority": _luna("2")},
            ("30m", "12h"),
            "30m",
            24_600,
        ),
        Model(
            "gpt-5.4-mini",
            "openai",
            400_000,
            128_000,
            {
                "": (Band(0, MINI),),
                "flex": (Band(0, _times(MINI, "0.5")),),
                "priority": (Band(0, _times(MINI, "2")),),
            },
            (),
            None,
            24_600,
        ),
        Model(
            "gpt-4o",
            "openai",
            128_000,
            16_384,
            {"": (Band(0, OMNI),), "priority": (Band(0, _times(OMNI, "1.7")),)},
            (),
            None,
            24_600,
        ),
    )
}

REACHED = {
    "": ("",),
    "fast": ("fast", ""),
    "us": ("us",),
    "flex": ("flex", ""),
    "priority": ("priority", ""),
}
"""The contexts an answer may be billed in, by the one asked for."""


def exact_picos(model: Model, used: Used) -> int:
    """What the provider charges for `used`, exactly."""
    bands = model.contexts[used.context]
    rates = next(band.rates for band in reversed(bands) if band.starts_at <= used.prompt)
    total = used.fresh * rates.fresh + used.read * rates.read + used.output * rates.output
    return total + sum(count * int(getattr(rates, f"write_{ttl}")) for ttl, count in used.writes.items())


def micros(picos: int, markup_bp: int = 0) -> int:
    """Whole micro-dollars, rounded up once."""
    return -(-picos * (BASE_BP + markup_bp) // (BASE_BP * PICOS_PER_MICRO))


@dataclass(frozen=True, slots=True)
class Bound:
    """W(x) of the contract, section 6.2, for one request."""

    base: int
    slope: int
    markup_bp: int

    def micros(self, output: int) -> int:
        """The most a call with this output limit can cost."""
        return micros(self.base + output * self.slope, self.markup_bp)


def bound(
    model: Model, input_bound: int, *, candidates: int, asked: str, ttls: frozenset[str], markup_bp: int
) -> Bound:
    """The bound of a request whose input is at most `input_bound` tokens, at the dearest rates it may meet."""
    prompt = min(input_bound, model.window)
    counted = set(ttls) | ({model.unasked} if model.unasked else set())
    if ttls and model.wire == "anthropic":
        counted.add("5m")
    base = slope = 0
    for context in REACHED[asked]:
        for band in model.contexts.get(context, model.contexts[""]):
            if band.starts_at > prompt:
                break
            token = max(band.rates.fresh, *(int(getattr(band.rates, f"write_{ttl}")) for ttl in counted), 0)
            base = max(base, prompt * token)
            slope = max(slope, candidates * band.rates.output)
    return Bound(base, slope, markup_bp)
