"""Writes answers as Anthropic Messages (providers.md 1 and G.1): whole, as events, and as errors.

Usage is told twice in a stream: the input side in `message_start`, the cumulative counts in `message_delta`.
"""

from collections.abc import Iterator
from hashlib import blake2b

from msgspec import Raw
from msgspec.json import encode

from qlaud.providers.simulator.ask import Ask
from qlaud.providers.simulator.scripts import Answer, Call, Part, Text, Thought
from qlaud.providers.simulator.tokens import pieces

ERROR_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_STOP_REASONS = {"end": "end_turn", "limit": "max_tokens", "sequence": "stop_sequence", "call": "tool_use"}
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def message(ask: Ask, answer: Answer, *, usage: bool = True) -> bytes:
    """The body of an answer that is not streamed."""
    content = [_whole_block(ask, index, part) for index, part in enumerate(answer.parts)]
    fields = _head(ask, content)
    fields["stop_reason"], fields["stop_sequence"] = _STOP_REASONS[answer.stop], answer.sequence
    if usage:
        fields["usage"] = _input_usage(ask) | _output_usage(answer)
    return encode(fields)


def message_events(ask: Ask, answer: Answer, *, usage: bool = True, breaks: bool = False) -> Iterator[bytes]:
    """The events of a streamed answer; one that breaks ends in an error halfway through its text."""
    head = _head(ask, [])
    if usage:
        head["usage"] = _input_usage(ask) | {"output_tokens": min(1, answer.output_tokens)}
    yield _event("message_start", {"type": "message_start", "message": head})
    for index, part in enumerate(answer.parts):
        yield _event(
            "content_block_start",
            {"type": "content_block_start", "index": index, "content_block": _empty_block(ask, index, part)},
        )
        if index == 0:
            yield _PING
        deltas = list(_deltas(ask, index, part))
        yield from deltas[: (len(deltas) + 1) // 2] if breaks else deltas
        if breaks:
            break
        yield b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % index
    if breaks:
        yield _event("error", error_fields("overloaded_error", "Overloaded", ask.seed))
        return
    last: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": _STOP_REASONS[answer.stop], "stop_sequence": answer.sequence},
    }
    if usage:
        counts = _input_usage(ask)
        kept = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        last["usage"] = {name: counts[name] for name in kept} | _output_usage(answer)
    yield _event("message_delta", last)
    yield _MESSAGE_STOP


def error_fields(kind: str, text: str, seed: str) -> dict[str, object]:
    """The object of an error, in a body or an event."""
    return {"type": "error", "error": {"type": kind, "message": text}, "request_id": request_id(seed)}


def error_body(status: int, text: str, seed: str) -> bytes:
    """The body of a refusal with that status."""
    return encode(error_fields(ERROR_TYPES[status], text, seed))


def request_id(seed: str) -> str:
    """The value of the `request-id` header."""
    return f"req_sim_{seed}"


def headers(seed: str) -> list[tuple[bytes, bytes]]:
    """What every answer carries beside its content type."""
    return [
        (b"request-id", request_id(seed).encode()),
        (b"anthropic-organization-id", b"00000000-0000-4000-8000-000000000000"),
        (b"anthropic-ratelimit-requests-limit", b"1000"),
        (b"anthropic-ratelimit-requests-remaining", b"999"),
    ]


def _head(ask: Ask, content: list[dict[str, object]]) -> dict[str, object]:
    return {
        "id": f"msg_sim_{ask.seed}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _input_usage(ask: Ask) -> dict[str, object]:
    prompt = ask.prompt
    return {
        "input_tokens": prompt.uncached,
        "cache_creation_input_tokens": prompt.written + prompt.written_1h,
        "cache_read_input_tokens": prompt.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": prompt.written,
            "ephemeral_1h_input_tokens": prompt.written_1h,
        },
        "service_tier": "standard",
        "inference_geo": ask.geo,
        "speed": ask.speed,
    }


def _output_usage(answer: Answer) -> dict[str, object]:
    counts: dict[str, object] = {"output_tokens": answer.output_tokens}
    if answer.thinking_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": answer.thinking_tokens}
    return counts


def _whole_block(ask: Ask, index: int, part: Part) -> dict[str, object]:
    block = _empty_block(ask, index, part)
    match part:
        case Thought(text):
            block["thinking"] = text if ask.show_thinking else ""
            block["signature"] = _signature(text)
        case Text(text):
            block["text"] = text
        case Call(_, arguments, whole):
            block["input"] = Raw(arguments.encode()) if whole else {}
    return block


def _empty_block(ask: Ask, index: int, part: Part) -> dict[str, object]:
    match part:
        case Thought():
            return {"type": "thinking", "thinking": "", "signature": ""}
        case Text():
            return {"type": "text", "text": ""}
        case Call(name):
            return {"type": "tool_use", "id": f"toolu_sim_{ask.seed}_{index}", "name": name, "input": {}}


def _deltas(ask: Ask, index: int, part: Part) -> Iterator[bytes]:
    match part:
        case Thought(text):
            if ask.show_thinking:
                yield from _text_deltas(index, "thinking_delta", "thinking", text)
            yield from _text_deltas(index, "signature_delta", "signature", _signature(text), whole=True)
        case Text(text):
            yield from _text_deltas(index, "text_delta", "text", text)
        case Call(_, arguments):
            yield from _text_deltas(index, "input_json_delta", "partial_json", "", whole=True)
            yield from _text_deltas(index, "input_json_delta", "partial_json", arguments)


def _text_deltas(index: int, kind: str, field: str, text: str, *, whole: bool = False) -> Iterator[bytes]:
    before = (
        f'event: content_block_delta\ndata: {{"type":"content_block_delta","index":{index},'
        f'"delta":{{"type":"{kind}","{field}":'
    ).encode()
    for piece in (text,) if whole else pieces(text):
        yield b"%b%b}}\n\n" % (before, encode(piece))


def _signature(thought: str) -> str:
    return blake2b(thought.encode(), digest_size=32).hexdigest()


def _event(name: str, fields: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encode(fields))
