"""The paths that do not belong to management: model calls, token counts, the list of models, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import Wire

ANTHROPIC = AnthropicWire()
OPENAI_CHAT = OpenAIChatWire()


@dataclass(frozen=True, slots=True)
class Surface:
    """One path of a model call: its wire, and the names it has in the registry and in usage events."""

    wire: Wire
    wire_name: str
    name: str


MESSAGES = Surface(ANTHROPIC, "messages", "messages")
COUNT_TOKENS = Surface(ANTHROPIC, "messages", "count_tokens")
CHAT_COMPLETIONS = Surface(OPENAI_CHAT, "openai_chat", "chat_completions")

SURFACES: Mapping[str, Surface] = {
    "/v1/messages": MESSAGES,
    "/anthropic/v1/messages": MESSAGES,
    "/v1/v1/messages": MESSAGES,  # a base URL that ends in /v1 given to Anthropic's SDK
    "/v1/chat/completions": CHAT_COMPLETIONS,
    "/openai/v1/chat/completions": CHAT_COMPLETIONS,
    "/chat/completions": CHAT_COMPLETIONS,  # a base URL without /v1 given to OpenAI's SDK
}
"""Model calls: POST, on the hot path."""

COUNTING = frozenset(
    ("/v1/messages/count_tokens", "/anthropic/v1/messages/count_tokens", "/v1/v1/messages/count_tokens")
)
MODELS = frozenset(
    ("/v1/models", "/anthropic/v1/models", "/openai/v1/models", "/v1/v1/models", "/models")  # as SURFACES
)
METRICS = "/metrics"


def is_models(path: str) -> bool:
    """Whether this is the list of models, or one of them."""
    collection, _, name = path.partition("/models/")
    return path in MODELS or (name != "" and collection + "/models" in MODELS)


def methods_of(path: str) -> list[str] | None:
    """The methods of a path that stands here, None for any other."""
    if path in SURFACES or path in COUNTING:
        return ["OPTIONS", "POST"]
    return ["GET", "HEAD", "OPTIONS"] if path == METRICS or is_models(path) else None


def wire_of(path: str) -> Wire:
    """Whose error shape a path has (contract 4.1)."""
    if path in SURFACES:
        return SURFACES[path].wire
    return OPENAI_CHAT if path.startswith(("/openai/", "/v1/realtime")) else ANTHROPIC
