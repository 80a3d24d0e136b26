"""xAI as a fake: chat whose reasoning stands outside the completion, pictures, speech and transcription.

It is the one that says what a call cost, in ticks of a ten-billionth of a dollar, and that is what counts: a
micro-dollar is ten thousand ticks. Speech and transcription tell no cost: they are at 15 micros a character and 0.10
dollars an hour.
"""

import base64
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_chat import Dialect
from tests.support.fake_openai_responses import Responses
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, Part, answer_json, serve_provider
from tests.support.fake_videos import Films, open_to_all


def error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """Its error body: the error is a string."""
    return {"code": code or "Client specified an invalid argument", "error": message}


XAI = Dialect(
    "xai",
    "grok-4.7",
    {
        "prompt_tokens": 2332,
        "completion_tokens": 38,
        "total_tokens": 2680,
        "prompt_tokens_details": {
            "text_tokens": 2332,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 163,
        },
        "completion_tokens_details": {"reasoning_tokens": 310, "audio_tokens": 0},
        "num_sources_used": 1,
        "cost_in_usd_ticks": 115_075_000,
    },
    told_at=("every",),
    told_unasked=("every",),
    error=error,
    thoughts="Look it up.",
)
COST_MICROS = 11_508
"""115075000 ticks are 11507.5 micros, rounded up. By the list: 2169 x 2 + 163 x 0.50 + 348 x 6 = 6507.5, and a
search at 5000."""

RESPONSES = Responses(
    model="grok-4.7",
    usage={
        "input_tokens": 2332,
        "input_tokens_details": {"cached_tokens": 163},
        "output_tokens": 348,
        "output_tokens_details": {"reasoning_tokens": 310},
        "total_tokens": 2680,
        "num_sources_used": 0,
        "num_server_side_tools_used": 0,
        "cost_in_usd_ticks": 65_075_000,
    },
)
RESPONSES_COST_MICROS = 6508
"""65075000 ticks are 6507.5 micros, rounded up."""

PAINTER = "grok-imagine-image"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PICTURE_COST_MICROS = 20_000
"""200000000 ticks."""
SPEECH = b"ID3\x04" + bytes(range(256)) * 8
SPOKEN = "Hello there, Ada, 42"
SPEECH_COST_MICROS = 300
"""`SPOKEN` has 20 characters: 20 x 15."""
TRANSCRIPT = "Hello there."
TRANSCRIPTION_COST_MICROS = 250
"""9 seconds at 0.10 dollars an hour."""


def speech(*, gate: Gate | None = None) -> Answer:
    """Sound in chunks; at `gate` it waits after the first of them."""
    parts: list[Part] = [SPEECH[:1024], *([gate] if gate else []), SPEECH[1024:]]
    return Answer(parts, content_type="audio/mpeg", stream=True)


def _respond(call: Call) -> Answer:
    if call.path == "/v1/responses":
        return RESPONSES.respond(call)
    if call.path == "/v1/images/generations":
        if call.json["model"] != PAINTER:
            return XAI.refusal(404, f"The model {call.json['model']} does not exist")
        data = [{"b64_json": base64.b64encode(PICTURE).decode(), "revised_prompt": ""}]
        return answer_json({"data": data, "usage": {"cost_in_usd_ticks": 200_000_000}})
    if call.path == "/v1/tts":
        return speech()
    if call.path == "/v1/stt":
        assert call.form["file"].value
        return answer_json({"text": TRANSCRIPT, "language": "en", "duration": 9.0, "words": []})
    return XAI.respond(call)


@contextmanager
def serve_xai() -> Generator[FakeProvider]:
    """A fake xAI that takes the operator's key alone."""
    films = Films()

    def respond(call: Call) -> Answer:
        film = films.respond("xai", call)
        return _respond(call) if film is None else film

    with serve_provider(open_to_all(XAI.refuse), respond) as provider:
        yield provider
