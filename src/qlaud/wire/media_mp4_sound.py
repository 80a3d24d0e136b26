"""What the frames of an MP4 track play, from its sample description. Used by `media_mp4` and `media_mp4_track`."""

import struct

from msgspec import Struct

from qlaud.wire.media_codecs import OPUS_RATE, aac_layout, opus_samples
from qlaud.wire.media_flac import stream_layout
from qlaud.wire.media_packets import Play, ac3_play, mp3_play
from qlaud.wire.media_source import LEAST_RATE, MOST_RATE, Unreadable

MOST_CHANNELS = 64


class Sound(Struct, frozen=True, gc=False):
    """What the frames of a track are."""

    kind: bytes
    samples: int
    """Of one frame, at most."""
    rate: int
    """0: as many as the track has time units."""
    most_bytes: int = 0
    """A larger frame would hold more than one; 0: nobody knows."""
    sample_bytes: int = 0
    """Of plain samples: the bytes of one, all channels together."""
    look: Play | None = None
    """For a codec whose frames differ: each must be looked at."""


_PCM_BYTES = {
    b"in24": 3, b"in32": 4, b"fl32": 4, b"fl64": 8, b"ulaw": 1, b"alaw": 1,
    b"sowt": 0, b"twos": 0, b"lpcm": 0, b"ipcm": 0, b"fpcm": 0, b"raw ": 0, b"NONE": 0,
}  # fmt: skip
"""Of one sample of one channel; 0: as many as its bits need."""
_AC3 = (b"ac-3", b"ec-3")
_AMR = {b"samr": (160, 8000, 32), b"sawb": (320, 16000, 61)}
_AAC_OBJECTS = (0x40, 0x66, 0x67, 0x68)
_MP3_OBJECTS = (0x69, 0x6B)


def sound_of(entry: bytes) -> Sound | None:
    """What a sample description says of sound; None for a codec that is none. Raises Unreadable."""
    kind, rate = entry[4:8], _entry_rate(entry)
    if kind == b"Opus":
        return Sound(kind, 0, OPUS_RATE, look=lambda first, _: opus_samples(first))
    if kind in _PCM_BYTES:
        return Sound(kind, 1, rate, sample_bytes=_sample_bytes(entry))
    if kind in _AC3:
        return Sound(kind, 0, rate, look=ac3_play(rate))
    if kind in (b".mp3", b"ms\0U"):
        return Sound(kind, 0, rate, look=mp3_play(rate))
    if kind in _AMR:
        samples, rate, most_bytes = _AMR[kind]
        inner = _inner(entry, b"damr")
        frames = max(inner[8] if len(inner) > 8 else 1, 1)
        return Sound(kind, samples * frames, rate, most_bytes * frames)
    if kind == b"mp4a":
        return _mpeg4(entry, rate)
    if kind == b"alac":
        cookie = _inner(entry, b"alac")[4:]
        return Sound(kind, int.from_bytes(cookie[:4]), int.from_bytes(cookie[20:24]))
    if kind == b"fLaC":
        rate, _, samples = stream_layout(_inner(entry, b"dfLa")[8:26])
        return Sound(kind, samples, rate)
    return None


def _entry_rate(entry: bytes) -> int:
    """Samples per second that the description itself names, 0 if none that can be."""
    if _is_wide(entry):
        (rate,) = struct.unpack(">d", entry[40:48])
        return int(rate) if LEAST_RATE <= rate <= MOST_RATE else 0
    return int.from_bytes(entry[32:34])


def _sample_bytes(entry: bytes) -> int:
    """Of plain samples, all channels together. Raises Unreadable."""
    channels, bits = int.from_bytes(entry[24:26]), int.from_bytes(entry[26:28])
    if _is_wide(entry):
        channels, bits = int.from_bytes(entry[48:52]), int.from_bytes(entry[56:60])
    sample_bytes = channels * (_PCM_BYTES[entry[4:8]] or -(-bits // 8))
    if not 1 <= channels <= MOST_CHANNELS or not 1 <= sample_bytes <= 8 * channels:
        raise Unreadable
    return sample_bytes


def _is_wide(entry: bytes) -> bool:
    """QuickTime's second version of the description."""
    return entry[16:18] == b"\0\2" and len(entry) >= 60


def _mpeg4(entry: bytes, rate: int) -> Sound:
    """By the descriptors of ISO 14496-1, 7.2.6.5: which codec, and for AAC its configuration."""
    entry = _inner(entry, b"esds")
    at, _ = _descriptor(entry, 4, 0x03)
    flags = entry[at + 2]
    at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
    at, _ = _descriptor(entry, at, 0x04)
    codec = entry[at]
    if codec in _MP3_OBJECTS:
        return Sound(b"mp4a", 0, rate, look=mp3_play(rate))
    if codec not in _AAC_OBJECTS or flags & 0x40:
        raise Unreadable
    at, size = _descriptor(entry, at + 13, 0x05)
    rate, most_bytes = aac_layout(entry[at : at + size])
    return Sound(b"mp4a", 1024, rate, most_bytes)


def _inner(entry: bytes, kind: bytes) -> bytes:
    """What is in the one box of that kind within a description, QuickTime's `wave` included; empty where none is.

    Raises Unreadable where its name stands twice: two readers might take two boxes.
    """
    if entry.count(kind) - (entry[4:8] == kind) > 1:
        raise Unreadable
    at = entry.find(kind, 8)
    if at < 4:
        return b""
    size = int.from_bytes(entry[at - 4 : at])
    return entry[at + 4 : at - 4 + size] if size >= 8 else b""


def _descriptor(entry: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where what is in the descriptor begins, and its size."""
    if entry[at] != tag:
        raise Unreadable
    size = 0
    for here in range(at + 1, at + 5):
        size = size << 7 | entry[here] & 0x7F
        if entry[here] < 0x80:
            return here + 1, size
    raise Unreadable
