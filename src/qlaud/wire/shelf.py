"""Every wire format by its name in the providers' files. A new format is a module and a line here."""

from collections.abc import Mapping

from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.gemini import GeminiWire
from qlaud.wire.gemini_count import GeminiCountWire
from qlaud.wire.gemini_embed import GeminiEmbedWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import Wire

WIRES: Mapping[str, Wire] = {
    "messages": AnthropicWire(),
    "count_tokens": AnthropicWire(),
    "openai_chat": OpenAIChatWire(),
    "gemini_generate": GeminiWire(),
    "gemini_embed": GeminiEmbedWire(),
    "gemini_count": GeminiCountWire(),
}
