"""OpenAI chat usage objects, and those of the vendors that copied them, turned into `Usage`.

OpenAI's facts (its pages and SDK 3.54.0, seen 2026-11): cached and written tokens are inside `prompt_tokens`,
reasoning, audio and rejected predictions inside `completion_tokens`, and the total is the sum of the two. Known
deviations, each told by the object itself: reasoning outside `completion_tokens` (xAI, Gemini: then the total is
larger than the sum), a cached count at the top level (Kimi, Mistral), hit and miss counts (DeepSeek), and
`cache_creation_input_tokens` for five-minute writes (Qwen).
"""

from qlaud.core.demand import Demand
from qlaud.core.usage import EMPTY, Usage
from qlaud.wire.counts import Fields, count, nested, number, word

KEPT_COUNTS = ("accepted_prediction_tokens", "rejected_prediction_tokens")
"""Parts of the output kept for the record; they are billed inside `completion_tokens`."""


def is_whole(fields: Fields) -> bool:
    """Whether both sides of the usage make sense, so that it can be billed as exact."""
    return (
        count(fields.get("prompt_tokens")) is not None and count(fields.get("completion_tokens")) is not None
    )


def output_tokens(fields: Fields) -> int:
    """Everything billed as output: what the total has beyond the prompt, where that is more."""
    completion = number(fields, "completion_tokens")
    total = count(fields.get("total_tokens"))
    return completion if total is None else max(completion, total - number(fields, "prompt_tokens"))


def read_usage(fields: Fields, demand: Demand, answer: Fields) -> Usage:
    """The billed quantities of one call. Numbers that make no sense count as 0.

    `answer` is the chunk or body around the usage: it names the model that served and the tier that is billed.
    """
    prompt = nested(fields, "prompt_tokens_details")
    completion = nested(fields, "completion_tokens_details")
    total_in = number(fields, "prompt_tokens")
    cached = _first(prompt, "cached_tokens")
    if cached is None:
        cached = _first(fields, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens") or 0
    cached = min(cached, total_in)
    short, half_hour, half_day = _cache_writes(prompt, demand, most=total_in - cached)
    written = short + half_hour + half_day
    audio_in = min(number(prompt, "audio_tokens"), total_in - cached - written)
    output = output_tokens(fields)
    audio_out = min(number(completion, "audio_tokens"), output)
    hidden = output - number(fields, "completion_tokens")
    return Usage(
        input_tokens=total_in - cached - written - audio_in,
        cache_read_tokens=cached,
        cache_write_5m_tokens=short,
        cache_write_30m_tokens=half_hour,
        cache_write_12h_tokens=half_day,
        output_tokens=output - audio_out,
        reasoning_tokens=min(max(number(completion, "reasoning_tokens"), hidden), output - audio_out),
        audio_in_tokens=audio_in,
        audio_out_tokens=audio_out,
        web_searches=1 if demand.most.get("web_searches") else 0,
        tier=word(answer, "service_tier") or demand.tier,
        speed=word(answer, "speed") or demand.speed,
        served_model=word(answer, "model"),
        detail={name: n for name in KEPT_COUNTS if (n := number(completion, name))} or EMPTY,
    )


def _first(fields: Fields, *names: str) -> int | None:
    for name in names:
        found = count(fields.get(name))
        if found is not None:
            return found
    return None


def _cache_writes(prompt: Fields, demand: Demand, *, most: int) -> tuple[int, int, int]:
    """Cache writes of 5 minutes, 30 minutes and 12 hours, together at most `most`.

    Chat does not split them: 30m, unless the request asked for 12h alone.
    """
    short = min(number(prompt, "cache_creation_input_tokens"), most)
    written = min(number(prompt, "cache_write_tokens"), most - short)
    split = nested(prompt, "cache_write_tokens_details")
    half_day = min(number(split, "ttl_12h_tokens"), written)
    if "ttl_12h_tokens" not in split and "12h" in demand.cache_ttls and "30m" not in demand.cache_ttls:
        half_day = written
    return short, written - half_day, half_day
