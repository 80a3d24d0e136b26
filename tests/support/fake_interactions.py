"""Google's Interactions API as a fake: named events with their type inside, usage in the last one, no end mark.

The costs are worked out by hand for gemini-3.5-flash: 1.5 input, 0.15 cached, 9 output micros a token; thoughts are
output, prompts of tools input, and what was cached is part of the input count.
"""

import json
from typing import Any

from tests.support.fake_provider import Answer, Gate, Part, answer_json

TEXT = "Hello there."
USAGE = {
    "total_input_tokens": 776,
    "total_cached_tokens": 512,
    "total_output_tokens": 51,
    "total_thought_tokens": 246,
    "total_tool_use_tokens": 132,
    "total_tokens": 1205,
}
COST_MICROS = 3344
"""(776 - 512 + 132) x 1.5 + 512 x 0.15 + (51 + 246) x 9 = 594 + 76.8 + 2673 = 3343.8, rounded up."""
COUNTS = {"input_tokens": 396, "cache_read_tokens": 512, "output_tokens": 297}
"""Of the usage event: 776 - 512 + 132 read, 51 + 246 written."""
TOOL_USAGE = {
    "total_input_tokens": 91,
    "total_output_tokens": 16,
    "total_thought_tokens": 90,
    "total_tokens": 197,
}
TOOL_COST_MICROS = 1091
"""91 x 1.5 + (16 + 90) x 9 = 136.5 + 954 = 1090.5, rounded up."""
TOOL_COUNTS = {"input_tokens": 91, "cache_read_tokens": 0, "output_tokens": 106}


def respond(asked: Any, headers: tuple[tuple[str, str], ...]) -> Answer:
    """The answer to a POST that names the right model."""
    wants_tool = _wants_tool(asked)
    if asked.get("stream"):
        return stream(asked["model"], headers, wants_tool=wants_tool)
    return answer_json(
        {**_interaction(asked["model"], wants_tool), "steps": _steps(wants_tool)}, headers=headers
    )


def stream(
    model: str,
    headers: tuple[tuple[str, str], ...],
    *,
    wants_tool: bool = False,
    gate: Gate | None = None,
) -> Answer:
    """A stream; at `gate` it waits after the first word."""
    begun = {"id": "v1_a", "object": "interaction", "model": model, "status": "in_progress"}
    signed = {"type": "thought_signature", "signature": "c2ln"}
    work = _tool_events() if wants_tool else _text_events()
    events: list[dict[str, Any]] = [
        {"event_type": "interaction.created", "interaction": begun},
        {"event_type": "step.start", "index": 0, "step": {"type": "thought"}},
        {"event_type": "step.delta", "index": 0, "delta": signed},
        {"event_type": "step.stop", "index": 0},
        *({**event, "index": 1} for event in work),
        {"event_type": "interaction.completed", "interaction": _interaction(model, wants_tool)},
    ]
    parts: list[Part] = [
        f"event: {one['event_type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events
    ]
    if gate is not None:
        parts.insert(6, gate)
    return Answer(parts, content_type="text/event-stream", headers=headers, stream=True)


def _wants_tool(asked: Any) -> bool:
    """Whether tools are offered and the last of the input is no result of one."""
    given = asked["input"]
    last = given[-1] if isinstance(given, list) and given else {}
    return bool(asked.get("tools")) and last.get("type") != "function_result"


def _interaction(model: str, wants_tool: bool) -> dict[str, Any]:
    """A whole one but for its steps, which the last event of a stream does not repeat."""
    return {
        "id": "v1_a",
        "object": "interaction",
        "model": model,
        "status": "requires_action" if wants_tool else "completed",
        "usage": TOOL_USAGE if wants_tool else USAGE,
    }


def _steps(wants_tool: bool) -> list[dict[str, Any]]:
    thought = {"type": "thought", "signature": "c2ln"}
    if wants_tool:
        return [thought, {**_call(), "arguments": {"q": 1}}]
    return [thought, {"type": "model_output", "content": [{"type": "text", "text": TEXT}]}]


def _text_events() -> list[dict[str, Any]]:
    return [
        {"event_type": "step.start", "step": {"type": "model_output"}},
        *(
            {"event_type": "step.delta", "delta": {"type": "text", "text": word}}
            for word in ("Hello", " there.")
        ),
        {"event_type": "step.stop"},
    ]


def _tool_events() -> list[dict[str, Any]]:
    return [
        {"event_type": "step.start", "step": {**_call(), "arguments": {}}},
        *(
            {"event_type": "step.delta", "delta": {"type": "arguments_delta", "arguments": piece}}
            for piece in ('{"q"', ": 1}")
        ),
        {"event_type": "step.stop"},
    ]


def _call() -> dict[str, Any]:
    return {"type": "function_call", "id": "call_1", "name": "get"}
