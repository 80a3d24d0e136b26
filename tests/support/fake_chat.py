"""OpenAI's Chat Completions as other vendors speak it. A vendor is a `Dialect`: what it adds, leaves out or puts
elsewhere.

Whoever asks for tools is answered with a call of `get`, until a tool's result stands last.
"""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.fake_anthropic import compatible
from tests.support.fake_openai_responses import Responses
from tests.support.fake_provider import (
    Answer,
    Call,
    FakeProvider,
    Gate,
    HangUp,
    Part,
    answer_json,
    serve_provider,
)
from tests.support.gateway import OPERATOR_KEYS

TEXT = "Hello there."
WORDS = ("Hello", " there.")
TOOL_ARGUMENTS = '{"q": 1}'

UsagePlace = Literal["tail", "finish", "choice", "every", "x_groq"]
"""Where a stream tells usage: an own last chunk without choices, the chunk that ends the choice, inside its
choice, every chunk (growing), or inside `x_groq` of the chunk that ends the choice."""


def openai_error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """The error body that most vendors took over."""
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor."""

    slug: str
    model: str
    usage: Mapping[str, Any]
    """Of every answer."""
    paths: tuple[str, ...] = ("/v1/chat/completions",)
    told_at: tuple[UsagePlace, ...] = ("tail",)
    """Where a stream tells usage that was asked for."""
    told_unasked: tuple[UsagePlace, ...] = ()
    """Where it does also without `stream_options.include_usage`."""
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Stands beside `usage`, in whole answers and in the chunk that ends the choice."""
    headers: tuple[tuple[str, str], ...] = ()
    error: Callable[[int, str, str | None], dict[str, Any]] = openai_error
    thoughts: str = ""
    """`reasoning_content` of message and delta, if the vendor shows it."""
    waiting: bytes = b""
    """What comes before the first event of a stream."""
    blank: bytes = b""
    """What comes before a whole answer."""
    takes_stream_options: bool = True
    whole_tool_calls: bool = False
    """A stream has each call of a tool in one piece."""
    responses_path: str = ""
    """Where the same model is asked on the wire of OpenAI's Responses, with the same counts."""
    messages_path: str = ""
    """Where it is on Anthropic's, likewise."""

    def refusal(
        self, status: int, message: str = "as scripted", code: str | None = None, **headers: str
    ) -> Answer:
        """An error in the vendor's shape."""
        return answer_json(
            self.error(status, message, code), status=status, headers=(*self.headers, *headers.items())
        )

    def whole(self, *, wants_tool: bool = False, gate: Gate | None = None) -> Answer:
        """A whole answer."""
        message: dict[str, Any] = {"role": "assistant", "content": None if wants_tool else TEXT}
        if wants_tool:
            message["tool_calls"] = [_tool_call()]
        if self.thoughts:
            message["reasoning_content"] = self.thoughts
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if wants_tool else "stop"}
        answer = {**self.frame("chat.completion"), "choices": [choice], "usage": self.usage, **self.extras}
        body: list[Part] = [self.blank, json.dumps(answer).encode()]
        return Answer([gate, *body] if gate else body, headers=self.headers)

    def stream(
        self,
        *,
        include_usage: bool = False,
        wants_tool: bool = False,
        gate: Gate | None = None,
        words: Sequence[str] = WORDS,
        breaks_off: bool = False,
    ) -> Answer:
        """A stream; at `gate` it waits after the first word, and if it breaks off, then after the last."""
        places = self.told_at if include_usage else self.told_unasked
        deltas = self._tool_deltas() if wants_tool else self._text_deltas(words)
        parts: list[Part] = [self.waiting] if self.waiting else []
        for number, delta in enumerate(deltas):
            if number == 2 and gate is not None:
                parts.append(gate)
            grown = {**self.usage, "completion_tokens": number, "total_tokens": number}
            more = {"usage": grown} if "every" in places else {"usage": None} if "tail" in places else {}
            parts.append(self.chunk([_choice(delta)], **more))
        if breaks_off:
            return self._events([*parts, HangUp()])
        return self._events([*parts, *self._ending(places, wants_tool), b"data: [DONE]\n\n"])

    def frame(self, kind: str) -> dict[str, Any]:
        """What every answer and chunk begins with."""
        return {
            "id": "c-1",
            "object": kind,
            "created": 1790000000,
            "model": self.model,
            "system_fingerprint": "fp_1",
        }

    def chunk(self, choices: list[dict[str, Any]], **more: object) -> bytes:
        """One event."""
        return f"data: {json.dumps({**self.frame('chat.completion.chunk'), 'choices': choices, **more})}\n\n".encode()

    @property
    def responses(self) -> Responses:
        """The same on the wire of OpenAI's Responses."""
        return Responses(self.model, as_responses(self.usage), self.headers)

    def respond(self, call: Call) -> Answer:
        """The answer to a call that signed in."""
        if call.path == self.responses_path:
            return self.responses.respond(call)
        if call.path == self.messages_path:
            return compatible(call.json, self.model, as_messages(self.usage))
        if call.path not in self.paths:
            return self.refusal(404, f"no such path: {call.path}")
        asked: Any = call.json
        if asked["model"] != self.model:
            return self.refusal(404, f"The model `{asked['model']}` does not exist", "model_not_found")
        if "stream_options" in asked and not self.takes_stream_options:
            return self.refusal(422, "stream_options: Extra inputs are not permitted")
        wants_tool = bool(asked.get("tools")) and asked["messages"][-1]["role"] != "tool"
        if asked.get("stream"):
            include_usage = (asked.get("stream_options") or {}).get("include_usage") is True
            return self.stream(include_usage=include_usage, wants_tool=wants_tool)
        return self.whole(wants_tool=wants_tool)

    def refuse(self, call: Call) -> Answer | None:
        """Turns away who has not the operator's key alone."""
        if call.header("authorization") == [f"Bearer {OPERATOR_KEYS[self.slug]}"]:
            return None
        return self.refusal(401, "Incorrect API key provided", "invalid_api_key")

    def _text_deltas(self, words: Sequence[str]) -> list[dict[str, Any]]:
        opening = {"role": "assistant", "content": ""}
        if self.thoughts:
            opening["reasoning_content"] = self.thoughts
        return [opening, *({"content": word} for word in words)]

    def _tool_deltas(self) -> list[dict[str, Any]]:
        first, second = TOOL_ARGUMENTS[:4], TOOL_ARGUMENTS[4:]
        call = _tool_call()
        if self.whole_tool_calls:
            return [{"role": "assistant", "content": "", "tool_calls": [{"index": 0, **call}]}]
        opening = {"index": 0, **call, "function": {"name": "get", "arguments": first}}
        return [
            {"role": "assistant", "content": None, "tool_calls": [opening]},
            {"tool_calls": [{"index": 0, "function": {"arguments": second}}]},
        ]

    def _ending(self, places: tuple[UsagePlace, ...], wants_tool: bool) -> list[Part]:
        choice = _choice({}, "tool_calls" if wants_tool else "stop")
        if "choice" in places:
            choice["usage"] = self.usage
        more = dict(self.extras)
        if "finish" in places or "every" in places:
            more["usage"] = self.usage
        if "x_groq" in places:
            more["x_groq"] = {"id": "req_1", "usage": self.usage}
        parts: list[Part] = [self.chunk([choice], **more)]
        if "tail" in places:
            parts.append(self.chunk([], usage=self.usage))
        return parts

    def _events(self, parts: list[Part]) -> Answer:
        return Answer(
            parts, content_type="text/event-stream; charset=utf-8", headers=self.headers, stream=True
        )


def as_responses(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of chat, in the words of Responses."""
    read, written = _cached(usage)
    details = {"cached_tokens": read, **({"cache_write_tokens": written} if written else {})}
    reasoning = usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0)
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": details,
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"],
        **{name: usage[name] for name in ("cost", "cost_details") if name in usage},
    }


def as_messages(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of chat, in the words of Messages."""
    read, written = _cached(usage)
    return {
        "input_tokens": usage["prompt_tokens"] - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage["completion_tokens"],
    }


def _cached(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Read from a cache, and written to one."""
    details = usage.get("prompt_tokens_details", {})
    read = details.get("cached_tokens", usage.get("num_cached_tokens", 0))
    return read, details.get("cache_write_tokens", 0)


@contextmanager
def serve_chat(dialect: Dialect) -> Generator[FakeProvider]:
    """A vendor that has chat completions alone, and takes the operator's key alone."""
    with serve_provider(dialect.refuse, dialect.respond) as provider:
        yield provider


def _choice(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _tool_call() -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": TOOL_ARGUMENTS}}
