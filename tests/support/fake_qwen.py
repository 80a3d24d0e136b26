"""Alibaba's Qwen as a fake: DashScope's own wire and OpenAI's and Anthropic's beside it.

Its own streams have lines without a space after the colon and repeat the text so far unless asked not to; usage
is in every frame. The costs are worked out by hand for qwen3.8-max: input 2, cached 0.25, output 6 micros a
token; qwen-image-3.0 at 30000 a picture; qwen3-tts-flash at 10 a character.
"""

import base64
import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_anthropic import compatible
from tests.support.fake_chat import TEXT, Dialect
from tests.support.fake_openai_responses import Responses
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, Part, answer_json, serve_provider
from tests.support.fake_videos import Films, open_to_all
from tests.support.gateway import OPERATOR_KEYS

MODEL, PAINTER, SPEAKER, EMBEDDER = "qwen3.8-max", "qwen-image-3.0", "qwen3-tts-flash", "text-embedding-v4"
TEXT_PATH = "/api/v1/services/aigc/text-generation/generation"
MULTIMODAL_PATH = "/api/v1/services/aigc/multimodal-generation/generation"
EMBEDDING_PATH = "/api/v1/services/embeddings/text-embedding/text-embedding"

NATIVE_USAGE = {
    "input_tokens": 287,
    "output_tokens": 30,
    "total_tokens": 317,
    "output_tokens_details": {"reasoning_tokens": 10},
    "prompt_tokens_details": {"cached_tokens": 100},
}
NATIVE_COST_MICROS = 579
"""187 x 2 + 100 x 0.25 + 30 x 6 = 374 + 25 + 180."""
FIRST_USAGE = {**NATIVE_USAGE, "output_tokens": 1, "total_tokens": 288}

QWEN = Dialect(
    "qwen",
    MODEL,
    {
        "prompt_tokens": 300,
        "completion_tokens": 30,
        "total_tokens": 330,
        "completion_tokens_details": {"reasoning_tokens": 12, "text_tokens": 18},
        "prompt_tokens_details": {"cached_tokens": 100, "text_tokens": 300},
    },
    paths=("/compatible-mode/v1/chat/completions",),
    headers=(("x-request-id", "r-1"),),
    thoughts="Look it up.",
)
RESPONSES = Responses(
    MODEL,
    {
        "input_tokens": 300,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 330,
        "x_details": [
            {
                "input_tokens": 300,
                "output_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 100},
                "x_billing_type": "response_api",
            }
        ],
    },
)
"""What was cached stands in `x_details` alone."""
COST_MICROS = 605
"""200 x 2 + 100 x 0.25 + 30 x 6 = 400 + 25 + 180."""
MESSAGES_USAGE = {
    "input_tokens": 187,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 100,
    "output_tokens": 30,
}
"""Costs what its own wire does: `NATIVE_COST_MICROS`."""
EMBEDDING_COST_MICROS = 18
"""250 x 0.07 = 17.5, rounded up."""
PICTURE_COST_MICROS = 30_000
SPEECH_COST_MICROS = 340
"""34 characters, as it counts them, x 10."""
SPEECH = b"RIFF" + bytes(range(256)) * 4
EMBEDDING = [0.25, -0.5, 0.125]


def refusal(status: int, message: str = "as scripted", code: str = "InvalidParameter") -> Answer:
    """An error in the shape of its own wire."""
    return answer_json({"code": code, "message": message, "request_id": "r-1"}, status=status)


def native_stream(*, incremental: bool = True, wants_tool: bool = False, gate: Gate | None = None) -> Answer:
    """A stream on its own wire."""
    words = ("Hello", " there.") if incremental else ("Hello", TEXT)
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": word} for word in words]
    if wants_tool:
        messages[1] = {"role": "assistant", "content": "", "tool_calls": [_tool_call()]}
    reason = "tool_calls" if wants_tool else "stop"
    parts: list[Part] = [
        _frame(1, messages[0], "null", FIRST_USAGE),
        *([gate] if gate else []),
        _frame(2, messages[1], reason, NATIVE_USAGE),
    ]
    return Answer(parts, content_type="text/event-stream;charset=UTF-8", stream=True)


