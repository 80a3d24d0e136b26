"""Qwen's own SDK. It raises nothing: an error is an answer with another status."""

import base64
import json
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import dashscope
import lines


class Refused(Exception):
    """An answer that is an error. The SDK has no class for it; the name is ours."""

    def __init__(self, answer: Any) -> None:
        super().__init__(answer.message)
        self.answer = answer


@contextmanager
def connect(call: dict[str, Any]) -> Any:
    dashscope.base_http_api_url = call["base_url"]
    yield call["key"]


def checked(answer: Any) -> Any:
    if answer.status_code != 200:
        raise Refused(answer)
    return answer


def tool_of(message: Any) -> list[Any] | None:
    calls = message.get("tool_calls")
    return [calls[0]["function"]["name"], json.loads(calls[0]["function"]["arguments"])] if calls else None


def whole(key: str, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(dashscope.Generation.call(api_key=key, result_format="message", **args))
    message = answer.output.choices[0].message
    return {"shown": message.content, "tool": tool_of(message)}


def streamed(key: str, args: dict[str, Any]) -> dict[str, Any]:
    more = {"result_format": "message", "stream": True, "incremental_output": True, **args}
    answers = [checked(answer) for answer in dashscope.Generation.call(api_key=key, **more)]
    messages = [answer.output.choices[0].message for answer in answers]
    tools = [tool for tool in map(tool_of, messages) if tool]
    return {"shown": "".join(message.content for message in messages), "tool": tools[0] if tools else None}


def cancelled(key: str, args: dict[str, Any]) -> dict[str, Any]:
    more = {"result_format": "message", "stream": True, "incremental_output": True, **args}
    answers = dashscope.Generation.call(api_key=key, **more)
    word = checked(next(answers)).output.choices[0].message.content
    answers.close()
    return {"shown": word}


def embedded(key: str, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(dashscope.TextEmbedding.call(api_key=key, **args))
    return {"shown": answer.output["embeddings"][0]["embedding"]}


def painted(key: str, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(dashscope.MultiModalConversation.call(api_key=key, **args))
    return {"shown": answer.output.choices[0].message.content[0]["image"]}


def spoken(key: str, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(dashscope.MultiModalConversation.call(api_key=key, **args))
    return {"shown": answer.output.audio["url"]}


def sounds(key: str, args: dict[str, Any]) -> Any:
    """The pieces of a speech."""
    for answer in dashscope.MultiModalConversation.call(api_key=key, stream=True, **args):
        yield base64.b64decode(checked(answer).output.audio["data"])


def spoken_in_pieces(key: str, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(sounds(key, args))}


def speech_cancelled(key: str, args: dict[str, Any]) -> dict[str, Any]:
    pieces = sounds(key, args)
    first = next(pieces)
    pieces.close()
    return {"shown": len(first)}


def filmed(key: str, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a video and waits for it."""
    begun = checked(dashscope.VideoSynthesis.async_call(api_key=key, **args))
    return {"shown": checked(dashscope.VideoSynthesis.wait(begun, api_key=key)).output.video_url}


def film_left(key: str, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a video and never asks for it."""
    answer = checked(dashscope.VideoSynthesis.async_call(api_key=key, **args))
    return {"shown": answer.output.task_status}


def pictured(key: str, args: dict[str, Any]) -> dict[str, Any]:
    """Begins pictures as a task and waits for them."""
    begun = checked(dashscope.ImageSynthesis.async_call(api_key=key, **args))
    done = checked(dashscope.ImageSynthesis.wait(begun, api_key=key))
    return {"shown": [picture.url for picture in done.output.results]}


def picture_left(key: str, args: dict[str, Any]) -> dict[str, Any]:
    """Begins pictures as a task and never asks for them."""
    answer = checked(dashscope.ImageSynthesis.async_call(api_key=key, **args))
    return {"shown": answer.output.task_status}


def tell(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, Refused):
        return None
    answer = error.answer
    body = {"code": answer.code, "message": answer.message, "request_id": answer.request_id}
    return lines.told(error, status=answer.status_code, body=body)


lines.note_requests()
lines.serve(
    version("dashscope"),
    {
        "call": whole,
        "stream": streamed,
        "cancel": cancelled,
        "embed": embedded,
        "image": painted,
        "speech": spoken,
        "speech_stream": spoken_in_pieces,
        "speech_cancel": speech_cancelled,
        "film": filmed,
        "film_left": film_left,
        "picture": pictured,
        "picture_left": picture_left,
    },
    connect,
    tell,
)
