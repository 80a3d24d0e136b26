"""Anthropic's Messages API as a fake: what its answers, streams and errors look like to its SDK 2.12.0 and 0.125.0.

The costs beside the answers are worked out by hand for claude-opus-5-5: input 4, cache write 5 (5 min) and 8 (1 h),
cache read 0.20, output 20 micros a token.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.fake_batches import Batches
from tests.support.fake_provider import (
    Answer,
    Call,
    FakeProvider,
    Gate,
    HangUp,
    Part,
    answer_json,
    serve_provider,
)
from tests.support.gateway import OPERATOR_KEYS

MODEL = "claude-opus-5-5"
RECORDED = Path(__file__).parents[1] / "recorded"

TEXT = "Hello there."
TEXT_USAGE = {
    "input_tokens": 16,
    "cache_creation_input_tokens": 7049,
    "cache_read_input_tokens": 13637,
    "cache_creation": {"ephemeral_5m_input_tokens": 49, "ephemeral_1h_input_tokens": 7000},
    "output_tokens": 344,
    "output_tokens_details": {"thinking_tokens": 33},
    "service_tier": "standard",
    "inference_geo": "global",
}
TEXT_COST_MICROS = 65_917
"""16 x 4 + 49 x 5 + 7000 x 8 + 13637 x 0.20 + 344 x 20 = 64 + 245 + 56000 + 2727.4 + 6880 = 65916.4, rounded up."""

TOOL_COST_MICROS = 13_654
"""The recorded stream, by its last counts: 1591 x 4 + 2048 x 0.20 + 344 x 20 = 6364 + 409.6 + 6880 = 13653.6."""

STREAM_INPUT = {"input_tokens": 16, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 2048}
STREAM_COST_MICROS = 714
"""`text_stream`: 16 x 4 + 2048 x 0.20 + 12 x 20 = 64 + 409.6 + 240 = 713.6."""
SMALL_COST_MICROS = 264
"""`small_answer`: 16 x 4 + 10 x 20 = 264."""

HEADERS = (
    ("request-id", "req_01A"),
    ("anthropic-organization-id", "org-of-the-operator"),
    ("anthropic-ratelimit-requests-remaining", "999"),
)
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@contextmanager
def serve_anthropic() -> Generator[FakeProvider]:
    """A fake Anthropic that takes the operator's key alone."""
    batches = Batches(TEXT_USAGE)

    def respond(call: Call) -> Answer:
        batch = batches.respond(call)
        return _respond(call) if batch is None else batch

    with serve_provider(_refuse, respond) as provider:
        yield provider


def refusal(status: int, message: str = "as scripted", **headers: str) -> Answer:
    """An error in the provider's shape."""
    kind = ERROR_TYPES.get(status, "invalid_request_error")
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_01E"}
    return answer_json(body, status=status, headers=(*HEADERS, *headers.items()))


def small_answer(*, gate: Gate | None = None) -> Answer:
    """A whole answer that costs `SMALL_COST_MICROS`."""
    usage = {"input_tokens": 16, "output_tokens": 10}
    message = _message([{"type": "text", "text": TEXT}], usage, "end_turn")
    return answer_json(message, headers=HEADERS, gate=gate)


def answer_to_the_limit(call: Call, *, gate: Gate | None = None) -> Answer:
    """A whole answer that is as long as was allowed: it costs 64 + 20 x max_tokens micros."""
    usage = {"input_tokens": 16, "output_tokens": call.json["max_tokens"]}
    message = _message([{"type": "text", "text": TEXT}], usage, "max_tokens")
    return answer_json(message, headers=HEADERS, gate=gate)


def recorded_stream(name: str) -> Answer:
    """A stream as text file, in one piece."""
    return _stream([(RECORDED / name).read_bytes()])


def text_stream(*, gate: Gate | None = None, words: Sequence[str] = ("Hello", " there.")) -> Answer:
    """A stream of text; at `gate` it waits after the first word."""
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    tail = [
        _event("content_block_stop", index=0),
        _event("message_delta", delta=stop, usage={**STREAM_INPUT, "output_tokens": 12}),
        _event("message_stop"),
    ]
    return _stream([*_opening(words, gate), *tail])


def breaking_stream(message: str, words: Sequence[str] = ("Hello", " there.")) -> Answer:
    """A stream of text that ends in an error event."""
    error = {"type": "overloaded_error", "message": message}
    return _stream([*_opening(words, None), _event("error", error=error)])


