"""Reads OpenAI Chat Completions bodies (providers.md 2) into an `Ask`, with the provider's own refusals."""

from typing import Literal

import msgspec

from qlaud.providers.simulator.ask import Ask, BadBody, Prompt, Tool
from qlaud.providers.simulator.tokens import count, count_bytes, count_media

MESSAGE_TOKENS = 3
"""What a turn costs beside its content."""
MAX_CHOICES = 128
MIN_CACHED = 1024
CACHED_STEP = 128
"""A prefix of at least 1024 tokens is cached by itself, in steps of 128."""
_NONE = msgspec.Raw(b"")


class _Part(msgspec.Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: msgspec.Raw = _NONE
    input_audio: msgspec.Raw = _NONE
    file: msgspec.Raw = _NONE


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: msgspec.Raw = _NONE


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class _Tool(msgspec.Struct):
    type: str
    function: _Function | None = None


class _Named(msgspec.Struct):
    name: str = ""


class _Allowed(msgspec.Struct):
    mode: Literal["auto", "required"] = "auto"
    tools: list[_Tool] = msgspec.field(default_factory=list[_Tool])


class _ToolChoice(msgspec.Struct):
    type: str
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = False


class _CacheOptions(msgspec.Struct):
    mode: str | None = None
    ttl: str | None = None


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = 1
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: _StreamOptions | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _ToolChoice | None = None
    reasoning_effort: str | None = None
    prompt_cache_options: _CacheOptions | None = None
    service_tier: str | None = None


_DECODER = msgspec.json.Decoder(_Body)
_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority", "scale": "scale"}


def read_chat(body: bytes, seed: str) -> Ask:
    """The request of `POST /v1/chat/completions`. Raises BadBody."""
    asked = _decode(body)
    limit = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    if limit is not None and limit < 1:
        field = "max_tokens" if asked.max_completion_tokens is None else "max_completion_tokens"
        raise BadBody(f"Invalid '{field}': integer below minimum value. Expected a value >= 1.", param=field)
    choices = 1 if asked.n is None else asked.n
    if not 1 <= choices <= MAX_CHOICES:
        raise BadBody(f"Invalid 'n': expected a value between 1 and {MAX_CHOICES}.", param="n")
    options = asked.stream_options
    if options is not None and not asked.stream:
        raise BadBody(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    tools, must_call = _tools(asked)
    stop = asked.stop
    last = asked.messages[-1]
    return Ask(
        model=asked.model,
        seed=seed,
        prompt=_prompt(asked),
        said=next((t for m in reversed(asked.messages) if m.role == "user" and (t := _text(m))), ""),
        tool_result=_text(last) if last.role in ("tool", "function") else None,
        stream=bool(asked.stream),
        max_output=limit,
        tools=tools,
        must_call=must_call,
        thinking=asked.reasoning_effort not in (None, "none", "minimal"),
        stops=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        choices=choices,
        include_usage=options is not None and bool(options.include_usage),
        tier=_TIERS.get(asked.service_tier or "", "default"),
    )


def _decode(body: bytes) -> _Body:
    try:
        asked = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        param = path.strip("`.") or None
        raise BadBody(f"Invalid value for '{param}': {reason}" if param else reason, param=param) from error
    except msgspec.DecodeError as error:
        raise BadBody(f"We could not parse the JSON body of your request. ({error})") from error
    except RecursionError as error:
        raise BadBody("The JSON body is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise BadBody("We could not parse the JSON body of your request. (It is not UTF-8)") from error
    if not asked.messages:
        raise BadBody("Invalid 'messages': empty array. Expected at least 1 message.", param="messages")
    return asked


def _tools(asked: _Body) -> tuple[tuple[Tool, ...], bool]:
    """The tools that may be called, and whether one must be."""
    functions = [t.function for t in asked.tools or () if t.type == "function" and t.function is not None]
    own = tuple(Tool(f.name, f.parameters) for f in functions)
    choice = asked.tool_choice
    if choice is None or choice == "auto":
        return own, False
    if choice == "none":
        return (), False
    must_call = True
    if isinstance(choice, _ToolChoice):
        if choice.allowed_tools is not None:
            names = {t.function.name for t in choice.allowed_tools.tools if t.function is not None}
            must_call = choice.allowed_tools.mode == "required"
        else:
            names = {choice.function.name} if choice.function is not None else set[str]()
        own = tuple(t for t in own if t.name in names)
    if not own:
        raise BadBody("Invalid value for 'tool_choice': no such tool in 'tools'.", param="tool_choice")
    return own, must_call


def _prompt(asked: _Body) -> Prompt:
    """What stands before the last answer was sent a turn ago, and is read from the cache if long enough.

    The rest is written only where the caller asks for it (`prompt_cache_options`): older models write for free.
    """
    answered = max((i for i, m in enumerate(asked.messages) if m.role == "assistant"), default=0)
    before = sum(_tool_tokens(tool) for tool in asked.tools or ())
    before += sum(_message_tokens(m) for m in asked.messages[:answered])
    rest = sum(_message_tokens(m) for m in asked.messages[answered:])
    known = before if answered else 0
    read = known - known % CACHED_STEP if known >= MIN_CACHED else 0
    fresh = before + rest - read
    if asked.prompt_cache_options is not None and fresh >= MIN_CACHED:
        return Prompt(0, read, fresh)
    return Prompt(fresh, read)


def _tool_tokens(tool: _Tool) -> int:
    if tool.function is None:
        return 0
    own = tool.function
    return count(own.name) + count(own.description or "") + count_bytes(len(own.parameters))


def _message_tokens(message: _Message) -> int:
    tokens = MESSAGE_TOKENS + count_bytes(len(message.tool_calls))
    if isinstance(message.content, str):
        return tokens + count(message.content)
    for part in message.content or ():
        media = len(part.image_url) + len(part.input_audio) + len(part.file)
        tokens += count(part.text) + count(part.refusal) + count_media(media)
    return tokens


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content or () if part.type == "text")
