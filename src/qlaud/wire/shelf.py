"""Every wire format by its name in the providers' files. A new format is a module and a line here."""

from collections.abc import Mapping

from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import Wire

WIRES: Mapping[str, Wire] = {
    "messages": AnthropicWire(),
    "count_tokens": AnthropicWire(),
    "openai_chat": OpenAIChatWire(),
}
