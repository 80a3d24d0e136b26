"""One call and its hosts: which is tried, with what, and when the next one is."""

import asyncio

import msgspec
import pytest
from tests.support.ledger_desk import FrozenClock
from tests.support.pump_stage import (
    ENDS,
    HEAD,
    MAX_OUTPUT,
    Head,
    Move,
    ScriptedUpstream,
    hold,
    prepared,
    provider,
)

from qlaud.core.ledger import Hold
from qlaud.core.providers import Secret
from qlaud.flows.calls import Prepared
from qlaud.flows.keyring import REFUSED, KeyRing
from qlaud.flows.reach import NotReached, Reached, reach, request_for
from qlaud.ports import UpstreamBroken, UpstreamSlow, UpstreamUnreachable


def reached(*moves: Move) -> tuple[Reached | NotReached, list[ScriptedUpstream]]:
    """What comes of a call with one host for each of `moves`."""

    async def main() -> tuple[Reached | NotReached, list[ScriptedUpstream]]:
        upstreams = [ScriptedUpstream() for _ in moves]
        for upstream, move in zip(upstreams, moves, strict=True):
            upstream.script.put(move, ENDS)
        return await reach(prepared(upstreams), hold()), upstreams

    return asyncio.run(main())


def test_the_first_host_that_answers_takes_the_call() -> None:
    end, upstreams = reached(HEAD, HEAD)
    assert isinstance(end, Reached)
    assert end.route.provider.slug == "anthropic"
    assert upstreams[1].requests == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_an_overloaded_host_is_left_for_the_next_and_its_answer_closed(status: int) -> None:
    end, upstreams = reached(Head(status), HEAD)
    assert isinstance(end, Reached)
    assert end.route.provider.slug == "second"
    assert upstreams[0].responses[0].closed


def test_an_unreachable_host_is_left_for_the_next() -> None:
    end, _ = reached(UpstreamUnreachable("refused"), UpstreamSlow("connect", 10), HEAD)
    assert isinstance(end, Reached)
    assert end.route.provider.slug == "third"


@pytest.mark.parametrize("fault", [UpstreamSlow("first_byte", 600), UpstreamBroken("reset")])
def test_a_host_that_may_have_begun_to_work_is_the_last_one_tried(fault: Exception) -> None:
    end, upstreams = reached(fault, HEAD)
    assert isinstance(end, NotReached)
    assert end.route.provider.slug == "anthropic"
    assert upstreams[1].requests == []


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_refusal_of_the_call_is_not_taken_elsewhere(status: int) -> None:
    end, upstreams = reached(Head(status), HEAD)
    assert isinstance(end, Reached)
    assert upstreams[1].requests == []


def test_the_last_hosts_overload_is_the_answer() -> None:
    end, upstreams = reached(Head(503), Head(529))
    assert isinstance(end, Reached)
    assert end.response.status == 529
    assert not upstreams[1].responses[0].closed


def test_an_overload_that_billed_is_the_answer_and_is_not_sent_elsewhere() -> None:
    billed = b'{"type":"error","error":{"type":"api_error"},"usage":{"input_tokens":9,"output_tokens":1}}'
    upstreams = [ScriptedUpstream(), ScriptedUpstream()]

    async def main() -> Reached | NotReached:
        upstreams[0].script.put(Head(500, b"application/json"), billed, ENDS)
        upstreams[1].script.put(HEAD)
        return await reach(prepared(upstreams), hold())

    end = asyncio.run(main())
    assert isinstance(end, Reached)
    assert end.route.provider.slug == "anthropic"
    assert upstreams[1].requests == []
    assert asyncio.run(end.response.read()) == billed


