"""Cerebras as a fake: flat errors, `time_info` beside the usage, usage in every stream, and a path that warms
connections.

The cost is worked out by hand for gpt-oss-120b: input 0.35, cached the same, output 0.75 micros a token.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tests.support.fake_chat import Dialect
from tests.support.fake_provider import Answer, Call, FakeProvider, answer_json, serve_provider

WARMING = "/v1/tcp_warming"
"""The SDK calls it when a client is made. It costs nothing."""


def error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """Its error body: no object around it."""
    kind = "too_many_requests_error" if status == 429 else "invalid_request_error"
    return {"message": message, "type": kind, "param": "", "code": code or "wrong_api_format"}


CEREBRAS = Dialect(
    "cerebras",
    "gpt-oss-120b",
    {
        "prompt_tokens": 1200,
        "completion_tokens": 345,
        "total_tokens": 1545,
        "prompt_tokens_details": {"cached_tokens": 1024},
        "completion_tokens_details": {"reasoning_tokens": 300},
    },
    told_at=("finish",),
    told_unasked=("finish",),
    extras={
        "time_info": {
            "queue_time": 0.001,
            "prompt_time": 0.002,
            "completion_time": 0.01,
            "total_time": 0.02,
            "created": 1790000000,
        }
    },
    headers=(
        ("inference-id", "inf-1"),
        ("x-ratelimit-remaining-requests-day", "14399"),
        ("x-ratelimit-reset-tokens-minute", "52.3"),
    ),
    error=error,
    whole_tool_calls=True,
)
COST_MICROS = 679
"""(176 + 1024) x 0.35 + 345 x 0.75 = 420 + 258.75 = 678.75, rounded up."""


def _refuse(call: Call) -> Answer | None:
    return answer_json({}) if call.path == WARMING else CEREBRAS.refuse(call)


@contextmanager
def serve_cerebras() -> Generator[FakeProvider]:
    """A fake Cerebras that takes the operator's key alone."""
    with serve_provider(_refuse, CEREBRAS.respond) as provider:
        yield provider
