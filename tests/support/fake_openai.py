"""OpenAI as a fake: what its answers, streams and errors look like to its SDK 3.54.0 and 2.54.0.

The costs beside the answers are worked out by hand for gpt-6-sol: input 2, cached 0.20, cache write 2.5, output
10 micros a token; what was cached or written is part of the prompt count.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import fake_openai_media, fake_openai_responses
from tests.support.fake_kept import KeptResponses
from tests.support.fake_openai_responses import Responses
from tests.support.fake_provider import (
    Answer,
    Call,
    FakeProvider,
    Gate,
    HangUp,
    Part,
    Responder,
    answer_json,
    serve_provider,
)
from tests.support.fake_videos import Films
from tests.support.gateway import OPERATOR_KEYS

MODEL = "gpt-6-sol"
RECORDED = Path(__file__).parents[1] / "recorded"

TEXT = "Hello there."
USAGE = {
    "prompt_tokens": 4020,
    "completion_tokens": 316,
    "total_tokens": 4336,
    "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 3012},
    "completion_tokens_details": {"reasoning_tokens": 200},
}
COST_MICROS = 10_906
"""8 x 2 + 1000 x 0.20 + 3012 x 2.5 + 316 x 10 = 16 + 200 + 7530 + 3160 = 10906."""

RECORDED_COST_MICROS = 13_206
"""The recorded stream: 8 x 2 + 4012 x 2.5 + 316 x 10 = 16 + 10030 + 3160 = 13206."""

SMALL_COST_MICROS = 132
"""`small_answer`: 16 x 2 + 10 x 10 = 132."""

HEADERS = (
    ("x-request-id", "req_1"),
    ("openai-processing-ms", "120"),
    ("openai-version", "2020-10-01"),
    ("openai-organization", "org-of-the-operator"),
    ("x-ratelimit-remaining-requests", "999"),
)
RESPONSES = Responses(MODEL, fake_openai_responses.USAGE, HEADERS)


@contextmanager
def serve_openai(respond: Responder | None = None) -> Generator[FakeProvider]:
    """A fake OpenAI that takes the operator's key alone, and answers as it does or as told. Base URL: `<origin>/v1`."""
    films, kept = Films(), KeptResponses(RESPONSES)

    def usual(call: Call) -> Answer:
        return films.respond("openai", call) or kept.respond(call) or _respond(call)

    with serve_provider(_refuse, respond or usual) as provider:
        yield provider


def refusal(status: int, message: str = "as scripted", code: str | None = None, **headers: str) -> Answer:
    """An error in the provider's shape."""
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return answer_json(body, status=status, headers=(*HEADERS, *headers.items()))


def small_answer(*, gate: Gate | None = None) -> Answer:
    """A whole answer that costs `SMALL_COST_MICROS`."""
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    usage = {"prompt_tokens": 16, "completion_tokens": 10, "total_tokens": 26}
    return answer_json(_completion(message, "stop", usage), headers=HEADERS, gate=gate)


def recorded_stream(name: str) -> Answer:
    """A stream as text file, in one piece."""
    return _stream([(RECORDED / name).read_bytes()])


def text_stream(
    *, include_usage: bool, gate: Gate | None = None, words: Sequence[str] = ("Hello", " there.")
) -> Answer:
    """A stream of text; at `gate` it waits after the first word. The usage chunk comes only if asked for."""
    extra: dict[str, Any] = {"usage": None} if include_usage else {}
    parts: list[Part] = [_chunk([_choice({"role": "assistant", "content": ""})], **extra)]
    for number, word in enumerate(words):
        if number == 1 and gate is not None:
            parts.append(gate)
        parts.append(_chunk([_choice({"content": word})], **extra))
    parts.append(_chunk([_choice({}, "stop")], **extra))
    if include_usage:
        parts.append(_chunk([], usage=USAGE))
    return _stream([*parts, b"data: [DONE]\n\n"])


def broken_off_stream() -> Answer:
    """A stream of text whose connection breaks after the last word."""
    return _stream(
        [_chunk([_choice({"content": word})], usage=None) for word in ("Hello", " there.")] + [HangUp()]
    )


def _refuse(call: Call) -> Answer | None:
    if call.header("authorization") == [f"Bearer {OPERATOR_KEYS['openai']}"]:
        return None
    return refusal(401, "Incorrect API key provided", "invalid_api_key")


def _respond(call: Call) -> Answer:
    path = call.target.partition("?")[0]
    if call.method == "GET" and path.startswith("/v1/models"):
        return _listed(path)
    if path == "/v1/responses":
        return RESPONSES.respond(call)
    if path in fake_openai_media.ANSWERS:
        return fake_openai_media.ANSWERS[path](call)
    if path != "/v1/chat/completions" or call.method != "POST":
        return refusal(404, f"no such path: {call.target}")
    asked: Any = call.json
    if asked["model"] != MODEL:
        return refusal(404, f"The model `{asked['model']}` does not exist", "model_not_found")
    wants_tool = bool(asked.get("tools")) and asked["messages"][-1]["role"] != "tool"
    if asked.get("stream"):
        if wants_tool:
            return recorded_stream("openai_tool_call_without_done.sse")
        return text_stream(include_usage=asked.get("stream_options", {}).get("include_usage") is True)
    message: dict[str, Any] = {"role": "assistant", "content": TEXT, "refusal": None}
    if wants_tool:
        function = {"name": "get", "arguments": '{"q": 1}'}
        message |= {
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    whole = _completion(message, "tool_calls" if wants_tool else "stop", USAGE)
    return answer_json(whole, headers=HEADERS)


def _listed(path: str) -> Answer:
    model = {"id": MODEL, "object": "model", "created": 1790000000, "owned_by": "openai"}
    if path == "/v1/models":
        return answer_json({"object": "list", "data": [model]}, headers=HEADERS)
    if path == f"/v1/models/{MODEL}":
        return answer_json(model, headers=HEADERS)
    return refusal(404, "no such model", "model_not_found")


def _completion(message: dict[str, Any], finish_reason: str, usage: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    return {**_frame("chat.completion"), "choices": [choice], "usage": usage}


def _frame(kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1790000000,
        "model": MODEL,
        "service_tier": "default",
    }


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(choices: list[dict[str, Any]], **more: object) -> bytes:
    return f"data: {json.dumps({**_frame('chat.completion.chunk'), 'choices': choices, **more})}\n\n".encode()


def _stream(parts: list[Part]) -> Answer:
    return Answer(parts, content_type="text/event-stream; charset=utf-8", headers=HEADERS, stream=True)
