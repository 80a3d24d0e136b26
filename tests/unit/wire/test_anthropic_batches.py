"""Batches: what is held for their requests, what leaves, and what their records and results are settled by."""

import json
from typing import Any

import pytest

from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Begun, Nothing, Usage
from qlaud.wire.anthropic_batches import ANTHROPIC_BATCHES
from qlaud.wire.jobs import Elsewhere, Ended, Line, Progress, Unreadable, Waiting
from qlaud.wire.types import AnswerHead, Asked, Changes

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
USAGE = {"input_tokens": 16, "output_tokens": 10, "cache_read_input_tokens": 5, "service_tier": "batch"}


def params(model: str = "a", **more: object) -> dict[str, object]:
    return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}], **more}


def body(*requests: dict[str, object]) -> bytes:
    return json.dumps(
        {"requests": [{"custom_id": str(n), "params": one} for n, one in enumerate(requests)]}
    ).encode()


def read(*requests: dict[str, object]) -> Any:
    return ANTHROPIC_BATCHES.read_call(Asked(body=body(*requests)))


def test_every_request_asks_for_itself_at_the_tier_of_a_batch() -> None:
    call = read(params("a"), params("b", max_tokens=7, service_tier="auto", inference_geo="us"))
    first, second = call.parts
    assert (first.model, first.demand.max_output, first.demand.tier) == ("a", 100, "batch")
    assert (second.model, second.demand.max_output, second.demand.tier) == ("b", 7, "batch")
    assert second.demand.geo == "us"
    assert first.demand.input_tokens >= len(json.dumps(params("a")))
    assert (call.model, call.stream, call.demand.max_output) == ("a", False, 0)
    assert call.demand.input_tokens == first.demand.input_tokens + second.demand.input_tokens


def test_what_a_batch_costs_if_nobody_tells_is_its_input_and_all_it_may_put_out() -> None:
    call = read(params(max_tokens=100), params(max_tokens=11))
    tap = ANTHROPIC_BATCHES.tap(call, strip_usage=False)
    tap.feed(b"not to be read")
    tap.finish()
    planned = Usage(input_tokens=call.demand.input_tokens, output_tokens=111, tier="batch")
    assert tap.outcome(input_bound=0) == AtLeast(planned)


