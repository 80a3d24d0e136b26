"""Google's Gemini API as a fake: what its answers, streams and errors look like to google-genai 3 and 1.75.

Streams end their lines in CRLF, tell usage on almost every chunk (the last one counts) and have no end mark. The
costs are worked out by hand: gemini-3.5-flash at 1.5 input, 0.15 cached, 9 output micros a token (thoughts are
output, prompts of tools input); gemini-embedding-2 at 0.20; gemini-nano-banana-2.1 at 1.5 and 30 for what it
paints; gemini-3.1-flash-tts-preview at 1 and 20 for what it says.
"""

import base64
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support import fake_interactions
from tests.support.fake_chat import Dialect
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
from tests.support.fake_videos import Films
from tests.support.gateway import OPERATOR_KEYS

MODEL, EMBEDDER = "gemini-3.5-flash", "gemini-embedding-2"
PAINTER, SPEAKER = "gemini-nano-banana-2.1", "gemini-3.1-flash-tts-preview"
TEXT = "Hello there."
USAGE = {
    "promptTokenCount": 776,
    "cachedContentTokenCount": 512,
    "candidatesTokenCount": 51,
    "thoughtsTokenCount": 246,
    "toolUsePromptTokenCount": 132,
    "totalTokenCount": 1205,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 776}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 512}],
}
COST_MICROS = 3344
"""(776 - 512 + 132) x 1.5 + 512 x 0.15 + (51 + 246) x 9 = 594 + 76.8 + 2673 = 3343.8, rounded up."""
FIRST_USAGE = {"promptTokenCount": 776, "cachedContentTokenCount": 512, "totalTokenCount": 776}
"""Of every chunk of a stream but the last."""

HEADERS = (("server-timing", "gfet4t7; dur=1113"), ("x-gemini-service-tier", "standard"))
COMPATIBLE = "/v1beta/openai/"
CHAT = Dialect(
    "google",
    MODEL,
    {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
    paths=(f"{COMPATIBLE}chat/completions",),
    told_at=("every",),
    headers=HEADERS,
    whole_tool_calls=True,
)
"""Thoughts are in the total alone."""
COMPATIBLE_COST_MICROS = 719
"""35 x 1.5 + (109 - 35) x 9 = 52.5 + 666 = 718.5, rounded up."""

EMBEDDING = [0.25, -0.5, 0.125]
EMBEDDING_COST_MICROS = 7
"""35 x 0.20."""
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
PICTURE_COST_MICROS = 38_715
"""10 x 1.5 + 1290 x 30 = 15 + 38700."""
SPEECH = bytes(range(256)) * 8
SPEECH_USAGE = {
    "promptTokenCount": 12,
    "candidatesTokenCount": 150,
    "totalTokenCount": 162,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 150}],
}
SPEECH_COST_MICROS = 3012
"""12 x 1 + 150 x 20."""

STATUSES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
STATUSES |= {500: "INTERNAL", 503: "UNAVAILABLE"}
PATH = re.compile(r"/(v1|v1beta|v1alpha)/models/([^/]+):(\w+)")


@contextmanager
def serve_google() -> Generator[FakeProvider]:
    """A fake Gemini API that takes the operator's key alone."""
    films = Films()

    def respond(call: Call) -> Answer:
        film = films.respond("google", call)
        return _respond(call) if film is None else film

    with serve_provider(_refuse, respond) as provider:
        yield provider


def refusal(status: int, message: str = "as scripted", **headers: str) -> Answer:
    """An error in the provider's shape."""
    error = {"code": status, "message": message, "status": STATUSES.get(status, "UNKNOWN"), "details": []}
    return answer_json({"error": error}, status=status, headers=(*HEADERS, *headers.items()))


def text_stream(*, gate: Gate | None = None, breaks_off: bool = False) -> Answer:
    """A stream of text; at `gate` it waits after the first word."""
    parts: list[Part] = [_chunk([{"text": "Hello"}], FIRST_USAGE)]
    if gate is not None:
        parts.append(gate)
    if breaks_off:
        return _events([*parts, HangUp()])
    return _events([*parts, _chunk([{"text": " there."}], USAGE, "STOP")])


def speech_stream(*, gate: Gate | None = None) -> Answer:
    """Speech in two pieces; at `gate` it waits after the first. The last tells usage."""
    first = {"promptTokenCount": 12, "totalTokenCount": 12}
    parts: list[Part] = [_event(_spoken(SPEECH[:1024], first, None))]
    if gate is not None:
        parts.append(gate)
    return _events([*parts, _event(_spoken(SPEECH[1024:]))])


def _refuse(call: Call) -> Answer | None:
    """Google's own paths take the key in a header of theirs; those for OpenAI's SDK as that sends it."""
    own, bearer = call.header("x-goog-api-key"), call.header("authorization")
    given = (bearer, own) if call.path.startswith(COMPATIBLE) else (own, bearer)
    wanted = f"Bearer {OPERATOR_KEYS['google']}" if given[0] is bearer else OPERATOR_KEYS["google"]
    if given == ([wanted], []) and "key" not in call.query:
        return None
    return refusal(400, "API key not valid. Please pass a valid API key.")


