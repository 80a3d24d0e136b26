"""The large bodies of the bench: what is sent up, what comes down, and how to tell that it arrived. Pure."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

UPLOAD_BYTES, DOWNLOAD_BYTES = 25_000_000, 50_000_000
SMALL_BYTES = 500_000
SAMPLES_PER_S = 16_000
BOUNDARY = b"bench-0123456789abcdef"
SOUND_PART = bytes(range(256)) * 128
"""32 KB that are sound as far as anybody here can tell."""


@dataclass(frozen=True, slots=True)
class Cargo:
    """One kind of call with much to carry."""

    title: str
    path: str
    content_type: str
    before: bytes
    """The request's body, but for its sound."""
    sound_bytes: int = 0
    """Sound that stands between `before` and `behind`."""
    behind: bytes = b""
    answer_bytes: int = 0
    """The least an answer has."""

    @property
    def length(self) -> int:
        """Of the request's body."""
        return len(self.before) + self.sound_bytes + len(self.behind)

    @property
    def megabytes(self) -> float:
        """Of what is carried."""
        return max(self.sound_bytes, self.answer_bytes) / 1e6


def wave_head(size: int) -> bytes:
    """The head of a WAV file with `size` bytes of one channel in 16 bits."""
    shape = struct.pack("<IHHIIHH", 16, 1, 1, SAMPLES_PER_S, SAMPLES_PER_S * 2, 2, 16)
    return b"RIFF%bWAVEfmt %bdata%b" % (struct.pack("<I", 36 + size), shape, struct.pack("<I", size))


def _form(size: int) -> Cargo:
    """A file, and behind it which model is to hear it: as an SDK may well write it down."""
    line = b"--%b\r\ncontent-disposition: form-data; " % BOUNDARY
    opening = line + b'name="file"; filename="talk.wav"\r\ncontent-type: audio/wav\r\n\r\n'
    return Cargo(
        title="25 MB upload, form",
        path="/v1/audio/transcriptions",
        content_type=f"multipart/form-data; boundary={BOUNDARY.decode()}",
        before=opening + wave_head(size),
        sound_bytes=size,
        behind=b'\r\n%bname="model"\r\n\r\nwhisper-1\r\n--%b--\r\n' % (line, BOUNDARY),
    )


def _raw(size: int) -> Cargo:
    return Cargo(
        title="25 MB upload, raw",
        path="/v1/listen?model=nova-3",
        content_type="audio/wav",
        before=wave_head(size),
        sound_bytes=size,
    )


def _sound(size: int) -> Cargo:
    asked = {"model": "tts-1", "voice": "alloy", "input": f"bench:sound:{size}"}
    return Cargo(
        title="50 MB audio answer",
        path="/v1/audio/speech",
        content_type="application/json",
        before=json.dumps(asked).encode(),
        answer_bytes=size,
    )


CARGOES: Mapping[str, Cargo] = {
    "form": _form(UPLOAD_BYTES),
    "raw": _raw(UPLOAD_BYTES),
    "sound": _sound(DOWNLOAD_BYTES),
}
SMALL: Mapping[str, Cargo] = {
    "form": _form(SMALL_BYTES),
    "raw": _raw(SMALL_BYTES),
    "sound": _sound(SMALL_BYTES),
}
"""The same with little to carry: they go the same way, and leave no memory behind that large ones could hide in."""


def request_head(cargo: Cargo, port: int, key: str) -> bytes:
    """The head of one call; its body is `before`, sound, `behind`."""
    return (
        f"POST {cargo.path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\nuser-agent: bench\r\n"
        f"content-type: {cargo.content_type}\r\ncontent-length: {cargo.length}\r\n\r\n"
    ).encode()
