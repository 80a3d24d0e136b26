"""Sound, pictures and transcripts as they stream: events with base64 or hex in them, lines of JSON, and plain bytes.

Sound comes in larger pieces than text: 1.5 KB, a twelfth of a second of MP3 at 128 kbit/s.
"""

import base64
import hashlib

from bench.taps.streams import Fields, Stream, compact, line, named, word

PIECE_BYTES = 1536
PARTIAL_PICTURES = 3
MP3 = "audio/mpeg"


def piece(number: int) -> bytes:
    """Sound, as far as a tap can tell."""
    return hashlib.shake_128(b"%d" % (number % 16)).digest(PIECE_BYTES)


PIECES = tuple(base64.b64encode(piece(number)).decode() for number in range(16))
"""The same in base64."""


def _spoken(wire: str, request: Fields, *, model: str = "", is_exact: bool = True) -> Stream:
    """Bare sound."""
    return Stream(
        wire, "sound", piece, request, content_type=MP3, model=model, streams=True, is_exact=is_exact
    )


def _openai_speech(n: int) -> bytes:
    return named("speech.audio.delta", {"audio": PIECES[n % 16]})


def _transcript(n: int) -> bytes:
    return named(
        "transcript.text.delta", {"delta": word(n), "logprobs": [], "segment_id": "seg_0123456789abcdef"}
    )


def _mistral_transcript(n: int) -> bytes:
    return named("transcription.text.delta", {"text": word(n), "p": "abcdefghijk"})


def _hex(n: int) -> bytes:
    sound: Fields = {"audio": piece(n).hex(), "status": 1, "ced": ""}
    return line(
        {"data": sound, "trace_id": "0123456789abcdef", "base_resp": {"status_code": 0, "status_msg": ""}}
    )


def _minimax(wire: str, request: Fields) -> Stream:
    """Sound in hex; the last event says how much it was."""
    last: Fields = {
        "data": {"audio": "", "status": 2},
        "extra_info": {"audio_length": 4067, "usage_characters": 34},
        "base_resp": {"status_code": 0, "status_msg": "success"},
    }
    return Stream(wire, "events", _hex, request, closing=line(last))


def _with_times(n: int) -> bytes:
    letters = list("gives back")
    times = [round(n + step / 10, 3) for step in range(len(letters))]
    alignment: Fields = {
        "characters": letters,
        "character_start_times_seconds": times,
        "character_end_times_seconds": times,
    }
    body: Fields = {"audio_base64": PIECES[n % 16], "alignment": alignment, "normalized_alignment": alignment}
    return f"{compact(body)}\n".encode()


def _picture(n: int) -> bytes:
    return named("image_generation.partial_image", {"partial_image_index": n, "b64_json": PIECES[n % 16]})


_IMAGE_USAGE: Fields = {"input_tokens": 50, "output_tokens": 1056, "total_tokens": 1106}
_HEARD: Fields = {"type": "tokens", "input_tokens": 1400, "output_tokens": 2000, "total_tokens": 3400}
_DOCUMENT: Fields = {"model": "gpt-4o-mini-transcribe", "stream": "true"}

SOUND = (
    Stream(
        "openai_speech",
        "events",
        _openai_speech,
        {"model": "gpt-4o-mini-tts", "input": "Go on.", "voice": "alloy", "stream_format": "sse"},
        closing=named(
            "speech.audio.done", {"usage": {"input_tokens": 9, "output_tokens": 2000, "total_tokens": 2009}}
        ),
    ),
    _spoken("openai_speech", {"model": "tts-1", "input": "Go on.", "voice": "alloy"}),
    Stream(
        "openai_transcription",
        "events",
        _transcript,
        _DOCUMENT,
        closing=named("transcript.text.done", {"text": "what was said", "usage": _HEARD}),
        is_form=True,
    ),
    Stream(
        "openai_transcription",
        "events, Mistral",
        _mistral_transcript,
        {**_DOCUMENT, "model": "voxtral-mini-transcribe-3"},
        closing=named("transcription.done", {"text": "what was said", "usage": {"prompt_audio_seconds": 60}}),
        is_form=True,
    ),
    Stream(
        "openai_images",
        "partial pictures",
        _picture,
        {"model": "gpt-image-2", "prompt": "A gateway.", "stream": True, "partial_images": 3},
        closing=named("image_generation.completed", {"b64_json": PIECES[0], "usage": _IMAGE_USAGE}),
    ),
    _minimax("minimax_speech", {"model": "speech-2.8-hd", "text": "Go on.", "stream": True}),
    _minimax("minimax_music", {"model": "music-3.0", "prompt": "A gateway.", "stream": True}),
    Stream(
        "mistral_speech",
        "events",
        _openai_speech,
        {"model": "voxtral-tts", "input": "Go on.", "stream": True},
        closing=named("speech.audio.done", {"usage": {"prompt_tokens": 9, "total_tokens": 2009}}),
    ),
    Stream(
        "elevenlabs_speech",
        "lines with times",
        _with_times,
        {"text": "Go on.", "model_id": "eleven_v3"},
        content_type="application/json",
        streams=True,
    ),
    _spoken("elevenlabs_speech", {"text": "Go on.", "model_id": "eleven_v3"}),
    _spoken("deepgram_speak", {"text": "Go on."}, model="aura-2-thalia-en", is_exact=False),
    _spoken("cartesia_speech", {"transcript": "Go on.", "model_id": "sonic-4"}),
    _spoken("xai_speech", {"text": "Go on."}, model="grok-tts"),
)
