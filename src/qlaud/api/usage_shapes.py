"""The JSON of usage: events, requests, the account of a key, the sums of a window."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from qlaud.api.shapes import Micros, Millis, Seconds, to_seconds
from qlaud.core.records import KeySum, Measures, ModelSum, UsageEvent


class PeriodOut(Struct):
    """A cap period, half-open."""

    start_ms: Millis
    end_ms: Millis


class ModelCostOut(Struct):
    """What a model cost a key in the running period."""

    model: str
    model_slug: str
    cost_micros: Micros
    request_count: int


class EventOut(Struct):
    """One model call that went upstream."""

    id: UUID
    parent_id: UUID | None
    key_id: UUID
    end_user_id: str | None
    thread_id: UUID | None
    model: str
    model_slug: str
    provider_slug: str
    surface: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_seconds: Seconds
    video_seconds: Seconds
    characters: int
    images: int
    cost_micros: Micros
    provider_cost_micros: Micros | None
    price_version: str
    latency_ms: int | None
    first_token_ms: int | None
    status: int
    stream: bool
    estimated: bool
    clamped: bool
    created_at: Millis


class RequestOut(EventOut):
    """A request: its event, the ids of further calls made for it, and what all of them cost."""

    calls: tuple[UUID, ...]
    total_cost_micros: Micros


class InFlightOut(Struct):
    """A request without an event yet: still running, or lost."""

    id: UUID
    state: Literal["in_flight", "lost"]
    held_micros: Micros


class KeyUsageOut(Struct):
    """The account of one key. Amounts are those of the running cap period, `lifetime_cost_micros` is all there was."""

    key_id: UUID
    total_cost_micros: Micros
    cost_micros: Micros
    max_spend_micros: Micros | None
    cap_micros: Micros | None
    held_micros: Micros
    remaining_micros: Micros | None
    credit_micros: Micros
    lifetime_cost_micros: Micros
    period: PeriodOut | None
    by_model: list[ModelCostOut]
    events: list[EventOut]
    has_more: bool
    next_before: str | None


class ModelSumOut(Struct):
    """The sums of one model."""

    model_slug: str
    cost_micros: Micros
    request_count: int
    input_tokens: int
    output_tokens: int
    avg_latency_ms: int | None


class KeySumOut(Struct):
    """The sums of one key."""

    key_id: UUID
    key_name: str
    name: str
    key_prefix: str
    external_id: str | None
    cost_micros: Micros
    request_count: int
    input_tokens: int
    output_tokens: int
    avg_latency_ms: int | None
    by_model: list[ModelSumOut]


class KeyGroupOut(Struct):
    """A group of `group_by=key`."""

    key_id: UUID
    key_name: str
    key_prefix: str
    cost_micros: Micros
    request_count: int
    input_tokens: int
    output_tokens: int
    avg_latency_ms: int | None


class DayGroupOut(Struct):
    """A group of `group_by=day`; `day_ms` is UTC midnight."""

    day_ms: Millis
    cost_micros: Micros
    request_count: int
    input_tokens: int
    output_tokens: int
    avg_latency_ms: int | None


class EndUserGroupOut(Struct):
    """A group of `group_by=end_user`."""

    end_user_id: str | None
    cost_micros: Micros
    request_count: int
    input_tokens: int
    output_tokens: int
    avg_latency_ms: int | None


class UsageOut(Struct):
    """The sums of a window, `from_ms <= created_at < to_ms`."""

    from_ms: Millis
    to_ms: Millis
    total_cost_micros: Micros
    total_input_tokens: int
    total_output_tokens: int
    request_count: int
    avg_latency_ms: int | None
    by_key: list[KeySumOut]
    by_model: list[ModelSumOut]
    group_by: Literal["key", "model", "day", "end_user"] | UnsetType = UNSET
    groups: (
        Annotated[Any, Meta(extra_json_schema={"type": "array", "items": {"type": "object"}})] | UnsetType
    ) = UNSET


def event_fields(event: UsageEvent) -> dict[str, Any]:
    """The members of EventOut."""
    return {
        "id": event.id,
        "parent_id": event.parent_id,
        "key_id": event.key_id,
        "end_user_id": event.end_user_id,
        "thread_id": event.thread_id,
        "model": event.model,
        "model_slug": event.model,
        "provider_slug": event.provider,
        "surface": event.surface,
        "input_tokens": event.input_tokens,
        "cache_read_tokens": event.cache_read_tokens,
        "cache_write_tokens": event.cache_write_tokens,
        "output_tokens": event.output_tokens,
        "reasoning_tokens": event.reasoning_tokens,
        "audio_seconds": to_seconds(event.audio_ms),
        "video_seconds": to_seconds(event.video_ms),
        "characters": event.characters,
        "images": event.images,
        "cost_micros": event.cost_micros,
        "provider_cost_micros": event.provider_cost_micros,
        "price_version": event.price_version,
        "latency_ms": event.latency_ms,
        "first_token_ms": event.first_token_ms,
        "status": event.status,
        "stream": event.stream,
        "estimated": event.estimated,
        "clamped": event.clamped,
        "created_at": event.created_at,
    }


def measures(sums: Measures) -> dict[str, Any]:
    """The five sums as members of a group."""
    return {
        "cost_micros": sums.cost_micros,
        "request_count": sums.request_count,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "avg_latency_ms": sums.avg_latency_ms,
    }


def to_api_model(model: ModelSum) -> ModelSumOut:
    """The sums of a model."""
    return ModelSumOut(model.model, **measures(model.sums))


def to_api_key_sum(key: KeySum) -> KeySumOut:
    """The sums of a key, its models included."""
    return KeySumOut(
        key_id=key.key_id,
        key_name=key.name,
        name=key.name,
        key_prefix=key.prefix,
        external_id=key.external_id,
        by_model=[to_api_model(model) for model in key.by_model],
        **measures(key.sums),
    )
