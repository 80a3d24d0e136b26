"""Perplexity as a fake: every answer searches, usage and the search results are on every chunk, unasked.

The cost is worked out by hand for sonar-pro: input 3, output 15 micros a token, and a fee for the request itself
(6000 with little search context).
"""

from contextlib import AbstractContextManager
from typing import Any

from tests.support.fake_chat import Dialect, serve_chat
from tests.support.fake_provider import FakeProvider


def error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """Its error body: the code is the status."""
    return {"error": {"message": message, "type": code or "bad_request", "code": status}}


PERPLEXITY = Dialect(
    "perplexity",
    "sonar-pro",
    {
        "prompt_tokens": 40,
        "completion_tokens": 210,
        "total_tokens": 250,
        "search_context_size": "low",
    },
    paths=("/chat/completions", "/v1/chat/completions"),
    told_at=("every",),
    told_unasked=("every",),
    extras={
        "citations": ["https://example.com/a"],
        "search_results": [{"title": "A", "url": "https://example.com/a", "date": "2026-11-01"}],
    },
    error=error,
)
COST_MICROS = 9270
"""40 x 3 + 210 x 15 + 6000 for a request with little search context."""


def serve_perplexity() -> AbstractContextManager[FakeProvider]:
    """A fake Perplexity that takes the operator's key alone."""
    return serve_chat(PERPLEXITY)
