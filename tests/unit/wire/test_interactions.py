"""Google's Interactions API: what is asked, what the meter makes of the answers, and what the gateway says itself."""

import base64
import json
from typing import Any

import pytest

from qlaud.core.errors import BadRequest, KeyCapExceeded, UnsupportedField
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.gemini_media import IMAGE_TOKENS
from qlaud.wire.gemini_tools import COMPUTER_TOKENS, TOOL_PROMPT_TOKENS
from qlaud.wire.interactions import InteractionsWire
from qlaud.wire.types import AnswerHead, Asked, Changes, ModelCall, Tap

WIRE = InteractionsWire()
MODEL = "gemini-3.8-flash"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(3000)).decode()
PDF = base64.b64encode(b"%PDF-1.7" + bytes(3000)).decode()
PICTURE = {"type": "image", "data": PNG, "mime_type": "image/png"}
EVENTS, JSON = b"text/event-stream", b"application/json"
INPUT_BOUND = 777
CAP = KeyCapExceeded(cap_micros=1, spent_micros=1, held_micros=0)


def read_bytes(body: bytes) -> ModelCall:
    return WIRE.read_call(Asked(body=body))


def read(**fields: object) -> ModelCall:
    return read_bytes(json.dumps({"model": MODEL, **fields}, separators=(",", ":")).encode())


def test_the_fields_that_matter_are_read() -> None:
    call = read(input="hi", stream=True, generation_config={"max_output_tokens": 50}, service_tier="flex")
    demand = call.demand
    assert (call.model, call.stream, demand.max_output, demand.tier) == (MODEL, True, 50, "flex")
    assert (demand.whole_context, demand.unbounded_tool, call.account_resource) == (False, None, None)
    camel = read(
        input="hi", generationConfig={"maxOutputTokens": 50}, systemInstruction="be brief", store=False
    )
    assert (camel.demand.max_output, camel.demand.unbounded_tool) == (50, None)
    assert read(model="models/gemini-x", input="hi").model == "gemini-x"


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b'{"model":5}',
        b'{"model":"m","generation_config":{"max_output_tokens":5,"maxOutputTokens":9}}',
        b'{"model":"m","previous_interaction_id":null,"generationConfig":{},"generation_config":{"x":1}}',
        b'{"model":"m","input":{"type":"image","type":"document","data":""}}',
        b'{"model":"m","tools":[{"type":"function","type":"google_search"}]}',
        b'{"model":"m","tools":[5]}',
        b'{"model":"m","tools":{"type":"function"}}',
    ],
)
def test_what_cannot_be_understood_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest):
        read_bytes(text)


@pytest.mark.parametrize("fields", [{"background": True}, {"agent": "deep-research"}])
def test_what_goes_on_without_its_caller_is_not_offered(fields: dict[str, object]) -> None:
    with pytest.raises(UnsupportedField, match="not offered"):
        read(input="hi", **fields)


@pytest.mark.parametrize(
    ("fields", "resource"),
    [
        ({"previous_interaction_id": "v1_abc"}, "previous_interaction_id"),
        ({"cached_content": "cachedContents/x"}, "cached_content"),
        ({"environment": "environments/x"}, "environment"),
        ({"tools": [{"type": "file_search", "file_search_store_names": ["x"]}]}, "file_search"),
        ({"tools": [{"type": "retrieval"}]}, "retrieval"),
        (
            {"input": [{"type": "video", "uri": "https://generativelanguage.googleapis.com/v1/files/x"}]},
            "uri",
        ),
        ({"input": [{"type": "document", "uri": "files/x"}]}, "uri"),
        ({"input": [{"type": "video", "uri": "https://youtu.be/x"}]}, None),
        ({"input": [["uri"]]}, "uri"),
        ({"continuation_token": "opaque"}, None),
    ],
)
def test_input_that_is_not_in_the_body_counts_as_the_whole_context(
    fields: dict[str, Any], resource: str | None
) -> None:
    call = read(**fields)
    assert (call.demand.whole_context, call.account_resource) == (True, resource)


@pytest.mark.parametrize(
    "given",
    [
        PICTURE,
        [PICTURE],
        [{"type": "user_input", "content": [PICTURE]}],
        [{"role": "user", "content": PICTURE}],
        [{"type": "model_output", "content": [{"type": "text", "text": "x"}, PICTURE]}],
        [{"type": "function_result", "call_id": "c", "result": [PICTURE]}],
        [{"type": "thought", "summary": [PICTURE], "signature": "c2ln"}],
    ],
)
def test_a_picture_is_found_wherever_it_stands(given: object) -> None:
    demand = read(input=given).demand
    assert IMAGE_TOKENS <= demand.input_tokens < IMAGE_TOKENS + 400
    assert not demand.whole_context


