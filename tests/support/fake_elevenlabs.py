"""ElevenLabs as a fake: speech as bytes (chunked too) with its cost in a header, speech with timestamps,
transcription.

The costs are worked out by hand: eleven_multilingual_v2 at 100 micros a character, scribe_v2 at 0.22 dollars an
hour.
"""

import base64
import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

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

SPEAKER, TRANSCRIBER, VOICE = "eleven_multilingual_v2", "scribe_v2", "21m00Tcm4TlvDq8ikWAM"
TEXT = "Hello there, Ada, 42"
SPEECH = b"ID3\x04" + bytes(range(256)) * 8
SPEECH_COST_MICROS = 2000
"""`TEXT` has 20 characters: 20 x 100."""
TRANSCRIPT = "Hello there."
TRANSCRIPTION_COST_MICROS = 1712
"""28 seconds x 220000 / 3600 = 1711.1, rounded up."""

CREDITS = 40
CREDITS_COST_MICROS = 12_000
"""Of sound effects, music and the like: 40 credits x 300."""
CREDITED = (
    "/v1/sound-generation",
    "/v1/music",
    "/v1/music/stream",
    f"/v1/speech-to-speech/{VOICE}",
    f"/v1/speech-to-speech/{VOICE}/stream",
    f"/v1/voice-changer/{VOICE}",  # as SDK 2.78 calls it
    f"/v1/voice-changer/{VOICE}/stream",
    "/v1/audio-isolation",
    "/v1/audio-isolation/stream",
)
"""What is billed in credits alone, as the answer's head says."""

PATH = re.compile(r"/v1/text-to-speech/([^/]+)(/stream)?(/with-timestamps)?")


@contextmanager
def serve_elevenlabs() -> Generator[FakeProvider]:
    """A fake ElevenLabs that takes the operator's key alone."""
    with serve_provider(_refuse, _respond) as provider:
        yield provider


def refusal(
    status: int, message: str = "as scripted", code: str = "voice_not_found", **headers: str
) -> Answer:
    """An error in the provider's shape."""
    detail: Any = {"status": code, "message": message}
    if status == 422:
        detail = [{"loc": ["body", "text"], "msg": message, "type": "value_error"}]
    return answer_json({"detail": detail}, status=status, headers=tuple(headers.items()))


def speech(
    text: str = TEXT, *, credit: int | None = None, gate: Gate | None = None, breaks_off: bool = False
) -> Answer:
    """Sound in chunks; at `gate` it waits after the first of them."""
    parts: list[Part] = [SPEECH[:1024]]
    if gate is not None:
        parts.append(gate)
    parts.append(HangUp() if breaks_off else SPEECH[1024:])
    return Answer(parts, content_type="audio/mpeg", headers=_headers(text, credit), stream=True)


def _headers(text: str, credit: int | None = None) -> tuple[tuple[str, str], ...]:
    return (
        ("character-cost", str(len(text) if credit is None else credit)),
        ("request-id", "req_el_1"),
        ("history-item-id", "h1"),
        ("current-concurrent-requests", "1"),
        ("maximum-concurrent-requests", "5"),
    )


def _refuse(call: Call) -> Answer | None:
    if call.header("xi-api-key") == [OPERATOR_KEYS["elevenlabs"]] and not call.header("authorization"):
        return None
    return refusal(401, "Invalid API key", "invalid_api_key")


def _respond(call: Call) -> Answer:
    if call.path == "/v1/speech-to-text":
        return _transcribed(call)
    if call.path in ("/v1/voices", "/v2/voices"):
        return answer_json({"voices": [{"voice_id": VOICE, "name": "Rachel"}], "has_more": False})
    if call.path in CREDITED:
        return speech(credit=CREDITS)
    if call.path == "/v1/text-to-voice/design":
        preview = {"audio_base_64": "", "generated_voice_id": "v-2", "media_type": "audio/mpeg"}
        designed = {"previews": [{**preview, "duration_secs": 4.0, "language": "en"}], "text": TEXT}
        return answer_json(designed, headers=_headers(TEXT, CREDITS))
    found = PATH.fullmatch(call.path)
    if found is None:
        return refusal(404, f"no such path: {call.path}", "not_found")
    asked = call.json
    if found[1] != VOICE:
        return refusal(404, f"A voice with voice_id {found[1]} was not found.")
    if asked.get("model_id", SPEAKER) != SPEAKER:
        return refusal(400, f"no such model: {asked['model_id']}", "model_not_found")
    if found[3] is None:
        return speech(asked["text"])
    pieces = [SPEECH[:1024], SPEECH[1024:]] if found[2] else [SPEECH]
    alignment = {
        "characters": list(asked["text"]),
        "character_start_times_seconds": [number / 10 for number, _ in enumerate(asked["text"])],
        "character_end_times_seconds": [number / 10 + 0.1 for number, _ in enumerate(asked["text"])],
    }
    lines = [
        {
            "audio_base64": base64.b64encode(piece).decode(),
            "alignment": alignment,
            "normalized_alignment": None,
        }
        for piece in pieces
    ]
    if not found[2]:
        return answer_json(lines[0], headers=_headers(asked["text"]))
    parts: list[Part] = [json.dumps(line).encode() + b"\n\n" for line in lines]
    return Answer(
        parts, content_type="text/event-stream; charset=utf-8", headers=_headers(asked["text"]), stream=True
    )


def _transcribed(call: Call) -> Answer:
    form = call.form
    if form["model_id"].text != TRANSCRIBER:
        return refusal(400, f"no such model: {form['model_id'].text}", "invalid_model_id")
    words = [{"text": "Hello", "start": 0.1, "end": 0.4, "type": "word", "logprob": 0.0}]
    answer = {
        "language_code": "eng",
        "language_probability": 0.98,
        "text": TRANSCRIPT,
        "words": words,
        "transcription_id": "t1",
        "audio_duration_secs": 28.0,
    }
    return answer_json(answer, headers=(("request-id", "req_el_2"),))
