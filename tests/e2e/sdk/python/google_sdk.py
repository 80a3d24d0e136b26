"""Google's SDK."""

import asyncio
import json
import ssl
from typing import Any

import lines
from google import genai
from google.genai import errors, types


def connect(call: dict[str, Any]) -> Any:
    options = dict(call["options"])
    if trusted := options.pop("trusted", None):
        options["async_client_args"] = {"ssl": ssl.create_default_context(cafile=trusted)}
    return genai.Client(
        api_key=call["key"], http_options=types.HttpOptions(base_url=call["base_url"], **options)
    )


def tool_of(answer: Any) -> list[Any] | None:
    calls = answer.function_calls
    return [calls[0].name, dict(calls[0].args)] if calls else None


def text_of(answer: Any) -> str:
    parts = answer.candidates[0].content.parts if answer.candidates else []
    return "".join(part.text for part in parts or [] if part.text and not part.thought)


def whole(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    answer = client.models.generate_content(**args)
    return {"shown": text_of(answer), "tool": tool_of(answer)}


def streamed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    chunks = list(client.models.generate_content_stream(**args))
    tools = [tool for tool in map(tool_of, chunks) if tool]
    return {"shown": "".join(map(text_of, chunks)), "tool": tools[0] if tools else None}


def cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    stream = client.models.generate_content_stream(**args)
    word = text_of(next(stream))
    stream.close()
    return {"shown": word}


def embedded(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.models.embed_content(**args).embeddings[0].values}


def made(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """A picture or speech."""
    answer = client.models.generate_content(**args)
    return {"shown": lines.digest(answer.candidates[0].content.parts[0].inline_data.data)}


def sound_of(chunk: Any) -> bytes:
    return chunk.candidates[0].content.parts[0].inline_data.data


def spoken(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(map(sound_of, client.models.generate_content_stream(**args)))}


def speech_cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    stream = client.models.generate_content_stream(**args)
    first = sound_of(next(stream))
    stream.close()
    return {"shown": len(first)}


def interacted(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    steps = client.interactions.create(**args).steps
    calls = [[step.name, step.arguments] for step in steps if step.type == "function_call"]
    said = [item.text for step in steps if step.type == "model_output" for item in step.content]
    return {"shown": "".join(said), "tool": calls[0] if calls else None}


def interaction_streamed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    told = list(client.interactions.create(**args, stream=True))
    deltas = [one.delta for one in told if one.event_type == "step.delta"]
    names = [
        one.step.name for one in told if one.event_type == "step.start" and one.step.type == "function_call"
    ]
    written = "".join(delta.arguments for delta in deltas if delta.type == "arguments_delta")
    return {
        "shown": "".join(delta.text for delta in deltas if delta.type == "text"),
        "tool": [names[0], json.loads(written)] if names else None,
    }


def interaction_cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.interactions.create(**args, stream=True) as stream:
        for one in stream:
            if one.event_type == "step.delta" and one.delta.type == "text":
                return {"shown": one.delta.text}
    raise AssertionError("a stream without a word")


def talked(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """A live session: says each text, runs the tools it is asked to, and reads every turn to its end."""
    return asyncio.run(_talked(client, args))


async def _talked(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    sound, tool, totals = [], None, []
    async with client.aio.live.connect(model=args["model"], config=args["config"]) as session:
        for text in args["texts"]:
            turn = {"role": "user", "parts": [{"text": text}]}
            await session.send_client_content(turns=turn, turn_complete=True)
            async for message in session.receive():
                if message.data:
                    sound.append(message.data)
                if message.usage_metadata:
                    totals.append(message.usage_metadata.total_token_count)
                if message.tool_call:
                    (call,) = message.tool_call.function_calls
                    tool = [call.name, dict(call.args)]
                    answer = types.FunctionResponse(id=call.id, name=call.name, response={"result": "blue"})
                    await session.send_tool_response(function_responses=[answer])
    return {"shown": lines.digest(sound), "tool": tool, "totals": totals}


def counted(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.models.count_tokens(**args).total_tokens}


def listed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": [model.name for model in client.models.list()]}


def tell(error: Exception) -> dict[str, Any] | None:
    if type(error).__name__ == "ConnectionClosedError":
        return lines.told(error, status=error.rcvd.code, body=error.rcvd.reason)
    if hasattr(error, "status_code"):  # of an interaction
        return lines.told(error, status=error.status_code, body=error.body)
    if not isinstance(error, errors.APIError):
        return None
    return lines.told(error, status=error.code, body=error.details)


lines.note_httpx()
lines.serve(
    genai.__version__,
    {
        "call": whole,
        "stream": streamed,
        "cancel": cancelled,
        "embed": embedded,
        "image": made,
        "speech": made,
        "speech_stream": spoken,
        "speech_cancel": speech_cancelled,
        "interact": interacted,
        "interact_stream": interaction_streamed,
        "interact_cancel": interaction_cancelled,
        "talk": talked,
        "count": counted,
        "models": listed,
    },
    connect,
    tell,
)
