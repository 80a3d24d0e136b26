"""The bytes of the fake provider's answers. Pure; the wire of both providers as their documentation shows it.

Each streamed event carries exactly one MARK byte, so a reader counts events exactly without parsing, however
the bytes were cut on their way.
"""

import json
import re
from dataclasses import dataclass

MARK = b"~"
MODEL = re.compile(rb'"model"\s*:\s*"([^"]{1,200})"')
STEER = re.compile(rb"bench:(stream|open|sound):(\d+)(?::(\d+):(\d+))?")
PROSE = (
    "A gateway that spends other people's money has one duty before all others: never to spend more than it "
    "was allowed to. It takes the worst case first, calls the provider, and gives back what was not used. "
)
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: "
SOUND_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: req_bench\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Steer:
    """What a request asks of the fake provider, read from `bench:…` in a field that passes through."""

    kind: str
    """`stream`: so many events, then the end. `open`: one event every so many seconds until released. `sound`: so
    many bytes of sound."""
    count: int
    """Events of a stream; seconds between two events of an open one; bytes."""
    burst: int = 5
    gap_ms: int = 20


@dataclass(frozen=True, slots=True)
class Script:
    """A streamed answer in chunks ready to write: opening, one burst of events, closing."""

    opening: bytes
    burst: bytes
    single: bytes
    closing: bytes


def read_steer(body: bytes) -> Steer | None:
    """The steering of a request, or None for a plain JSON answer."""
    found = STEER.search(body)
    if found is None:
        return None
    kind, count, burst, gap_ms = found.groups()
    if burst is None:
        return Steer(kind=kind.decode(), count=int(count))
    return Steer(kind=kind.decode(), count=int(count), burst=max(1, int(burst)), gap_ms=int(gap_ms))


def read_model(body: bytes) -> bytes:
    """The model a request names, for the echo."""
    found = MODEL.search(body)
    return found.group(1) if found else b"unknown"


def json_answer(path: bytes, model: bytes) -> bytes:
    """A whole HTTP answer of about 1.2 KB of JSON with usage, in the shape of the path's wire."""
    if b"/audio/transcriptions" in path or b"/listen" in path:
        return transcript(path)
    before, after = _CHAT_PARTS if b"chat/completions" in path else _MESSAGE_PARTS
    length = len(before) + len(model) + len(after)
    return b"".join((JSON_HEAD, b"%d\r\n\r\n" % length, before, model, after))


def transcript(path: bytes) -> bytes:
    """A whole HTTP answer to sound, in the shape of the path's wire."""
    body = _compact(_HEARD if b"/listen" in path else _TRANSCRIBED).encode()
    return b"%b%d\r\n\r\n%b" % (JSON_HEAD, len(body), body)


def script(path: bytes, model: bytes, *, burst: int) -> Script:
    """The chunks of a streamed answer in the shape of the path's wire."""
    opening, event, closing = _chat_stream(model) if b"chat/completions" in path else _message_stream(model)
    return Script(
        opening=STREAM_HEAD + chunk(opening),
        burst=chunk(event * burst),
        single=chunk(event),
        closing=chunk(closing) + LAST_CHUNK,
    )


def chunk(payload: bytes) -> bytes:
    """One HTTP/1.1 chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _sse(name: str, body: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {_compact(body)}\n\n".encode()


def _compact(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))


def _usage(output_tokens: int) -> dict[str, object]:
    return {
        "input_tokens": 220,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _message(model: str, text: str, output_tokens: int) -> dict[str, object]:
    return {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "end_turn" if text else None,
        "stop_sequence": None,
        "usage": _usage(output_tokens),
    }


def _chat(model: str, kind: str, choices: list[object]) -> dict[str, object]:
    return {"id": "msg_bench", "object": kind, "created": 1790000000, "model": model, "choices": choices}


def _split(answer: dict[str, object]) -> tuple[bytes, bytes]:
    before, _, after = _compact(answer).encode().partition(b"@model@")
    return before, after


def _message_stream(model: bytes) -> tuple[bytes, bytes, bytes]:
    name = model.decode()
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "text_delta", "text": " and give back~"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    opening = _sse("message_start", {"type": "message_start", "message": _message(name, "", 1)})
    return (
        opening + _sse("content_block_start", block),
        _sse("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": delta}),
        _sse("content_block_stop", {"type": "content_block_stop", "index": 0})
        + _sse("message_delta", {"type": "message_delta", "delta": ended, "usage": _usage(250)})
        + _sse("message_stop", {"type": "message_stop"}),
    )


def _chat_stream(model: bytes) -> tuple[bytes, bytes, bytes]:
    def line(choices: list[object], usage: object = None) -> bytes:
        body = _chat(model.decode(), "chat.completion.chunk", choices) | {"usage": usage}
        return f"data: {_compact(body)}\n\n".encode()

    def choice(delta: dict[str, str], reason: str | None) -> list[object]:
        return [{"index": 0, "delta": delta, "finish_reason": reason}]

    return (
        line(choice({"role": "assistant", "content": ""}, None)),
        line(choice({"content": " and give back~"}, None)),
        line(choice({}, "stop")) + line([], _CHAT_USAGE) + b"data: [DONE]\n\n",
    )


_TRANSCRIBED = {"text": PROSE, "usage": {"type": "duration", "seconds": 782}}
_METADATA = {"request_id": "req_bench", "duration": 781.25, "channels": 1, "models": ["m1"]}
_HEARD = {
    "metadata": _METADATA,
    "results": {"channels": [{"alternatives": [{"transcript": PROSE, "confidence": 0.99, "words": []}]}]},
}
_CHAT_USAGE = {"prompt_tokens": 220, "completion_tokens": 250, "total_tokens": 470}
_CHAT_CHOICE = {"index": 0, "message": {"role": "assistant", "content": PROSE * 5}, "finish_reason": "stop"}
_MESSAGE_PARTS = _split(_message("@model@", PROSE * 5, 250))
_CHAT_PARTS = _split(_chat("@model@", "chat.completion", [_CHAT_CHOICE]) | {"usage": _CHAT_USAGE})
