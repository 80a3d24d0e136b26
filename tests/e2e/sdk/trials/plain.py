"""What has no SDK here, in plain HTTP: Cartesia, the voices of xAI, MiniMax's own routes."""

import hashlib
from collections.abc import Callable
from typing import Any

from tests.e2e.sdk.trials.chat import TOOL
from tests.e2e.sdk.trials.trial import Cancel, Deed, Refusal, Trial
from tests.e2e.sdk.trials.voices import sound_of
from tests.support import fake_cartesia, fake_minimax, fake_perplexity, fake_xai
from tests.support.fake_chat import TEXT
from tests.support.fake_provider import Answer, Gate

HELLO = [{"role": "user", "content": "Hello"}]


def plain(provider: str, modality: str, call: Deed, refusal: Answer, **more: Any) -> Trial:
    """Paths are the vendor's own."""
    return Trial(
        provider=provider,
        modality=modality,
        sdk=("http", "python"),
        path=f"/{provider}",
        own_path="",
        cap_kind="HttpError",
        call=call,
        refusal=Refusal(refusal, refusal.status, "HttpError"),
        **more,
    )


def sound(
    provider: str, args: dict[str, Any], speech: bytes, cost: int, script: Callable[[Gate], Answer]
) -> dict[str, Any]:
    """Speech that comes as bytes."""
    digest = hashlib.sha256(speech).hexdigest()
    counts = {"characters": 20}
    return {
        "provider": provider,
        "modality": "speech",
        "call": Deed("call", args, digest, cost, counts),
        "stream": Deed("stream", args, digest, cost, counts),
        "cancel": Cancel(Deed("cancel", args, 1024, cost), script),
    }


CARTESIA = {
    "path": "/tts/bytes",
    "headers": {"cartesia-version": "2025-04-16"},
    "body": {
        "model_id": fake_cartesia.SPEAKER,
        "transcript": fake_cartesia.TEXT,
        "voice": {"mode": "id", "id": "694f9389-aac1-45b6-b726-9d9369183238"},
        "output_format": {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 44100},
    },
}
XAI_SPEECH = {"path": "/v1/tts", "body": {"text": fake_xai.SPOKEN, "voice_id": "eve", "language": "en"}}
XAI_TRANSCRIPTION = {"path": "/v1/stt", "form": {"language": "en"}, "file": sound_of(9), "show": ["text"]}

NATIVE: dict[str, Any] = {
    "path": fake_minimax.NATIVE,
    "body": {"model": fake_minimax.MINIMAX.model, "messages": HELLO},
    "show": ["choices", 0, "message", "content"],
}
NATIVE_STREAM = {
    **NATIVE,
    "body": {**NATIVE["body"], "stream": True},
    "show": ["choices", 0, "delta", "content"],
}
NATIVE_TOOL = {
    **NATIVE,
    "body": {**NATIVE["body"], "tools": [TOOL]},
    "show": ["choices", 0, "message", "tool_calls", 0, "function", "name"],
}
SAY: dict[str, Any] = {
    "path": "/v1/t2a_v2",
    "body": {
        "model": fake_minimax.SPEAKER,
        "text": "Hello there, Ada, 42",
        "voice_setting": {"voice_id": "English_Graceful_Lady"},
    },
    "show": ["data", "audio"],
}
SAY_STREAM = {**SAY, "body": {**SAY["body"], "stream": True}}
PAINT = {
    "path": "/v1/image_generation",
    "body": {"model": fake_minimax.PAINTER, "prompt": "A pixel", "n": 2},
    "show": ["data", "image_urls", 1],
}
COMPOSE: dict[str, Any] = {
    "path": "/v1/music_generation",
    "body": {"model": fake_minimax.COMPOSER, "prompt": "A hum", "lyrics": "La la la la la"},
    "show": ["data", "audio"],
}
COMPOSE_STREAM = {**COMPOSE, "body": {**COMPOSE["body"], "stream": True}}
REFUSAL = fake_minimax.MINIMAX.refusal(400, "as scripted")
SPOKEN, PIECE = fake_minimax.SPEECH.hex(), fake_minimax.SPEECH[:500].hex()
COST, SPEECH_COST = fake_minimax.COST_MICROS, fake_minimax.SPEECH_COST_MICROS
MUSIC_COST = fake_minimax.MUSIC_COST_MICROS

AGENT = {
    "path": "/v1/agent",
    "body": {"model": fake_perplexity.AGENT.model, "input": "Hello"},
    "show": ["output", 0, "content", 0, "text"],
}

TRIALS = [
    plain(
        refusal=fake_cartesia.refusal(400, "as scripted"),
        **sound(
            "cartesia",
            CARTESIA,
            fake_cartesia.SPEECH,
            fake_cartesia.SPEECH_COST_MICROS,
            lambda gate: fake_cartesia.speech(gate=gate),
        ),
    ),
    plain(
        refusal=fake_xai.XAI.refusal(400, "as scripted"),
        **sound(
            "xai",
            XAI_SPEECH,
            fake_xai.SPEECH,
            fake_xai.SPEECH_COST_MICROS,
            lambda gate: fake_xai.speech(gate=gate),
        ),
    ),
    plain(
        "xai",
        "transcription",
        Deed(
            "call",
            XAI_TRANSCRIPTION,
            fake_xai.TRANSCRIPT,
            fake_xai.TRANSCRIPTION_COST_MICROS,
            {"audio_seconds": 9},
        ),
        fake_xai.XAI.refusal(400, "as scripted"),
    ),
    plain(
        "perplexity",
        "text (responses)",
        Deed("call", AGENT, TEXT, fake_perplexity.AGENT_COST_MICROS, {"output_tokens": 420}),
        fake_perplexity.PERPLEXITY.refusal(400, "as scripted"),
    ),
    plain(
        "minimax",
        "text (native)",
        Deed("call", NATIVE, TEXT, COST),
        REFUSAL,
        stream=Deed("stream", NATIVE_STREAM, TEXT, COST),
        tools=Deed("call", NATIVE_TOOL, "get", COST),
        cancel=Cancel(
            Deed("cancel", NATIVE_STREAM, "Hello", COST), lambda gate: fake_minimax.native_stream(gate=gate)
        ),
    ),
    plain(
        "minimax",
        "speech",
        Deed("call", SAY, SPOKEN, SPEECH_COST, {"characters": 34}),
        REFUSAL,
        stream=Deed("stream", SAY_STREAM, SPOKEN, SPEECH_COST, {"characters": 34}),
        cancel=Cancel(
            Deed("cancel", SAY_STREAM, PIECE, SPEECH_COST),
            lambda gate: fake_minimax.speech_stream(gate=gate),
        ),
    ),
    plain(
        "minimax",
        "images",
        Deed("call", PAINT, "https://example.com/2.png", fake_minimax.PICTURE_COST_MICROS, {"images": 2}),
        REFUSAL,
    ),
    plain(
        "minimax",
        "music",
        Deed("call", COMPOSE, SPOKEN, MUSIC_COST),
        REFUSAL,
        stream=Deed("stream", COMPOSE_STREAM, SPOKEN, MUSIC_COST),
        cancel=Cancel(
            Deed("cancel", COMPOSE_STREAM, PIECE, MUSIC_COST),
            lambda gate: fake_minimax.music_stream(gate=gate),
        ),
    ),
]
