"""Text as it streams on the other wires: Messages, Responses, Gemini, DashScope's own.

Recorded or documented forms, seen 2026-11.
"""

import json
from collections.abc import Callable

from bench.taps.dialects import CHAT
from bench.taps.streams import Fields, Stream, compact, named, word

QUESTION: list[Fields] = [{"role": "user", "content": "What does a gateway owe?"}]


# --- Anthropic Messages ---

_FIRST: Fields = {"input_tokens": 220, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
_MESSAGE: Fields = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [],
}


def _messages(name: str, block: Fields, delta: str, field: str) -> Stream:
    ended: Fields = {
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {**_FIRST, "output_tokens": 2000},
    }
    return Stream(
        "messages",
        name,
        lambda n: named("content_block_delta", {"index": 0, "delta": {"type": delta, field: word(n)}}),
        {"model": "claude-haiku-4-5", "max_tokens": 4096, "messages": QUESTION, "stream": True},
        named("message_start", {"message": {**_MESSAGE, "usage": {**_FIRST, "output_tokens": 1}}})
        + named("content_block_start", {"index": 0, "content_block": block})
        + named("ping", {}),
        named("content_block_stop", {"index": 0}) + named("message_delta", ended) + named("message_stop", {}),
    )


MESSAGES = (
    _messages("text", {"type": "text", "text": ""}, "text_delta", "text"),
    _messages(
        "thinking", {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"
    ),
    _messages(
        "tool",
        {"type": "tool_use", "id": "t", "name": "get", "input": {}},
        "input_json_delta",
        "partial_json",
    ),
)


# --- Responses ---


def _told(kind: str, n: int, **more: object) -> bytes:
    return named(f"response.{kind}", {"sequence_number": n, **more})


def _responses(name: str, kind: str, **more: object) -> Stream:
    response: Fields = {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-6-sol",
        "status": "in_progress",
        "output": [],
    }
    usage: Fields = {"input_tokens": 220, "output_tokens": 2000, "total_tokens": 2220}
    usage["input_tokens_details"] = {"cached_tokens": 0}
    usage["output_tokens_details"] = {"reasoning_tokens": 0}
    where: Fields = {"item_id": "msg_0123456789abcdef0123456789abcdef", "output_index": 0}
    return Stream(
        "openai_responses",
        name,
        lambda n: _told(kind, n + 2, **where, delta=word(n), **more),
        {"model": "gpt-6-sol", "input": "Go on.", "stream": True, "max_output_tokens": 4096},
        _told("created", 0, response=response) + _told("in_progress", 1, response=response),
        _told("completed", 2003, response={**response, "status": "completed", "usage": usage}),
    )


RESPONSES = (
    _responses("text", "output_text.delta", content_index=0, logprobs=[], obfuscation="k3Jx9aQ"),
    _responses("thoughts", "reasoning_summary_text.delta", summary_index=0, obfuscation="k3Jx9aQ"),
    _responses("tool", "function_call_arguments.delta", obfuscation="k3Jx9aQ"),
)


# --- Gemini ---

GEMINI = "gemini-3.8-flash"


def _gemini(n: int, *, is_thought: bool = False, reason: str = "", is_first: bool = False) -> Fields:
    part: Fields = {"text": word(n), **({"thought": True} if is_thought else {})}
    candidate: Fields = {"content": {"parts": [part], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage: Fields = {"promptTokenCount": 220}
    if not is_first:
        usage["candidatesTokenCount"] = n
    usage["totalTokenCount"] = 220 + n
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": 220}]
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": GEMINI, "responseId": "r1"}


def _indented(fields: Fields) -> bytes:
    return json.dumps(fields, indent=2, ensure_ascii=False).encode()


def _array(name: str, write: Callable[[Fields], bytes]) -> Stream:
    return Stream(
        "gemini_generate",
        name,
        lambda n: b"\n,\r\n" + write(_gemini(n)),
        _GEMINI_ASKS,
        b"[" + write(_gemini(1, is_first=True)),
        b"\n,\r\n" + write(_gemini(2000, reason="STOP")) + b"\n]",
        "application/json; charset=UTF-8",
        GEMINI,
        streams=True,
    )


def _crlf(fields: Fields) -> bytes:
    return f"data: {compact(fields)}\r\n\r\n".encode()


_GEMINI_ASKS: Fields = {"contents": [{"role": "user", "parts": [{"text": "What does a gateway owe?"}]}]}
_GEMINI_CLOSING = _crlf(_gemini(2000, reason="STOP"))

GEMINI_STREAMS = (
    Stream(
        "gemini_generate",
        "text",
        lambda n: _crlf(_gemini(n)),
        _GEMINI_ASKS,
        _crlf(_gemini(1, is_first=True)),
        _GEMINI_CLOSING,
        model=GEMINI,
        streams=True,
    ),
    Stream(
        "gemini_generate",
        "thoughts",
        lambda n: _crlf(_gemini(n, is_thought=True)),
        _GEMINI_ASKS,
        _crlf(_gemini(1, is_first=True)),
        _GEMINI_CLOSING,
        model=GEMINI,
        streams=True,
    ),
    _array("JSON array", lambda fields: compact(fields).encode()),
    _array("JSON array, indented", _indented),
)


# --- Interactions ---


def _step(kind: str, n: int, **more: object) -> bytes:
    fields = {"event_type": kind, "event_id": f"evt_{n:08}", **more}
    return f"event: {kind}\ndata: {compact(fields)}\n\n".encode()


def _interactions(name: str, delta: Callable[[int], Fields], kind: str) -> Stream:
    interaction: Fields = {"id": "v1_0123456789abcdef", "object": "interaction", "model": GEMINI}
    usage: Fields = {"total_input_tokens": 220, "total_output_tokens": 2000, "total_tokens": 2220}
    ended: Fields = {**interaction, "status": "completed", "usage": usage}
    return Stream(
        "gemini_interactions",
        name,
        lambda n: _step("step.delta", n, index=0, delta=delta(n)),
        {"model": GEMINI, "input": "What does a gateway owe?", "stream": True},
        _step("interaction.created", 0, interaction={**interaction, "status": "in_progress"})
        + _step("step.start", 0, index=0, step={"type": kind}),
        _step("step.stop", 2001, index=0) + _step("interaction.completed", 2002, interaction=ended),
    )


def _thought(n: int) -> Fields:
    return {"type": "thought_summary", "content": {"type": "text", "text": word(n)}}


INTERACTIONS = (
    _interactions("text", lambda n: {"type": "text", "text": word(n)}, "model_output"),
    _interactions("thoughts", _thought, "thought"),
)


# --- DashScope ---


def _dashscope(n: int, reason: str = "null") -> bytes:
    message = {"role": "assistant", "content": word(n)}
    usage = {"input_tokens": 220, "output_tokens": n, "total_tokens": 220 + n}
    body: Fields = {
        "output": {"choices": [{"message": message, "finish_reason": reason}]},
        "usage": usage,
        "request_id": "a1b2c3d4-0000-9000-8000-000000000000",
    }
    return f"id:{n}\nevent:result\n:HTTP_STATUS/200\ndata:{compact(body)}\n\n".encode()


DASHSCOPE = (
    Stream(
        "qwen_generation",
        "text",
        _dashscope,
        {
            "model": "qwen3-max",
            "input": {"messages": QUESTION},
            "parameters": {"incremental_output": True},
        },
        closing=_dashscope(2000, "stop"),
        content_type="text/event-stream;charset=UTF-8",
    ),
)

TEXT = (*MESSAGES, *CHAT, *RESPONSES, *GEMINI_STREAMS, *INTERACTIONS, *DASHSCOPE)
