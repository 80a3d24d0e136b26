"""Bodies a provider compressed, made readable for the tap. The caller gets the compressed bytes as they came."""

import zlib
from typing import Protocol

from qlaud.flows.headers import first
from qlaud.ports import Headers

DECODED_LIMIT_BYTES = 256 * 1024 * 1024
"""Beyond this a body is a bomb, not an answer: the tap stops reading, the relay goes on."""


class Decoder(Protocol):
    """Turns chunks as received into chunks the tap can read."""

    @property
    def blind(self) -> bool:
        """Bytes came that the tap has not seen, so that it cannot say that the provider did nothing."""
        ...

    def decode(self, chunk: bytes) -> bytes:
        """The readable bytes of `chunk`; b"" when it is broken or too much."""
        ...


class Identity:
    """Nothing to do."""

    blind = False

    def decode(self, chunk: bytes) -> bytes:
        """`chunk` itself."""
        return chunk


class Inflate:
    """gzip, zlib or raw deflate, told apart by the header where possible."""

    def __init__(self, window_bits: int) -> None:
        self._stream = zlib.decompressobj(window_bits)
        self._left = DECODED_LIMIT_BYTES

    @property
    def blind(self) -> bool:
        """Broken, or too much."""
        return self._left <= 0

    def decode(self, chunk: bytes) -> bytes:
        """The decompressed bytes; b"" from the first broken byte on."""
        if self._left <= 0:
            return b""
        try:
            decoded = self._stream.decompress(chunk, self._left)
        except zlib.error:
            self._left = 0
            return b""
        self._left -= len(decoded)
        return decoded


class Unreadable:
    """An encoding nobody asked for: the tap sees nothing, so the call ends as an estimate."""

    blind = True

    def decode(self, chunk: bytes) -> bytes:
        """Always b""."""
        del chunk
        return b""


def decoder_for(headers: Headers) -> Decoder:
    """The decoder for the answer's `content-encoding`."""
    encoding = (first(headers, (b"content-encoding",)) or b"").strip().lower()
    match encoding:
        case b"" | b"identity":
            return Identity()
        case b"gzip" | b"x-gzip" | b"deflate":
            return Inflate(zlib.MAX_WBITS | 32)
        case _:
            return Unreadable()
