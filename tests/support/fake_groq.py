"""Groq as a fake: OpenAI's dialect below `/openai/v1`, usage in `x_groq` of the chunk that ends the choice.

The costs are worked out by hand: openai/gpt-oss-120b at 0.15 input, 0.075 cached, 0.60 output micros a token;
whisper-large-v3-turbo at 0.04 dollars an hour, of which its answers say nothing; orpheus at 22 micros a character.
"""

from collections.abc import Generator
from contextlib import contextmanager

from tests.support.fake_chat import Dialect
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, Part, answer_json, serve_provider

GROQ = Dialect(
    "groq",
    "openai/gpt-oss-120b",
    {
        "queue_time": 0.04,
        "prompt_tokens": 900,
        "prompt_time": 0.01,
        "completion_tokens": 250,
        "completion_time": 0.5,
        "total_tokens": 1150,
        "total_time": 0.51,
        "prompt_tokens_details": {"cached_tokens": 512},
        "completion_tokens_details": {"reasoning_tokens": 120},
    },
    paths=("/openai/v1/chat/completions",),
    responses_path="/openai/v1/responses",
    told_at=("x_groq", "tail"),
    told_unasked=("x_groq",),
    headers=(("x-groq-region", "us-east-1"), ("x-request-id", "req_1")),
)
COST_MICROS = 247
"""388 x 0.15 + 512 x 0.075 + 250 x 0.60 = 58.2 + 38.4 + 150 = 246.6, rounded up."""
TRANSCRIBER, SPEAKER = "whisper-large-v3-turbo", "canopylabs/orpheus-v1-english"
TRANSCRIPT = "Hello there."
TRANSCRIPTION_COST_MICROS = 200
"""18 seconds at 0.04 dollars an hour."""
SPOKEN = "Hello there, Ada, 42"
SPEECH = b"RIFF" + bytes(range(256)) * 8
SPEECH_COST_MICROS = 440
"""`SPOKEN` has 20 characters: 20 x 22."""


def speech(*, gate: Gate | None = None) -> Answer:
    """Sound in chunks; at `gate` it waits after the first of them."""
    parts: list[Part] = [SPEECH[:1024], *([gate] if gate else []), SPEECH[1024:]]
    return Answer(parts, content_type="audio/wav", stream=True)


def _respond(call: Call) -> Answer:
    if call.path == "/openai/v1/audio/speech":
        return speech()
    if call.path == "/openai/v1/audio/transcriptions":
        if call.form["model"].text != TRANSCRIBER:
            return GROQ.refusal(404, f"The model `{call.form['model'].text}` does not exist")
        return answer_json({"text": TRANSCRIPT, "x_groq": {"id": "req_1"}}, headers=GROQ.headers)
    return GROQ.respond(call)


@contextmanager
def serve_groq() -> Generator[FakeProvider]:
    """A fake Groq that takes the operator's key alone."""
    with serve_provider(GROQ.refuse, _respond) as provider:
        yield provider
