"""Writes answers as OpenAI Responses (providers.md, 2 and C.6): whole, and as events. It says back what was said."""

from collections.abc import Iterator

from msgspec.json import encode

from qlaud.providers.simulator.reading_plain import Asked, last_text
from qlaud.providers.simulator.tokens import count, count_bytes, cut, pieces

NOTHING_SAID = "Hello from the simulator."


def said(asked: Asked) -> str:
    """The text of the answer, within the limit asked for."""
    text = last_text(asked.fields.get("input")) or NOTHING_SAID
    return cut(text, asked.whole("max_output_tokens", count(text)))


def whole(asked: Asked, text: str) -> bytes:
    """The body of an answer that is not streamed."""
    return encode(_response(asked, text, _status(asked, text)))


def events(asked: Asked, text: str) -> Iterator[bytes]:
    """The events of a streamed answer. There is no `[DONE]` on this wire."""
    status = _status(asked, text)
    ids = {"item_id": _item_id(asked), "output_index": 0, "content_index": 0}
    item = {**_item(asked, ""), "status": "in_progress", "content": list[object]()}
    begun: dict[str, object] = {**_response(asked, "", "in_progress"), "output": [], "usage": None}
    told: list[tuple[str, dict[str, object]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": item}),
        ("response.content_part.added", {**ids, "part": _part("")}),
        *(("response.output_text.delta", {**ids, "delta": piece, "logprobs": []}) for piece in pieces(text)),
        ("response.output_text.done", {**ids, "text": text, "logprobs": []}),
        ("response.content_part.done", {**ids, "part": _part(text)}),
        ("response.output_item.done", {"output_index": 0, "item": _item(asked, text)}),
        (f"response.{status}", {"response": _response(asked, text, status)}),
    ]
    for number, (name, fields) in enumerate(told):
        data = encode({"type": name, "sequence_number": number, **fields})
        yield b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _status(asked: Asked, text: str) -> str:
    limit = asked.fields.get("max_output_tokens")
    return (
        "incomplete"
        if limit is not None and count(text) >= asked.whole("max_output_tokens", 0)
        else "completed"
    )


def _response(asked: Asked, text: str, status: str) -> dict[str, object]:
    prompt, out = count_bytes(asked.size), count(text)
    cut_short = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": f"resp_{asked.seed}",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "model": asked.text("model"),
        "output": [_item(asked, text)],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": cut_short,
        "instructions": None,
        "metadata": {},
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + out,
        },
    }


def _item(asked: Asked, text: str) -> dict[str, object]:
    return {
        "type": "message",
        "id": _item_id(asked),
        "role": "assistant",
        "status": "completed",
        "content": [_part(text)],
    }


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": []}


def _item_id(asked: Asked) -> str:
    return f"msg_{asked.seed}"
