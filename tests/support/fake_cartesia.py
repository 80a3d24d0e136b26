"""Cartesia as a fake: speech as bytes, below the path with and without `/v1`.

The cost is worked out by hand for sonic-3: 50 micros a character of the transcript.
"""

from collections.abc import Generator
from contextlib import contextmanager

from tests.support.fake_provider import (
    Answer,
    Call,
    FakeProvider,
    Gate,
    Part,
    answer_json,
    serve_provider,
)
from tests.support.gateway import OPERATOR_KEYS

SPEAKER = "sonic-3"
TEXT = "Hello there, Ada, 42"
SPEECH_COST_MICROS = 1000
"""`TEXT` has 20 characters: 20 x 50."""
SPEECH = b"RIFF" + bytes(range(256)) * 8


@contextmanager
def serve_cartesia() -> Generator[FakeProvider]:
    """A fake Cartesia that takes the operator's key alone."""
    with serve_provider(_refuse, _respond) as provider:
        yield provider


def refusal(status: int, message: str = "as scripted", code: str = "invalid_request") -> Answer:
    """An error in the provider's shape."""
    body = {"error_code": code, "title": "Invalid request", "message": message, "request_id": "ca-1"}
    return answer_json(body, status=status)


def speech(*, gate: Gate | None = None) -> Answer:
    """Sound in chunks; at `gate` it waits after the first of them."""
    parts: list[Part] = [SPEECH[:1024], *([gate] if gate else []), SPEECH[1024:]]
    return Answer(parts, content_type="audio/wav", headers=(("cartesia-request-id", "ca-2"),), stream=True)


def _refuse(call: Call) -> Answer | None:
    key = OPERATOR_KEYS["cartesia"]
    if call.header("authorization") == [f"Bearer {key}"] or call.header("x-api-key") == [key]:
        return None
    return refusal(401, "Invalid API key", "unauthorized")


def _respond(call: Call) -> Answer:
    if call.path not in ("/tts/bytes", "/v1/tts"):
        return refusal(404, f"no such path: {call.path}", "not_found")
    if not call.header("cartesia-version"):
        return refusal(400, "Cartesia-Version header is required")
    if call.json["model_id"] != SPEAKER:
        return refusal(400, "The model is not valid, make sure it is a valid model ID.", "model_not_found")
    return speech()
