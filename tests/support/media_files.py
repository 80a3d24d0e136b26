"""Files of sound and film, written down by hand: heads as the formats ask for, and nothing worth hearing inside."""

import itertools
import struct
from collections.abc import Sequence

from qlaud.wire.media import duration_ms


def played(file: bytes) -> int | None:
    """What the file plays, read as an upload is."""
    return duration_ms(lambda offset, length: file[offset : offset + length], len(file))


# RIFF, AIFF, AU


def chunk(kind: bytes, body: bytes, *, says: int | None = None) -> bytes:
    """A RIFF chunk; `says` is a size that is not its own."""
    return kind + struct.pack("<I", len(body) if says is None else says) + body + b"\0" * (len(body) % 2)


def wav_format(
    kind: int = 1,
    *,
    channels: int = 1,
    rate: int = 16_000,
    block: int = 2,
    bits: int = 16,
    extra: bytes = b"",
) -> bytes:
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits) + extra)


def wav(*chunks: bytes, kind: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body)) + body


def aiff(
    size: int,
    *,
    rate: int = 8000,
    channels: int = 2,
    bits: int = 16,
    packed: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """An AIFF file of `size` bytes of sound; AIFF-C with a compression type."""
    exponent = rate.bit_length() - 1
    extended = struct.pack(">HQ", 16383 + exponent, rate << 63 - exponent)
    common = struct.pack(">HIH", channels, size // channels // (bits // 8), bits) + extended + packed
    head = b"COMM" + struct.pack(">I", len(common)) + common + b"SSND" + struct.pack(">III", size + 8, 0, 0)
    body = (b"AIFC" if packed else b"AIFF") + head + bytes(size) + behind
    return b"FORM" + struct.pack(">I", len(body)) + body


def au(size: int, *, encoding: int = 3, rate: int = 8000, channels: int = 1, says: int = 0xFFFFFFFF) -> bytes:
    return b".snd" + struct.pack(">IIIII", 28, says, encoding, rate, channels) + bytes(4 + size)


# Rows of frames


def mp3_frame(kbits: int = 128) -> bytes:
    """MPEG 1 layer III at 48 kHz: 24 ms."""
    index = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320).index(kbits)
    return bytes([0xFF, 0xFB, index << 4 | 1 << 2, 0xC0]).ljust(144 * kbits * 1000 // 48_000, b"\x55")


def ac3_frame(kbits_code: int = 8, *, rate_code: int = 0, size: int = 512) -> bytes:
    """A frame of AC-3: 48 kHz and 128 kbit/s unless said otherwise."""
    head = b"\x0b\x77\0\0" + bytes([rate_code << 6 | kbits_code << 1, 8 << 3])
    return head + bytes(size - len(head))


def eac3_frame(size: int = 400, *, codes: int = 3) -> bytes:
    """A frame of E-AC-3; `codes` are its rate and its blocks."""
    return b"\x0b\x77" + (size // 2 - 1).to_bytes(2) + bytes([codes << 4, 16 << 3]) + bytes(size - 6)


def adts_frame(size: int = 200, *, rate_index: int = 8) -> bytes:
    """AAC; 1024 samples, at 16 kHz 64 ms."""
    head = bytes(
        [0xFF, 0xF1, 1 << 6 | rate_index << 2, 0x40 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F]
    )
    return (head + b"\xfc").ljust(size, b"\x55")


def id3(size: int) -> bytes:
    return (
        b"ID3\4\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + bytes(size)
    )


# FLAC


def crc8(text: bytes) -> int:
    """Bit by bit, polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in text:
        for bit in range(7, -1, -1):
            carry = value >> 7 ^ (byte >> bit & 1)
            value = value << 1 & 0xFF ^ (0x07 if carry else 0)
    return value


def flac_info(claims: int, *, rate: int = 16_000) -> bytes:
    return (
        struct.pack(">HH", 4096, 4096) + bytes(6) + (rate << 44 | 15 << 36 | claims).to_bytes(8) + bytes(16)
    )


def flac_frame(number: int = 0, *, rate_code: int = 0, size: int = 40) -> bytes:
    """4096 samples."""
    head = b"\xff\xf8" + bytes([12 << 4 | rate_code, 0x08]) + chr(number).encode()
    return (head + bytes([crc8(head)])).ljust(size, b"\x55")


def flac(frames: int, *, claims: int, rate: int = 16_000, rate_code: int = 0) -> bytes:
    blocks = b"\0\0\0\x22" + flac_info(claims, rate=rate) + b"\x84\0\0\x08comments"
    return b"fLaC" + blocks + b"".join(flac_frame(n, rate_code=rate_code) for n in range(frames))


# Ogg


def crc32(text: bytes) -> int:
    """Bit by bit, as RFC 3533 has it."""
    value = 0
    for byte in text:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def ogg_page(
    packets: Sequence[bytes], position: int, *, flags: int = 0, serial: int = 7, open_end: bool = False
) -> bytes:
    """A page; with `open_end` its last packet, a multiple of 255 bytes, goes on in the next one."""
    table = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    if open_end:
        table = table[:-1]
    head = b"OggS\0" + bytes([flags]) + struct.pack("<QII", position, serial, 0)
    body = bytes([len(table)]) + table + b"".join(packets)
    return head + struct.pack("<I", crc32(head + bytes(4) + body)) + body


def opus_head(pre_skip: int = 312) -> bytes:
    return b"OpusHead\1\1" + struct.pack("<HIHB", pre_skip, 48_000, 0, 0)


def ogg_opus(pages: Sequence[Sequence[bytes]], last: int, *, pre_skip: int = 312, serial: int = 7) -> bytes:
    """A stream whose last page stands at `last`."""
    heads = ogg_page([opus_head(pre_skip)], 0, flags=2, serial=serial) + ogg_page(
        [b"OpusTags" + bytes(8)], 0, serial=serial
    )
    return heads + b"".join(ogg_page(page, last, serial=serial) for page in pages)


OPUS_20 = b"\x78" + bytes(30)
"""One CELT frame of 20 ms."""

VORBIS_ID = b"\x01vorbis" + struct.pack("<IBIiiiB", 0, 1, 48_000, 0, 0, 0, 0xB8) + b"\1"
"""Blocks of 256 and 2048 samples."""
SHORT, LONG = b"\x00", b"\x02"
"""Vorbis packets of mode 0 and mode 1."""


def vorbis_setup(modes: Sequence[int] = (0, 1)) -> bytes:
    """The end of a setup header: the number of modes, the modes, and the framing bit."""
    bits, at = 0, 64  # what stands before does not matter
    bits |= (len(modes) - 1) << at
    at += 6
    for long in modes:
        bits |= long << at
        at += 41
    bits |= 1 << at
    return b"\x05vorbis" + bits.to_bytes(at // 8 + 1, "little")


# MP4


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def full(kind: bytes, *parts: bytes, flags: int = 0, version: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, bytes([version]) + flags.to_bytes(3), *parts)


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def times(kind: bytes, scale: int, duration: int) -> bytes:
    return full(kind, u32(0, 0, scale, duration), bytes(4))


def sound_entry(kind: bytes, rate: int, *inner: bytes) -> bytes:
    return box(kind, bytes(6), b"\0\1", bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, rate << 16), *inner)


def esds(config: bytes, *, codec: int = 0x40) -> bytes:
    specific = b"\x05" + bytes([len(config)]) + config
    decoder = bytes([codec, 0x15]) + bytes(11) + specific
    described = b"\0\1\0" + b"\x04" + bytes([len(decoder)]) + decoder
    return full(b"esds", b"\x03\x80\x80\x80" + bytes([len(described)]) + described)


AAC_16K = sound_entry(b"mp4a", 16_000, esds(b"\x14\x08"))
"""AAC-LC, 16 kHz: a frame plays 64 ms."""
OPUS_ENTRY = sound_entry(b"Opus", 48_000, box(b"dOps", bytes(11)))


def track(
    entry: bytes,
    *tables: bytes,
    scale: int = 16_000,
    duration: int = 0,
    edits: bytes = b"",
    handler: bytes = b"soun",
) -> bytes:
    return box(
        b"trak",
        full(b"tkhd", u32(0, 0, 1, 0, 0)),
        box(b"edts", edits) if edits else b"",
        box(
            b"mdia",
            times(b"mdhd", scale, duration),
            full(b"hdlr", bytes(4), handler, bytes(13)),
            box(b"minf", box(b"stbl", full(b"stsd", u32(1), entry), *tables)),
        ),
    )


def stts(*runs: tuple[int, int]) -> bytes:
    return full(b"stts", u32(len(runs)), *(u32(*run) for run in runs))


def stsz(count: int, size: int = 100) -> bytes:
    return full(b"stsz", u32(size, count))


def movie(*tracks: bytes, scale: int = 1000, duration: int = 0) -> bytes:
    return box(b"moov", times(b"mvhd", scale, duration), *tracks)


FTYP = box(b"ftyp", b"M4A \0\0\0\0")


def fragment(count: int, *, ticks: int | None = 1024, size: int = 100, time: int | None = None) -> bytes:
    """A fragment of track 1 and its bytes; without `ticks` it uses the movie's."""
    header = full(
        b"tfhd", u32(1), *([u32(ticks)] if ticks is not None else []), flags=8 if ticks is not None else 0
    )
    decode = full(b"tfdt", u32(time)) if time is not None else b""
    run = full(b"trun", u32(count, 0), u32(size) * count, flags=0x201)
    head = box(b"moof", box(b"traf", header, decode, run))
    run = full(b"trun", u32(count, len(head) + 8), u32(size) * count, flags=0x201)
    return box(b"moof", box(b"traf", header, decode, run))


# Matroska


def ebml(id_: int, *parts: bytes, unknown: bool = False) -> bytes:
    body = b"".join(parts)
    size = b"\x01" + b"\xff" * 7 if unknown else (1 << 56 | len(body)).to_bytes(8)
    return id_.to_bytes((id_.bit_length() + 7) // 8) + size + body


def block(time: int, *frames: bytes, number: int = 1, lacing: str = "") -> bytes:
    """A SimpleBlock, its frames laced as `xiph`, `fixed` or `ebml` does."""
    sizes = [len(frame) for frame in frames]
    flags, head = {"": (0, b""), "xiph": (2, b""), "fixed": (4, b""), "ebml": (6, b"")}[lacing]
    if lacing:
        head = bytes([len(frames) - 1])
    if lacing == "xiph":
        head += b"".join(b"\xff" * (size // 255) + bytes([size % 255]) for size in sizes[:-1])
    if lacing == "ebml":
        head += (1 << 14 | sizes[0]).to_bytes(2)
        for before, size in itertools.pairwise(sizes[:-1]):
            head += (1 << 14 | size - before + (1 << 13) - 1).to_bytes(2)
    return ebml(0xA3, bytes([0x80 | number]), struct.pack(">hB", time, flags), head, *frames)


def track_entry(codec: bytes, *more: bytes, number: int = 1, kind: int = 2) -> bytes:
    return ebml(0xAE, ebml(0xD7, bytes([number])), ebml(0x83, bytes([kind])), ebml(0x86, codec), *more)


def cluster(time: int, *blocks: bytes, unknown: bool = False) -> bytes:
    return ebml(0x1F43B675, ebml(0xE7, time.to_bytes(4)), *blocks, unknown=unknown)


def webm(
    *parts: bytes,
    duration: float | None = None,
    tracks: Sequence[bytes] = (),
    unknown: bool = True,
    scale: int | None = 1_000_000,
) -> bytes:
    """A film; without `scale` it names no unit of time."""
    info = [ebml(0x2AD7B1, scale.to_bytes(3))] if scale is not None else []
    if duration is not None:
        info.append(ebml(0x4489, struct.pack(">d", duration)))
    entries = tracks or (track_entry(b"A_OPUS"),)
    segment = ebml(0x18538067, ebml(0x1549A966, *info), ebml(0x1654AE6B, *entries), *parts, unknown=unknown)
    return ebml(0x1A45DFA3, ebml(0x4282, b"webm")) + segment