def keys_tried(*statuses: int, turns: int = 1) -> tuple[list[bytes], int]:
    """The keys of a host that were sent, and the status of the last answer; the host refuses them with `statuses`."""
    upstream, clock = ScriptedUpstream(), FrozenClock()
    secrets = (Secret("sk-0"), Secret("sk-1"), Secret("sk-2"))

    async def main() -> int:
        call = prepared([upstream])
        host = provider(api_keys=secrets)
        route = msgspec.structs.replace(call.routes[0], provider=host, keys=KeyRing(host, clock))
        call = msgspec.structs.replace(call, routes=(route,))
        status = 0
        for _ in range(turns):
            end = await reach(call, hold())
            assert isinstance(end, Reached)
            status = end.response.status
        return status

    for status in statuses:
        upstream.script.put(Head(status, b"application/json"), *([ENDS] if status in REFUSED else []))
    last = asyncio.run(main())
    sent = [value for request in upstream.requests for name, value in request.headers if name == b"x-api-key"]
    return sent, last


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_refused_key_gives_way_to_the_next_and_rests(status: int) -> None:
    assert keys_tried(status, 200, 200, turns=2) == ([b"sk-0", b"sk-1", b"sk-1"], 200)


@pytest.mark.parametrize(
    ("says", "tried"),
    [
        (b'{"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}', 2),
        (b'{"error":{"message":"Your credit balance is too low to access the Anthropic API."}}', 2),
        (b'{"error":{"message":"unknown role \\"API key not valid\\""}}', 1),
        (b'{"error":{"message":"no contents"}}', 1),
    ],
)
def test_a_bad_request_gives_way_only_where_it_is_about_the_key(says: bytes, tried: int) -> None:
    upstream, host = ScriptedUpstream(), provider(api_keys=(Secret("sk-0"), Secret("sk-1")))
    upstream.script.put(Head(400, b"application/json"), says, ENDS, HEAD)

    async def main() -> tuple[int, bytes]:
        call = prepared([upstream])
        ring = KeyRing(host, FrozenClock())
        route = msgspec.structs.replace(call.routes[0], provider=host, keys=ring)
        end = await reach(msgspec.structs.replace(call, routes=(route,)), hold())
        assert isinstance(end, Reached)
        return end.response.status, b"" if tried > 1 else await end.response.read()

    assert asyncio.run(main()) == ((200, b"") if tried > 1 else (400, says))
    assert len(upstream.requests) == tried


def test_the_last_keys_refusal_is_the_answer() -> None:
    assert keys_tried(401, 429, 429) == ([b"sk-0", b"sk-1", b"sk-2"], 429)


def test_a_fault_of_the_host_is_no_fault_of_its_key() -> None:
    assert keys_tried(500, 200, turns=2) == ([b"sk-0", b"sk-0"], 200)


def body_sent(call: Prepared, taken: Hold) -> dict[str, object]:
    body = request_for(call, call.routes[0], taken).body
    assert isinstance(body, bytes)
    return msgspec.json.decode(body, type=dict[str, object])


def test_a_call_that_fits_leaves_as_it_came() -> None:
    call = asyncio.run(_prepared(limit=MAX_OUTPUT))
    assert request_for(call, call.routes[0], hold()).body is call.incoming.asked.body


def test_the_limit_that_was_held_is_the_limit_that_is_sent() -> None:
    call = asyncio.run(_prepared(limit=MAX_OUTPUT))
    assert body_sent(call, hold(max_output=417))["max_tokens"] == 417


def test_a_bounded_call_without_a_limit_gets_the_one_that_was_held() -> None:
    call = asyncio.run(_prepared(limit=None))
    assert body_sent(call, hold(max_output=8_000))["max_tokens"] == 8_000


def test_an_unbounded_call_is_given_no_limit() -> None:
    call = asyncio.run(_prepared(limit=None))
    assert "max_tokens" not in body_sent(call, hold(bounded=False))


def test_a_host_that_demands_a_limit_gets_the_models_own() -> None:
    call = asyncio.run(_prepared(limit=None))
    demanding = msgspec.structs.replace(
        call.routes[0], provider=provider(quirks=frozenset(("limit_required",)))
    )
    request = request_for(call, demanding, hold(bounded=False))
    assert isinstance(request.body, bytes)
    assert msgspec.json.decode(request.body)["max_tokens"] == 8_000


def test_the_callers_query_travels_and_its_key_does_not() -> None:
    call = asyncio.run(_prepared(query=b"beta=true&key=qlk_live_1"))
    assert request_for(call, call.routes[0], hold()).target == b"/v1/messages?beta=true"


async def _prepared(limit: int | None = MAX_OUTPUT, query: bytes = b"") -> Prepared:
    return prepared([ScriptedUpstream()], limit=limit, query=query)
