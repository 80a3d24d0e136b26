"""A batch as one call: what all of its requests together may cost, each by its own model's price.

A batch has one hold and one event, because the provider has one record of it. Pure.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from qlaud.core.catalog import Model
from qlaud.core.demand import Worst
from qlaud.flows.bounds import Bound, bound_of
from qlaud.flows.calls import Incoming, Route
from qlaud.flows.reach import DEFAULT_MAX_USES
from qlaud.wire.types import Changes, ModelCall


class Found(Struct, frozen=True, gc=False):
    """A model of a batch, and the ways there."""

    model: Model
    routes: tuple[Route, ...]


def bound_of_batch(call: ModelCall, wire_name: str, found: Mapping[str, Found], *, markup_bp: int) -> Bound:
    """The sum of what its requests may cost. `found` has every model that they name."""
    picos, unpriced, tool = 0, False, None
    for part in call.parts:
        model, routes = found[part.model].model, found[part.model].routes
        bound = bound_of(part, wire_name, routes, window=model.context_window, markup_bp=markup_bp)
        tool = tool or bound.unbounded_tool
        if bound.worst is None:
            unpriced = True
            continue
        limit = model.max_output if part.demand.max_output is None else part.demand.max_output
        picos += bound.worst.base_picos + limit * bound.worst.slope_picos
    return Bound(None if unpriced else Worst(picos, 0, markup_bp), tool)


def as_it_leaves(incoming: Incoming, call: ModelCall, found: Mapping[str, Found]) -> Incoming:
    """The batch with its models called as their host calls them, and its provider tools bounded."""
    names = {name: one.routes[0].host.upstream_name(name) for name, one in found.items()}
    changes = Changes(
        models={name: here for name, here in names.items() if here != name},
        max_uses=DEFAULT_MAX_USES if any(part.uncapped_tools for part in call.parts) else None,
    )
    body = incoming.wire.rewrite(incoming.asked.body, call, changes)
    return replace(incoming, asked=replace(incoming.asked, body=body))
