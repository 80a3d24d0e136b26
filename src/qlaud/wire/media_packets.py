"""What the packets of each codec of Matroska play (RFC 9559's codec mappings). Used by Matroska, and in part by MP4."""

from collections.abc import Callable

from msgspec import Struct

from qlaud.wire.media_ac3 import ac3_frame
from qlaud.wire.media_codecs import (
    OPUS_RATE,
    VorbisPackets,
    aac_layout,
    opus_samples,
)
from qlaud.wire.media_flac import frame_head, stream_layout
from qlaud.wire.media_frames import AAC_CHANNEL_BYTES, AAC_MOST_CHANNELS, HEAD_BYTES, mp3_frame
from qlaud.wire.media_source import Unreadable

Play = Callable[[bytes, int], int]
"""The first bytes of a packet and its size to the samples it plays. Raises Unreadable."""


class Sound(Struct, frozen=True, gc=False):
    """How a track's packets are read, and its samples per second."""

    play: Play
    rate: int


def play_of(codec: str, private: bytes, rate: int, bits: int) -> Sound:
    """By the track's codec, its private bytes, its rate, and the bits of one sample of all channels."""
    if codec == "A_OPUS":
        return Sound(lambda first, _: opus_samples(first), OPUS_RATE)
    if codec == "A_VORBIS":
        vorbis = _vorbis(private)
        return Sound(lambda first, _: vorbis(first), vorbis.rate)
    if codec.startswith("A_AAC"):
        rate, most_bytes = aac_layout(private) if private else (rate, AAC_CHANNEL_BYTES * AAC_MOST_CHANNELS)
        return Sound(_fixed(1024, most_bytes), rate)
    if codec in ("A_MPEG/L3", "A_MPEG/L2"):
        return Sound(mp3_play(rate), rate)
    if codec in ("A_AC3", "A_EAC3"):
        return Sound(ac3_play(rate), rate)
    if codec == "A_FLAC":
        flac_rate = stream_layout(private[8:26])[0]
        return Sound(_flac(flac_rate), flac_rate)
    if codec in ("A_PCM/INT/LIT", "A_PCM/INT/BIG", "A_PCM/FLOAT/IEEE") and bits:
        return Sound(lambda _, size: -(-size * 8 // bits), rate)
    if codec == "A_ALAC":
        return Sound(_fixed(int.from_bytes(private[:4]), 0), int.from_bytes(private[20:24]))
    raise Unreadable


def _fixed(samples: int, most_bytes: int) -> Play:
    """Each packet is one frame; one too large for it would be several."""

    def play(_: bytes, size: int) -> int:
        if most_bytes and size > most_bytes:
            raise Unreadable
        return samples

    return play


def mp3_play(rate: int) -> Play:
    """Each packet is one frame of MPEG audio of this rate, as its head says."""

    def play(first: bytes, size: int) -> int:
        frame = mp3_frame(first, 0) if len(first) >= HEAD_BYTES else None
        if frame is None or size > frame[0] or frame[2] != rate:
            raise Unreadable
        return frame[1]

    return play


def ac3_play(rate: int) -> Play:
    """Each packet is one frame of AC-3 of this rate, as its head says."""

    def play(first: bytes, size: int) -> int:
        frame = ac3_frame(first)
        if frame is None or size != frame[0] or frame[2] != rate:
            raise Unreadable
        return frame[1]

    return play


def _flac(rate: int) -> Play:
    def play(first: bytes, _: int) -> int:
        head = frame_head(first, 0, rate) if len(first) > 5 and first.startswith(b"\xff") else None
        if head is None or head[1] != rate:
            raise Unreadable
        return head[0]

    return play


def _vorbis(private: bytes) -> VorbisPackets:
    """From the three headers, which are laced as Xiph does."""
    sizes: list[int] = []
    at = 1
    for _ in range(private[0]):
        size = 0
        while private[at] == 255:
            size, at = size + 255, at + 1
        sizes.append(size + private[at])
        at += 1
    if len(sizes) != 2:
        raise Unreadable
    return VorbisPackets(private[at : at + sizes[0]], private[at + sum(sizes) :])
