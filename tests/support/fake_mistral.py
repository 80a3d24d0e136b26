"""Mistral as a fake: chat, code, embeddings, transcription, speech (JSON, not bytes) and OCR.

Chat tells usage unasked in the chunk that ends the choice and takes no field that it does not know. The costs are
worked out by hand: mistral-large-4 at 0.70 input, 0.07 cached, 2.10 output micros a token; codestral-2508 at 0.30 and
0.90; mistral-embed at 0.10 a token; voxtral-mini-transcribe-3-0 at 3500 a minute; voxtral-mini-tts-3 at 13 a
character; mistral-ocr-4-1 at 4000 a page.
"""

import base64
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_chat import Dialect
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, answer_json, serve_provider


def error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """Its error body. A 401 and a 422 look like FastAPI's."""
    if status == 401:
        return {"detail": "Unauthorized"}
    if status == 422:
        return {"detail": [{"type": "extra_forbidden", "loc": ["body"], "msg": message}]}
    return {"object": "error", "message": message, "type": "invalid_request", "param": None, "code": "1500"}


MISTRAL = Dialect(
    "mistral",
    "mistral-large-4",
    {"prompt_tokens": 700, "completion_tokens": 90, "total_tokens": 790, "num_cached_tokens": 690},
    told_at=("finish",),
    told_unasked=("finish",),
    headers=(("mistral-correlation-id", "corr-1"), ("x-ratelimit-remaining-req-minute", "59")),
    error=error,
    takes_stream_options=False,
    whole_tool_calls=True,
    responses_path="/v1/responses",
)
COST_MICROS = 245
"""10 x 0.70 + 690 x 0.07 + 90 x 2.10 = 7 + 48.3 + 189 = 244.3, rounded up."""

CODER = Dialect(
    "mistral",
    "codestral-2508",
    {"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 130},
    paths=("/v1/fim/completions",),
    told_at=("finish",),
    told_unasked=("finish",),
    error=error,
    takes_stream_options=False,
)
CODE_COST_MICROS = 57
"""100 x 0.30 + 30 x 0.90."""

EMBEDDER = "mistral-embed"
EMBEDDING = [0.25, -0.5, 0.125]
EMBEDDING_COST_MICROS = 25
"""250 x 0.10."""

TRANSCRIBER = "voxtral-mini-transcribe-3-0"
TRANSCRIPT = "Hello there."
TRANSCRIPTION_COST_MICROS = 700
"""12 seconds at 3500 micros a minute."""

SPEAKER = "voxtral-mini-tts-3"
SPEECH = b"ID3\x04" + bytes(range(256)) * 4
SPEECH_COST_MICROS = 156
"""`Hello there.` has 12 characters: 12 x 13."""

READER = "mistral-ocr-4-1"
OCR_COST_MICROS = 12_000
"""3 pages x 4000."""


def transcription_stream() -> Answer:
    """A transcription in pieces; the last event tells usage."""
    usage = {"prompt_audio_seconds": 12, "prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 388}
    done = {
        "type": "transcription.done",
        "model": TRANSCRIBER,
        "text": TRANSCRIPT,
        "language": "en",
        "segments": [],
        "usage": usage,
    }
    events = [
        {"type": "transcription.language", "audio_language": "en"},
        {"type": "transcription.text.delta", "text": "Hello"},
        {"type": "transcription.text.delta", "text": " there."},
        done,
    ]
    return events_of([(event["type"], event) for event in events])


def speech_stream(*, gate: Gate | None = None) -> Answer:
    """Speech in two pieces; at `gate` it waits after the first."""
    usage = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    first, second = (base64.b64encode(half).decode() for half in (SPEECH[:500], SPEECH[500:]))
    return events_of(
        [
            ("speech.audio.delta", {"type": "speech.audio.delta", "audio_data": first}),
            ("speech.audio.delta", {"type": "speech.audio.delta", "audio_data": second}),
            ("speech.audio.done", {"type": "speech.audio.done", "usage": usage}),
        ],
        gate=gate,
    )


def events_of(events: list[tuple[Any, Any]], *, gate: Gate | None = None) -> Answer:
    """A stream of named events; at `gate` it waits after the first."""
    parts: list[Any] = []
    for number, (name, event) in enumerate(events):
        if number == 1 and gate is not None:
            parts.append(gate)
        parts += [f"event: {name}\ndata: ".encode() + answer_json(event).parts[0] + b"\n\n"]
    return Answer(
        parts, content_type="text/event-stream; charset=utf-8", headers=MISTRAL.headers, stream=True
    )


def _embedded(call: Call) -> Answer:
    asked = call.json
    inputs = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    rows = [
        {"object": "embedding", "index": number, "embedding": EMBEDDING} for number, _ in enumerate(inputs)
    ]
    usage = {"prompt_tokens": 250, "total_tokens": 250, "completion_tokens": 0}
    return answer_json({"id": "e-1", "object": "list", "data": rows, "model": EMBEDDER, "usage": usage})


def _transcribed(call: Call) -> Answer:
    form = call.form
    if form["model"].text != TRANSCRIBER:
        return MISTRAL.refusal(400, f"Invalid model: {form['model'].text}")
    if "stream" in form and form["stream"].text == "true":
        return transcription_stream()
    usage = {"prompt_audio_seconds": 12, "prompt_tokens": 4, "completion_tokens": 9, "total_tokens": 388}
    answer = {"model": TRANSCRIBER, "text": TRANSCRIPT, "language": "en", "segments": [], "usage": usage}
    return answer_json(answer, headers=MISTRAL.headers)


def _spoken(call: Call) -> Answer:
    asked = call.json
    audio = base64.b64encode(SPEECH).decode()
    if asked.get("stream"):
        return speech_stream()
    return answer_json({"audio_data": audio}, headers=MISTRAL.headers)


def _completed(call: Call) -> Answer:
    if call.json["model"] != CODER.model:
        return CODER.refusal(400, f"Invalid model: {call.json['model']}")
    return CODER.stream() if call.json.get("stream") else CODER.whole()


def _read(call: Call) -> Answer:
    page = {"images": [], "dimensions": {"dpi": 200, "height": 2200, "width": 1700}}
    pages = [{**page, "index": number, "markdown": f"Page {number}"} for number in range(3)]
    usage = {"pages_processed": 3, "doc_size_bytes": 3002783}
    return answer_json({"pages": pages, "model": READER, "document_annotation": None, "usage_info": usage})


def _respond(call: Call) -> Answer:
    other = {
        "/v1/embeddings": _embedded,
        "/v1/audio/transcriptions": _transcribed,
        "/v1/audio/speech": _spoken,
        "/v1/ocr": _read,
        "/v1/fim/completions": _completed,
    }.get(call.path)
    if other is not None:
        return other(call)
    if call.path in MISTRAL.paths and "max_completion_tokens" in call.json:
        return MISTRAL.refusal(422, "max_completion_tokens: Extra inputs are not permitted")
    return MISTRAL.respond(call)


@contextmanager
def serve_mistral() -> Generator[FakeProvider]:
    """A fake Mistral that takes the operator's key alone."""
    with serve_provider(MISTRAL.refuse, _respond) as provider:
        yield provider