@pytest.mark.parametrize(
    "given",
    [
        [{"type": "document", "data": PDF, "mime_type": "application/pdf"}],
        [{**PICTURE, "data": PDF}],
        [{**PICTURE, "processing": {"type": "agentic"}}],
        [{"type": "audio", "data": PDF}],
        [{"type": "image"}],
        [{"type": "new_thing"}],
        [{"text": "no type"}],
        [5],
        [{"type": "url_context_result", "result": []}],
    ],
)
def test_what_nothing_bounds_counts_as_the_whole_context(given: object) -> None:
    assert read(input=given).demand.whole_context


def test_text_and_calls_are_bounded_by_their_bytes() -> None:
    call = {"type": "function_call", "id": "c", "name": "f", "arguments": {"data": PNG}}
    result = {"type": "function_result", "call_id": "c", "result": {"data": PNG, "uri": "x"}}
    given = [{"type": "text", "text": "\u00e9" * 100}, call, result]
    body = json.dumps({"model": MODEL, "input": given}).encode()
    demand = read_bytes(body).demand
    assert (demand.input_tokens, demand.whole_context) == (len(body), False)


@pytest.mark.parametrize(
    ("tool", "model", "searches", "unbounded"),
    [
        ("function", MODEL, 0, None),
        ("google_search", "gemini-2.5-flash", 1, None),
        ("google_search", MODEL, 0, "google_search"),
        ("google_maps", MODEL, 0, "google_maps"),
        ("mcp_server", "gemini-2.5-flash", 0, "mcp_server"),
        ("", MODEL, 0, "tools"),
    ],
)
def test_searches_are_bounded_where_they_are_billed_by_the_request(
    tool: str, model: str, searches: int, unbounded: str | None
) -> None:
    demand = read(model=model, tools=[{"type": tool}]).demand
    assert (demand.most.get("web_searches", 0), demand.unbounded_tool) == (searches, unbounded)
    assert demand.whole_context == (searches > 0)


def test_tools_and_members_that_cost_more_are_counted() -> None:
    plain = read(input="hi").demand.input_tokens
    assert read(input="hi", tools=[{"type": "function"}]).demand.input_tokens >= plain + TOOL_PROMPT_TOKENS
    assert read(input="hi", tools=[{"type": "computer_use"}]).demand.input_tokens >= plain + COMPUTER_TOKENS
    assert read(input="hi", tools=[{"type": "code_execution"}]).demand.whole_context
    assert read(input="hi", webhook_config={"uris": []}).demand.unbounded_tool == "webhookConfig"


def rewritten(text: bytes, **changes: object) -> bytes:
    return WIRE.rewrite(text, read_bytes(text), Changes(**changes))  # type: ignore[arg-type]


def test_only_what_must_change_is_changed() -> None:
    for text, after in (
        (b'{"model":"m", "x": 1.0}', b'{"generation_config":{"max_output_tokens":9},"model":"m", "x": 1.0}'),
        (
            b'{"model":"m","generation_config":null}',
            b'{"model":"m","generation_config":{"max_output_tokens":9}}',
        ),
        (
            b'{"model":"m","generation_config":{"seed":1}}',
            b'{"model":"m","generation_config":{"max_output_tokens":9,"seed":1}}',
        ),
        (
            b'{"model":"m","generationConfig":{"maxOutputTokens":50}}',
            b'{"model":"m","generationConfig":{"maxOutputTokens":9}}',
        ),
    ):
        assert rewritten(text, max_output=9) == after
        assert read_bytes(after).demand.max_output == 9
        assert rewritten(after, max_output=9) is after
    assert rewritten(b'{"model":"m"}', model="n") == b'{"model":"n"}'


def tap_of(kind: bytes = EVENTS, **fields: object) -> Tap:
    call = read(input="hi", stream=kind is EVENTS, **fields)
    return WIRE.tap(call, strip_usage=False, head=AnswerHead(200, [(b"content-type", kind)]))


def run(tap: Tap, answer: bytes, size: int = 0) -> Metered:
    size = size or max(1, len(answer))
    relayed = b"".join(tap.feed(answer[at : at + size]) for at in range(0, len(answer), size))
    assert relayed + tap.finish() == answer
    return tap.outcome(input_bound=INPUT_BOUND)


def event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({**fields, 'event_type': name})}\n\n".encode()


