"""OpenRouter as a fake: below `/api/v1`, comments while it waits, and its own word for what a call cost,
also in streams that were not asked for it.

A credit is a dollar. The cost in the answer is the one that counts; by the list of anthropic/claude-opus-5 the
tokens alone would cost 100 x 5 + 400 x 0.5 + 60 x 25 = 2200 micros, and by that of openai/text-embedding-3-small an
embedding 2050 x 0.02 = 41.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_chat import Dialect
from tests.support.fake_provider import Answer, Call, FakeProvider, answer_json, serve_provider


def error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """Its error body: the code is the status."""
    return {"error": {"code": status, "message": message, "metadata": {"reason": code}}, "user_id": "user_1"}


OPENROUTER = Dialect(
    "openrouter",
    "anthropic/claude-opus-5",
    {
        "prompt_tokens": 500,
        "completion_tokens": 60,
        "total_tokens": 560,
        "cost": 0.0020125,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 0, "audio_tokens": 0},
        "cost_details": {"upstream_inference_cost": None},
        "completion_tokens_details": {"reasoning_tokens": 10, "image_tokens": 0},
    },
    paths=("/api/v1/chat/completions",),
    told_at=("tail",),
    told_unasked=("tail",),
    extras={"provider": "Anthropic"},
    responses_path="/api/v1/responses",
    error=error,
    waiting=b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n",
)
COST_MICROS = 2013
"""0.0020125 dollars are 2012.5 micros, rounded up."""


EMBEDDER = "openai/text-embedding-3-small"
EMBEDDING = [0.25, -0.5, 0.125]
EMBEDDING_USAGE = {
    "prompt_tokens": 2050,
    "total_tokens": 2050,
    "cost": 0.00004305,
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": None},
}
EMBEDDING_COST_MICROS = 44
"""0.00004305 dollars are 43.05 micros, rounded up."""


def _respond(call: Call) -> Answer:
    if call.path != "/api/v1/embeddings":
        return OPENROUTER.respond(call)
    if call.json["model"] != EMBEDDER:
        return OPENROUTER.refusal(404, f"No endpoints found for {call.json['model']}")
    row = {"object": "embedding", "index": 0, "embedding": EMBEDDING}
    answer = {"id": "gen-emb-1", "object": "list", "data": [row], "model": EMBEDDER, "provider": "OpenAI"}
    return answer_json({**answer, "usage": EMBEDDING_USAGE})


@contextmanager
def serve_openrouter() -> Generator[FakeProvider]:
    """A fake OpenRouter that takes the operator's key alone."""
    with serve_provider(OPENROUTER.refuse, _respond) as provider:
        yield provider
