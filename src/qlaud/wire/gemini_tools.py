"""What the tools of a Gemini request may cost: which the caller runs, which Google runs, and what bounds those.

    functionDeclarations, computerUse   run by the caller: a hidden prompt
    urlContext, codeExecution           run by Google, paid in tokens: the whole context
    fileSearch                          likewise, over a store of the operator's account
    googleSearch, googleMaps            up to Gemini 2.x one fee a call each; later models pay for each query, and no
                                        request can say how many: unbounded

Anything else may cost anything. Facts: Google's pages on tools and pricing, seen 2026-11.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from qlaud.core.errors import BadRequest
from qlaud.wire import body as json_body
from qlaud.wire.content import opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_names import by_camel, searches_by_request
from qlaud.wire.gemini_parts import Sent

TOOL_PROMPT_TOKENS = 1_000
"""The hidden prompt around the declared functions, or an output format."""
COMPUTER_TOKENS = 4_000
"""The predefined functions of computer use, about a dozen."""
SEARCHES = frozenset(("googleSearch", "googleSearchRetrieval", "googleMaps"))
IN_TOKENS = frozenset(("urlContext", "codeExecution", "fileSearch"))


class Tools(msgspec.Struct, frozen=True, gc=False):
    """What tools cost beyond the body."""

    tokens: int = 0
    searches: int = 0
    unbounded: str | None = None


def note_tools(sent: Sent, fields: Mapping[str, Raw], model: str) -> Tools:
    """The bound of the tools among `fields`; `sent` is told of input that is not in the body. Raises BadRequest."""
    tokens = 0
    searches = 0
    unbounded: str | None = None
    for name in _names(fields):
        if name == "functionDeclarations":
            tokens = max(tokens, TOOL_PROMPT_TOKENS)
        elif name == "computerUse":
            tokens += COMPUTER_TOKENS
        elif name in IN_TOKENS:
            sent.whole_context = True
            if name == "fileSearch":
                sent.resource = name
        elif name in SEARCHES and searches_by_request(model):
            sent.whole_context = True
            searches += 1
        else:
            unbounded = name
    config = fields.get("generationConfig")
    if config is not None and b"chema" in bytes(config):
        tokens = max(tokens, TOOL_PROMPT_TOKENS)
    return Tools(tokens, searches, unbounded)


def _names(fields: Mapping[str, Raw]) -> list[str]:
    """The tools asked for, by their camelCase names."""
    value = fields.get("tools")
    if value is None:
        return []
    items = [value] if opens_with(value, 0x7B) else json_body.read_items(fields, "tools")
    names: list[str] = []
    for index, item in enumerate(items):
        try:
            names += by_camel(json_body.read_members(bytes(item), f"`tools[{index}]`"), "`tools`")
        except UNREADABLE:
            raise BadRequest(f"`tools[{index}]` is not a tool", param="tools") from None
    return names
