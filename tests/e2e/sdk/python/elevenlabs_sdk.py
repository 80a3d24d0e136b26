"""ElevenLabs' SDK."""

import asyncio
import base64
import io
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import lines
from elevenlabs import AudioFormat, RealtimeEvents
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError


@contextmanager
def connect(call: dict[str, Any]) -> Any:
    yield ElevenLabs(api_key=call["key"], base_url=call["base_url"])


def spoken(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(client.text_to_speech.convert(**args))}


def streamed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": lines.digest(client.text_to_speech.stream(**args))}


def timed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    answer = client.text_to_speech.convert_with_timestamps(**args)
    return {"shown": "".join(answer.alignment.characters)}


def streamed_timed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    pieces = list(client.text_to_speech.stream_with_timestamps(**args))
    return {"shown": "".join(pieces[0].alignment.characters), "pieces": len(pieces)}


def cancelled(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return first_of(client.text_to_speech.stream(**args))


def transcribed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO(lines.bytes_of(args, "file"))
    file.name = "sound.wav"
    return {"shown": client.speech_to_text.convert(**{**args, "file": file}).text}


def first_of(sound: Any) -> dict[str, Any]:
    """The first piece of a sound, which is then left."""
    first = next(sound)
    sound.close()
    return {"shown": len(first)}


def sounds(client: Any, args: dict[str, Any]) -> Any:
    return client.text_to_sound_effects.convert(**args)


def music(client: Any, args: dict[str, Any]) -> Any:
    return client.music.compose(**args)


def streamed_music(client: Any, args: dict[str, Any]) -> Any:
    return client.music.stream(**args)


def changed(client: Any, args: dict[str, Any]) -> Any:
    return client.speech_to_speech.convert(**{**args, "audio": lines.bytes_of(args, "audio")})


def streamed_change(client: Any, args: dict[str, Any]) -> Any:
    return client.speech_to_speech.stream(**{**args, "audio": lines.bytes_of(args, "audio")})


def isolated(client: Any, args: dict[str, Any]) -> Any:
    return client.audio_isolation.convert(audio=lines.bytes_of(args, "audio"))


def streamed_isolation(client: Any, args: dict[str, Any]) -> Any:
    return client.audio_isolation.stream(audio=lines.bytes_of(args, "audio"))


SOUNDS = {
    "sound": sounds,
    "music": music,
    "music_stream": streamed_music,
    "change": changed,
    "change_stream": streamed_change,
    "isolate": isolated,
    "isolate_stream": streamed_isolation,
}
"""What answers with a sound, piece by piece."""


def heard(name: str) -> lines.Deed:
    return lambda client, args: {"shown": lines.digest(SOUNDS[name](client, args))}


def left(name: str) -> lines.Deed:
    return lambda client, args: first_of(SOUNDS[name](client, args))


def designed(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"shown": client.text_to_voice.design(**args).previews[0].generated_voice_id}


def listened(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Sound by socket, committed, and the transcript."""
    sound = lines.bytes_of(args, "sound")

    async def listen() -> str:
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        options = {"model_id": args["model"], "audio_format": AudioFormat.PCM_16000, "sample_rate": 16000}
        socket = await client.speech_to_text.realtime.connect(options)
        socket.on(RealtimeEvents.COMMITTED_TRANSCRIPT, lambda told: heard.set_result(told["text"]))
        await socket.send({"audio_base_64": base64.b64encode(sound).decode()})
        await socket.commit()
        text = await asyncio.wait_for(heard, 20)
        await socket.close()
        return text

    return {"shown": asyncio.run(listen())}


def spoken_live(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Sends a text bit by bit. The helper always dials `wss`; here there is no TLS, so the scheme is put right."""
    voice = client.text_to_speech
    voice._ws_base_url = voice._ws_base_url.replace("wss://", "ws://")
    return {"shown": lines.digest(voice.convert_realtime(**{**args, "text": iter(args["text"])}))}


def listened_until_refused(client: Any, args: dict[str, Any]) -> dict[str, Any]:
    """Sends the same sound until the session says that there is no money left."""

    async def listen() -> str:
        refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        options = {"model_id": args["model"], "audio_format": AudioFormat.PCM_16000, "sample_rate": 16000}
        socket = await client.speech_to_text.realtime.connect(options)
        socket.on(RealtimeEvents.QUOTA_EXCEEDED, lambda told: refused.set_result(told["error"]))
        for _ in range(args["times"]):
            await socket.send({"audio_base_64": args["sound"]})
        text = await asyncio.wait_for(refused, 20)
        await socket.close()
        return text

    return {"shown": asyncio.run(listen())}


def tell(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, ApiError):
        return lines.told_of_a_socket(error)
    return lines.told(error, status=error.status_code, body=error.body)


lines.note_httpx()
lines.serve(
    version("elevenlabs"),
    {
        "call": spoken,
        "stream": streamed,
        "timed": timed,
        "timed_stream": streamed_timed,
        "cancel": cancelled,
        "transcribe": transcribed,
        "listen_live": listened,
        "listen_until_refused": listened_until_refused,
        "speak_live": spoken_live,
        **{name: heard(name) for name in SOUNDS},
        **{f"{name}_cancel": left(name) for name in SOUNDS},
        "design": designed,
    },
    connect,
    tell,
)
