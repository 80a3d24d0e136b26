"""OpenAI's Responses API as a fake: named events with their type and number inside, usage in the last one, no
end mark.

The cost is worked out by hand for gpt-6-sol: input 2, cached 0.20, cache write 2.5 (30 min) and 5 (12 h), output
10 micros a token; what was cached or written is part of the input count.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.fake_provider import Answer, Call, Gate, HangUp, Part, answer_json

TEXT = "Hello there."
USAGE = {
    "input_tokens": 5000,
    "input_tokens_details": {
        "cached_tokens": 3000,
        "cache_write_tokens": 1500,
        "cache_write_tokens_details": {"ttl_30m_tokens": 500, "ttl_12h_tokens": 1000},
    },
    "output_tokens": 1719,
    "output_tokens_details": {"reasoning_tokens": 1408},
    "total_tokens": 6719,
}
COST_MICROS = 25_040
"""500 x 2 + 3000 x 0.20 + 500 x 2.5 + 1000 x 5 + 1719 x 10 = 1000 + 600 + 1250 + 5000 + 17190."""


@dataclass(frozen=True, slots=True)
class Responses:
    """The wire as one vendor speaks it with one model."""

    model: str
    usage: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()

    def respond(self, call: Call) -> Answer:
        """The answer to a POST."""
        asked = call.json
        if asked["model"] != self.model:
            body = {"message": f"The model `{asked['model']}` does not exist", "code": "model_not_found"}
            error = {"error": {**body, "type": "invalid_request_error", "param": "model"}}
            return answer_json(error, status=404, headers=self.headers)
        wants_tool = bool(asked.get("tools")) and not (
            isinstance(asked["input"], list) and asked["input"][-1].get("type") == "function_call_output"
        )
        if asked.get("stream"):
            return self.stream(wants_tool=wants_tool)
        item = _call("completed") if wants_tool else _message("completed")
        return answer_json(self._response([item], "completed"), headers=self.headers)

    def stream(
        self, *, wants_tool: bool = False, gate: Gate | None = None, breaks_off: bool = False
    ) -> Answer:
        """A stream; at `gate` it waits after the first word."""
        opening = self._response([], "in_progress")
        events: list[Any] = [("response.created", {"response": opening})]
        events += [("response.in_progress", {"response": opening}), *_item_events(wants_tool)]
        item = _call("completed") if wants_tool else _message("completed")
        done = self._response([item], "completed")
        events.append(("response.completed", {"response": done}))
        parts: list[Part] = []
        for number, (kind, fields) in enumerate(events):
            if number == 5 and gate is not None:
                parts.append(gate)
            if number == len(events) - 1 and breaks_off:
                parts.append(HangUp())
                break
            event = {"type": kind, "sequence_number": number, **fields}
            parts.append(f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode())
        return Answer(
            parts, content_type="text/event-stream; charset=utf-8", headers=self.headers, stream=True
        )

    def _response(self, output: list[dict[str, Any]], status: str) -> dict[str, Any]:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1790000000,
            "status": status,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "service_tier": "default",
            "usage": self.usage if status == "completed" else None,
        }


def _item_events(wants_tool: bool) -> list[tuple[str, dict[str, Any]]]:
    if wants_tool:
        where: dict[str, Any] = {"item_id": "fc_1", "output_index": 0}
        kind = "response.function_call_arguments"
        return [
            ("response.output_item.added", {"output_index": 0, "item": _call("in_progress")}),
            (f"{kind}.delta", {**where, "delta": '{"q"'}),
            (f"{kind}.delta", {**where, "delta": ": 1}"}),
            (f"{kind}.done", {**where, "name": "get", "arguments": '{"q": 1}'}),
            ("response.output_item.done", {"output_index": 0, "item": _call("completed")}),
        ]
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "annotations": []}
    text = {**where, "logprobs": []}
    return [
        ("response.output_item.added", {"output_index": 0, "item": _message("in_progress")}),
        ("response.content_part.added", {**where, "part": {**part, "text": ""}}),
        ("response.output_text.delta", {**text, "delta": "Hello"}),
        ("response.output_text.delta", {**text, "delta": " there."}),
        ("response.output_text.done", {**text, "text": TEXT}),
        ("response.content_part.done", {**where, "part": {**part, "text": TEXT}}),
        ("response.output_item.done", {"output_index": 0, "item": _message("completed")}),
    ]


def _message(status: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}]
    return {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": status,
        "content": content if status == "completed" else [],
    }


def _call(status: str) -> dict[str, Any]:
    arguments = '{"q": 1}' if status == "completed" else ""
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get",
        "arguments": arguments,
        "status": status,
    }
