"""Mistral's SDK."""

import base64
import json
from importlib.metadata import version
from typing import Any

import lines
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError


def connect(call: dict[str, Any]) -> Any:
    return Mistral(api_key=call["key"], server_url=call["base_url"])


def tool_of(calls: Any) -> list[Any] | None:
    if not calls:
        return None
    given = calls[0].function.arguments
    return [calls[0].function.name, json.loads(given) if isinstance(given, str) else given]


def whole(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    message = client.chat.complete(**args).choices[0].message
    return {"shown": message.content or "", "tool": tool_of(message.tool_calls)}


def streamed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.chat.stream(**args) as stream:
        deltas = [event.data.choices[0].delta for event in stream]
    pieces = [call for delta in deltas for call in delta.tool_calls or []]
    arguments = "".join(str(piece.function.arguments) for piece in pieces)
    tool = [pieces[0].function.name, json.loads(arguments)] if pieces else None
    return {"shown": "".join(delta.content or "" for delta in deltas), "tool": tool}


def cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.chat.stream(**args) as stream:
        for event in stream:
            if event.data.choices[0].delta.content:
                return {"shown": event.data.choices[0].delta.content}
    raise AssertionError("a stream without a word")


def completed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.fim.complete(**args).choices[0].message.content}


def completed_in_pieces(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.fim.stream(**args) as stream:
        return {"shown": "".join(event.data.choices[0].delta.content or "" for event in stream)}


def completion_cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.fim.stream(**args) as stream:
        for event in stream:
            if event.data.choices[0].delta.content:
                return {"shown": event.data.choices[0].delta.content}
    raise AssertionError("a stream without a word")


def embedded(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.embeddings.create(**args).data[0].embedding}


def file_of(args: dict[str, Any]) -> dict[str, Any]:
    return {**args, "file": {"file_name": "sound.wav", "content": lines.bytes_of(args, "file")}}


def transcribed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.audio.transcriptions.complete(**file_of(args)).text}


def transcribed_in_pieces(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.audio.transcriptions.stream(**file_of(args)) as stream:
        texts = [event.data.text for event in stream if event.event == "transcription.text.delta"]
    return {"shown": "".join(texts)}


def spoken(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.audio.speech.complete(**args).audio_data}


def spoken_in_pieces(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.audio.speech.complete(stream=True, **args) as stream:
        pieces = [event.data.audio_data for event in stream if event.event == "speech.audio.delta"]
    return {"shown": lines.digest(base64.b64decode(piece) for piece in pieces)}


def speech_cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    with client.audio.speech.complete(stream=True, **args) as stream:
        for event in stream:
            return {"shown": len(base64.b64decode(event.data.audio_data))}
    raise AssertionError("a stream without a sound")


def read(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": len(client.ocr.process(**args).pages)}


def tell(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, (SDKError, HTTPValidationError)):
        return None
    return lines.told(error, status=error.raw_response.status_code, body=error.body)


lines.note_httpx()
lines.serve(
    version("mistralai"),
    {
        "call": whole,
        "stream": streamed,
        "cancel": cancelled,
        "fill": completed,
        "fill_stream": completed_in_pieces,
        "fill_cancel": completion_cancelled,
        "embed": embedded,
        "transcribe": transcribed,
        "transcribe_stream": transcribed_in_pieces,
        "speech": spoken,
        "speech_stream": spoken_in_pieces,
        "speech_cancel": speech_cancelled,
        "ocr": read,
    },
    connect,
    tell,
)
