"""MiniMax as a fake: OpenAI's and Anthropic's wires, its own chat, and speech as hexadecimal text.

Its errors are answers of status 200 with `base_resp`. The costs are worked out by hand for MiniMax-M2.7: input
0.30, cached 0.06, cache write 0.375, output 1.2 micros a token; speech-2.8-hd at 100 a character;
image-01 at 30000 a picture; music-3.0 at 200000 a piece.
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support import fake_anthropic
from tests.support.fake_anthropic import compatible
from tests.support.fake_chat import TEXT, TOOL_ARGUMENTS, Dialect
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, Part, answer_json, serve_provider
from tests.support.fake_videos import Films, open_to_all
from tests.support.gateway import OPERATOR_KEYS

OK = {"status_code": 0, "status_msg": "success"}
MINIMAX = Dialect(
    "minimax",
    "MiniMax-M2.7",
    {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "total_characters": 0,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 30},
    },
    told_at=("tail",),
    extras={"base_resp": OK},
    responses_path="/v1/responses",
)
COST_MICROS = 81
"""60 x 0.30 + 40 x 0.06 + 50 x 1.2 = 18 + 2.4 + 60 = 80.4, rounded up."""
MESSAGES_USAGE = {
    "input_tokens": 60,
    "cache_creation_input_tokens": 16,
    "cache_read_input_tokens": 40,
    "output_tokens": 50,
}
MESSAGES_COST_MICROS = 87
"""60 x 0.30 + 16 x 0.375 + 40 x 0.06 + 50 x 1.2 = 18 + 6 + 2.4 + 60 = 86.4, rounded up."""

NATIVE = "/v1/text/chatcompletion_v2"
SPEAKER = "speech-2.8-hd"
SPEECH = b"ID3\x04" + bytes(range(256)) * 4
SPEECH_COST_MICROS = 3400
"""34 characters, as it counts them, x 100."""
PAINTER, COMPOSER = "image-01", "music-3.0"
PICTURE_COST_MICROS = 60_000
"""2 pictures x 30000."""
MUSIC_COST_MICROS = 200_000
"""A piece."""


def out_of_money() -> Answer:
    """How it refuses: no error by HTTP's count."""
    return answer_json({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}})


def native_stream(*, gate: Gate | None = None) -> Answer:
    """Its own chat: zeros as usage, and a closing object that repeats the whole text with the real ones."""
    chunks: list[Part] = [
        _native_chunk({"role": "assistant", "content": "Hello"}),
        *([gate] if gate else []),
        _native_chunk({"content": " there."}),
        f"data: {json.dumps(_native())}\n\n".encode(),
    ]
    return Answer(chunks, content_type="text/event-stream; charset=utf-8", stream=True)


def speech_stream(*, gate: Gate | None = None) -> Answer:
    """Speech in pieces; what is billed stands in the last one."""
    parts: list[Part] = [
        _speech_event(SPEECH[:500], 1),
        *([gate] if gate else []),
        _speech_event(SPEECH[500:], 1),
        _speech_event(b"", 2),
    ]
    return Answer(parts, content_type="text/event-stream; charset=utf-8", stream=True)


def music_stream(*, gate: Gate | None = None) -> Answer:
    """A song in pieces."""
    pieces = [_music(SPEECH[:500], 1), _music(SPEECH[500:], 1), _music(b"", 2)]
    first, *rest = (f"data: {json.dumps(piece)}\n\n".encode() for piece in pieces)
    parts: list[Part] = [first, *([gate] if gate else []), *rest]
    return Answer(parts, content_type="text/event-stream; charset=utf-8", stream=True)


def _music(sound: bytes, status: int) -> dict[str, Any]:
    answer = {"data": {"audio": sound.hex(), "status": status}, "trace_id": "trace-2", "base_resp": OK}
    if status == 2:
        answer["extra_info"] = {"music_duration": 25364, "music_sample_rate": 44100, "bitrate": 256000}
    return answer


def _native(*, wants_tool: bool = False) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": TEXT}
    if wants_tool:
        call = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": TOOL_ARGUMENTS}}
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if wants_tool else "stop"}
    return {
        **MINIMAX.frame("chat.completion"),
        "choices": [choice],
        "usage": MINIMAX.usage,
        "base_resp": OK,
    }


def _native_chunk(delta: dict[str, Any]) -> bytes:
    return MINIMAX.chunk(
        [{"index": 0, "delta": delta}], usage={"total_tokens": 0, "total_characters": 0}, base_resp=OK
    )


def _speech(audio: bytes, status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "data": {"audio": audio.hex(), "status": status},
        "trace_id": "trace-1",
        "base_resp": OK,
    }
    if status == 2:
        answer["extra_info"] = {
            "audio_length": 4067,
            "usage_characters": 34,
            "audio_size": len(SPEECH),
            "word_count": 22,
            "audio_format": "mp3",
            "audio_sample_rate": 32000,
            "bitrate": 128000,
        }
    return answer


def _speech_event(audio: bytes, status: int) -> bytes:
    return f"data: {json.dumps(_speech(audio, status))}\n\n".encode()


def _refuse(call: Call) -> Answer | None:
    key = OPERATOR_KEYS["minimax"]
    if call.header("authorization") == [f"Bearer {key}"] or call.header("x-api-key") == [key]:
        return None
    if call.path.startswith("/anthropic/"):
        return fake_anthropic.refusal(401, "login fail")
    return answer_json({"base_resp": {"status_code": 1004, "status_msg": "login fail"}})


def _respond(call: Call) -> Answer:
    asked = call.json
    if call.path == "/anthropic/v1/messages":
        return compatible(asked, MINIMAX.model, MESSAGES_USAGE)
    if call.path == NATIVE:
        if asked.get("stream"):
            return native_stream()
        return answer_json(_native(wants_tool=bool(asked.get("tools"))))
    if call.path == "/v1/t2a_v2":
        return speech_stream() if asked.get("stream") else answer_json(_speech(SPEECH, 2))
    if call.path == "/v1/image_generation":
        urls = ["https://example.com/1.png", "https://example.com/2.png"]
        counts = {"success_count": "2", "failed_count": "0"}
        return answer_json({"id": "i-1", "data": {"image_urls": urls}, "metadata": counts, "base_resp": OK})
    if call.path == "/v1/music_generation":
        return music_stream() if asked.get("stream") else answer_json(_music(SPEECH, 2))
    return MINIMAX.respond(call)


@contextmanager
def serve_minimax() -> Generator[FakeProvider]:
    """A fake MiniMax that takes the operator's key alone."""
    films = Films()

    def respond(call: Call) -> Answer:
        film = films.respond("minimax", call)
        return _respond(call) if film is None else film

    with serve_provider(open_to_all(_refuse), respond) as provider:
        yield provider
