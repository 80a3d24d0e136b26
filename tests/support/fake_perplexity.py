"""Perplexity as a fake: every answer of chat searches, usage and the search results are on every chunk, unasked; and
its agents, on OpenAI's Responses, whose answers say what they cost.

The cost of chat is worked out by hand for sonar-pro: input 3, output 15 micros a token, and a fee for the request
itself (6000 with little search context).
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_chat import Dialect
from tests.support.fake_openai_responses import Responses
from tests.support.fake_provider import Answer, Call, FakeProvider, serve_provider


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


AGENT = Responses(
    model="perplexity/sonar",
    usage={
        "input_tokens": 5000,
        "input_tokens_details": {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 3000},
        "output_tokens": 420,
        "total_tokens": 5420,
        "tool_calls_details": {"web_search": {"invocation": 1}},
        "cost": {
            "currency": "USD",
            "input_cost": 0.0005,
            "cache_read_cost": 0.0001875,
            "output_cost": 0.00105,
            "tool_calls_cost": 0.0025,
            "total_cost": 0.0042375,
        },
    },
)
AGENT_COST_MICROS = 4238
"""0.0042375 dollars are 4237.5 micros, rounded up. By the list: 2000 x 0.25 + 3000 x 0.0625 + 420 x 2.5 = 1737.5; and
a search at 2500."""


def _respond(call: Call) -> Answer:
    return AGENT.respond(call) if call.path in ("/v1/responses", "/v1/agent") else PERPLEXITY.respond(call)


@contextmanager
def serve_perplexity() -> Generator[FakeProvider]:
    """A fake Perplexity that takes the operator's key alone."""
    with serve_provider(PERPLEXITY.refuse, _respond) as provider:
        yield provider