def broken_off_stream() -> Answer:
    """A stream of text whose connection breaks after the last word."""
    return _stream([*_opening(("Hello", " there."), None), HangUp()])


def _opening(words: Sequence[str], gate: Gate | None) -> list[Part]:
    """A text stream up to its last word."""
    parts: list[Part] = [
        _event("message_start", message=_message([], {**STREAM_INPUT, "output_tokens": 1}, None)),
        _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        _event("ping"),
    ]
    for number, word in enumerate(words):
        if number == 1 and gate is not None:
            parts.append(gate)
        parts.append(_event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}))
    return parts


def _refuse(call: Call) -> Answer | None:
    key = OPERATOR_KEYS["anthropic"]
    if (call.header("x-api-key"), call.header("authorization")) in (([key], []), ([], [f"Bearer {key}"])):
        return None  # the generations of its SDK differ
    return refusal(401, "invalid x-api-key")


def _respond(call: Call) -> Answer:
    path = call.target.partition("?")[0]
    asked: Any = call.json if call.method == "POST" else None
    if path == "/v1/messages/count_tokens":
        return answer_json({"input_tokens": 2095}, headers=HEADERS)
    if call.method == "GET" and path.startswith("/v1/models"):
        return _listed(path)
    if path != "/v1/messages":
        return refusal(404, f"no such path: {path}")
    if "max_tokens" not in asked:
        return refusal(400, "max_tokens: Field required")
    if asked["model"] != MODEL:
        return refusal(404, f"model: {asked['model']}")
    if asked.get("tools") and not _has_tool_result(asked):
        if asked.get("stream"):
            return recorded_stream("anthropic_thinking_tool.sse")
        use = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"q": 1}}
        return answer_json(_message([use], TEXT_USAGE, "tool_use"), headers=HEADERS)
    if asked.get("stream"):
        return text_stream()
    return answer_json(_message([{"type": "text", "text": TEXT}], TEXT_USAGE, "end_turn"), headers=HEADERS)


def _listed(path: str) -> Answer:
    model = {"type": "model", "id": MODEL, "display_name": MODEL, "created_at": "2026-10-21T00:00:00Z"}
    if path == "/v1/models":
        listed = {"data": [model], "has_more": False, "first_id": MODEL, "last_id": MODEL}
        return answer_json(listed, headers=HEADERS)
    if path == f"/v1/models/{MODEL}":
        return answer_json(model, headers=HEADERS)
    return refusal(404, "no such model")


def compatible(asked: Any, model: str, usage: dict[str, Any], *, gate: Gate | None = None) -> Answer:
    """An answer on the same wire by another vendor's model: one usage, in streams told at both ends."""
    wants_tool = bool(asked.get("tools")) and not _has_tool_result(asked)
    block: dict[str, Any] = {"type": "text", "text": TEXT}
    if wants_tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"q": 1}}
    reason = "tool_use" if wants_tool else "end_turn"
    if not asked.get("stream"):
        return answer_json({**_message([block], usage, reason), "model": model}, gate=gate)
    opened = {**_message([], {**usage, "output_tokens": 1}, None), "model": model}
    pieces = [{"type": "text_delta", "text": word} for word in ("Hello", " there.")]
    if wants_tool:
        pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"q"', ": 1}")]
        block = {**block, "input": {}}
    else:
        block = {**block, "text": ""}
    first, second = (_event("content_block_delta", index=0, delta=piece) for piece in pieces)
    stop = {"stop_reason": reason, "stop_sequence": None}
    parts: list[Part] = [
        _event("message_start", message=opened),
        _event("content_block_start", index=0, content_block=block),
        first,
        *([gate] if gate else []),
        second,
        _event("content_block_stop", index=0),
        _event("message_delta", delta=stop, usage=usage),
        _event("message_stop"),
    ]
    return Answer(parts, content_type="text/event-stream; charset=utf-8", stream=True)


def _has_tool_result(asked: Any) -> bool:
    content = asked["messages"][-1]["content"]
    return isinstance(content, list) and any(block["type"] == "tool_result" for block in content)


def _message(content: list[Any], usage: dict[str, Any], stop_reason: str | None) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _event(name: str, **fields: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def _stream(parts: list[Part]) -> Answer:
    return Answer(parts, content_type="text/event-stream; charset=utf-8", headers=HEADERS, stream=True)
