"""What one piece of media within a Gemini request may cost, in tokens. None where nothing in the body bounds it.

    pictures    a constant: the most that one can cost
    sound       32 tokens a second of its playing time
    films       a frame a second unless asked for more, 280 tokens at most, and the sound

Up to Gemini 2.x a frame costs 258 tokens and the whole about 263 to 300 a second. Facts: Google's pages on image, audio
and video understanding and on media resolution, seen 2026-11.
"""

from binascii import Error as NoBase64
from binascii import a2b_base64
from math import ceil

from qlaud.wire.media import duration_ms

IMAGE_TOKENS = 6_500
"""The most one picture costs. Up to 2.x it is scaled into 3072 x 3072 and cut into tiles of at least 256 pixels, 258
tokens each, and no shape gives more than 24 tiles; from 3 on 2240 tokens at the highest resolution."""
SOUND_TOKENS_PER_S = 32
FRAME_TOKENS = 300
"""Of a film, with its time."""
AROUND_TOKENS = 64
"""Around a piece of media."""
MOST_FRAMES_PER_S = 60
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
STILLS = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"))
"""Brands of pictures in the container that films have."""
DOCUMENT = b"%PDF"
HEAD_CHARS = 1600


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so is one picture."""
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith(PICTURES) or (head[4:8] == b"ftyp" and head[8:12] in STILLS)


def head_of(data: memoryview) -> bytes:
    """The first bytes of a JSON string in base64, of either alphabet. Raises binascii.Error."""
    text = _plain(bytes(data[1:HEAD_CHARS]).rstrip(b'"'))
    return a2b_base64(text[: len(text) // 4 * 4])


def sound_tokens(data: memoryview) -> int | None:
    """Of sound in base64."""
    played = _played_ms(data)
    return None if played is None else -(-played * SOUND_TOKENS_PER_S // 1000) + AROUND_TOKENS


def film_tokens(data: memoryview, frames_per_s: float) -> int | None:
    """Of a film in base64, of which so many frames a second are looked at."""
    played = _played_ms(data)
    if played is None or not 0 <= frames_per_s <= MOST_FRAMES_PER_S:
        return None
    seconds = played // 1000 + 1
    frames = ceil(seconds * max(frames_per_s, 1.0)) + 1
    return frames * FRAME_TOKENS + seconds * SOUND_TOKENS_PER_S + AROUND_TOKENS


def _played_ms(data: memoryview) -> int | None:
    text = _plain(bytes(data[1:-1]))
    try:
        raw = a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except NoBase64:
        return None
    return duration_ms(lambda offset, length: raw[offset : offset + length], len(raw))


def _plain(text: bytes) -> bytes:
    """Base64 of the usual alphabet, without JSON's escapes and padding."""
    if b"\\" in text:
        text = text.replace(b"\\/", b"/").replace(b"\\n", b"").replace(b"\\r", b"")
    if b"-" in text or b"_" in text:
        text = text.replace(b"-", b"+").replace(b"_", b"/")
    return text.rstrip(b"=")
