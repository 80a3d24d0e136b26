"""Writes answers as Gemini's generateContent (providers.md, 5 and G.3): whole, and as events with CRLF line ends."""

from collections.abc import Iterator
from typing import cast

from msgspec.json import encode

from qlaud.providers.simulator.media import DIMENSIONS, vector
from qlaud.providers.simulator.reading_plain import Asked, last_text
from qlaud.providers.simulator.tokens import count, count_bytes, cut, pieces
from qlaud.providers.simulator.writing_responses import NOTHING_SAID


def whole(asked: Asked) -> bytes:
    """The body of an answer that is not streamed."""
    text, finish = _said(asked)
    return encode(_chunk(asked, text, finish, count(text)))


def events(asked: Asked) -> Iterator[bytes]:
    """The events of a streamed answer; the usage so far stands on each."""
    text, finish = _said(asked)
    parts = pieces(text) or [""]
    so_far = ""
    for number, part in enumerate(parts, 1):
        so_far += part
        last = number == len(parts)
        yield b"data: %b\r\n\r\n" % encode(_chunk(asked, part, finish if last else "", count(so_far)))


def embedding(asked: Asked) -> bytes:
    """The vector of one content, or those of a batch."""
    requests = asked.fields.get("requests")
    if not isinstance(requests, list):
        return encode(
            {
                "embedding": {"values": vector(last_text(asked.fields.get("content")), DIMENSIONS)},
                **_fed(asked),
            }
        )
    contents = [
        cast("dict[str, object]", one).get("content")
        for one in cast("list[object]", requests)
        if isinstance(one, dict)
    ]
    rows = [{"values": vector(last_text(content), DIMENSIONS)} for content in contents]
    return encode({"embeddings": rows, **_fed(asked)})


def _fed(asked: Asked) -> dict[str, object]:
    return {"usageMetadata": {"promptTokenCount": count_bytes(asked.size)}}


def _said(asked: Asked) -> tuple[str, str]:
    text = last_text(asked.fields.get("contents")) or NOTHING_SAID
    config = asked.fields.get("generationConfig")
    limit = cast("dict[str, object]", config).get("maxOutputTokens") if isinstance(config, dict) else None
    if type(limit) is int and limit < count(text):
        return cut(text, limit), "MAX_TOKENS"
    return text, "STOP"


def _chunk(asked: Asked, text: str, finish: str, out: int) -> dict[str, object]:
    prompt = count_bytes(asked.size)
    candidate: dict[str, object] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": out, "totalTokenCount": prompt + out}
    return {"candidates": [candidate], "usageMetadata": usage, "responseId": asked.seed}
