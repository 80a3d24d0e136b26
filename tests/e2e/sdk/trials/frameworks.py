"""The AI SDK and LangChain on top of OpenAI and Anthropic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.e2e.sdk.trials.trial import TOOL_CALL, Cancel, Deed, Refusal, Trial
from tests.support import fake_anthropic, fake_openai, fake_openai_responses
from tests.support.fake_openai import TEXT
from tests.support.fake_provider import Answer, Gate


@dataclass(frozen=True, slots=True)
class Below:
    """The API that a framework calls, and what its answers cost."""

    provider: str
    modality: str
    chosen: str
    """How the driver calls it."""
    model: str
    whole: int
    stream: int
    streamed_tools: int
    waiting: Callable[[Gate], Answer]
    refusal: Answer


CHAT = Below(
    "openai",
    "text (chat)",
    "openai chat",
    fake_openai.MODEL,
    fake_openai.COST_MICROS,
    fake_openai.COST_MICROS,
    440,  # the recorded stream says tier `priority`, at twice the price: (50 x 2 + 12 x 10) x 2
    lambda gate: fake_openai.text_stream(include_usage=True, gate=gate),
    fake_openai.refusal(400, "as scripted"),
)
RESPONSES = Below(
    "openai",
    "text (responses)",
    "openai",
    fake_openai.MODEL,
    fake_openai_responses.COST_MICROS,
    fake_openai_responses.COST_MICROS,
    fake_openai_responses.COST_MICROS,
    lambda gate: fake_openai.RESPONSES.stream(gate=gate),
    fake_openai.refusal(400, "as scripted"),
)
MESSAGES = Below(
    "anthropic",
    "text (messages)",
    "anthropic",
    fake_anthropic.MODEL,
    fake_anthropic.TEXT_COST_MICROS,
    fake_anthropic.STREAM_COST_MICROS,
    fake_anthropic.TOOL_COST_MICROS,
    lambda gate: fake_anthropic.text_stream(gate=gate),
    fake_anthropic.refusal(400, "as scripted"),
)


AI_SDK = ("vercel", "APICallError", "APICallError")
LANGCHAIN = ("langchain", "BadRequestError", "APIError")
"""A framework, and what it raises for a 400 and a 402."""


def trial(framework: tuple[str, str, str], below: Below, path: str, limit: dict[str, Any]) -> Trial:
    """A framework on top of an API. `path` is its base URL."""
    name, kind, cap_kind = framework
    ask = {"provider": below.chosen, "model": below.model, "prompt": "Hello", **limit}
    with_tool = {**ask, "tools": True}
    return Trial(
        provider=below.provider,
        modality=below.modality,
        sdk=(name, "node"),
        path=path,
        own_path=path,
        cap_kind=cap_kind,
        call=Deed("call", ask, TEXT, below.whole),
        stream=Deed("stream", ask, TEXT, below.stream),
        tools=Deed("call", with_tool, TOOL_CALL, below.whole),
        streamed_tools=Deed("stream", with_tool, TOOL_CALL, below.streamed_tools),
        refusal=Refusal(below.refusal, 400, kind),
        cancel=Cancel(Deed("cancel", ask, "Hello", below.stream), below.waiting),
    )


TRIALS = [
    trial(AI_SDK, CHAT, "/v1", {}),
    trial(AI_SDK, RESPONSES, "/v1", {}),
    trial(AI_SDK, MESSAGES, "/v1", {"maxOutputTokens": 500}),
    trial(LANGCHAIN, CHAT, "/v1", {}),
    trial(LANGCHAIN, MESSAGES, "", {"max_tokens": 500}),
]
