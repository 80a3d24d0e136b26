"""Chat completions, as the SDKs of OpenAI and Cerebras have them."""

import json
from typing import Any

import lines


def tool_of(calls: Any) -> list[Any] | None:
    return [calls[0].function.name, json.loads(calls[0].function.arguments)] if calls else None


def whole(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    raw = client.chat.completions.with_raw_response.create(**args)
    answer = raw.parse()
    message = answer.choices[0].message if answer.choices else None
    return {
        "answer": answer.model_dump(mode="json"),
        "shown": (message.content or "") if message else None,
        "tool": tool_of(message.tool_calls) if message else None,
        "headers": dict(raw.headers),
    }


def streamed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.chat.completions.create(stream=True, **args) as stream:
        chunks = list(stream)
        headers = dict(stream.response.headers)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    pieces = [call for delta in deltas for call in delta.tool_calls or []]
    arguments = "".join(piece.function.arguments or "" for piece in pieces)
    return {
        "chunks": [chunk.model_dump(mode="json") for chunk in chunks],
        "shown": "".join(delta.content or "" for delta in deltas),
        "tool": [pieces[0].function.name, json.loads(arguments)] if pieces else None,
        "headers": headers,
    }


def cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Reads a stream to its first word and hangs up."""
    with client.chat.completions.create(stream=True, **args) as stream:
        headers = dict(stream.response.headers)
        for chunk in stream:
            word = chunk.choices[0].delta.content if chunk.choices else None
            if word:
                return {"word": word, "shown": word, "headers": headers}
    raise AssertionError("a stream without a word")


def listed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    found = client.models.retrieve(args["model"])
    return {"models": [model.id for model in client.models.list()], "found": found.id}


DEEDS: dict[str, lines.Deed] = {"create": whole, "stream": streamed, "cancel": cancelled, "models": listed}
