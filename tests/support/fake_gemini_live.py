"""Gemini Live as a fake: Google's messages as it sends them, which is JSON in lines, in binary frames.

Costs are worked out by hand: gemini-3.8-live at 0.75 text, 3 sound, 1 picture and film in, 4.5 text and thoughts and
12 sound out, micros a token. `FIRST` and `SECOND` are usages of one session: the second prompt holds the first turn.
"""

import base64
import json
from typing import Any

MODEL = "gemini-3.8-live"
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
JPEG = b"\xff\xd8\xff\xe0" + bytes(60)

FIRST = {
    "promptTokenCount": 522,
    "responseTokenCount": 42,
    "totalTokenCount": 564,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 332},
        {"modality": "AUDIO", "tokenCount": 165},
    ],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 42}],
    "thoughtsTokenCount": 136,
}
"""Of a forum's report of 2026: 25 tokens of the prompt are in no detail, and the total leaves thoughts out."""
FIRST_MICROS = 1879
"""(522 - 165) x 0.75 + 165 x 3 + 42 x 12 + 136 x 4.5 = 267.75 + 495 + 504 + 612 = 1878.75, rounded up."""
SECOND = {
    "promptTokenCount": 1131,
    "cachedContentTokenCount": 100,
    "toolUsePromptTokenCount": 20,
    "responseTokenCount": 26,
    "totalTokenCount": 1157,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 373},
        {"modality": "AUDIO", "tokenCount": 500},
        {"modality": "VIDEO", "tokenCount": 258},
    ],
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}, {"modality": "TEXT", "tokenCount": 6}],
    "thoughtsTokenCount": 24,
}
SECOND_MICROS = 2428
"""(1131 - 500 - 258 + 20) x 0.75 + 500 x 3 + 258 x 1 + 20 x 12 + (6 + 24) x 4.5 = 294.75 + 1500 + 258 + 240 + 135 =
2427.75, rounded up: what is cached has no price of its own, so it costs what text costs."""


def written(message: Any) -> bytes:
    """As Google writes it."""
    return json.dumps(message, indent=2).encode() + b"\n"


def setup(model: str = f"models/{MODEL}", **fields: Any) -> str:
    """The caller's first message, as compact as JavaScript writes it."""
    return json.dumps({"setup": {"model": model, **fields}}, separators=(",", ":"))


def small(limit: int = 256, **fields: Any) -> str:
    """A setup whose answers are short, so that little is held, and begin only when asked for."""
    manual = {"automaticActivityDetection": {"disabled": True}}
    return setup(generationConfig={"maxOutputTokens": limit}, realtimeInputConfig=manual, **fields)


def says(text: str, **fields: Any) -> str:
    """The caller's turn in text."""
    turns = [{"role": "user", "parts": [{"text": text}]}]
    return json.dumps({"clientContent": {"turns": turns, "turnComplete": True, **fields}})


def sound(ms: int, *, rate: int = 16_000) -> str:
    """What the caller's microphone heard."""
    data = base64.b64encode(bytes(ms * rate * 2 // 1000)).decode()
    return json.dumps({"realtimeInput": {"audio": {"data": data, "mimeType": f"audio/pcm;rate={rate}"}}})


def seen(picture: bytes = JPEG) -> str:
    """What the caller's camera saw."""
    data = base64.b64encode(picture).decode()
    return json.dumps({"realtimeInput": {"video": {"data": data, "mimeType": "image/jpeg"}}})


def answers(call_id: str, result: object) -> str:
    """What a tool of the caller's answered."""
    return json.dumps(
        {
            "toolResponse": {
                "functionResponses": [{"id": call_id, "name": "get", "response": {"result": result}}]
            }
        }
    )


READY = written({"setupComplete": {}})
GO_AWAY = written({"goAway": {"timeLeft": "10s"}})


def spoken(ms: int = 40) -> bytes:
    """A piece of sound."""
    data = base64.b64encode(bytes(ms * 48)).decode()
    part = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}
    return written({"serverContent": {"modelTurn": {"parts": [part]}}})


def told(usage: dict[str, Any] | None = None, **content: Any) -> bytes:
    """The end of a turn, with its usage."""
    message: dict[str, Any] = {"serverContent": {"turnComplete": True, **content}}
    return written(message if usage is None else {**message, "usageMetadata": usage})


def calls(usage: dict[str, Any] | None = None) -> bytes:
    """A tool that the caller is to run."""
    message: dict[str, Any] = {"toolCall": {"functionCalls": [{"id": "c1", "name": "get", "args": {"q": 1}}]}}
    return written(message if usage is None else {**message, "usageMetadata": usage})
