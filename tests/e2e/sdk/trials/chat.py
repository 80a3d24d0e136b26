"""Chat completions at every vendor who speaks them, through OpenAI's SDK as their pages say, or their own."""

from collections.abc import Mapping
from typing import Any

from tests.e2e.sdk.sdks import Name
from tests.e2e.sdk.trials.trial import TOOL_CALL, Cancel, Cost, Deed, Refusal, Trial
from tests.support import (
    fake_cerebras,
    fake_deepseek,
    fake_google,
    fake_groq,
    fake_minimax,
    fake_mistral,
    fake_moonshot,
    fake_openai,
    fake_openrouter,
    fake_perplexity,
    fake_qwen,
    fake_xai,
)
from tests.support.fake_chat import TEXT, Dialect

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {
    "type": "function",
    "function": {"name": "get", "parameters": {"type": "object", "properties": {"q": {"type": "integer"}}}},
}
WITH_USAGE = {"stream_options": {"include_usage": True}}
ONE_TRY = 400
"""A status that no SDK tries again."""


def chat(
    dialect: Dialect,
    path: str,
    cost: Cost,
    *,
    sdk: Name = ("openai", "python"),
    kinds: tuple[str, str] = ("BadRequestError", "APIStatusError"),
    **more: Any,
) -> Trial:
    """The trial of a dialect. `path` is the base URL below the provider; `kinds` are raised for 400 and 402."""
    bare: dict[str, Any] = {"model": dialect.model, "messages": HELLO}
    names = ("create", "stream") if sdk[0] in ("openai", "cerebras") else ("call", "stream")
    streamed = {**bare, **WITH_USAGE} if dialect.takes_stream_options else bare
    tools = {"tools": [TOOL]}
    return Trial(
        provider=dialect.slug,
        modality="text (chat)",
        sdk=sdk,
        path=f"/{dialect.slug}{path}",
        own_path=path,
        cap_kind=kinds[1],
        call=Deed(names[0], bare, TEXT, cost),
        stream=Deed(names[1], bare, TEXT, cost),
        tools=Deed(names[0], {**bare, **tools}, TOOL_CALL, cost),
        streamed_tools=Deed(names[1], {**streamed, **tools}, TOOL_CALL, cost),
        refusal=Refusal(dialect.refusal(ONE_TRY, "as scripted"), ONE_TRY, kinds[0]),
        cancel=Cancel(
            Deed("cancel", streamed, "Hello", cost),
            lambda gate: dialect.stream(include_usage=True, gate=gate),
        ),
        **more,
    )


def without_tools(trial: Trial) -> Trial:
    """For a vendor whose models call none."""
    fields: Mapping[str, Any] = {name: getattr(trial, name) for name in trial.__dataclass_fields__}
    return Trial(**{**fields, "tools": None, "streamed_tools": None})


OPENAI = Dialect("openai", fake_openai.MODEL, fake_openai.USAGE, headers=fake_openai.HEADERS)

TRIALS = [
    chat(fake_xai.XAI, "/v1", fake_xai.COST_MICROS),
    chat(
        fake_xai.XAI,
        "/v1",
        fake_xai.COST_MICROS,
        sdk=("openai", "node"),
        kinds=("BadRequestError", "APIError"),
    ),
    chat(fake_google.CHAT, "/v1beta/openai", fake_google.COMPATIBLE_COST_MICROS),
    chat(fake_qwen.QWEN, "/compatible-mode/v1", fake_qwen.COST_MICROS),
    chat(fake_moonshot.MOONSHOT, "/v1", fake_moonshot.COST_MICROS),
    chat(fake_minimax.MINIMAX, "/v1", fake_minimax.COST_MICROS),
    chat(fake_deepseek.DEEPSEEK, "", fake_deepseek.costs_at),
    chat(
        fake_mistral.MISTRAL,
        "",
        fake_mistral.COST_MICROS,
        sdk=("mistral", "python"),
        kinds=("SDKError", "SDKError"),
    ),
    chat(fake_cerebras.CEREBRAS, "", fake_cerebras.COST_MICROS, sdk=("cerebras", "python"), warm_up=1),
    chat(fake_groq.GROQ, "/openai/v1", fake_groq.COST_MICROS),
    without_tools(chat(fake_perplexity.PERPLEXITY, "", fake_perplexity.COST_MICROS)),
    chat(fake_openrouter.OPENROUTER, "/api/v1", fake_openrouter.COST_MICROS),
]
