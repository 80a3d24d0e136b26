"""OpenAI and Anthropic through their own SDKs, the generation before included."""

from typing import Any

from tests.e2e.sdk.trials.chat import TOOL
from tests.e2e.sdk.trials.frameworks import CHAT, MESSAGES, Below
from tests.e2e.sdk.trials.trial import TOOL_CALL, Cancel, Deed, Refusal, Trial
from tests.support.fake_openai import TEXT

HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"q": {"type": "integer"}}}
TOOLS = {"openai": TOOL, "anthropic": {"name": "get", "description": "Get it", "input_schema": SCHEMA}}
LIMITS = {"openai": "max_completion_tokens", "anthropic": "max_tokens"}
CAP_KINDS = {
    ("anthropic", "python"): "PaymentRequiredError",
    ("anthropic", "node"): "APIError",
    ("openai", "node"): "APIError",
}


def trial(below: Below, language: str, path: str) -> Trial:
    """One of the SDKs of one of the two vendors."""
    vendor = below.provider
    own_path = "/v1" if vendor == "openai" else ""
    ask: dict[str, Any] = {"model": below.model, LIMITS[vendor]: 500, "messages": HELLO}
    with_tool = {**ask, "tools": [TOOLS[vendor]]}
    return Trial(
        provider=vendor,
        modality=below.modality,
        sdk=(vendor, language),
        path=path + own_path,
        own_path=own_path,
        cap_kind=CAP_KINDS.get((vendor, language), "APIStatusError"),
        call=Deed("create", ask, TEXT, below.whole),
        stream=Deed("stream", ask, TEXT, below.stream),
        tools=Deed("create", with_tool, TOOL_CALL, below.whole),
        # Without its usage being asked for, the gateway does.
        streamed_tools=Deed("stream", with_tool, TOOL_CALL, below.streamed_tools),
        refusal=Refusal(below.refusal, 400, "BadRequestError"),
        cancel=Cancel(Deed("cancel", ask, "Hello", below.stream), below.waiting),
    )


TRIALS = [
    trial(CHAT, "python", "/openai"),
    trial(CHAT, "previous python", ""),
    trial(CHAT, "node", ""),
    trial(MESSAGES, "python", "/anthropic"),
    trial(MESSAGES, "previous python", ""),
    trial(MESSAGES, "node", ""),
]