def speech_stream(*, gate: Gate | None = None) -> Answer:
    """Speech in two pieces, and where it can be fetched as one; every frame tells what was used so far."""
    pieces = [(SPEECH[:500], 20, ""), (SPEECH[500:], 34, ""), (b"", 34, "https://example.com/1.wav")]
    parts: list[Part] = []
    for number, (piece, characters, url) in enumerate(pieces):
        if number == 1 and gate is not None:
            parts.append(gate)
        audio = {"data": base64.b64encode(piece).decode(), "url": url, "id": "a-1", "expires_at": 1790000000}
        output = {"finish_reason": "stop" if url else "null", "audio": audio}
        body = {"output": output, "usage": {"characters": characters}, "request_id": "r-1"}
        parts.append(f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(body)}\n\n".encode())
    return Answer(parts, content_type="text/event-stream;charset=UTF-8", stream=True)


def _frame(number: int, message: dict[str, Any], reason: str, usage: dict[str, Any]) -> bytes:
    body = {"output": _output(message, reason), "usage": usage, "request_id": "r-1"}
    return f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{json.dumps(body)}\n\n".encode()


def _output(message: dict[str, Any], reason: str) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": reason}]}


def _tool_call() -> dict[str, Any]:
    function = {"name": "get", "arguments": '{"q": 1}'}
    return {"id": "call_1", "type": "function", "index": 0, "function": function}


def _refuse(call: Call) -> Answer | None:
    key = OPERATOR_KEYS["qwen"]
    if call.header("authorization") == [f"Bearer {key}"] or call.header("x-api-key") == [key]:
        return None
    if call.path.startswith("/compatible-mode/"):
        return QWEN.refusal(401, "Incorrect API key provided.", "invalid_api_key")
    return refusal(401, "Invalid API-key provided.", "InvalidApiKey")


def _respond(call: Call) -> Answer:
    asked = call.json
    if call.path == "/compatible-mode/v1/responses":
        return RESPONSES.respond(call)
    if call.path == "/compatible-mode/v1/embeddings":
        row = {"object": "embedding", "index": 0, "embedding": EMBEDDING}
        usage = {"prompt_tokens": 250, "total_tokens": 250}
        return answer_json({"object": "list", "data": [row], "model": EMBEDDER, "usage": usage})
    if call.path == "/apps/anthropic/v1/messages":
        return compatible(asked, MODEL, MESSAGES_USAGE)
    if call.path == EMBEDDING_PATH:
        rows = [{"embedding": EMBEDDING, "text_index": 0}]
        return _native({"embeddings": rows}, {"total_tokens": 250})
    if call.path == MULTIMODAL_PATH and asked["model"] == PAINTER:
        message = {"role": "assistant", "content": [{"image": "https://example.com/1.png"}]}
        usage = {"output_image_count": 1, "output_width": 1024, "output_height": 1024, "input_image_count": 0}
        return _native(_output(message, "stop"), usage)
    if call.path == MULTIMODAL_PATH and asked["model"] == SPEAKER:
        if call.header("x-dashscope-sse") == ["enable"]:
            return speech_stream()
        audio = {"url": "https://example.com/1.wav", "data": "", "id": "a-1", "expires_at": 1790000000}
        return _native({"finish_reason": "stop", "audio": audio}, {"characters": 34})
    if call.path in (TEXT_PATH, MULTIMODAL_PATH):
        return _texted(call)
    return QWEN.respond(call)


def _texted(call: Call) -> Answer:
    asked = call.json
    if asked["model"] != MODEL:
        return refusal(404, "Model not exist.", "ModelNotFound")
    parameters = asked.get("parameters", {})
    wants_tool = bool(parameters.get("tools")) and asked["input"]["messages"][-1]["role"] != "tool"
    if call.header("x-dashscope-sse") == ["enable"]:
        return native_stream(incremental=parameters.get("incremental_output") is True, wants_tool=wants_tool)
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    if wants_tool:
        message |= {"content": "", "tool_calls": [_tool_call()]}
    return _native(_output(message, "tool_calls" if wants_tool else "stop"), NATIVE_USAGE)


def _native(output: dict[str, Any], usage: dict[str, Any]) -> Answer:
    return answer_json({"output": output, "usage": usage, "request_id": "r-1"})


@contextmanager
def serve_qwen() -> Generator[FakeProvider]:
    """A fake DashScope that takes the operator's key alone."""
    films = Films()

    def respond(call: Call) -> Answer:
        film = films.respond("qwen", call)
        return _respond(call) if film is None else film

    with serve_provider(open_to_all(_refuse), respond) as provider:
        yield provider