def text_delta(text: str, **fields: object) -> bytes:
    return event("step.delta", index=0, delta={"type": "text", "text": text}, **fields)


def interaction(**fields: object) -> dict[str, object]:
    return {"id": "v1_a", "model": MODEL, "object": "interaction", "status": "completed", **fields}


USAGE = {
    "total_input_tokens": 776,
    "total_cached_tokens": 512,
    "total_output_tokens": 51,
    "total_thought_tokens": 246,
    "total_tool_use_tokens": 132,
    "total_tokens": 1205,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 700}, {"modality": "image", "tokens": 76}],
    "output_tokens_by_modality": [{"modality": "audio", "tokens": 11}],
    "grounding_tool_count": [{"type": "google_search", "count": 3}, {"type": "google_maps", "count": 1}],
}
REPORT = {"total_input_tokens": 9, "total_output_tokens": 4, "total_thought_tokens": 5}
EXPECTED = Usage(
    320,
    cache_read_tokens=512,
    image_in_tokens=76,
    output_tokens=286,
    reasoning_tokens=246,
    audio_out_tokens=11,
    web_searches=4,
    tier="standard",
    served_model=MODEL,
    detail={"google_search_count": 3, "google_maps_count": 1},
)
STEPS = [{"type": "model_output", "content": [{"type": "text", "text": "Hello there."}]}]


def whole_stream(usage: object = USAGE) -> bytes:
    return b"".join(
        (
            event("interaction.created", interaction=interaction(status="in_progress")),
            event("step.start", index=0, step={"type": "model_output"}),
            text_delta("Hello", metadata={"total_usage": {"total_input_tokens": 8}}),
            text_delta(" there."),
            event("step.stop", index=0),
            event("interaction.completed", interaction=interaction(usage=usage, service_tier="standard")),
        )
    )


@pytest.mark.parametrize("size", [0, 1, 9])
def test_a_stream_and_a_body_are_metered_alike(size: int) -> None:
    tap = tap_of()
    assert run(tap, whole_stream(), size) == Exact(EXPECTED)
    assert (tap.started, tap.complete, tap.output_floor) == (True, True, 297)
    body = json.dumps(interaction(steps=STEPS, usage=USAGE, service_tier="standard")).encode()
    assert run(tap_of(JSON), body, size) == Exact(EXPECTED)


def test_up_to_gemini_2_a_grounded_call_costs_one_fee_for_each_kind() -> None:
    body = json.dumps({**interaction(steps=STEPS, usage=USAGE), "model": "gemini-2.5-flash"}).encode()
    found = run(tap_of(JSON), body)
    assert isinstance(found, Exact)
    assert (found.usage.web_searches, found.usage.detail["google_search_count"]) == (2, 3)


def test_what_broke_off_costs_what_was_seen() -> None:
    stream = whole_stream()
    cut = stream[: stream.index(b"event: interaction.completed")]
    assert run(tap_of(), cut) == AtLeast(Usage(8, output_tokens=12, served_model=MODEL))
    running = text_delta("x", metadata={"total_usage": {"total_input_tokens": 9, "total_output_tokens": 40}})
    assert run(tap_of(), cut + running) == AtLeast(Usage(9, output_tokens=40, served_model=MODEL))
    assert run(tap_of(), text_delta("Hello")) == AtLeast(Usage(INPUT_BOUND, output_tokens=5))
    thought = event("step.delta", index=0, delta={"type": "thought_summary", "content": {"text": "Hm"}})
    signature = event("step.delta", index=0, delta={"type": "thought_signature", "signature": "c2ln"})
    told = event("step.delta", index=0, delta={"type": "text", "text": "x"}, metadata={"total_usage": REPORT})
    for size in (0, 1):
        assert run(tap_of(), thought + signature, size) == AtLeast(Usage(INPUT_BOUND, output_tokens=2))
        found = run(tap_of(), thought + thought + told + thought, size)
        assert found == AtLeast(Usage(9, output_tokens=4 + 5 + 2, reasoning_tokens=5))
    call = event("step.delta", index=1, delta={"type": "arguments_delta", "arguments": '{"q":1}'})
    assert run(tap_of(), thought + call) == AtLeast(Usage(INPUT_BOUND, output_tokens=2 + len('{\\"q\\":1}')))


