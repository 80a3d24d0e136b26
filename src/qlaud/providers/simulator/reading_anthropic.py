"""Reads Anthropic Messages bodies (providers.md 1) into an `Ask`, with the provider's own refusals."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from qlaud.providers.simulator.ask import Ask, BadBody, Prompt, Tool
from qlaud.providers.simulator.tokens import count, count_bytes, count_media

MESSAGE_TOKENS = 3
"""What a turn costs beside its content."""
MIN_THINKING_BUDGET = 1024
_NONE = msgspec.Raw(b"")


class _CacheControl(msgspec.Struct):
    type: str = "ephemeral"
    ttl: Literal["5m", "1h"] = "5m"


class _Source(msgspec.Struct):
    type: str = ""
    data: str = ""
    url: str = ""


class _Block(msgspec.Struct):
    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    name: str = ""
    input: msgspec.Raw = _NONE
    content: "str | list[_Block] | dict[str, msgspec.Raw] | None" = None
    source: _Source | None = None
    cache_control: _CacheControl | None = None


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Block]


class _Tool(msgspec.Struct):
    name: str
    type: str | None = None
    description: str = ""
    input_schema: msgspec.Raw = _NONE
    cache_control: _CacheControl | None = None


class _ToolChoice(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str = ""


class _Thinking(msgspec.Struct):
    type: str
    budget_tokens: int = 0
    display: str | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    system: str | list[_Block] | None = None
    stream: bool | None = False
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _Thinking | None = None
    stop_sequences: list[str] | None = None
    cache_control: _CacheControl | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None


_DECODER = msgspec.json.Decoder(_Body)


def read_messages(body: bytes, seed: str) -> Ask:
    """The request of `POST /v1/messages`. Raises BadBody."""
    asked = _decode(body)
    if asked.max_tokens is None:
        raise BadBody("max_tokens: Field required", param="max_tokens")
    if asked.max_tokens < 0:
        raise BadBody("max_tokens: Input should be greater than or equal to 0", param="max_tokens")
    thinking = asked.thinking
    if thinking is not None and thinking.type == "enabled":
        if thinking.budget_tokens < MIN_THINKING_BUDGET:
            raise BadBody("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if thinking.budget_tokens >= asked.max_tokens:
            raise BadBody("`max_tokens` must be greater than `thinking.budget_tokens`")
    choice = asked.tool_choice
    last = asked.messages[-1]
    return Ask(
        model=asked.model,
        seed=seed,
        prompt=_prompt(asked),
        said=_last_said(asked.messages),
        tool_result=_tool_result(last),
        stream=bool(asked.stream),
        max_output=asked.max_tokens,
        tools=_tools(asked),
        must_call=choice is not None and choice.type in ("any", "tool"),
        thinking=thinking is not None and thinking.type != "disabled",
        show_thinking=thinking is None or thinking.display != "omitted",
        stops=tuple(asked.stop_sequences or ()),
        geo=asked.inference_geo or "global",
        speed=asked.speed or "standard",
    )


def read_count(body: bytes) -> int:
    """The `input_tokens` that `POST /v1/messages/count_tokens` answers: all of them. Raises BadBody."""
    return _prompt(_decode(body)).total


def _decode(body: bytes) -> _Body:
    try:
        asked = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        param = path.strip("`.") or None
        raise BadBody(f"{param}: {reason}" if param else reason, param=param) from error
    except msgspec.DecodeError as error:
        raise BadBody(f"The request body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise BadBody("The JSON body is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise BadBody("The request body is not valid JSON: it is not UTF-8") from error
    if not asked.messages:
        raise BadBody("messages: at least one message is required", param="messages")
    return asked


def _tools(asked: _Body) -> tuple[Tool, ...]:
    choice = asked.tool_choice
    own = tuple(Tool(t.name, t.input_schema) for t in asked.tools or () if len(t.input_schema))
    if choice is None or choice.type == "auto":
        return own
    if choice.type == "none":
        return ()
    if choice.type == "tool":
        own = tuple(t for t in own if t.name == choice.name)
    if not own:
        raise BadBody(f"tool_choice: Tool '{choice.name}' not found in provided tools", param="tool_choice")
    return own


def _prompt(asked: _Body) -> Prompt:
    """Tools, system and messages in that order; each mark caches everything since the mark before it.

    A mark that stands before the last answer was there in the turn before, so its prefix is read, not written.
    """
    answered = max((i for i, m in enumerate(asked.messages) if m.role == "assistant"), default=-1)
    pending = read = written = written_1h = 0
    for position, tokens, mark in _portions(asked):
        pending += tokens
        if mark is None:
            continue
        if position < answered:
            read += pending
        elif mark.ttl == "1h":
            written_1h += pending
        else:
            written += pending
        pending = 0
    return Prompt(pending, read, written, written_1h)


def _portions(asked: _Body) -> Iterator[tuple[int, int, _CacheControl | None]]:
    """Each portion of the prompt: the index of its message (-1 before all), its tokens, its cache mark."""
    for tool in asked.tools or ():
        tokens = count(tool.name) + count(tool.description) + count_bytes(len(tool.input_schema))
        yield -1, tokens, tool.cache_control
    if isinstance(asked.system, str):
        yield -1, count(asked.system), None
    else:
        for block in asked.system or ():
            yield -1, _block_tokens(block), block.cache_control
    for position, message in enumerate(asked.messages):
        if isinstance(message.content, str):
            yield position, MESSAGE_TOKENS + count(message.content), None
            continue
        yield position, MESSAGE_TOKENS, None
        for block in message.content:
            yield position, _block_tokens(block), block.cache_control
    if asked.cache_control is not None:
        yield len(asked.messages), 0, asked.cache_control


def _block_tokens(block: _Block) -> int:
    tokens = count(block.text) + count(block.thinking) + count(block.name)
    tokens += count_bytes(len(block.input))
    if block.source is not None:
        size = len(block.source.data) + len(block.source.url)
        tokens += count(block.source.data) if block.source.type == "text" else count_media(size)
    if isinstance(block.content, str):
        tokens += count(block.content)
    elif isinstance(block.content, list):
        tokens += sum(_block_tokens(inner) for inner in block.content)
    return tokens


def _text(content: str | list[_Block] | dict[str, msgspec.Raw] | None) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(block.text for block in content if block.type == "text")
    return ""


def _last_said(messages: list[_Message]) -> str:
    for message in reversed(messages):
        if message.role == "user" and (text := _text(message.content)):
            return text
    return ""


def _tool_result(last: _Message) -> str | None:
    if isinstance(last.content, str):
        return None
    results = [_text(block.content) for block in last.content if block.type == "tool_result"]
    return "\n".join(results) if results else None
