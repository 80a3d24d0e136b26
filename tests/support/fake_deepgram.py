"""Deepgram as a fake: transcription of bytes or a URL with the model in the query, speech as bytes with counts
in headers.

The costs are worked out by hand: nova-3 at 7700 micros a minute, aura-2 at 30 micros a character, reading
at 0.30 and 0.60 a token.
"""

from collections.abc import Generator
from contextlib import contextmanager

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

TRANSCRIBER, SPEAKER = "nova-3", "aura-2-thalia-en"
TRANSCRIPT = "Hello there."
SECONDS = 25.93
TRANSCRIPTION_COST_MICROS = 3328
"""25.93 x 7700 / 60 = 3327.68, rounded up."""
TEXT = "Hello there, Ada!"
SPEECH = b"ID3\x04" + bytes(range(256)) * 8
SPEECH_COST_MICROS = 510
"""`TEXT` has 17 characters: 17 x 30."""
SUMMARY = "She says hello."
READING_COST_MICROS = 75
"""133 x 0.30 + 57 x 0.60 = 39.9 + 34.2 = 74.1, rounded up."""


@contextmanager
def serve_deepgram() -> Generator[FakeProvider]:
    """A fake Deepgram that takes the operator's key alone."""
    with serve_provider(_refuse, _respond) as provider:
        yield provider


def refusal(status: int, message: str = "as scripted", code: str = "Bad Request", **headers: str) -> Answer:
    """An error in the provider's shape."""
    body = {"err_code": code, "err_msg": message, "request_id": "dg-1"}
    return answer_json(body, status=status, headers=(("dg-request-id", "dg-1"), *headers.items()))


def speech(text: str = TEXT, *, gate: Gate | None = None, breaks_off: bool = False) -> Answer:
    """Sound in chunks; at `gate` it waits after the first of them."""
    headers = (
        ("dg-char-count", str(len(text))),
        ("dg-model-name", SPEAKER),
        ("dg-model-uuid", "m2"),
        ("dg-request-id", "dg-2"),
    )
    parts: list[Part] = [SPEECH[:1024]]
    if gate is not None:
        parts.append(gate)
    parts.append(HangUp() if breaks_off else SPEECH[1024:])
    return Answer(parts, content_type="audio/mpeg", headers=headers, stream=True)


def transcription(*, channels: int = 1, gate: Gate | None = None) -> Answer:
    """A whole transcription."""
    info = {"m1": {"name": "general-nova-3", "version": "2026-01-01.0", "arch": "nova-3"}}
    metadata = {
        "transaction_key": "deprecated",
        "request_id": "dg-3",
        "sha256": "0",
        "created": "2026-11-21T00:00:00.000Z",
        "duration": SECONDS,
        "channels": channels,
        "models": ["m1"],
        "model_info": info,
    }
    alternative = {"transcript": TRANSCRIPT, "confidence": 0.99, "words": []}
    results = {"channels": [{"alternatives": [alternative]} for _ in range(channels)]}
    return answer_json(
        {"metadata": metadata, "results": results}, headers=(("dg-request-id", "dg-3"),), gate=gate
    )


def _refuse(call: Call) -> Answer | None:
    if call.header("authorization") == [f"Token {OPERATOR_KEYS['deepgram']}"]:
        return None
    return refusal(401, "Invalid credentials.", "INVALID_AUTH")


def _respond(call: Call) -> Answer:
    model = call.query.get("model")
    if call.path == "/v1/listen":
        if model != TRANSCRIBER:
            return refusal(400, f"No such model/language/tier combination found: {model}")
        return transcription(channels=2 if call.query.get("multichannel") == "true" else 1)
    if call.path == "/v1/speak":
        if model != SPEAKER:
            return refusal(400, f"No such model: {model}")
        return speech(call.json["text"])
    if call.path == "/v1/read":
        info = {"model_uuid": "m3", "input_tokens": 133, "output_tokens": 57}
        metadata = {
            "request_id": "dg-4",
            "created": "2026-11-21T00:00:00.000Z",
            "language": "en",
            "summary_info": info,
        }
        return answer_json({"metadata": metadata, "results": {"summary": {"text": SUMMARY}}})
    return refusal(404, f"no such path: {call.path}", "NOT_FOUND")
