"""The most a call may cost, where a provider keeps to less than others do."""

import asyncio
from typing import Literal

import pytest
from msgspec.structs import replace
from tests.support.ledger_desk import FrozenClock
from tests.support.pump_stage import (
    CARD,
    HOST,
    CountedMeters,
    ScriptedLedger,
    ScriptedUpstream,
    hold,
    prepared,
    provider,
)

from qlaud.core.demand import Demand
from qlaud.core.paths import PathPattern
from qlaud.core.providers import Wire
from qlaud.flows.bounds import MOST_THOUGHT_TOKENS, bound_of
from qlaud.flows.calls import Prepared, Route
from qlaud.flows.limit import OutputLimit
from qlaud.flows.metered import Metered
from qlaud.flows.reach import changes
from qlaud.wire.types import ModelCall

CALL = ModelCall("m-1", stream=True, demand=Demand(100, max_output=50), wants_usage=True)
Name = Literal["openai_chat", "openai_responses"]
LIMITS = {"openai_chat": "max_completion_tokens", "openai_responses": "max_output_tokens"}


def route(*quirks: str, of_host: tuple[str, ...] = (), name: Name = "openai_responses") -> Route:
    wire = Wire(name, (PathPattern("/x"),), limit_field=LIMITS[name])
    host = provider("qwen", quirks=frozenset(quirks), wires={name: wire})
    own = type(HOST)(**{**{n: getattr(HOST, n) for n in HOST.__slots__}, "quirks": frozenset(of_host)})
    return Route(own, host, ScriptedUpstream(), CARD)


def base(*routes: Route, call: ModelCall = CALL, name: Name = "openai_responses") -> tuple[int, int]:
    bound = bound_of(call, name, routes, window=None, markup_bp=0)
    assert bound.worst is not None
    return bound.worst.base_picos, bound.beyond_tokens


def test_thoughts_beside_the_limit_are_held_too() -> None:
    worst = bound_of(CALL, "openai_responses", (route(),), window=None, markup_bp=0).worst
    assert worst is not None
    more = MOST_THOUGHT_TOKENS * worst.slope_picos
    assert base(route("loose_limit")) == (worst.base_picos + more, MOST_THOUGHT_TOKENS)
    assert base(route(of_host=("loose_limit",)))[1] == MOST_THOUGHT_TOKENS
    assert base(route(), route("loose_limit"))[1] == MOST_THOUGHT_TOKENS, "the call may reach either"


def test_a_model_that_keeps_to_its_limit_and_a_wire_that_bounds_all_hold_no_more() -> None:
    assert base(route("loose_limit", of_host=("tight_limit",))) == base(route())
    chat = base(route("loose_limit", name="openai_chat"), name="openai_chat")
    assert chat == base(route(name="openai_chat"), name="openai_chat")


def test_two_candidates_think_twice() -> None:
    two = replace(CALL, demand=Demand(100, candidates=2, max_output=50))
    one_more = base(route("loose_limit"))[0] - base(route())[0]
    assert base(route("loose_limit"), call=two)[0] - base(route(), call=two)[0] == 2 * one_more


def test_a_tool_of_the_providers_is_bounded_only_where_it_keeps_to_a_number_of_calls() -> None:
    call = replace(CALL, provider_tools=("web_search",))
    assert bound_of(call, "x", (route(),), window=None, markup_bp=0).unbounded_tool == "web_search"
    kept = (route("max_tool_calls"),)
    assert bound_of(call, "x", kept, window=None, markup_bp=0).unbounded_tool is None
    assert bound_of(call, "x", (*kept, route()), window=None, markup_bp=0).unbounded_tool == "web_search"


def test_a_model_without_a_price_at_one_host_has_no_bound_but_still_its_tools() -> None:
    call = replace(CALL, provider_tools=("web_search",))
    bound = bound_of(call, "x", (route(), replace(route(), card=None)), window=None, markup_bp=0)
    assert (bound.worst, bound.unbounded_tool) == (None, "web_search")


def test_a_stream_may_think_as_long_as_was_held_for_before_it_is_cut() -> None:
    async def limit_of(call: Prepared) -> OutputLimit:
        calls = Metered(ScriptedLedger(grows=True), FrozenClock(), CountedMeters(), hold_wait_s=0.0)
        limit = OutputLimit(hold(max_output=100), call)
        before = limit.tokens
        assert await limit.grow(calls, int(before) + 1)
        assert limit.tokens > before
        return limit

    plain = asyncio.run(limit_of(prepared([ScriptedUpstream()])))
    beside = asyncio.run(limit_of(replace(prepared([ScriptedUpstream()]), beyond_tokens=1000)))
    assert beside.tokens >= plain.tokens + 1000


@pytest.mark.parametrize(
    ("bounded", "quirks", "sent"),
    [(True, ("loose_limit",), 50), (True, (), None), (False, ("loose_limit",), None)],
)
def test_where_money_is_bounded_the_callers_limit_is_sent_as_the_one_that_bounds_all(
    bounded: bool, quirks: tuple[str, ...], sent: int | None
) -> None:
    call = prepared([ScriptedUpstream()], limit=50)
    told = changes(
        call, route(*quirks, "max_tokens", name="openai_chat"), hold(max_output=50, bounded=bounded)
    )
    assert told.max_output == sent


def test_a_loose_host_is_never_told_by_the_older_name() -> None:
    call = replace(
        prepared([ScriptedUpstream()]),
        incoming=replace(prepared([ScriptedUpstream()]).incoming, wire_name="openai_chat"),
    )
    loose_host = route("loose_limit", of_host=("max_tokens",), name="openai_chat")
    old_host = route(of_host=("max_tokens",), name="openai_chat")
    assert changes(call, loose_host, hold()).limit_field == "max_completion_tokens"
    assert changes(call, old_host, hold()).limit_field == "max_tokens"
