"""Anthropic's SDK, of this generation and the one before."""

from typing import Any

import anthropic
import lines


def connect(call: dict[str, Any]) -> Any:
    return anthropic.Anthropic(base_url=call["base_url"], api_key=call["key"], **call["options"])


def messages(client: Any, args: dict[str, Any]) -> Any:
    return client.beta.messages if "betas" in args else client.messages


def summed_up(answer: Any) -> dict[str, Any]:
    calls = [[block.name, block.input] for block in answer.content if block.type == "tool_use"]
    shown = "".join(block.text for block in answer.content if block.type == "text")
    return {"answer": answer.model_dump(mode="json"), "shown": shown, "tool": calls[0] if calls else None}


def whole(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    raw = messages(client, args).with_raw_response.create(**args)
    return {**summed_up(raw.parse()), "headers": dict(raw.headers)}


def streamed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with messages(client, args).stream(**args) as stream:
        kinds = [event.type for event in stream]
        answer = summed_up(stream.get_final_message())
        return {**answer, "kinds": kinds, "headers": dict(stream.response.headers)}


def cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Reads a stream to its first word and hangs up."""
    with client.messages.create(stream=True, **args) as stream:
        headers = dict(stream.response.headers)
        for event in stream:
            if event.type == "content_block_delta" and event.delta.text:
                return {"word": event.delta.text, "shown": event.delta.text, "headers": headers}
    raise AssertionError("a stream without a word")


def counted(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"input_tokens": client.messages.count_tokens(**args).input_tokens}


def listed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    found = client.models.retrieve(args["model"])
    return {"models": [model.id for model in client.models.list()], "found": found.id}


def batched(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a batch, looks until it has ended, and reads its results."""
    batch = client.messages.batches.create(**args)
    for _ in range(50):
        batch = client.messages.batches.retrieve(batch.id)
        if batch.processing_status == "ended":
            break
    shown = {
        entry.custom_id: entry.result.message.content[0].text
        if entry.result.type == "succeeded"
        else entry.result.type
        for entry in client.messages.batches.results(batch.id)
    }
    return {"shown": shown, "counts": batch.request_counts.model_dump()}


def batch_left(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a batch and never asks for it."""
    return {"shown": client.messages.batches.create(**args).processing_status}


def tell(error: Exception) -> dict[str, Any] | None:
    return lines.told_by_stainless(error) if isinstance(error, anthropic.APIError) else None


lines.note_httpx()
lines.serve(
    anthropic.__version__,
    {
        "create": whole,
        "stream": streamed,
        "cancel": cancelled,
        "count": counted,
        "models": listed,
        "batch": batched,
        "batch_left": batch_left,
    },
    connect,
    tell,
)
