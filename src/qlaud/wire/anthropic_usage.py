"""Anthropic usage objects turned into `Usage`. One function for streams and bodies, so that they cannot differ.

Facts (the provider's pages, its SDK 2.12.0, recorded traffic; seen 2026-11): `input_tokens` is the uncached input
alone; cache writes are 5m + 1h; output includes thinking; `message_delta` counts are cumulative, not increments,
and carry no split of cache writes; `iterations` of type `compaction` are not inside the top-level numbers.
"""

from qlaud.core.demand import Demand
from qlaud.core.usage import EMPTY, Usage
from qlaud.wire.counts import Fields, count, nested, number, objects, word

ONLY_1H = frozenset({"1h"})
OTHER_MODEL_ITERATIONS = ("advisor_message", "fallback_message")
"""Iterations that may run on another model. A request that asks for them is refused on a capped key."""


def merged(start: Fields, delta: Fields) -> Fields:
    """The usage after a `message_delta`: field by field the later one, where it says anything."""
    return {**start, **{name: value for name, value in delta.items() if value is not None}}


def is_whole(fields: Fields) -> bool:
    """Whether both sides of the usage make sense, so that it can be billed as exact."""
    return count(fields.get("input_tokens")) is not None and count(fields.get("output_tokens")) is not None


def read_usage(fields: Fields, demand: Demand, served_model: str) -> Usage:
    """The billed quantities of one call. Numbers that make no sense count as 0."""
    only_1h = demand.cache_ttls == ONLY_1H
    fresh = read = short = long = output = 0
    for part in (fields, *objects(fields, "iterations")):
        if part is not fields and part.get("type") != "compaction":
            continue
        written = _cache_writes(part, only_1h=only_1h)
        fresh += number(part, "input_tokens")
        read += number(part, "cache_read_input_tokens")
        short, long = short + written[0], long + written[1]
        output += number(part, "output_tokens")
    thinking = number(nested(fields, "output_tokens_details"), "thinking_tokens")
    tools = nested(fields, "server_tool_use")
    geo = word(fields, "inference_geo")
    return Usage(
        input_tokens=fresh,
        cache_read_tokens=read,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=long,
        output_tokens=output,
        reasoning_tokens=min(thinking, output),
        web_searches=number(tools, "web_search_requests"),
        tier=word(fields, "service_tier"),
        speed=word(fields, "speed") or demand.speed,
        # old models answer "not_available"; an answer without the field is billed as asked
        geo="" if geo == "not_available" else geo or demand.geo,
        served_model=served_model,
        detail=_detail(fields, tools),
    )


def _cache_writes(fields: Fields, *, only_1h: bool) -> tuple[int, int]:
    """Cache writes of five minutes and of one hour; what is not split is 5m unless only 1h was asked for."""
    split = nested(fields, "cache_creation")
    short = number(split, "ephemeral_5m_input_tokens")
    long = number(split, "ephemeral_1h_input_tokens")
    total = count(fields.get("cache_creation_input_tokens"))
    if total is None:
        return short, long
    extra = total - short - long
    if extra > 0 and only_1h:
        return short, long + extra
    return max(total - long, 0), long


def _detail(fields: Fields, tools: Fields) -> dict[str, int]:
    """Counts for the record that have no price here."""
    detail: dict[str, int] = {}
    if fetches := number(tools, "web_fetch_requests"):
        detail["web_fetches"] = fetches
    for entry in objects(fields, "iterations"):
        kind = entry.get("type")
        if kind in OTHER_MODEL_ITERATIONS:
            for name in ("input_tokens", "output_tokens"):
                key = f"{kind}_{name}"
                detail[key] = detail.get(key, 0) + number(entry, name)
    return detail or EMPTY
