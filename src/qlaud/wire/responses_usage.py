"""Usage of the OpenAI Responses API, and of the vendors that copied it, turned into `Usage`.

OpenAI's facts (its pages and SDK 3.54.0, seen 2026-11): cached and written tokens are inside `input_tokens`, reasoning
inside `output_tokens`; what hosted tools did stands beside the usage, in `tool_usage`, which may be left out, and then
the items of the output say it. Deviations, each told by the object itself: the cache split in `x_details` and searches
in `x_tools` (Qwen), calls of tools in `server_side_tool_usage_details` (xAI), and what the call cost in the vendor's
own words (xAI, OpenRouter, Perplexity).
"""

from msgspec import Struct
from msgspec.structs import replace

from qlaud.core.demand import Demand
from qlaud.core.usage import EMPTY, Usage
from qlaud.wire.counts import Fields, count, nested, number, objects, word
from qlaud.wire.openai_split import first_count, input_side
from qlaud.wire.openai_usage import vendor_cost_picos

CACHE_COUNTS = ("cached_tokens", "cache_creation_input_tokens", "cache_write_tokens")

FREE_OR_SEARCH = ("web_search_calls", "x_search_calls", "mcp_calls")
"""xAI's counts of calls but for those with a fee of their own that is none for searching."""


class HostedCalls(Struct, gc=False):
    """Calls of tools the provider runs, as the items of an answer show them."""

    web_searches: int = 0
    file_searches: int = 0

    def note(self, item: Fields) -> None:
        """Count an item that is done. Opening a page and looking for a word on it are no searches."""
        match item.get("type"):
            case "web_search_call":
                self.web_searches += word(nested(item, "action"), "type") in ("", "search")
            case "file_search_call":
                self.file_searches += 1
            case _:
                pass


def is_whole(fields: Fields) -> bool:
    """Whether both sides of the usage make sense, so that it can be billed as exact."""
    return count(fields.get("input_tokens")) is not None and count(fields.get("output_tokens")) is not None


def read_usage(fields: Fields, demand: Demand, answer: Fields, hosted: HostedCalls) -> Usage:
    """The billed quantities of one call. Numbers that make no sense count as 0.

    `answer` is the response around the usage; `hosted` what its items show.
    """
    details = _input_details(fields)
    # Perplexity calls what was read by Anthropic's name
    cached = first_count(details, "cached_tokens", "cache_read_input_tokens") or 0
    output = number(fields, "output_tokens")
    said = nested(nested(answer, "tool_usage"), "web_search")
    ran = nested(fields, "server_side_tool_usage_details")
    searches = first_count(said, "num_requests")
    if searches is None:
        searches = _searches_elsewhere(fields, ran)
    other = sum(number(ran, name) for name in ran if name not in FREE_OR_SEARCH)
    return replace(
        input_side(
            number(fields, "input_tokens"), details, demand, cached=cached, model=word(answer, "model")
        ),
        output_tokens=output,
        reasoning_tokens=min(number(nested(fields, "output_tokens_details"), "reasoning_tokens"), output),
        web_searches=hosted.web_searches if searches is None else searches,
        tool_calls=other or hosted.file_searches,
        tier=word(answer, "service_tier") or demand.tier,
        vendor_cost_picos=vendor_cost_picos(fields),
        served_model=word(answer, "model"),
        detail=_detail(answer) or EMPTY,
    )


def _input_details(fields: Fields) -> Fields:
    """The details of the input, with Qwen's cache split where it has one: the one beside the total may be 0."""
    details = nested(fields, "input_tokens_details")
    rows = [nested(row, "prompt_tokens_details") for row in objects(fields, "x_details")]
    rows = [row for row in rows if row]
    if not rows:
        return details
    split = {name: sum(number(row, name) for row in rows) for name in CACHE_COUNTS}
    kinds = [row["cache_type"] for row in rows if row.get("cache_type")]
    return {**details, **split, **({"cache_type": kinds[0]} if kinds else {})}


def _searches_elsewhere(fields: Fields, ran: Fields) -> int | None:
    """Searches as xAI and Qwen tell them, None where neither does."""
    if ran:
        return number(ran, "web_search_calls") + number(ran, "x_search_calls")
    return first_count(nested(nested(fields, "x_tools"), "web_search"), "count")


def _detail(answer: Fields) -> dict[str, int]:
    """Counts for the record that have no price here: pictures made by a tool are billed on another model."""
    pictures = nested(nested(answer, "tool_usage"), "image_gen")
    return {
        f"image_gen_{name}": n for name in ("input_tokens", "output_tokens") if (n := number(pictures, name))
    }
