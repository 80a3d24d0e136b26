"""Deepgram's SDK."""

from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import lines
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment


@contextmanager
def connect(call: dict[str, Any]) -> Any:
    base = call["base_url"]
    live = base.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=base, production=live, agent=live, agent_rest=base)
    yield DeepgramClient(api_key=call["key"], environment=environment)


def transcript_of(answer: Any) -> dict[str, Any]:
    return {"shown": answer.results.channels[0].alternatives[0].transcript}


def transcribed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    sound = lines.bytes_of(args, "request")
    return transcript_of(client.listen.v1.media.transcribe_file(**{**args, "request": sound}))


def transcribed_from(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return transcript_of(client.listen.v1.media.transcribe_url(**args))


def spoken(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(client.speak.v1.audio.generate(**args))}


def cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    sound = client.speak.v1.audio.generate(**args)
    first = next(sound)
    sound.close()
    return {"shown": len(first)}


def read(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.read.v1.text.analyze(**args).results.summary.text}


def tell(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, ApiError):
        return None
    return lines.told(error, status=error.status_code, body=error.body)


lines.note_httpx()
lines.serve(
    version("deepgram-sdk"),
    {
        "speech": spoken,
        "cancel": cancelled,
        "transcribe": transcribed,
        "transcribe_url": transcribed_from,
        "read": read,
    },
    connect,
    tell,
)
