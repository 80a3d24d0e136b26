"""Groq as a fake: OpenAI's dialect below `/openai/v1`, usage in `x_groq` of the chunk that ends the choice.

The cost is worked out by hand for openai/gpt-oss-120b: input 0.15, cached 0.075, output 0.60 micros a token.
"""

from contextlib import AbstractContextManager

from tests.support.fake_chat import Dialect, serve_chat
from tests.support.fake_provider import FakeProvider

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
    told_at=("x_groq", "tail"),
    told_unasked=("x_groq",),
    headers=(("x-groq-region", "us-east-1"), ("x-request-id", "req_1")),
)
COST_MICROS = 247
"""388 x 0.15 + 512 x 0.075 + 250 x 0.60 = 58.2 + 38.4 + 150 = 246.6, rounded up."""


def serve_groq() -> AbstractContextManager[FakeProvider]:
    """A fake Groq that takes the operator's key alone."""
    return serve_chat(GROQ)
