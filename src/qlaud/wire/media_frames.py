"""Playing time of sound that is a row of frames, each saying its own length: MP3, AAC in ADTS, AMR.

Every frame is looked at: what a header in front claims (Xing, VBRI) may be wrong, and decoders do not stop there.
"""

from collections.abc import Callable, Mapping

from qlaud.wire.media_source import LOST_STEPS, WINDOW_BYTES, Source, Unreadable, play_ms

Frame = tuple[int, int, int]
"""Bytes, samples, samples per second."""
ReadFrame = Callable[[bytes, int], Frame | None]
"""The frame whose head stands there, None if none does."""

MAX_JUNK_BYTES = 65_536
"""Bytes between frames, tags and zeros aside. Each counts as a millisecond: the slowest frames have that rate."""
MOST_JUNK = 8
"""Such a part of a file at most: above it, it is something else."""
HEAD_BYTES = 7
"""Looked at of a frame."""
ADTS_HEAD_BYTES = 9
"""With its checksum."""
AAC_CHANNEL_BYTES = 768
"""A block has 6144 bits for each channel at most (ISO 14496-3, 4.5.3.2); where there are more, it is not one."""
AAC_MOST_CHANNELS = 8
ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)

_RATES = (44100, 48000, 32000)
_KBITS = {
    (1, 1): tuple(range(32, 449, 32)),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (2 stands for 2.5 too) and layer, ISO 11172-3, 2.4.2.3 and 13818-3."""
_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
_AMR_WB_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
"""By frame type; 0: decoders differ on its size, or nobody has it."""


def _mp3_frames() -> Mapping[int, Frame]:
    """Every frame by what decides about it: version and layer of the second byte, the third without its last bit."""
    frames: dict[int, Frame] = {}
    for version_bits, (version, divisor) in {3: (1, 1), 2: (2, 2), 0: (2, 4)}.items():
        for layer in (1, 2, 3):
            samples = 384 if layer == 1 else 576 if layer == 3 and version == 2 else 1152
            slot = 4 if layer == 1 else 1
            for rate_index, full in enumerate(_RATES):
                rate = full // divisor
                for index, kbits in enumerate(_KBITS[version, layer], 1):
                    for padding in (0, 1):
                        size = (samples // 8 // slot * kbits * 1000 // rate + padding) * slot
                        second = version_bits << 3 | (4 - layer) << 1
                        third = index << 4 | rate_index << 2 | padding << 1
                        frames[second << 8 | third] = (size, samples, rate)
    return frames


_MP3 = _mp3_frames()


def mp3_frame(block: bytes, at: int) -> Frame | None:
    """The MPEG audio frame that stands at `at`."""
    second = block[at + 1]
    if block[at] != 0xFF or second < 0xE0:
        return None
    return _MP3.get((second & 0x1E) << 8 | block[at + 2] & 0xFE)


def adts_frame(block: bytes, at: int) -> Frame | None:
    """The AAC frame that stands at `at`."""
    if block[at] != 0xFF or block[at + 1] & 0xF6 != 0xF0:
        return None
    size = (block[at + 3] & 3) << 11 | block[at + 4] << 3 | block[at + 5] >> 5
    rate_index = block[at + 2] >> 2 & 15
    blocks = (block[at + 6] & 3) + 1
    channels = (block[at + 2] & 1) << 2 | block[at + 3] >> 6 or AAC_MOST_CHANNELS
    most = AAC_CHANNEL_BYTES * channels * blocks + ADTS_HEAD_BYTES
    if not HEAD_BYTES <= size <= most or rate_index >= len(ADTS_RATES):
        return None
    return size, 1024 * blocks, ADTS_RATES[rate_index]


def frames_ms(source: Source, start: int) -> int:
    """Of MPEG audio or ADTS frames, from the first of them on."""
    at, _ = _next_frame(source, start, source.size, _any_frame, free_until=start)
    is_adts = adts_frame(source.exactly(at, HEAD_BYTES), 0) is not None
    return walk(source, start, source.size, adts_frame if is_adts else mp3_frame)


def walk_mp3(source: Source, start: int, end: int) -> int:
    """Of the MPEG audio frames from `start` to `end`."""
    return walk(source, start, min(end, source.size), mp3_frame)


def walk(source: Source, start: int, end: int, read: ReadFrame) -> int:
    """Of the frames from `start` to `end`. Raises Unreadable where there are none, or much that is none."""
    played: dict[int, int] = {}
    at, junk, free_until = start, 0, start
    while at + HEAD_BYTES <= end:
        block = source.exactly(at, min(WINDOW_BYTES, end - at))
        last = len(block) - HEAD_BYTES
        here = count = 0
        while here <= last and (frame := read(block, here)):
            here += frame[0]
            played[frame[2]] = played.get(frame[2], 0) + frame[1]
            count += 1
        source.step(count + 1)
        at += here
        if here <= last:
            source.step(LOST_STEPS)
            free_until = max(free_until, at + tag_bytes(source, at))
            at, more = _next_frame(source, at, end, read, free_until=free_until)
            junk += more
    if not played or junk > MAX_JUNK_BYTES or junk * MOST_JUNK > end - start:
        raise Unreadable
    return sum(play_ms(samples, rate) for rate, samples in played.items()) + junk


def tag_bytes(source: Source, at: int) -> int:
    """The size of the tag that stands at `at`, 0 if none does."""
    head = source.at(at, 32)
    if head.startswith(b"ID3") and len(head) >= 10 and max(head[6:10]) < 0x80:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head.startswith(b"APETAGEX"):
        return 32 + int.from_bytes(head[12:16], "little")
    if head.startswith(b"LYRICSBEGIN"):
        return MAX_JUNK_BYTES
    return 128 if head.startswith(b"TAG") else 0


def _any_frame(block: bytes, at: int) -> Frame | None:
    return mp3_frame(block, at) or adts_frame(block, at)


def _next_frame(source: Source, at: int, end: int, read: ReadFrame, *, free_until: int) -> tuple[int, int]:
    """Where the next frame begins that another one follows, and how many bytes before it are no tag and not zero.

    A tag is searched too, because some decoders do: what is in it may be frames.
    """
    junk = 0
    while at + HEAD_BYTES <= end:
        block = source.exactly(at, min(WINDOW_BYTES, end - at))
        last = len(block) - HEAD_BYTES
        here = block.find(0xFF)
        while 0 <= here <= last:
            source.step()
            frame = read(block, here)
            if frame is not None and _goes_on(source, at + here + frame[0], end, read):
                break
            here = block.find(0xFF, here + 1)
        found = 0 <= here <= last
        passed = here if found else last + 1
        counted = block[min(max(free_until - at, 0), passed) : passed]
        junk += len(counted) - counted.count(0)
        at += passed
        if found or junk > MAX_JUNK_BYTES:
            break
    return at, junk


def _goes_on(source: Source, at: int, end: int, read: ReadFrame) -> bool:
    if at + HEAD_BYTES > end:
        return at >= end - HEAD_BYTES
    return read(source.exactly(at, HEAD_BYTES), 0) is not None or tag_bytes(source, at) > 0


def amr_ms(source: Source) -> int:
    """Of an AMR file, narrow or wide band, of one channel (RFC 4867, section 5)."""
    head = source.at(0, 9)
    is_wide = head == b"#!AMR-WB\n"
    if not is_wide and not head.startswith(b"#!AMR\n"):
        raise Unreadable
    sizes = _AMR_WB_BYTES if is_wide else _AMR_BYTES
    at, count = 9 if is_wide else 6, 0
    while at < source.size:
        block = source.exactly(at, min(WINDOW_BYTES, source.size - at))
        here, before = 0, count
        while here < len(block):
            size = sizes[block[here] >> 3 & 15]
            if not size or block[here] & 0x83:
                raise Unreadable
            here += size
            count += 1
        source.step(count - before)
        at += here
    return 20 * count
