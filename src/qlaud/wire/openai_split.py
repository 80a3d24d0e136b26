"""The input side of an OpenAI-shaped usage object: one total, and details that are parts of it.

Every vendor that copied OpenAI keeps this rule, under names of its own for the parts: `cached_tokens` (OpenAI), hit
counts (DeepSeek), `cache_creation_input_tokens` for five-minute writes and a `cache_type` that says which of two
caches was read (Qwen), `cache_write_tokens` without a life (OpenAI's chat, Kimi). Used by the usage readers of Chat
Completions and of Responses.
"""

from qlaud.core.demand import Demand
from qlaud.core.usage import Usage
from qlaud.wire.counts import Fields, count, nested, number

HALF_HOUR_MODELS = "gpt-"
"""What the names of OpenAI's models have in them."""
EXPLICIT_CACHES = frozenset({"ephemeral", "explicit"})
"""Qwen's words for a cache that the caller wrote on purpose, whose reads cost less."""


def first_count(fields: Fields, *names: str) -> int | None:
    """The first of these counts that is there."""
    for name in names:
        found = count(fields.get(name))
        if found is not None:
            return found
    return None


def input_side(total: int, details: Fields, demand: Demand, *, cached: int, model: str) -> Usage:
    """The disjoint parts of `total` input tokens, never negative, together never more than it.

    `cached` is what was read from a cache, `model` who answered; a part that no room is left for shrinks.
    """
    left = total - (cached := min(cached, total))
    short, hour, half_hour, half_day = _cache_writes(details, demand, model, most=left)
    left -= short + hour + half_hour + half_day
    audio = min(number(details, "audio_tokens"), left)
    image = min(number(details, "image_tokens"), left - audio)
    video = min(number(details, "video_tokens"), left - audio - image)
    explicit = details.get("cache_type") in EXPLICIT_CACHES
    return Usage(
        input_tokens=left - audio - image - video,
        cache_read_tokens=0 if explicit else cached,
        cache_read_explicit_tokens=cached if explicit else 0,
        cache_write_5m_tokens=short,
        cache_write_1h_tokens=hour,
        cache_write_30m_tokens=half_hour,
        cache_write_12h_tokens=half_day,
        audio_in_tokens=audio,
        image_in_tokens=image,
        video_in_tokens=video,
    )


def _cache_writes(details: Fields, demand: Demand, model: str, *, most: int) -> tuple[int, int, int, int]:
    """Cache writes of 5 minutes, 1 hour, 30 minutes and 12 hours, together at most `most`.

    What the provider does not split has the longest life that was asked for; where none was, it is kept for half an
    hour by OpenAI's models and for five minutes by all others.
    """
    short = min(number(details, "cache_creation_input_tokens"), most)
    written = min(number(details, "cache_write_tokens"), most - short)
    split = nested(details, "cache_write_tokens_details")
    ttls = demand.cache_ttls
    if "ttl_12h_tokens" in split:
        half_day = min(number(split, "ttl_12h_tokens"), written)
        return short, 0, written - half_day, half_day
    if "1h" in ttls:
        return short, written, 0, 0
    if "12h" in ttls and "30m" not in ttls:
        return short, 0, 0, written
    if "30m" in ttls or ("5m" not in ttls and HALF_HOUR_MODELS in (model or HALF_HOUR_MODELS)):
        return short, 0, written, 0
    return short + written, 0, 0, 0
