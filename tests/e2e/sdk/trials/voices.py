"""ElevenLabs' and Deepgram's SDKs: sound out and sound in, for Python un-prefixed and for Node below the name."""

import base64
import hashlib
import io
import wave
from typing import Any

from tests.e2e.sdk.sdks import Name
from tests.e2e.sdk.trials.trial import Cancel, Deed, Refusal, Trial
from tests.support import fake_deepgram, fake_elevenlabs


def sound_of(seconds: int) -> str:
    """A WAV file that plays that long, as base64."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(b"\x80" * 8000 * seconds)
    return base64.b64encode(file.getvalue()).decode()


ELEVENLABS_SPEECH = hashlib.sha256(fake_elevenlabs.SPEECH).hexdigest()
DEEPGRAM_SPEECH = hashlib.sha256(fake_deepgram.SPEECH).hexdigest()


def elevenlabs(sdk: Name, path: str) -> list[Trial]:
    """Speech and transcription."""
    kind = "ApiError" if sdk[1] == "python" else "ElevenLabsError"
    model = "model_id" if sdk[1] == "python" else "modelId"
    ask: dict[str, Any] = {
        "voice_id": fake_elevenlabs.VOICE,
        "text": fake_elevenlabs.TEXT,
        model: fake_elevenlabs.SPEAKER,
    }
    cost = fake_elevenlabs.SPEECH_COST_MICROS
    counts = {"characters": 20}
    speech = Trial(
        provider="elevenlabs",
        modality="speech",
        sdk=sdk,
        path=path,
        own_path="",
        cap_kind=kind,
        call=Deed("call", ask, ELEVENLABS_SPEECH, cost, counts),
        stream=Deed("stream", ask, ELEVENLABS_SPEECH, cost, counts),
        refusal=Refusal(fake_elevenlabs.refusal(404, "as scripted"), 404, kind),
        cancel=Cancel(Deed("cancel", ask, 1024, cost), lambda gate: fake_elevenlabs.speech(gate=gate)),
        more=(Deed("timed", ask, fake_elevenlabs.TEXT, cost, counts),),
    )
    hear = {"model_id": fake_elevenlabs.TRANSCRIBER, "file": sound_of(28)}
    cost = fake_elevenlabs.TRANSCRIPTION_COST_MICROS
    transcription = Trial(
        provider="elevenlabs",
        modality="transcription",
        sdk=sdk,
        path=path,
        own_path="",
        cap_kind=kind,
        call=Deed("transcribe", hear, fake_elevenlabs.TRANSCRIPT, cost, {"audio_seconds": 28}),
        refusal=Refusal(
            fake_elevenlabs.refusal(422, "as scripted"),
            422,
            "UnprocessableEntityError",
        ),
    )
    return [speech, transcription]


def credited(modality: str, call: Deed, **more: Any) -> Trial:
    """What ElevenLabs bills in credits, through its SDK for Python."""
    return Trial(
        provider="elevenlabs",
        modality=modality,
        sdk=("elevenlabs", "python"),
        path="",
        own_path="",
        cap_kind="ApiError",
        call=call,
        refusal=Refusal(fake_elevenlabs.refusal(400, "as scripted"), 400, "ApiError"),
        **more,
    )


def deepgram(sdk: Name, path: str) -> list[Trial]:
    """Speech and transcription."""
    kind = "ApiError" if sdk[1] == "python" else "DeepgramError"
    say = {"model": fake_deepgram.SPEAKER, "text": fake_deepgram.TEXT}
    cost = fake_deepgram.SPEECH_COST_MICROS
    spoken = Deed("speech", say, DEEPGRAM_SPEECH, cost, {"characters": 17})
    speech = Trial(
        provider="deepgram",
        modality="speech",
        sdk=sdk,
        path=path,
        own_path="",
        cap_kind=kind,
        call=spoken,
        stream=spoken,  # its SDKs read every speech in pieces
        refusal=Refusal(fake_deepgram.refusal(400, "as scripted"), 400, "BadRequestError"),
        cancel=Cancel(Deed("cancel", say, 1024, cost), lambda gate: fake_deepgram.speech(gate=gate)),
    )
    hear = {"model": fake_deepgram.TRANSCRIBER, "request": sound_of(26)}
    cost = fake_deepgram.TRANSCRIPTION_COST_MICROS
    counts = {"audio_seconds": fake_deepgram.SECONDS}
    both = {**hear, "multichannel": True}
    remote = {"model": fake_deepgram.TRANSCRIBER, "url": "https://example.com/sound.wav"}
    transcription = Trial(
        provider="deepgram",
        modality="transcription",
        sdk=sdk,
        path=path,
        own_path="",
        cap_kind=kind,
        call=Deed("transcribe", hear, fake_deepgram.TRANSCRIPT, cost, counts),
        refusal=Refusal(fake_deepgram.refusal(400, "as scripted"), 400, "BadRequestError"),
        more=(
            # 25.93 x 2 channels x 7700 / 60 = 6655.4, rounded up.
            Deed("transcribe", both, fake_deepgram.TRANSCRIPT, 6656, {"audio_seconds": 51.86}),
            Deed("transcribe_url", remote, fake_deepgram.TRANSCRIPT, cost, counts),
        ),
    )
    return [speech, transcription]


CREDITS = fake_elevenlabs.CREDITS_COST_MICROS


def left(name: str, args: dict[str, Any]) -> Cancel:
    """A sound that is left in the middle."""
    return Cancel(
        Deed(name, args, 1024, CREDITS),
        lambda gate: fake_elevenlabs.speech(credit=fake_elevenlabs.CREDITS, gate=gate),
    )


SOUND: dict[str, Any] = {"text": "A door", "duration_seconds": 5}
MUSIC: dict[str, Any] = {"prompt": "A waltz", "music_length_ms": 10_000}
CHANGE: dict[str, Any] = {"voice_id": fake_elevenlabs.VOICE, "audio": sound_of(5)}
ISOLATE = {"audio": sound_of(5)}
DESIGN = {"voice_description": "An old sailor, hoarse and slow", "text": "Hello there. " * 10}
READ = {"request": {"text": "Hello there, says she."}, "summarize": "v2", "language": "en"}

TRIALS = [
    credited(
        "sound effects", Deed("sound", SOUND, ELEVENLABS_SPEECH, CREDITS), cancel=left("sound_cancel", SOUND)
    ),
    credited(
        "music",
        Deed("music", MUSIC, ELEVENLABS_SPEECH, CREDITS),
        stream=Deed("music_stream", MUSIC, ELEVENLABS_SPEECH, CREDITS),
        cancel=left("music_stream_cancel", MUSIC),
    ),
    credited(
        "voice changing",
        Deed("change", CHANGE, ELEVENLABS_SPEECH, CREDITS),
        stream=Deed("change_stream", CHANGE, ELEVENLABS_SPEECH, CREDITS),
        cancel=left("change_stream_cancel", CHANGE),
    ),
    credited(
        "voice isolation",
        Deed("isolate", ISOLATE, ELEVENLABS_SPEECH, CREDITS),
        stream=Deed("isolate_stream", ISOLATE, ELEVENLABS_SPEECH, CREDITS),
        cancel=left("isolate_stream_cancel", ISOLATE),
    ),
    credited("voice design", Deed("design", DESIGN, "v-2", CREDITS), has_cap=False),
    Trial(
        "deepgram",
        "text (analysis)",
        ("deepgram", "python"),
        "/deepgram",
        "",
        "ApiError",
        Deed("read", READ, fake_deepgram.SUMMARY, fake_deepgram.READING_COST_MICROS),
        refusal=Refusal(fake_deepgram.refusal(400, "as scripted"), 400, "BadRequestError"),
    ),
    *elevenlabs(("elevenlabs", "python"), ""),
    *elevenlabs(("elevenlabs", "node"), "/elevenlabs"),
    *deepgram(("deepgram", "python"), ""),
    *deepgram(("deepgram", "node"), "/deepgram"),
]
