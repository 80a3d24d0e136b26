"""DeepSeek as a fake: usage stands in the chunk that ends the choice, a queue shows in comments and blank lines.

The costs are worked out by hand for deepseek-flash, in and out of its peak hours (01:00-04:00 and 06:00-10:00 UTC
on workdays): input 0.15 or 0.30, cached 0.003 or 0.006, output 0.60 or 1.20 micros a token.
"""

from contextlib import AbstractContextManager
from datetime import UTC, datetime

from tests.support.fake_chat import Dialect, serve_chat
from tests.support.fake_provider import FakeProvider

DEEPSEEK = Dialect(
    "deepseek",
    "deepseek-flash",
    {
        "prompt_tokens": 563,
        "completion_tokens": 116,
        "total_tokens": 679,
        "prompt_tokens_details": {"cached_tokens": 512},
        "completion_tokens_details": {"reasoning_tokens": 60},
        "prompt_cache_hit_tokens": 512,
        "prompt_cache_miss_tokens": 51,
    },
    paths=("/chat/completions", "/v1/chat/completions"),
    told_at=("finish",),
    thoughts="Look it up.",
    waiting=b": keep-alive\n\n",
    blank=b"\n\n\n",
    responses_path="/v1/responses",
    messages_path="/anthropic/v1/messages",
)
OFF_PEAK_MICROS = 79
"""51 x 0.15 + 512 x 0.003 + 116 x 0.60 = 7.65 + 1.536 + 69.6 = 78.786, rounded up."""
PEAK_MICROS = 158
"""51 x 0.30 + 512 x 0.006 + 116 x 1.20 = 15.3 + 3.072 + 139.2 = 157.572, rounded up."""
PEAK_HOURS = (1, 2, 3, 6, 7, 8, 9)


def costs_at(at_ms: int) -> tuple[int, ...]:
    """What an answer may cost when the call began then. China's holidays are off-peak, and no test knows them."""
    began = datetime.fromtimestamp(at_ms / 1000, UTC)
    if began.hour in PEAK_HOURS and began.weekday() < 5:
        return (PEAK_MICROS, OFF_PEAK_MICROS)
    return (OFF_PEAK_MICROS,)


def serve_deepseek() -> AbstractContextManager[FakeProvider]:
    """A fake DeepSeek that takes the operator's key alone."""
    return serve_chat(DEEPSEEK)
