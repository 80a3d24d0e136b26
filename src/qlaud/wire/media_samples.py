"""Playing time of sound in samples of a fixed size: WAV, AIFF, AU, and streams without any container.

What such a file says about its length is not needed: its bytes and its rate decide, as they do for a decoder, so a
header that is wrong (a recorder that was stopped, a size left at zero) does not matter.
"""

import re
import struct
from collections.abc import Mapping

from qlaud.wire.live_audio import SAMPLE_BYTES
from qlaud.wire.media_frames import walk_mp3
from qlaud.wire.media_source import LEAST_RATE, MOST_RATE, Source, Unreadable, play_ms

RAW_SAMPLE_BYTES: Mapping[str, int] = {
    **SAMPLE_BYTES,  # Deepgram
    "pcm": 2,
    "pcm16": 2,
    "pcm_s16le": 2,
    "pcm_s32le": 4,
    "pcm_f32le": 4,
    "pcm_mulaw": 1,
    "pcm_alaw": 1,
    "ulaw": 1,
    "alaw": 1,
    "pcmu": 1,
    "pcma": 1,
    "g711_ulaw": 1,
    "g711_alaw": 1,
}
"""Bytes of one sample of one channel, by the names that Deepgram, OpenAI, ElevenLabs and Cartesia use."""

MOST_CHANNELS = 64
_MP3, _IMA, _MS_ADPCM, _GSM, _EXTENSIBLE = 0x55, 0x11, 0x02, 0x31, 0xFFFE
_PLAIN = {0x01, 0x03, 0x06, 0x07}  # integers, floats, A-law, mu-law
_METADATA = frozenset(
    re.findall(
        b"....",
        b"LISTINFOcue id3 ID3 PAD smplinstfactbextiXMLPEAKJUNKjunkFLLR_PMXaxmlchnacartlevlDISPacidafspplst"
        b"ANNONAMEAUTH(c) MARKINSTCOMTAPPLFVERCHANMIDIAESD",
    )
)
"""Chunks of four letters behind the sound that hold none. Any other is counted as sound."""
_COMMON = b"COMM"
"""Of AIFF: some decoders take what it says behind the sound for what came before."""
_AIFF_BYTES = {
    b"NONE": 0, b"twos": 0, b"sowt": 0, b"in24": 3, b"in32": 4, b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8,
    b"ulaw": 1, b"ULAW": 1, b"alaw": 1, b"ALAW": 1, b"raw ": 0,
}  # fmt: skip
"""Bytes of a sample by compression type; 0: as many as its bits need."""
_AU_BITS = {1: 8, 2: 8, 3: 16, 4: 24, 5: 32, 6: 32, 7: 64, 23: 4, 25: 3, 26: 5, 27: 8}


def raw_byte_rate(encoding: str, sample_rate: int, channels: int) -> int | None:
    """Bytes per second of samples without a container; None for an encoding whose rate stands inside it."""
    sample_bytes = RAW_SAMPLE_BYTES.get(encoding.lower())
    if sample_bytes is None or not 0 < sample_rate <= MOST_RATE or not 0 < channels <= MOST_CHANNELS:
        return None
    return sample_bytes * sample_rate * channels


def wav_ms(source: Source) -> int:
    """Of a RIFF, RF64 or BW64 file."""
    at, layout = 12, b""
    while True:
        source.step()
        kind, size = struct.unpack("<4sI", source.exactly(at, 8))
        if kind == b"data":
            break
        if kind == b"fmt ":
            if layout:
                raise Unreadable  # some decoders take the first, others the last
            layout = source.exactly(at + 8, min(size, 40))
        at += 8 + size + size % 2
    start = at + 8
    return _wav_sound_ms(source, layout, start, _sound_end(source, start, size, "<4sI"))


def _sound_end(source: Source, start: int, size: int, head: str) -> int:
    """Where the sound of a chunk ends at the latest: what is behind it must be known not to be sound."""
    end = start + size
    at = end + size % 2
    if size == 0 or end >= source.size:
        end = source.size
    while at + 8 <= source.size:
        source.step()
        kind, length = struct.unpack(head, source.exactly(at, 8))
        if kind == _COMMON:
            raise Unreadable
        if kind not in _METADATA:
            end = source.size
            if head == "<4sI":
                break
        at += 8 + length + length % 2
    return end


def _wav_sound_ms(source: Source, layout: bytes, start: int, end: int) -> int:
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", layout[:16].ljust(16, b"\0"))
    if kind == _EXTENSIBLE:
        kind = int.from_bytes(layout[24:26], "little")
    if not 1 <= channels <= MOST_CHANNELS or not LEAST_RATE <= rate <= MOST_RATE:
        raise Unreadable
    if kind in _PLAIN:
        if block != channels * -(-bits // 8) or not block:
            raise Unreadable  # two decoders may read it at two speeds
        return play_ms(end - start, rate * block)
    if kind == _MP3:
        return walk_mp3(source, start, end)
    per_block = {
        _IMA: lambda: (block - 4 * channels) * 2 // channels + 1 if bits == 4 else 0,
        _MS_ADPCM: lambda: (block - 7 * channels) * 2 // channels + 2,
        _GSM: lambda: 320 if block == 65 else 0,
    }.get(kind, lambda: 0)()
    if per_block <= 0:
        raise Unreadable
    return play_ms(-(-(end - start) // block) * per_block, rate)


def aiff_ms(source: Source) -> int:
    """Of an AIFF or AIFF-C file."""
    at, frame, rate = 12, 0, 0
    kind = source.exactly(8, 4)
    while True:
        source.step()
        name, size = struct.unpack(">4sI", source.exactly(at, 8))
        if name == _COMMON:
            if rate:
                raise Unreadable  # some decoders take the first, others the last
            frame, rate = _aiff_layout(source.exactly(at + 8, min(size, 22)), packed=kind == b"AIFC")
        elif name == b"SSND" and rate:
            start = at + 16  # behind an offset and a block size
            return play_ms(max(_sound_end(source, start, max(size - 8, 0), ">4sI") - start, 0), rate * frame)
        at += 8 + size + size % 2


def _aiff_layout(common: bytes, *, packed: bool) -> tuple[int, int]:
    """Bytes of one sample of all channels, and samples per second."""
    channels, _, bits, exponent, mantissa = struct.unpack(">HIHHQ", common[:18].ljust(18, b"\0"))
    sample_bytes = _AIFF_BYTES.get(common[18:22], -1) if packed else 0
    shift = 16383 + 63 - exponent
    rate = mantissa >> shift if 0 <= shift < 64 else 0
    frame = channels * (sample_bytes or -(-bits // 8))
    if (
        not LEAST_RATE <= rate <= MOST_RATE
        or not 1 <= channels <= MOST_CHANNELS
        or not 0 < frame <= 8 * channels
    ):
        raise Unreadable
    return frame, rate


def au_ms(source: Source) -> int:
    """Of a Sun or NeXT file."""
    start, _, encoding, rate, channels = struct.unpack(">IIIII", source.exactly(4, 20))
    bits = _AU_BITS.get(encoding, 0)
    if not bits or not 1 <= channels <= MOST_CHANNELS or not LEAST_RATE <= rate <= MOST_RATE or start < 24:
        raise Unreadable
    return play_ms(8 * max(source.size - start, 0), rate * channels * bits)
