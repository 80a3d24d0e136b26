"""Deepgram's SDK."""

from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import lines
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types.speak_v1close import SpeakV1Close
from deepgram.speak.v1.types.speak_v1flush import SpeakV1Flush
from deepgram.speak.v1.types.speak_v1text import SpeakV1Text


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


def listened(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Sends two pieces of sound, says that this was all, and reads what comes."""
    sound = lines.bytes_of(args, "sound")
    half = len(sound) // 2
    with client.listen.v1.connect(**args["options"]) as socket:
        socket.send_media(sound[:half])
        socket.send_media(sound[half:])
        socket.send_close_stream()
        messages = list(socket)
    texts = [one.channel.alternatives[0].transcript for one in messages if one.type == "Results"]
    return {"shown": " ".join(texts), "kinds": [one.type for one in messages]}


def spoken_live(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Sends a text and reads the sound until it is flushed."""
    sound = b""
    with client.speak.v1.connect(**args["options"]) as socket:
        socket.send_text(SpeakV1Text(text=args["text"]))
        socket.send_flush(SpeakV1Flush(type="Flush"))
        for message in socket:
            if isinstance(message, bytes):
                sound += message
            elif message.type == "Flushed":
                socket.send_close(SpeakV1Close(type="Close"))
    return {"shown": lines.digest(sound)}


def tell(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, ApiError):
        return lines.told_of_a_socket(error)
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
        "listen_live": listened,
        "speak_live": spoken_live,
    },
    connect,
    tell,
)
