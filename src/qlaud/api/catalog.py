"""`GET /v1/catalog`: what can be called, and what it costs. Public; without the markup (contract, section 11)."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import answer, respond
from qlaud.api.shapes import Usd
from qlaud.core.clock import iso_text
from qlaud.core.money import MARKUP_BASE_BP
from qlaud.core.pricing import RateCard
from qlaud.core.usage import QUANTITIES
from qlaud.flows.offer import Offer, OfferedHost, OfferedModel

MILLION = 1_000_000
MS_PER_S = 1000
UNITS = (
    ("images", "image", 1),
    ("characters", "character", 1),
    ("audio_ms", "audio_second", MS_PER_S),
    ("video_ms", "video_second", MS_PER_S),
    ("pages", "page", 1),
    ("credits", "credit", 1),
    ("calls", "call", 1),
)
"""Quantities that are no tokens: the name of their unit, and how many of the quantity it has."""
USUAL = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_5m_tokens")
"""Tokens that have members of their own in a host."""
OTHER = tuple(name for name in QUANTITIES if name.endswith("_tokens") and name not in USUAL)
CACHE = "public, max-age=300"

Multiplier = Annotated[Decimal, Meta(description="Callers pay host price times this.")]


class ProviderOut(Struct):
    """Who serves models."""

    slug: str
    display_name: str


class HostOut(Struct):
    """One provider of a model. Prices are null where it has none of that kind."""

    provider: str
    input_per_mtok_usd: Usd | None
    output_per_mtok_usd: Usd | None
    cache_read_per_mtok_usd: Usd | None
    cache_write_per_mtok_usd: Usd | None
    other_per_mtok_usd: dict[str, Usd]
    """Of tokens that cost otherwise than the four above: of pictures, sound, longer-lived caches. By quantity."""
    unit: str | None
    unit_price_usd: Usd | None
    throughput_score: int | None
    verified_tools_ok: bool


class ModelOut(Struct):
    """One model."""

    slug: str
    aliases: list[str]
    display_name: str
    author: str
    description: str
    task: str
    capabilities: list[str]
    context_window: int | None
    default_max_tokens: int | None
    max_output_tokens: int | None
    available: bool
    priced: bool
    deprecated: str | None
    """The day its provider stops serving it."""
    replaced_by: str | None
    hosts: list[HostOut]


class CatalogOut(Struct):
    """Everything that is offered."""

    providers: list[ProviderOut]
    models: list[ModelOut]
    markup_multiplier: Multiplier
    price_version: str
    generated_at: str


class CatalogEndpoints:
    """`markup_bp` is the deployment's."""

    def __init__(self, offer: Offer, *, markup_bp: int) -> None:
        self._offer = offer
        self._multiplier = Decimal(MARKUP_BASE_BP + markup_bp) / MARKUP_BASE_BP

    async def catalog(self, request: Request) -> Response:
        """GET /v1/catalog"""
        offered = self._offer.now(include_unavailable=request.query_params.get("all") == "1")
        made = CatalogOut(
            providers=[ProviderOut(slug, name) for slug, name in offered.providers],
            models=[to_api_model(model) for model in offered.models],
            markup_multiplier=self._multiplier,
            price_version=offered.price_version,
            generated_at=iso_text(offered.at_ms),
        )
        response = respond(answer(made))
        response.headers["cache-control"] = CACHE
        return response


def to_api_model(offered: OfferedModel) -> ModelOut:
    """One row of the catalog."""
    model = offered.model
    has_tools = "function-calling" in model.capabilities
    return ModelOut(
        slug=model.slug,
        aliases=list(model.aliases),
        display_name=model.display_name,
        author=model.author,
        description=model.description,
        task=model.task,
        capabilities=list(model.capabilities),
        context_window=model.context_window,
        default_max_tokens=model.default_max_tokens or None,
        max_output_tokens=model.max_output or None,
        available=offered.is_available,
        priced=any(host.card is not None for host in offered.hosts),
        deprecated=model.deprecated or None,
        replaced_by=model.replaced_by or None,
        hosts=[_host(host, has_tools) for host in offered.hosts],
    )


def _host(offered: OfferedHost, has_tools: bool) -> HostOut:
    card = offered.card
    unit, price = _unit(card)
    return HostOut(
        provider=offered.host.provider,
        input_per_mtok_usd=_tokens(card, "input_tokens"),
        output_per_mtok_usd=_tokens(card, "output_tokens"),
        cache_read_per_mtok_usd=_tokens(card, "cache_read_tokens"),
        cache_write_per_mtok_usd=_tokens(card, "cache_write_5m_tokens"),
        other_per_mtok_usd=_other_tokens(card),
        unit=unit,
        unit_price_usd=price,
        throughput_score=None,
        verified_tools_ok=has_tools,
    )


def _tokens(card: RateCard | None, quantity: str) -> Decimal | None:
    rate = card.rate(quantity) if card is not None else None
    return _plain(rate.usd(MILLION)) if rate is not None else None


def _other_tokens(card: RateCard | None) -> dict[str, Decimal]:
    usual = {_tokens(card, quantity) for quantity in USUAL}
    other = ((quantity, _tokens(card, quantity)) for quantity in OTHER)
    return {quantity: price for quantity, price in other if price is not None and price not in usual}


def _unit(card: RateCard | None) -> tuple[str | None, Decimal | None]:
    for quantity, unit, size in UNITS:
        rate = card.rate(quantity) if card is not None else None
        if rate is not None:
            return unit, _plain(rate.usd(size))
    return None, None


def _plain(price: Decimal) -> Decimal:
    """The number without trailing zeros and exponents; a price that is no finite decimal to twelve places."""
    return Decimal(f"{price:.12f}".rstrip("0").rstrip("."))
