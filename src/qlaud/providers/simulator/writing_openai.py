"""Writes answers as OpenAI Chat Completions (providers.md 2 and G.2): whole, as chunks, and as errors.

Usage stands in a stream only if `stream_options.include_usage` asks for it: null on every chunk and then, after
the last choice has ended, in a chunk without choices. Thinking is never shown on this wire, only counted.
"""

from collections.abc import Iterator

from msgspec.json import encode

from qlaud.providers.simulator.ask import Ask
from qlaud.providers.simulator.scripts import Answer, Call, Text, Thought
from qlaud.providers.simulator.tokens import pieces

ERROR_TYPES = {
    400: ("invalid_request_error", None),
    404: ("invalid_request_error", "unknown_url"),
    405: ("invalid_request_error", "method_not_supported"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
}
BROKEN = "The server had an error while processing your request. Sorry about that!"
_FINISH_REASONS = {"end": "stop", "limit": "length", "sequence": "stop", "call": "tool_calls"}
_DONE = b"data: [DONE]\n\n"


def completion(ask: Ask, answer: Answer, *, created_s: int, usage: bool = True) -> bytes:
    """The body of an answer that is not streamed. Every choice says the same."""
    fields = _head(ask, "chat.completion", created_s)
    fields["choices"] = [
        {
            "index": index,
            "message": _message(ask, answer, index),
            "logprobs": None,
            "finish_reason": _FINISH_REASONS[answer.stop],
        }
        for index in range(ask.choices)
    ]
    if usage:
        fields["usage"] = _usage(ask, answer)
    return encode(fields)


def completion_chunks(
    ask: Ask, answer: Answer, *, created_s: int, usage: bool = True, breaks: bool = False
) -> Iterator[bytes]:
    """The chunks of a streamed answer; one that breaks ends in an error halfway, without `[DONE]`."""
    head = _head(ask, "chat.completion.chunk", created_s)
    before = b"data: " + encode(head)[:-1] + b',"choices":['
    after = b'],"usage":null}\n\n' if ask.include_usage and usage else b"]}\n\n"
    choices = range(ask.choices)
    first: dict[str, object] = {"role": "assistant", "content": _first_content(answer), "refusal": None}
    for index in choices:
        yield before + _choice(index, encode(first)) + after
    per_choice = [list(_deltas(ask, answer, index)) for index in choices]
    turns = list(zip(*per_choice, strict=True))
    for turn in turns[: (len(turns) + 1) // 2] if breaks else turns:
        for index, delta in enumerate(turn):
            yield b"%b%b%b" % (before, _choice(index, delta), after)
    if breaks:
        yield b"data: " + encode(error_fields(500, BROKEN)) + b"\n\n"
        return
    for index in choices:
        yield before + _choice(index, b"{}", _FINISH_REASONS[answer.stop]) + after
    if ask.include_usage and usage:
        yield before + b'],"usage":' + encode(_usage(ask, answer)) + b"}\n\n"
    yield _DONE


def error_fields(status: int, text: str, *, param: str | None = None) -> dict[str, object]:
    """The object of an error, in a body or a chunk."""
    kind, code = ERROR_TYPES[status]
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


def error_body(status: int, text: str, *, param: str | None = None) -> bytes:
    """The body of a refusal with that status."""
    return encode(error_fields(status, text, param=param))


def headers(seed: str) -> list[tuple[bytes, bytes]]:
    """What every answer carries beside its content type."""
    return [
        (b"x-request-id", b"req_sim_" + seed.encode()),
        (b"openai-organization", b"simulator"),
        (b"openai-processing-ms", b"12"),
        (b"openai-version", b"2020-10-01"),
        (b"x-ratelimit-limit-requests", b"1000"),
        (b"x-ratelimit-remaining-requests", b"999"),
        (b"x-ratelimit-reset-requests", b"60ms"),
    ]


def _head(ask: Ask, kind: str, created_s: int) -> dict[str, object]:
    return {
        "id": f"chatcmpl-sim{ask.seed}",
        "object": kind,
        "created": created_s,
        "model": ask.model,
        "service_tier": ask.tier,
        "system_fingerprint": "fp_simulator",
    }


def _message(ask: Ask, answer: Answer, index: int) -> dict[str, object]:
    said = [part.text for part in answer.parts if isinstance(part, Text)]
    calls: list[dict[str, object]] = [
        {
            "id": _call_id(ask, index, place),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for place, call in enumerate(_calls(answer))
    ]
    content = "".join(said) if said or not calls else None
    message: dict[str, object] = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    if calls:
        message["tool_calls"] = calls
    return message


def _first_content(answer: Answer) -> str | None:
    return None if answer.parts and isinstance(answer.parts[0], Call) else ""


def _deltas(ask: Ask, answer: Answer, index: int) -> Iterator[bytes]:
    place = 0
    for part in answer.parts:
        match part:
            case Thought():
                continue
            case Text(text):
                for piece in pieces(text):
                    yield b'{"content":%b}' % encode(piece)
            case Call(name, arguments):
                call = {
                    "index": place,
                    "id": _call_id(ask, index, place),
                    "type": "function",
                    "function": {"name": name, "arguments": ""},
                }
                yield b'{"tool_calls":[%b]}' % encode(call)
                for piece in pieces(arguments):
                    yield b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (
                        place,
                        encode(piece),
                    )
                place += 1


def _choice(index: int, delta: bytes, finish_reason: str | None = None) -> bytes:
    return b'{"index":%d,"delta":%b,"logprobs":null,"finish_reason":%b}' % (
        index,
        delta,
        encode(finish_reason),
    )


def _calls(answer: Answer) -> list[Call]:
    return [part for part in answer.parts if isinstance(part, Call)]


def _call_id(ask: Ask, index: int, place: int) -> str:
    return f"call_sim{ask.seed}_{index}_{place}"


def _usage(ask: Ask, answer: Answer) -> dict[str, object]:
    """Cached and written tokens are part of the prompt's, thinking is part of the completion's."""
    prompt, output = ask.prompt, answer.output_tokens * ask.choices
    return {
        "prompt_tokens": prompt.total,
        "completion_tokens": output,
        "total_tokens": prompt.total + output,
        "prompt_tokens_details": {
            "cached_tokens": prompt.read,
            "cache_write_tokens": prompt.written,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.thinking_tokens * ask.choices,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
