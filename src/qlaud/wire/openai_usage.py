"""OpenAI chat usage objects, and those of the vendors that copied them, turned into `Usage`.

OpenAI's facts (its pages and SDK 3.54.0, seen 2026-11): cached and written tokens are inside `prompt_tokens`,
reasoning, audio and rejected predictions inside `completion_tokens`, and the total is the sum of the two. Known
deviations, each told by the object itself: reasoning outside `completion_tokens` (xAI, Gemini: then the total is
larger than the sum), a cached count at the top level (Kimi, Mistral), hit and miss counts (DeepSeek), sound billed by
its length (Mistral: then the total also holds the sound's tokens), a fee a request and tokens read and thought beyond
the total (Perplexity), and what the call cost in the vendor's own words (xAI, OpenRouter, Perplexity).
"""

from msgspec.structs import replace

from qlaud.core.demand import Demand
from qlaud.core.usage import EMPTY, Usage
from qlaud.wire.counts import Fields, count, nested, number, picos, word
from qlaud.wire.openai_split import first_count, input_side

PICOS_PER_TICK = 100
"""xAI counts its prices in ten thousand millionths of a dollar."""
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
    if total is None or number(fields, "prompt_audio_seconds"):
        return completion
    return max(completion, total - number(fields, "prompt_tokens"))


def vendor_cost_picos(fields: Fields) -> int:
    """What the vendor says the call cost, 0 where it says nothing: ticks (xAI), dollars (OpenRouter, Perplexity)."""
    ticks = number(fields, "cost_in_usd_ticks")
    if ticks:
        return ticks * PICOS_PER_TICK
    stated = nested(fields, "cost")
    if not stated:
        return picos(fields.get("cost"))
    return picos(stated.get("total_cost")) if word(stated, "currency") in ("", "USD") else 0


def read_usage(fields: Fields, demand: Demand, answer: Fields) -> Usage:
    """The billed quantities of one call. Numbers that make no sense count as 0.

    `answer` is the chunk or body around the usage: it names the model that served and the tier that is billed.
    """
    prompt = nested(fields, "prompt_tokens_details")
    completion = nested(fields, "completion_tokens_details")
    cached = first_count(prompt, "cached_tokens")
    if cached is None:
        cached = first_count(fields, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens") or 0
    output = output_tokens(fields)
    audio_out = min(number(completion, "audio_tokens"), output)
    image_out = min(number(completion, "image_tokens"), output - audio_out)
    hidden = output - number(fields, "completion_tokens")
    text_out = output - audio_out - image_out
    side = input_side(
        number(fields, "prompt_tokens"), prompt, demand, cached=cached, model=word(answer, "model")
    )
    # Perplexity's deep research: what it read and thought is in neither side.
    read_on = number(fields, "citation_tokens")
    thought_on = number(fields, "reasoning_tokens") if read_on else 0
    size = word(fields, "search_context_size")
    return replace(
        side,
        input_tokens=side.input_tokens + read_on,
        output_tokens=text_out + thought_on,
        reasoning_tokens=thought_on + min(max(number(completion, "reasoning_tokens"), hidden), text_out),
        audio_out_tokens=audio_out,
        image_out_tokens=image_out,
        audio_ms=1000 * number(fields, "prompt_audio_seconds"),
        calls=1 if demand.most.get("calls") or (size and not read_on) else 0,
        web_searches=_searches(fields, demand),
        tier=word(answer, "service_tier") or word(fields, "service_tier") or demand.tier,
        speed=word(answer, "speed") or demand.speed,
        grade=_grade(size, demand.grade),
        vendor_cost_picos=vendor_cost_picos(fields),
        served_model=word(answer, "model"),
        detail={name: n for name in KEPT_COUNTS if (n := number(completion, name))} or EMPTY,
    )


def _searches(fields: Fields, demand: Demand) -> int:
    queries = count(fields.get("num_search_queries"))
    if queries is not None and not demand.most.get("calls"):
        return queries
    return 1 if demand.most.get("web_searches") else 0


def _grade(size: str, asked: str) -> str:
    """The size of the search as answered, with the kind of search that was asked for."""
    _, plus, kind = asked.partition("+")
    return size + plus + kind if size else asked
