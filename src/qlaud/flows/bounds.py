"""What a call may cost at most over every host it may reach, and what stands in the way of such a bound.

A provider may not keep to what bounds others: its output limit may leave thoughts out, or its own tools may run as
often as they like. Its file says so (the quirks below), and the bound follows.
"""

from msgspec import Struct

from qlaud.core.demand import Worst
from qlaud.core.pricing import NotPriced
from qlaud.flows.calls import Route
from qlaud.wire.types import ModelCall

LOOSE_LIMIT = "loose_limit"
"""Quirk: output limits bound the answer and not the thoughts; only `max_completion_tokens` bounds both (Qwen)."""
TIGHT_LIMIT = "tight_limit"
"""Quirk of a model: its output limit bounds thoughts too, whatever its provider's others do."""
MAX_TOOL_CALLS = "max_tool_calls"
"""Quirk: the provider runs its tools at most `max_tool_calls` times (OpenAI)."""
MOST_THOUGHT_TOKENS = 131_072
"""The most a model thinks beside its output limit: Qwen's have budgets of up to 81920 tokens."""
WHOLE_LIMIT = "max_completion_tokens"
"""The one limit that always bounds answer and thoughts together."""


class Bound(Struct, frozen=True, gc=False):
    """The bound of one call."""

    worst: Worst | None
    """None without a price at one of the hosts."""
    unbounded_tool: str | None = None
    """What makes it no bound."""
    beyond_tokens: int = 0
    """Output tokens beside the limit, a candidate. They are in `worst`."""


def bound_of(
    call: ModelCall, wire_name: str, routes: tuple[Route, ...], *, window: int | None, markup_bp: int
) -> Bound:
    """The bound over all `routes`. `window` is the model's context, None where nobody knows."""
    demand = call.demand
    tool = demand.unbounded_tool
    if tool is None and call.provider_tools and not all(_has(route, MAX_TOOL_CALLS) for route in routes):
        tool = call.provider_tools[0]
    thinks = demand.max_output != 0  # 0: speech, pictures, pages have no output of text
    base = slope = beyond = 0
    for route in routes:
        if route.card is None:
            return Bound(None, tool)
        try:
            worst = route.card.worst(demand, context_window=window, markup_bp=markup_bp)
        except NotPriced:
            return Bound(None, tool)
        is_beyond = thinks and is_loose(route) and not _sends_whole_limit(route, wire_name)
        more = MOST_THOUGHT_TOKENS if is_beyond else 0
        base = max(base, worst.base_picos + more * worst.slope_picos)
        slope, beyond = max(slope, worst.slope_picos), max(beyond, more)
    return Bound(Worst(base, slope, markup_bp), tool, beyond)


def is_loose(route: Route) -> bool:
    """Whether output limits of this model leave thoughts out here."""
    return _has(route, LOOSE_LIMIT) and TIGHT_LIMIT not in route.host.quirks


def _sends_whole_limit(route: Route, wire_name: str) -> bool:
    wire = route.provider.wires.get(wire_name)
    return wire is not None and wire.limit_field == WHOLE_LIMIT


def _has(route: Route, quirk: str) -> bool:
    return quirk in route.provider.quirks or quirk in route.host.quirks
