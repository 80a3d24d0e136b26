"""How long an uploaded file of sound or film plays. Money is held for it before a transcription leaves.

Never less than a decoder puts out: what a header claims is believed only as far as the frames behind it bear it
out, and a file that says different things to different readers has no playing time. Pure: the reading of bytes is
an argument.
"""

import struct

from qlaud.wire.media_flac import flac_ms
from qlaud.wire.media_frames import amr_ms, frames_ms, tag_bytes
from qlaud.wire.media_matroska import matroska_ms
from qlaud.wire.media_mp4 import mp4_ms
from qlaud.wire.media_ogg import ogg_ms
from qlaud.wire.media_samples import aiff_ms, au_ms, raw_byte_rate, wav_ms
from qlaud.wire.media_source import ReadAt, Source, Unreadable

__all__ = ["duration_ms", "raw_byte_rate"]

_MP4_STARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
_UNREADABLE = (Unreadable, struct.error, IndexError)
"""What the readings raise on a file that ends, or says something, where nobody expects it."""


def duration_ms(read_at: ReadAt, size: int) -> int | None:
    """Whole milliseconds of playing time, rounded up; None where it cannot be said with certainty.

    Reads at most `MAX_READ_BYTES`, and raises only what `read_at` raises.
    """
    source = Source(read_at, size)
    try:
        return _read(source)
    except _UNREADABLE:
        return None


def _read(source: Source) -> int:
    head = source.at(0, 16)
    kind, form = head[:4], head[8:12]
    if kind in (b"RIFF", b"RF64", b"BW64") and form == b"WAVE":
        return wav_ms(source)
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return aiff_ms(source)
    if kind == b".snd":
        return au_ms(source)
    if kind == b"OggS":
        return ogg_ms(source)
    if kind == b"\x1a\x45\xdf\xa3":
        return matroska_ms(source)
    if kind == b"#!AM":
        return amr_ms(source)
    if head[4:8] in _MP4_STARTS:
        return mp4_ms(source)
    start = 0
    while source.at(start, 3) == b"ID3" and (tag := tag_bytes(source, start)):
        source.step()
        start += tag
    if source.at(start, 4) == b"fLaC":
        return flac_ms(source, start)
    return frames_ms(source, start)
