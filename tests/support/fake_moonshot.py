"""Moonshot's Kimi as a fake: usage inside the choice that ends, and once more in a chunk of its own when asked
for.

The cost is worked out by hand for kimi-k3: input 3, cached 0.30, cache write 3 (5 min), output 15 micros a token.
"""

from contextlib import AbstractContextManager
from typing import Any

from tests.support.fake_chat import Dialect, serve_chat
from tests.support.fake_provider import FakeProvider


def error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """Its error body."""
    kinds = {401: "invalid_authentication_error", 404: "resource_not_found_error"}
    kinds |= {429: "rate_limit_reached_error", 503: "engine_overloaded_error"}
    return {"error": {"message": message, "type": code or kinds.get(status, "invalid_request_error")}}


MOONSHOT = Dialect(
    "moonshot",
    "kimi-k3",
    {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "cached_tokens": 60,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
    told_at=("choice", "tail"),
    told_unasked=("choice",),
    error=error,
    thoughts="Look it up.",
    responses_path="/v1/responses",
    messages_path="/anthropic/v1/messages",
)
COST_MICROS = 438
"""30 x 3 + 60 x 0.30 + 10 x 3 + 20 x 15 = 90 + 18 + 30 + 300."""


def serve_moonshot() -> AbstractContextManager[FakeProvider]:
    """A fake Moonshot that takes the operator's key alone."""
    return serve_chat(MOONSHOT)
