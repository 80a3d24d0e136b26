"""Writes vectors, pictures, speech and transcripts: as small as they can be, with usage as the originals tell it."""

import base64
import struct
from collections.abc import Iterator
from hashlib import blake2b
from math import ceil
from typing import cast

from msgspec.json import encode

from qlaud.providers.simulator.ask import BadBody
from qlaud.providers.simulator.reading_plain import Asked
from qlaud.providers.simulator.tokens import count

DIMENSIONS = 8
"""Of a vector whose length nobody asks for."""
MOST_DIMENSIONS = 4096
MOST_PICTURES = 10
PICTURE_TOKENS = 16
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""
SILENT_FRAME = b"\xff\xfb\x10\xc4" + bytes(100)
"""26 milliseconds of silence as MPEG-1 layer III, 32 kbit/s, 44.1 kHz."""
CHARACTERS_PER_FRAME = 2
SAID = "This is a simulated transcript."


def embeddings(asked: Asked) -> bytes:
    """One vector for each input, the same for the same text."""
    given = asked.fields.get("input")
    inputs = cast("list[object]", given) if isinstance(given, list) else [given]
    if inputs and all(type(item) is int for item in inputs):
        inputs = [inputs]
    if not inputs or not all(inputs):
        raise BadBody("`input` is missing", param="input")
    size = min(asked.whole("dimensions", DIMENSIONS), MOST_DIMENSIONS)
    packed = asked.text("encoding_format") == "base64"
    tokens = sum(map(_tokens, inputs))
    rows = [
        {"object": "embedding", "index": index, "embedding": vector(str(item), size, packed=packed)}
        for index, item in enumerate(inputs)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return encode({"object": "list", "data": rows, "model": asked.text("model"), "usage": usage})


def images(asked: Asked) -> bytes:
    """As many dots as were asked for."""
    pictures = max(1, min(asked.whole("n", 1), MOST_PICTURES))
    prompt, out = count(asked.text("prompt")), PICTURE_TOKENS * pictures
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"text_tokens": prompt, "image_tokens": 0},
        "output_tokens": out,
        "total_tokens": prompt + out,
    }
    return encode({"created": 1_790_000_000, "data": [{"b64_json": DOT}] * pictures, "usage": usage})


def silence(text: str) -> Iterator[bytes]:
    """Silence about as long as the text would be spoken."""
    for _ in range(ceil(len(text) / CHARACTERS_PER_FRAME)):
        yield SILENT_FRAME


def transcript(asked: Asked) -> bytes:
    """OpenAI's transcription, in the format asked for."""
    if asked.text("response_format") in ("text", "srt", "vtt"):
        return SAID.encode()
    seconds = ceil(asked.sound_ms / 1000)
    told: dict[str, object] = {"text": SAID, "usage": {"type": "duration", "seconds": seconds}}
    if asked.text("response_format") == "verbose_json":
        told |= {"duration": asked.sound_ms / 1000, "language": "english", "words": []}
    return encode(told)


def elevenlabs_transcript(asked: Asked) -> bytes:
    """ElevenLabs' transcription."""
    return encode(
        {
            "language_code": "eng",
            "language_probability": 1.0,
            "text": SAID,
            "words": [],
            "transcription_id": asked.seed,
            "audio_duration_secs": asked.sound_ms / 1000,
        }
    )


def deepgram_transcript(asked: Asked) -> bytes:
    """Deepgram's transcription."""
    metadata = {"request_id": asked.seed, "duration": asked.sound_ms / 1000, "channels": 1, "models": ["sim"]}
    alternatives: list[dict[str, object]] = [{"transcript": SAID, "confidence": 1.0, "words": []}]
    return encode({"metadata": metadata, "results": {"channels": [{"alternatives": alternatives}]}})


def _tokens(item: object) -> int:
    """Of one input: a text, or tokens already counted."""
    return len(cast("list[object]", item)) if isinstance(item, list) else count(str(item))


def vector(text: str, size: int, *, packed: bool = False) -> object:
    """Numbers from -0.5 to 0.5, the same for the same text; `packed` as base64 of 32-bit floats."""
    numbers = [byte / 255 - 0.5 for byte in _stretched(text, size)]
    if packed:
        return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
    return numbers


def _stretched(text: str, size: int) -> bytes:
    digest = b""
    while len(digest) < size:
        digest += blake2b(
            text.encode("utf-8", "replace"), salt=struct.pack("<I", len(digest)), digest_size=64
        ).digest()
    return digest[:size]