def test_a_batch_begins_with_its_record_and_not_with_an_error() -> None:
    call = read(params())
    for answer, status, outcome in (
        ({"type": "message_batch", "id": "msgbatch_1"}, 200, "begun"),
        ({"type": "error", "error": {"type": "invalid_request_error"}}, 400, Nothing()),
        ({"type": "error", "error": {"type": "api_error"}}, 200, Nothing()),
    ):
        tap = ANTHROPIC_BATCHES.tap(call, strip_usage=False, head=AnswerHead(status))
        tap.feed(json.dumps(answer).encode())
        tap.finish()
        found = tap.outcome(input_bound=0)
        assert found == outcome or (isinstance(found, Begun) and outcome == "begun")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b"{}", "requests"),
        (b'{"requests":[]}', "requests"),
        (b'{"requests":[{"custom_id":"x"}]}', "requests[0].params"),
        (b'{"requests":[{"custom_id":"x","params":null}]}', "requests[0].params"),
        (body(params(), params(model="")), "requests[1]"),
        (body(params(), {"model": "a", "max_tokens": "x"}), "requests[1]"),
        (b'{"requests":[{"params":{"model":"a"},"params":{"model":"b"}}]}', "params"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_with_its_place(text: bytes, field: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ANTHROPIC_BATCHES.read_call(Asked(body=text))
    assert refused.value.param == field


def test_a_tool_without_a_bound_in_any_request_is_seen() -> None:
    unbounded = params(tools=[{"type": "code_execution_20250825", "name": "code_execution"}])
    call = read(params(), unbounded)
    assert [part.demand.unbounded_tool for part in call.parts] == [None, "code_execution_20250825"]


def test_models_and_bounds_of_tools_are_put_in_and_every_other_byte_stays() -> None:
    text = body(params("a"), params("b", tools=[SEARCH]), params("c"))
    call = ANTHROPIC_BATCHES.read_call(Asked(body=text))
    rewritten = ANTHROPIC_BATCHES.rewrite(text, call, Changes(models={"b": "b-2026"}, max_uses=5))
    at = text.index(b'"b"')
    assert rewritten[:at] == text[:at]
    assert rewritten.endswith(text[text.rindex(b'"c"') :])
    requests = json.loads(rewritten)["requests"]
    assert [one["params"]["model"] for one in requests] == ["a", "b-2026", "c"]
    assert requests[1]["params"]["tools"] == [{**SEARCH, "max_uses": 5}]
    assert ANTHROPIC_BATCHES.rewrite(text, call, Changes(model="x", max_output=5)) is text


def record(status: str, **counts: int) -> bytes:
    return json.dumps(
        {"type": "message_batch", "id": "msgbatch_1", "processing_status": status, "request_counts": counts}
    ).encode()


RESULTS = "/v1/messages/batches/msgbatch_1/results"


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        (record("in_progress", processing=3), Waiting()),
        (record("canceling", processing=3), Waiting()),
        (record("ended", succeeded=3, errored=1), Elsewhere(RESULTS, 3)),
        (record("ended", succeeded=0, canceled=4), Ended(Nothing())),
        (record("ended"), Elsewhere(RESULTS, 0)),
        (b'{"type":"message_batch","id":"../../x","processing_status":"ended"}', Unreadable()),
        (b'{"type":"error"}', Unreadable()),
        (b"<html>", Unreadable()),
        (b"", Unreadable()),
    ],
)
def test_a_record_says_where_the_usage_stands(text: bytes, progress: Progress) -> None:
    assert ANTHROPIC_BATCHES.progress(text, Usage()) == progress


def line(kind: str, **result: object) -> bytes:
    return json.dumps({"custom_id": "x", "result": {"type": kind, **result}}).encode()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            line("succeeded", message={"model": "a", "usage": USAGE}),
            Line(
                "a",
                Usage(input_tokens=16, output_tokens=10, cache_read_tokens=5, tier="batch", served_model="a"),
            ),
        ),
        (
            line("succeeded", message={"model": "a", "usage": {**USAGE, "service_tier": "standard"}}),
            Line(
                "a",
                Usage(input_tokens=16, output_tokens=10, cache_read_tokens=5, tier="batch", served_model="a"),
            ),
        ),
        (line("errored", error={"type": "error"}), None),
        (line("canceled"), None),
        (line("expired"), None),
        (b"", None),
        (b"\r", None),
        (line("succeeded", message={"model": "a", "usage": None}), Line("a", None)),
        (line("succeeded", message={"model": "a", "usage": {"input_tokens": "many"}}), Line("a", None)),
        (line("another", message={"model": "a", "usage": USAGE}), Line("a", None)),
        (b'{"custom_id":"x"', Line("", None)),
    ],
)
def test_a_line_costs_what_its_message_used_and_is_never_free_for_being_strange(
    text: bytes, found: Line
) -> None:
    assert ANTHROPIC_BATCHES.line(text) == found


def test_the_address_of_results_leads_back_to_the_gateway() -> None:
    ended = b'{"id":"msgbatch_1", "type":"message_batch","results_url":"https://api.anthropic.com/v1/x"}'
    shown = ANTHROPIC_BATCHES.for_caller(ended, "https://gateway.example/anthropic")
    assert json.loads(shown)["results_url"] == f"https://gateway.example/anthropic{RESULTS}"
    for other in (b'{"id":"msgbatch_1","type":"message_batch","results_url":null}', b"[]", b"nothing"):
        assert ANTHROPIC_BATCHES.for_caller(other, "https://gateway.example") is other
