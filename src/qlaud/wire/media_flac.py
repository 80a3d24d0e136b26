"""Playing time of FLAC (RFC 9639): what its head claims, unless the frames in it say more.

A frame does not tell its own size, so all bytes are searched for frame heads, which carry a checksum. A head that
stands by chance within a frame counts as well; there are about three in 25 MB.
"""

import re
from collections.abc import Iterator

from qlaud.wire.media_source import HEAVY_STEPS, WINDOW_BYTES, Source, Unreadable, play_ms

HEAD_BYTES = 16
"""The longest head of a frame."""
STRAY_HEADS = 8
"""Heads of another sample rate that are taken for chance, and as many again for every two megabytes."""

_RATES = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
_POLYNOMIAL = 0x07


def _checksums() -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)) & 0xFF
        table.append(value)
    return tuple(table)


_CRC8 = _checksums()
_THIRD = b"".join(re.escape(bytes([byte])) for byte in range(0x10, 0x100) if byte & 15 != 15)
_FOURTH = b"".join(re.escape(bytes([byte])) for byte in range(0, 0xB0, 2) if byte >> 1 & 7 != 3)
_HEAD = re.compile(b"\xff[\xf8\xf9][" + _THIRD + b"][" + _FOURTH + b"]", re.DOTALL)


def frame_head(block: bytes, at: int, stream_rate: int) -> tuple[int, int] | None:
    """Samples and samples per second of the frame whose head stands at `at`; None if it is no head."""
    size_code, rate_code = block[at + 2] >> 4, block[at + 2] & 15
    first = block[at + 4]
    if first < 0x80:
        here = at + 5
    elif 0xC0 <= first < 0xFF:
        here = at + 12 - (first ^ 0xFF).bit_length()  # as many bytes as leading ones
    else:
        return None
    if size_code == 1:
        samples = 192
    elif size_code < 6:
        samples = 576 << size_code - 2
    elif size_code < 8:
        samples = int.from_bytes(block[here : here + size_code - 5]) + 1
        here += size_code - 5
    else:
        samples = 256 << size_code - 8
    if rate_code < 12:
        rate = _RATES[rate_code] or stream_rate
    else:
        length = 1 if rate_code == 12 else 2
        rate = int.from_bytes(block[here : here + length]) * (1000, 1, 10)[rate_code - 12]
        here += length
    checksum = 0
    for byte in block[at:here]:
        checksum = _CRC8[checksum ^ byte]
    if here >= len(block) or block[here] != checksum:
        return None
    return samples, rate


def stream_layout(text: bytes) -> tuple[int, int, int]:
    """Of a STREAMINFO block: samples per second, samples in all (0: not known), the most samples of a frame."""
    if len(text) < 18:
        raise Unreadable
    packed = int.from_bytes(text[10:18])
    return packed >> 44, packed & (1 << 36) - 1, int.from_bytes(text[2:4])


def flac_ms(source: Source, start: int) -> int:
    """Of a FLAC file that begins at `start`."""
    rate, claimed, _ = stream_layout(source.exactly(start + 8, 18))
    if source.number(start + 4, 1) & 0x7F:
        raise Unreadable  # STREAMINFO comes first
    at = start + 4
    is_last = False
    while not is_last:
        source.step()
        head = source.number(at, 4)
        is_last = head >= 1 << 31
        at += 4 + (head & 0xFFFFFF)
    samples = strays = 0
    for block, here in _heads(source, at):
        found = frame_head(block, here, rate)
        if found is not None and found[1] == rate:
            samples += found[0]
        elif found is not None:
            strays += 1
    if strays > STRAY_HEADS + source.size // 262_144 // 8 * STRAY_HEADS or not samples | claimed:
        raise Unreadable
    return play_ms(max(claimed, samples), rate)


def _heads(source: Source, at: int) -> Iterator[tuple[bytes, int]]:
    """Wherever a head may stand from `at` on, within some bytes around it."""
    while at < source.size:
        block = source.exactly(at, min(WINDOW_BYTES, source.size - at))
        end = len(block) if at + len(block) == source.size else len(block) - HEAD_BYTES
        matches = _HEAD.finditer(block)
        for match in matches:
            if match.start() >= end:
                break
            source.step(HEAVY_STEPS)
            if match.start() + 5 < len(block):
                yield block, match.start()
        at += max(end, 1)
