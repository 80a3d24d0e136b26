"""Writes speech, pages and pieces in the words of each provider that has words of its own for them."""

import base64
from collections.abc import Iterator, Mapping
from typing import cast

from msgspec.json import encode

from qlaud.providers.simulator.media import DOT, SAID, silence
from qlaud.providers.simulator.reading_plain import Asked, last_text
from qlaud.providers.simulator.tokens import count

CREDITS = 10
"""Of any sound that is billed in credits."""
MINIMAX_OK = {"status_code": 0, "status_msg": "success"}
NOTHING: Mapping[str, object] = {}
SOUND_TOKENS_PER_CHARACTER = 2


def speech_events(text: str) -> Iterator[bytes]:
    """OpenAI's speech as events, with its tokens."""
    for frame in silence(text):
        yield _event("speech.audio.delta", {"audio": base64.b64encode(frame).decode()})
    tokens_in, tokens_out = count(text), SOUND_TOKENS_PER_CHARACTER * len(text)
    usage = {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    yield _event("speech.audio.done", {"usage": usage})


def transcript_events(asked: Asked) -> Iterator[bytes]:
    """OpenAI's transcription as events."""
    yield _event("transcript.text.delta", {"delta": SAID})
    usage = {"type": "duration", "seconds": -(-asked.sound_ms // 1000)}
    yield _event("transcript.text.done", {"text": SAID, "usage": usage})


def base64_speech(text: str) -> bytes:
    """Mistral's speech."""
    return encode({"audio_data": base64.b64encode(b"".join(silence(text))).decode()})


def hex_speech(text: str) -> bytes:
    """MiniMax's speech."""
    extra = {"usage_characters": len(text), "audio_format": "mp3"}
    return encode({"data": _hex(text), "extra_info": extra, "base_resp": MINIMAX_OK})


def song(asked: Asked) -> bytes:
    """MiniMax's music."""
    extra = {"music_duration": asked.sound_ms}
    return encode({"data": _hex(asked.text("prompt")), "extra_info": extra, "base_resp": MINIMAX_OK})


def pictures(asked: Asked) -> bytes:
    """MiniMax's pictures."""
    made = max(1, asked.whole("n", 1))
    counted = {"success_count": made, "failed_count": 0}
    return encode({"data": {"image_base64": [DOT] * made}, "metadata": counted, "base_resp": MINIMAX_OK})


def page(asked: Asked) -> bytes:
    """Mistral's reading of a document, always of one page."""
    usage = {"pages_processed": 1, "doc_size_bytes": asked.size}
    read = {"index": 0, "markdown": SAID, "dimensions": None}
    return encode({"pages": [read], "model": asked.text("model"), "usage_info": usage})


def heard(asked: Asked) -> bytes:
    """xAI's transcription."""
    return encode({"text": SAID, "language": "en", "duration": asked.sound_ms / 1000, "words": []})


def summary(asked: Asked) -> bytes:
    """Deepgram's reading of a text."""
    tokens = {"model_uuid": "sim", "input_tokens": count(asked.text("text")), "output_tokens": count(SAID)}
    metadata = {"request_id": asked.seed, "language": "en", "summary_info": tokens}
    return encode({"metadata": metadata, "results": {"summary": {"text": SAID}}})


def generation(asked: Asked) -> bytes:
    """DashScope's answer on its native paths: speech where a text is to be spoken, else what was said last."""
    value = asked.fields.get("input")
    given = cast("Mapping[str, object]", value) if isinstance(value, dict) else NOTHING
    if "text" in given:
        audio = {"data": "", "url": "https://example.com/silence.wav", "id": asked.seed}
        usage = {"characters": len(last_text(given["text"]))}
        return encode({"output": {"audio": audio}, "usage": usage, "request_id": asked.seed})
    said = last_text(given.get("messages")) or last_text(given.get("prompt")) or SAID
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    usage = {"input_tokens": max(1, asked.size // 4), "output_tokens": count(said)}
    return encode({"output": {"choices": [choice]}, "usage": usage, "request_id": asked.seed})


def _hex(text: str) -> dict[str, object]:
    return {"audio": b"".join(silence(text)).hex(), "status": 2}


def _event(kind: str, fields: dict[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encode({"type": kind, **fields}))
