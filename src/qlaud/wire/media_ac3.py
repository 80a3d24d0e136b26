"""Frames of AC-3 and E-AC-3 (ETSI TS 102 366): each says in its head how long it plays, and at what rate."""

from qlaud.wire.media_frames import Frame

HEAD_BYTES = 6
_SYNC = b"\x0b\x77"
_RATES = (48_000, 44_100, 32_000)
_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_BLOCK_SAMPLES, _MOST_BLOCKS = 256, 6
_BLOCKS = (1, 2, 3, _MOST_BLOCKS)


def ac3_frame(first: bytes) -> Frame | None:
    """The frame that stands there, of either kind; None if none does."""
    if len(first) < HEAD_BYTES or not first.startswith(_SYNC):
        return None
    code, version = first[4] >> 6, first[5] >> 3
    if version > 10:
        return _enhanced(first, code) if version <= 16 else None
    size_code = first[4] & 63
    if code > 2 or size_code >= 2 * len(_KBITS):
        return None
    kbits = _KBITS[size_code >> 1]
    words = (2 * kbits, kbits * 320 // 147 + (size_code & 1), 3 * kbits)[code]
    return 2 * words, _MOST_BLOCKS * _BLOCK_SAMPLES, _RATES[code] >> max(version - 8, 0)


def _enhanced(first: bytes, code: int) -> Frame | None:
    size = 2 * (((first[2] & 7) << 8 | first[3]) + 1)
    second = first[4] >> 4 & 3
    if code < 3:
        return size, _BLOCKS[second] * _BLOCK_SAMPLES, _RATES[code]
    return (size, _MOST_BLOCKS * _BLOCK_SAMPLES, _RATES[second] // 2) if second < 3 else None