def test_no_usage_at_all_is_an_estimate_and_an_error_costs_nothing() -> None:
    found = run(tap_of(), whole_stream(usage=None).replace(b'"total_input_tokens"', b'"x"'))
    assert found == AtLeast(Usage(INPUT_BOUND, output_tokens=12, tier="standard", served_model=MODEL))
    body = json.dumps(interaction(steps=STEPS)).encode()
    assert run(tap_of(JSON), body) == AtLeast(Usage(INPUT_BOUND, output_tokens=12, served_model=MODEL))
    cut = run(tap_of(JSON), body[: body.index(b" there")])
    assert cut == AtLeast(Usage(INPUT_BOUND, output_tokens=5))
    error = {"code": "overloaded", "message": "later"}
    assert run(tap_of(), event("error", error=error)) == Nothing()
    assert run(tap_of(JSON), json.dumps({"error": error}).encode()) == Nothing()
    assert run(tap_of(JSON), b"") == Nothing()


@pytest.mark.parametrize("size", [50, 200_000])
def test_pictures_of_any_size_are_metered_by_the_usage(size: int) -> None:
    details = [{"modality": "image", "tokens": 1290}]
    usage = {"total_input_tokens": 5, "total_output_tokens": 1290, "output_tokens_by_modality": details}
    delta = event(
        "step.delta", index=0, delta={"type": "image", "data": "A" * size, "mime_type": "image/png"}
    )
    stream = delta + event("interaction.completed", interaction=interaction(usage=usage))
    expected = Exact(Usage(5, image_out_tokens=1290, served_model=MODEL))
    assert run(tap_of(), stream, 30_000) == expected
    broken = run(tap_of(), delta, 30_000)
    assert broken == AtLeast(Usage(INPUT_BOUND, image_out_tokens=1290))


def test_usage_in_the_output_is_content() -> None:
    lie = '"event_type":"interaction.completed","usage":{"total_input_tokens":1}'
    call = {"type": "arguments_delta", "arguments": lie}
    found = run(tap_of(), text_delta(lie) + event("step.delta", index=0, delta=call))
    assert found == AtLeast(Usage(INPUT_BOUND, output_tokens=2 * len(lie)))


@pytest.mark.parametrize(
    "text",
    [
        b"data: []\n\n",
        b'data: {"event_type":5}\n\n',
        b'data: {"event_type":"step.delta","delta":[],"metadata":5}\n\n',
        b'data: {"event_type":"interaction.completed","interaction":"x"}\n\n',
        b'data: {"event_type":"interaction.completed","interaction":{"usage":{"grounding_tool_count":[5,{}]}}}\n\n',
        b'{"steps":[5,{"type":"function_call"}],"usage":5}',
    ],
)
def test_nothing_a_provider_sends_raises(text: bytes) -> None:
    for kind in (EVENTS, JSON):
        for size in (0, 1):
            assert not isinstance(run(tap_of(kind), text, size), Exact)


def told(text: bytes) -> list[dict[str, Any]]:
    events = [one for one in text.decode().split("\n\n") if one]
    for one in events:
        name, data = one.split("\n")
        assert name == f"event: {json.loads(data[6:])['event_type']}"
    return [json.loads(one.split("\n")[1][6:]) for one in events]


def test_an_error_of_ours_is_an_error_event() -> None:
    (error,) = told(WIRE.error_event(CAP, "id"))
    assert (error["event_type"], error["error"]["code"]) == ("error", "key_cap_exceeded")


def test_a_stream_that_the_gateway_cuts_ends_as_an_incomplete_interaction() -> None:
    tap = tap_of()
    stream = whole_stream()
    tap.feed(stream[: stream.index(b"event: step.stop")])
    counted = Usage(5, cache_read_tokens=2, output_tokens=9, reasoning_tokens=4, image_out_tokens=3)
    stop, last = told(WIRE.length_stop(tap, counted))
    assert (stop["event_type"], stop["index"]) == ("step.stop", 0)
    assert (last["event_type"], last["interaction"]["status"], last["interaction"]["id"]) == (
        "interaction.completed",
        "incomplete",
        "v1_a",
    )
    usage = last["interaction"]["usage"]
    assert usage == {
        "total_input_tokens": 7,
        "total_cached_tokens": 2,
        "total_output_tokens": 8,
        "total_thought_tokens": 4,
        "total_tokens": 19,
    }
    assert told(WIRE.length_stop(tap))[-1]["interaction"]["usage"]["total_output_tokens"] == 2
    tap.feed(stream[stream.index(b"event: step.stop") :])
    assert WIRE.length_stop(tap) == b""
    assert WIRE.length_stop(tap_of(JSON)) == b""
    assert WIRE.error_message(b'{"error":{"message":"No."}}') == "No."
