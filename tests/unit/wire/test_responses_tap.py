"""Usage out of Responses answers, row by row of the list of known oddities."""

import json

import pytest

from qlaud.core.demand import Demand
from qlaud.core.errors import ShuttingDown
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.openai_responses import OpenAIResponsesWire
from qlaud.wire.types import ANSWERED, AnswerHead, ModelCall, Tap

WIRE = OpenAIResponsesWire()
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))
Fields = dict[str, object]
RESPONSE: Fields = {"id": "resp_1", "object": "response", "model": "gpt-6-sol", "service_tier": "auto"}


def tap(*, head: AnswerHead = ANSWERED, **demand: object) -> Tap:
    bound = Demand(100, **demand)  # type: ignore[arg-type]
    return WIRE.tap(ModelCall("gpt-6-sol", True, bound, True), strip_usage=False, head=head)


def event(kind: str, **fields: object) -> bytes:
    text = json.dumps({"type": kind, "sequence_number": 7, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


def response(**fields: object) -> Fields:
    return {**RESPONSE, "output": [], **fields}


CREATED = event("response.created", response=response(status="in_progress", usage=None))


def say(text: str, kind: str = "output_text") -> bytes:
    return event(f"response.{kind}.delta", item_id="i", output_index=0, delta=text)


def end(kind: str = "completed", **fields: object) -> bytes:
    answer = response(status=kind, service_tier="default", **fields)
    return event(f"response.{kind}", response=answer)


def usage(read: int = 9, wrote: int = 4, **fields: object) -> Fields:
    return {"input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote, **fields}


def used(meter: Tap) -> Usage:
    found = meter.outcome(input_bound=999)
    assert isinstance(found, Exact)
    return found.usage


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_the_response_that_ends_the_stream_says_what_it_cost(kind: str) -> None:
    meter = tap()
    stream = CREATED + say("Hel") + say("lo") + end(kind, usage=usage())
    assert meter.feed(stream) is stream
    assert meter.complete
    assert used(meter) == Usage(input_tokens=9, output_tokens=4, tier="default", served_model="gpt-6-sol")


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        (
            usage(
                5000,
                1719,
                input_tokens_details={
                    "cached_tokens": 3000,
                    "cache_write_tokens": 1500,
                    "cache_write_tokens_details": {"ttl_30m_tokens": 500, "ttl_12h_tokens": 1000},
                },
                output_tokens_details={"reasoning_tokens": 1408},
            ),
            {
                "input_tokens": 500,
                "cache_read_tokens": 3000,
                "cache_write_30m_tokens": 500,
                "cache_write_12h_tokens": 1000,
                "output_tokens": 1719,
                "reasoning_tokens": 1408,
            },
        ),
        (  # Qwen: the split beside the total is 0
            usage(
                1400,
                20,
                input_tokens_details={"cached_tokens": 0},
                x_details=[
                    {
                        "x_billing_type": "response_api",
                        "prompt_tokens_details": {"cached_tokens": 1305, "cache_creation_input_tokens": 50},
                    }
                ],
            ),
            {
                "input_tokens": 45,
                "cache_read_tokens": 1305,
                "cache_write_5m_tokens": 50,
                "output_tokens": 20,
            },
        ),
        (  # a cache the caller wrote is cheaper to read
            usage(
                100,
                20,
                x_details=[{"prompt_tokens_details": {"cached_tokens": 60, "cache_type": "ephemeral"}}],
                x_tools={"web_search": {"count": 2}},
            ),
            {
                "input_tokens": 40,
                "cache_read_explicit_tokens": 60,
                "output_tokens": 20,
                "web_searches": 2,
            },
        ),
        (  # xAI
            usage(
                199,
                30,
                cost_in_usd_ticks=158500,
                num_sources_used=0,
                server_side_tool_usage_details={
                    "web_search_calls": 2,
                    "x_search_calls": 1,
                    "code_interpreter_calls": 4,
                    "mcp_calls": 9,
                },
            ),
            {
                "input_tokens": 199,
                "output_tokens": 30,
                "web_searches": 3,
                "tool_calls": 4,
                "vendor_cost_picos": 15_850_000,
            },
        ),
        (  # Perplexity
            usage(
                100,
                5,
                input_tokens_details={"cache_read_input_tokens": 40},
                cost={"currency": "USD", "total_cost": 0.00512},
            ),
            {
                "input_tokens": 60,
                "cache_read_tokens": 40,
                "output_tokens": 5,
                "vendor_cost_picos": 5_120_000_000,
            },
        ),
        (  # parts larger than the whole never make a part negative
            usage(
                10,
                5,
                input_tokens_details={"cached_tokens": 50, "cache_write_tokens": 50},
                output_tokens_details={"reasoning_tokens": 50},
            ),
            {"cache_read_tokens": 10, "output_tokens": 5, "reasoning_tokens": 5},
        ),
        (
            {"input_tokens": "28", "output_tokens": 3.0, "input_tokens_details": None},
            {"input_tokens": 28, "output_tokens": 3},
        ),
    ],
)
def test_usage_is_taken_apart_into_disjoint_quantities(told: Fields, parts: Fields) -> None:
    meter = tap()
    meter.feed(CREATED + say("x") + end(usage=told))
    assert used(meter) == Usage(**parts, tier="default", served_model="gpt-6-sol")  # type: ignore[arg-type]


SEARCH = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
OPEN = {"type": "web_search_call", "status": "completed", "action": {"type": "open_page"}}
FILES = {"type": "file_search_call", "status": "completed", "queries": ["q"]}


def test_searches_are_those_the_provider_bills_else_those_its_items_show() -> None:
    meter = tap()
    meter.feed(
        CREATED
        + end(
            usage=usage(),
            output=[SEARCH, SEARCH, OPEN, FILES],
            tool_usage={"web_search": {"num_requests": 1}, "image_gen": {"output_tokens": 7}},
        )
    )
    found = used(meter)
    assert (found.web_searches, found.tool_calls) == (1, 1)
    assert found.detail == {"image_gen_output_tokens": 7}
    meter = tap()
    meter.feed(CREATED + end(usage=usage(), output=[SEARCH, SEARCH, OPEN, FILES]))
    found = used(meter)
    assert (found.web_searches, found.tool_calls) == (2, 1)


def test_searches_of_a_stream_that_broke_are_counted_from_its_items() -> None:
    meter = tap()
    meter.feed(CREATED)
    for item in (SEARCH, OPEN, SEARCH, FILES):
        meter.feed(event("response.output_item.added", item=item))
        meter.feed(event("response.output_item.done", item=item))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert (found.usage.web_searches, found.usage.tool_calls, found.usage.input_tokens) == (2, 1, 999)


def test_output_is_counted_by_its_deltas_and_not_again_when_it_is_repeated() -> None:
    meter = tap()
    meter.feed(CREATED)
    assert (meter.started, meter.output_floor) == (False, 0)
    for kind in ("output_text", "reasoning_summary_text", "function_call_arguments", "refusal"):
        meter.feed(say("word", kind))
    meter.feed(event("response.output_text.done", text="word" * 100))
    meter.feed(say(""))
    assert (meter.started, meter.output_floor) == (True, 4)
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert (found.usage.output_tokens, found.usage.input_tokens) == (16, 999)


def test_json_with_spaces_is_counted_too() -> None:
    meter = tap()
    meter.feed(CREATED)
    meter.feed(b'data: {"type": "response.output_text.delta", "delta": "word"}\n\n')
    assert meter.output_floor == 1


def test_a_response_that_failed_before_its_first_word_costs_nothing() -> None:
    for tail in (
        end("failed", usage=None, error={"code": "rate_limit_exceeded", "message": "slow down"}),
        event("error", code="rate_limit_exceeded", message="slow down", param=None),
        event("error", error={"code": "x"}),
    ):
        meter = tap()
        meter.feed(CREATED + tail)
        assert meter.outcome(input_bound=999) == Nothing()
        first = tap()
        first.feed(tail)
        assert first.outcome(input_bound=999) == Nothing()
        later = tap()
        later.feed(CREATED + say("word") + tail)
        found = later.outcome(input_bound=999)
        assert isinstance(found, AtLeast)
        assert (found.usage.input_tokens, found.usage.output_tokens) == (999, 4)


def test_a_stream_cut_before_any_word_is_billed_for_its_input() -> None:
    meter = tap()
    meter.feed(CREATED)
    assert meter.outcome(input_bound=999) == AtLeast(
        Usage(input_tokens=999, tier="auto", served_model="gpt-6-sol")
    )


@pytest.mark.parametrize("told", [None, {}, {"input_tokens": 3}, {"input_tokens": 0, "output_tokens": 0}])
def test_a_completed_response_without_sensible_usage_is_an_estimate(told: object) -> None:
    meter = tap()
    meter.feed(CREATED + say("hello") + end(usage=told))
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert found.usage.prompt_tokens in (3, 999)
    assert found.usage.output_tokens >= 5


def test_the_end_of_a_long_answer_repeats_all_of_it_and_is_read_from_its_tail() -> None:
    planted = {"usage": {"input_tokens": 1, "output_tokens": 0}}
    whole = response(
        status="completed",
        output=[{"type": "message", "content": [{"type": "output_text", "text": "A" * 300_000}]}],
        service_tier="default",
        tools=[{"type": "function", "name": "f", "parameters": {"default": planted}}],
        usage=usage(9, 70_000),
        metadata={"usage": "mine"},
    )
    stream = CREATED + say("A") + event("response.completed", response=whole)
    meter = tap()
    relayed = b"".join(meter.feed(stream[at : at + 40_000]) for at in range(0, len(stream), 40_000))
    assert relayed + meter.finish() == stream
    found = used(meter)
    assert (found.input_tokens, found.output_tokens) == (9, 70_000)
    assert len(meter._carry) <= 64 * 1024  # type: ignore[attr-defined]


def test_no_usage_of_the_callers_own_is_taken_for_the_providers() -> None:
    planted = {"usage": {"input_tokens": 1, "output_tokens": 0}}
    begun = response(
        instructions="A" * 300_000,
        tools=[{"parameters": {"default": planted}}],
        usage=None,
        status="in_progress",
    )
    stream = event("response.created", response=begun) + say("hello")
    meter = tap()
    for at in range(0, len(stream), 40_000):
        meter.feed(stream[at : at + 40_000])
    found = meter.outcome(input_bound=999)
    assert isinstance(found, AtLeast)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (999, 5)


@pytest.mark.parametrize("filler", [0, 3_000_000])
def test_a_body_is_metered_like_a_stream(filler: int) -> None:
    text = "x" * filler + '{"usage":{"input_tokens":1}}'
    answer = response(
        status="completed", output=[{"type": "message", "content": [{"text": text}]}], usage=usage()
    )
    meter = tap(head=JSON)
    whole = json.dumps(answer).encode()
    for at in range(0, len(whole), 40_000):
        meter.feed(whole[at : at + 40_000])
    meter.finish()
    found = used(meter)
    assert (found.input_tokens, found.output_tokens) == (9, 4)


@pytest.mark.parametrize(
    ("whole", "kind"),
    [
        (b'{"error":{"message":"no"}}', Nothing),
        (b"<html></html>", Nothing),
        # Qwen says that it is too busy with status 200
        (b'{"status":"failed","output":[],"error":{"code":"server_error"}}', Nothing),
        (b'{"status":"completed","output":[{"type":"mess', AtLeast),
        (b'{"status":"completed","output":[],"usage":null}', AtLeast),
        (b'{"status":"incomplete","output":[],"usage":{"input_tokens":5,"output_tokens":0}}', Exact),
    ],
)
def test_a_body_that_is_no_plain_answer(whole: bytes, kind: type) -> None:
    meter = tap(head=JSON)
    meter.feed(whole)
    meter.finish()
    assert type(meter.outcome(input_bound=999)) is kind


def test_a_stream_that_is_cut_ends_as_the_format_says() -> None:
    meter = tap()
    meter.feed(CREATED + say("word"))
    stop = WIRE.length_stop(meter, Usage(input_tokens=9, output_tokens=4))
    assert stop.startswith(b"event: response.incomplete\ndata: ")
    told = json.loads(stop.split(b"data: ")[1])
    assert told["sequence_number"] == 8
    assert told["response"]["id"] == "resp_1"
    assert told["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert told["response"]["usage"]["total_tokens"] == 13
    meter.feed(end(usage=usage()))
    assert WIRE.length_stop(meter) == b""
    assert WIRE.length_stop(tap(head=JSON)) == b""


def test_an_error_of_ours_is_flat_as_the_providers_are() -> None:
    told = json.loads(WIRE.error_event(ShuttingDown(), "r").split(b"data: ")[1])
    assert (told["type"], told["code"], told["param"]) == ("error", "shutting_down", None)
    assert told["message"]
