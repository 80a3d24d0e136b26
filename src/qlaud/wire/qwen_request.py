"""Reads a request to DashScope's native generation paths: what it asks, and an upper bound of what it is billed for.

`/services/aigc/text-generation/generation` takes text, `/multimodal-generation/generation` also pictures, sound and
films, and on the same path speech (`input.text` and a voice) and pictures made. Switches stand in headers:
`X-DashScope-SSE: enable` asks for a stream. The output limit is `parameters.max_tokens`. Facts: the vendor's pages and
SDK 2.0.2, seen 2026-11; why bytes bound tokens is argued in `anthropic_request`.
"""

import msgspec
from msgspec import Raw

from qlaud.core.demand import NOTHING_ELSE, Demand
from qlaud.core.usage import Usage
from qlaud.wire import body as json_body
from qlaud.wire.body import Members
from qlaud.wire.content import opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.types import Asked, ModelCall
from qlaud.wire.unit_wire import Terms, unit_call

NO_MEMBERS: Members = {}
IMAGE_TOKENS = 24_600
"""The most one picture costs; Qwen-VL takes 16384."""
TOOL_PROMPT_TOKENS = 1_000
MOST_CANDIDATES = 16
MOST_PICTURES = 6
USUAL_PICTURES = 4
PICTURE_MODELS = ("qwen-image", "wan", "z-image")
MOST_PER_CHARACTER = 2
"""A Chinese character is billed as two (the vendor's page on speech, seen 2026-11)."""
SOUND_TOKENS_PER_BYTE = 27
"""Of speech billed by the token, at most: 50 a second, 15 characters a second, and eight times that."""
SLOWEST = 8
PAUSE_TOKENS = 3_000
LIMIT = "max_tokens"
KNOWN_INPUT = {"messages", "prompt", "history"}
KNOWN_PARTS = {"text", "image", "cache_control", "min_pixels", "max_pixels"}
"""What stands whole in the body, or has a known most; anything else (sound, films, files) is input from elsewhere."""
NOT_BOUNDED = ("enable_search", "search_options", "plugins")
"""What makes the provider work, or read, beyond the body."""
HEADERS_NOT_BOUNDED = frozenset((b"x-dashscope-plugin", b"x-dashscope-async"))
"""The second makes a task of it, whose answer tells no usage."""
STREAM_HEADERS = ((b"x-dashscope-sse", b"enable"), (b"accept", b"text/event-stream"))


class _Message(msgspec.Struct):
    content: str | list[dict[str, Raw]] | None = None


def read_call(asked: Asked) -> ModelCall:
    """What a generation request asks. Raises InvalidJson or BadRequest."""
    members = json_body.read_body(asked.body)
    model = json_body.read_text(members, "model") or asked.model
    given = json_body.read_object(members, "input") or NO_MEMBERS
    parameters = json_body.read_object(members, "parameters") or NO_MEMBERS
    stream = any((name, value.lower()) in STREAM_HEADERS for name, value in asked.headers)
    if "text" in given and all(json_body.is_null(given.get(name)) for name in ("messages", "prompt")):
        return speech_call(model, given, len(asked.body), stream=stream)
    if model.lower().startswith(PICTURE_MODELS):
        usual = 1 if model.lower().startswith("qwen-image") else USUAL_PICTURES
        pictures = json_body.read_whole(parameters, "n", least=1, most=MOST_PICTURES) or usual
        return unit_call(model, {"images": pictures}, Usage(images=pictures), stream=stream)
    limit = json_body.read_whole(parameters, LIMIT, least=1)
    plain = json_body.without_escapes(asked.body)
    names_file = b"fileid://" in plain
    tokens, whole_context = _input(asked.body, given)
    return ModelCall(
        model=model,
        stream=stream,
        demand=Demand(
            input_tokens=tokens + (TOOL_PROMPT_TOKENS if "tools" in parameters else 0),
            whole_context=whole_context or names_file,
            candidates=json_body.read_whole(parameters, "n", least=1, most=MOST_CANDIDATES) or 1,
            max_output=limit,
            thinking_budget=json_body.read_whole(parameters, "thinking_budget", least=0) or 0,
            cache_ttls=frozenset(("5m",)) if b'"cache_control"' in plain else frozenset(),
            most=NOTHING_ELSE,
            unbounded_tool=_not_bounded(parameters, asked),
        ),
        wants_usage=True,
        limit_fields=(LIMIT,) if limit is not None else (),
        account_resource="fileid" if names_file or "file_ids" in given else None,
    )


def read_speech(asked: Asked) -> ModelCall:
    """What a request for speech asks. Raises InvalidJson or BadRequest."""
    members = json_body.read_body(asked.body)
    given = json_body.read_object(members, "input") or NO_MEMBERS
    model = json_body.read_text(members, "model") or asked.model
    stream = any((name, value.lower()) in STREAM_HEADERS for name, value in asked.headers)
    return speech_call(model, given, len(asked.body), stream=stream)


def speech_call(model: str, given: Members, body_bytes: int, *, stream: bool) -> ModelCall:
    """Speech, billed by the character or by the token."""
    text = json_body.read_text(given, "text") or ""
    spoken = len(text.encode())
    sound = spoken * SOUND_TOKENS_PER_BYTE
    characters = sum(1 if letter.isascii() else MOST_PER_CHARACTER for letter in text)
    tokens = Usage(input_tokens=spoken, audio_out_tokens=-(-sound // SLOWEST))
    return unit_call(
        model,
        {"characters": len(text) * MOST_PER_CHARACTER},
        Usage(characters=characters, instead=tokens),
        stream=stream,
        terms=Terms(input_tokens=body_bytes, instead={"audio_out_tokens": sound + PAUSE_TOKENS}),
    )


def _input(body: bytes, given: Members) -> tuple[int, bool]:
    """The most input tokens in the body, and whether there may be input that is not in it."""
    tokens, elsewhere = len(body), bool(given.keys() - KNOWN_INPUT)
    messages = given.get("messages")
    if messages is None:
        return tokens, elsewhere
    try:
        conversation = msgspec.json.decode(messages, type=list[_Message])
    except UNREADABLE:
        return tokens, True
    for message in conversation:
        for part in message.content if isinstance(message.content, list) else ():
            elsewhere = elsewhere or bool(part.keys() - KNOWN_PARTS)
            if picture := part.get("image"):
                elsewhere = elsewhere or not opens_with(picture, 0x22)  # more than one
                tokens += IMAGE_TOKENS
                if bytes(memoryview(picture)[:12]).lower() == b'"data:image/':
                    tokens -= len(picture)
    return tokens, elsewhere


def _not_bounded(parameters: Members, asked: Asked) -> str | None:
    for name in NOT_BOUNDED:
        if name in parameters and bytes(parameters[name]) not in (b"null", b"false", b"{}", b"[]"):
            return name
    return next(
        (name.decode("latin-1") for name, _ in asked.headers if name in HEADERS_NOT_BOUNDED),
        None,
    )