def _respond(call: Call) -> Answer:
    if call.path.startswith(COMPATIBLE):
        return _as_openai(call)
    if call.path in ("/v1/interactions", "/v1beta/interactions"):
        return _interaction(call.json)
    found = PATH.fullmatch(call.path)
    if found is None:
        return refusal(404, f"no such path: {call.path}")
    model, verb, asked = found[2], found[3], call.json
    if verb in ("embedContent", "batchEmbedContents") and model == EMBEDDER:
        return _embedded(verb, asked)
    if model not in (MODEL, PAINTER, SPEAKER):
        return refusal(404, f"models/{model} is not found")
    if verb == "countTokens":
        return answer_json({"totalTokens": 31}, headers=HEADERS)
    if verb == "streamGenerateContent":
        return speech_stream() if model == SPEAKER else _streamed(call)
    if verb != "generateContent":
        return refusal(404, f"no such method: {verb}")
    if model == PAINTER:
        return answer_json(_painted(), headers=HEADERS)
    if model == SPEAKER:
        return answer_json(_spoken(), headers=HEADERS)
    parts = [_tool_part()] if _wants_tool(asked) else [{"text": TEXT}]
    return answer_json(_answer(parts, USAGE, "STOP"), headers=HEADERS)


def _interaction(asked: Any) -> Answer:
    """The Interactions API: the same model in other words."""
    if asked["model"] != MODEL:
        return refusal(404, f"no such model: {asked['model']}")
    return fake_interactions.respond(asked, HEADERS)


def _as_openai(call: Call) -> Answer:
    """What Google answers to OpenAI's SDK."""
    asked = call.json
    if call.path == f"{COMPATIBLE}embeddings" and asked["model"] == EMBEDDER:
        rows = [{"object": "embedding", "index": 0, "embedding": EMBEDDING}]
        usage = {"prompt_tokens": 35, "total_tokens": 35}
        return answer_json({"object": "list", "data": rows, "model": EMBEDDER, "usage": usage})
    return CHAT.respond(call)


def _streamed(call: Call) -> Answer:
    if _wants_tool(call.json):
        thought = {"text": "Look it up.", "thought": True}
        return _events([_chunk([thought], FIRST_USAGE), _chunk([_tool_part()], USAGE, "STOP")])
    if call.query.get("alt") == "sse":
        return text_stream()
    whole = [_answer([{"text": "Hello"}], FIRST_USAGE), _answer([{"text": " there."}], USAGE, "STOP")]
    parts: list[Part] = [
        b"[",
        json.dumps(whole[0]).encode(),
        b"\r\n,\r\n",
        json.dumps(whole[1]).encode(),
        b"]",
    ]
    return Answer(parts, headers=HEADERS, stream=True)


def _embedded(verb: str, asked: Any) -> Answer:
    usage = {
        "promptTokenCount": 35,
        "promptTokenDetails": [{"modality": "TEXT", "tokenCount": 35}],
    }
    if verb == "embedContent":
        return answer_json({"embedding": {"values": EMBEDDING}, "usageMetadata": usage}, headers=HEADERS)
    rows = [{"values": EMBEDDING} for _ in asked["requests"]]
    return answer_json({"embeddings": rows, "usageMetadata": usage}, headers=HEADERS)


def _painted() -> dict[str, Any]:
    inline = {"mimeType": "image/png", "data": base64.b64encode(PICTURE).decode()}
    usage = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 1300,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    return _answer([{"inlineData": inline}], usage, "STOP", PAINTER)


def _spoken(
    sound: bytes = SPEECH, usage: dict[str, Any] = SPEECH_USAGE, finish: str | None = "STOP"
) -> dict[str, Any]:
    inline = {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": base64.b64encode(sound).decode()}
    return _answer([{"inlineData": inline}], usage, finish, SPEAKER)


def _wants_tool(asked: Any) -> bool:
    last = asked["contents"][-1]["parts"]
    return bool(asked.get("tools")) and not any("functionResponse" in part for part in last)


def _tool_part() -> dict[str, Any]:
    return {"functionCall": {"name": "get", "args": {"q": 1}}, "thoughtSignature": "c2ln"}


def _answer(
    parts: list[dict[str, Any]], usage: dict[str, Any], finish: str | None = None, model: str = MODEL
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}


def _chunk(parts: list[dict[str, Any]], usage: dict[str, Any], finish: str | None = None) -> bytes:
    return _event(_answer(parts, usage, finish))


def _event(answer: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(answer)}\r\n\r\n".encode()


def _events(parts: list[Part]) -> Answer:
    return Answer(parts, content_type="text/event-stream", headers=HEADERS, stream=True)
