"""OpenAI's other APIs as a fake: embeddings, pictures, speech, transcription.

The costs are worked out by hand: text-embedding-3-large at 0.13 micros a token; gpt-image-2 at 5 for text, 8 for
pictures in and 30 for pictures out; tts-1 at 15 a character; gpt-4o-mini-tts at 0.60 and 12 for sound; whisper-1
at 6000 a minute; gpt-4o-transcribe at 2.5 for text, 6 for sound and 10 for output.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.fake_provider import Answer, Call, Gate, HangUp, Part, answer_json

EMBEDDER, PAINTER = "text-embedding-3-large", "gpt-image-2"
SPEAKER, NEW_SPEAKER = "tts-1", "gpt-4o-mini-tts"
TRANSCRIBER, NEW_TRANSCRIBER = "whisper-1", "gpt-4o-transcribe"

EMBEDDING = [0.25, -0.5, 0.125]
EMBEDDING_COST_MICROS = 26
"""200 x 0.13."""
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
PICTURE_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1056,
    "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
    "total_tokens": 1106,
}
PICTURE_COST_MICROS = 32_050
"""10 x 5 + 40 x 8 + 1056 x 30 = 50 + 320 + 31680."""
SPEECH = b"ID3\x04" + bytes(range(256)) * 8
SPOKEN = "Hello there, Ada, 42"
SPEECH_COST_MICROS = 300
"""`SPOKEN` has 20 characters: 20 x 15."""
SPEECH_EVENTS_COST_MICROS = 1221
"""14 x 0.60 + 101 x 12 = 8.4 + 1212 = 1220.4, rounded up."""
TRANSCRIPT = "Hello there."
TRANSCRIPTION_COST_MICROS = 900
"""9 seconds at 6000 micros a minute."""
TOKENS_COST_MICROS = 534
"""14 x 6 + 45 x 10 = 84 + 450."""


def speech(*, gate: Gate | None = None, breaks_off: bool = False) -> Answer:
    """Sound in chunks; at `gate` it waits after the first of them."""
    parts: list[Part] = [SPEECH[:1024], *([gate] if gate else [])]
    parts.append(HangUp() if breaks_off else SPEECH[1024:])
    return Answer(parts, content_type="audio/mpeg", stream=True)


def _embedded(call: Call) -> Answer:
    asked = call.json
    shown: Any = EMBEDDING
    if asked.get("encoding_format") == "base64":
        shown = base64.b64encode(
            b"\x00\x00\x80>\x00\x00\x00\xbf\x00\x00\x00>"
        ).decode()  # the same in float32
    row = {"object": "embedding", "index": 0, "embedding": shown}
    usage = {"prompt_tokens": 200, "total_tokens": 200}
    return answer_json({"object": "list", "data": [row], "model": EMBEDDER, "usage": usage})


def _painted(call: Call) -> Answer:
    picture = base64.b64encode(PICTURE).decode()
    is_form = call.header("content-type")[0].startswith("multipart/")
    asks_stream = call.form["stream"].text == "true" if is_form and "stream" in call.form else False
    if asks_stream or (not is_form and call.json.get("stream")):
        kind = "image_edit" if call.path.endswith("edits") else "image_generation"
        shown = {"b64_json": picture, "size": "1024x1024", "quality": "low", "background": "opaque"}
        shown |= {"output_format": "png", "created_at": 1790000000}
        return _events(
            [
                (f"{kind}.partial_image", {**shown, "partial_image_index": 0}),
                (f"{kind}.completed", {**shown, "usage": PICTURE_USAGE}),
            ]
        )
    data = [{"b64_json": picture}]
    return answer_json({"created": 1790000000, "data": data, "usage": PICTURE_USAGE})


def _spoken(call: Call) -> Answer:
    asked = call.json
    if asked.get("stream_format") != "sse":
        return speech()
    halves = (base64.b64encode(half).decode() for half in (SPEECH[:1024], SPEECH[1024:]))
    usage = {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}
    return _events(
        [
            *(("speech.audio.delta", {"audio": half}) for half in halves),
            ("speech.audio.done", {"usage": usage}),
        ]
    )


def _transcribed(call: Call) -> Answer:
    form = call.form
    usage: dict[str, Any] = {"type": "duration", "seconds": 9}
    if form["model"].text == NEW_TRANSCRIBER:
        details = {"audio_tokens": 14, "text_tokens": 0}
        usage = {"type": "tokens", "input_tokens": 14, "input_token_details": details}
        usage |= {"output_tokens": 45, "total_tokens": 59}
    if "stream" in form and form["stream"].text == "true":
        return _events(
            [
                ("transcript.text.delta", {"delta": "Hello"}),
                ("transcript.text.delta", {"delta": " there."}),
                ("transcript.text.done", {"text": TRANSCRIPT, "usage": usage}),
            ]
        )
    kind = form["response_format"].text if "response_format" in form else "json"
    if kind in ("text", "srt", "vtt"):
        return Answer([TRANSCRIPT.encode() + b"\n"], content_type="text/plain; charset=utf-8")
    answer: dict[str, Any] = {"text": TRANSCRIPT, "usage": usage}
    if kind == "verbose_json":
        answer |= {"task": "transcribe", "language": "english", "duration": 9.0, "segments": []}
    return answer_json(answer)


def _events(events: list[tuple[str, dict[str, Any]]]) -> Answer:
    parts: list[Part] = [
        f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode() for kind, fields in events
    ]
    return Answer(parts, content_type="text/event-stream; charset=utf-8", stream=True)


ANSWERS: Mapping[str, Callable[[Call], Answer]] = {
    "/v1/embeddings": _embedded,
    "/v1/images/generations": _painted,
    "/v1/images/edits": _painted,
    "/v1/audio/speech": _spoken,
    "/v1/audio/transcriptions": _transcribed,
    "/v1/audio/translations": _transcribed,
}
"""By path."""
