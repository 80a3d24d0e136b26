"""Playing time of MP3, AAC, AMR and FLAC: every frame counts, and what a head claims only where it is more."""

import pytest
from tests.support.media_files import adts_frame, flac, flac_frame, id3, mp3_frame, played

from qlaud.wire.media_frames import MAX_JUNK_BYTES
from qlaud.wire.media_frames import mp3_frame as mpeg_frame
from qlaud.wire.media_source import MAX_STEPS

MP3 = mp3_frame() * 100
XING = (mp3_frame()[:36] + b"Xing\0\0\0\1\0\0\0\1").ljust(len(mp3_frame()), b"\0")
"""A first frame that claims that there is one frame."""


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (MP3, 2400),
        (mp3_frame(32) * 50 + mp3_frame(320) * 50, 2400),
        (id3(3000) + MP3, 2400),
        (id3(100) + id3(200) + MP3, 2400),
        (MP3 + b"TAG" + bytes(125), 2400),
        (MP3 + b"APETAGEX" + b"\xd0\7\0\0" + (2000).to_bytes(4, "little") + b"x" * 2016, 2400),
        (bytes(5000) + MP3, 2400),
        (MP3[:-100], 2400),
        (XING + MP3, 2424),
        (b"\xff\xfd\x14\xc0".ljust(96, b"\x55") * 10, 240),  # layer II, 32 kbit/s at 48 kHz
        (b"\xff\xf3\x14\xc0".ljust(24, b"\x55") * 10, 240),  # MPEG 2, 8 kbit/s at 24 kHz
        (b"\xff\xe3\x18\xc0".ljust(72, b"\x55") * 10, 720),  # MPEG 2.5, 8 kbit/s at 8 kHz
        (adts_frame() * 100, 6400),
        (adts_frame(777) + adts_frame(9), 128),
        (id3(300) + adts_frame() * 10, 640),
        (b"#!AMR\n" + bytes([7 << 3 | 4]).ljust(32, b"x") * 50, 1000),
        (b"#!AMR-WB\n" + bytes([8 << 3 | 4]).ljust(61, b"x") * 50, 1000),
        (b"#!AMR\n" + b"\x7c" * 10, 200),  # frames without data play silence
    ],
)
def test_every_frame_is_counted(file: bytes, ms: int) -> None:
    assert played(file) == ms


def test_a_byte_that_is_no_frame_counts_as_a_millisecond() -> None:
    assert played(MP3 + b"what is it" + MP3) == 4810
    assert played(b"ID3\4\0\0\xff\xff\xff\xff" + MP3) == 2408


def test_frames_within_a_tag_are_counted_because_some_decoders_find_them() -> None:
    tag = b"APETAGEX" + b"\xd0\7\0\0" + len(MP3).to_bytes(4, "little") + b"x" * 16
    assert played(MP3 + tag + MP3 + MP3) == 7200


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"not sound at all",
        b"x" * 500_000,
        b"\xff" * 10_000,
        bytes(100_000),
        MP3 + b"x" * (len(MP3) // 4),
        MP3 * 40 + b"x" * (MAX_JUNK_BYTES + 1) + MP3,
        b"\xff\xfb\x04\xc0" + b"x" * 5000,  # MP3 of a free format
        adts_frame(778) * 9,
        id3(100),
        id3(100)[:50],
        b"#!AMR\n" + b"\x64" * 32,
        b"#!AMR_MC1.0\n" + bytes(500),
    ],
)
def test_what_is_no_row_of_frames_has_no_playing_time(file: bytes) -> None:
    assert played(file) is None


def test_more_frames_than_a_limit_have_no_playing_time() -> None:
    frames = b"\x7c" * MAX_STEPS
    assert played(b"#!AMR\n" + frames) == 20 * MAX_STEPS
    assert played(b"#!AMR\n" + frames + b"\x7c") is None


ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def test_every_rate_of_adts_is_known() -> None:
    for index, rate in enumerate(ADTS_RATES):
        assert played(adts_frame(rate_index=index) * 50) == -(-50 * 1024 * 1000 // rate)
    assert played(adts_frame(rate_index=13) * 50) is None


def test_a_tag_is_as_long_as_it_says() -> None:
    for size in (0, 1, 127, 128, 300, 20_000):
        tag = id3(size)[:10] + b"x" * size
        assert played(tag + MP3) == 2400
        footed = tag[:5] + b"\x10" + tag[6:] + b"3DI\4\0\x10" + tag[6:10]
        assert played(footed + MP3) == 2400


FIRST = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


@pytest.mark.parametrize(
    ("second", "rate", "samples", "slot", "kbits"),
    [
        (0xFF, 44_100, 384, 4, tuple(range(32, 449, 32))),
        (0xFD, 44_100, 1152, 1, (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)),
        (0xFB, 44_100, 1152, 1, FIRST),
        (0xF7, 22_050, 384, 4, (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)),
        (0xF5, 22_050, 1152, 1, LOW),
        (0xF3, 22_050, 576, 1, LOW),
        (0xE3, 11_025, 576, 1, LOW),
    ],
)
def test_the_head_of_an_mpeg_frame_tells_its_size_and_time(
    second: int, rate: int, samples: int, slot: int, kbits: tuple[int, ...]
) -> None:
    divisor = 44_100 // rate
    for rate_index, full in enumerate((44_100, 48_000, 32_000)):
        for index, kbit in enumerate(kbits, 1):
            for padding in (0, 1):
                third = index << 4 | rate_index << 2 | padding << 1
                slots = samples * kbit * 1000 // 8 // slot // (full // divisor) + padding
                for last in (0, 1):
                    head = bytes([0xFF, second, third | last, 0, 0, 0, 0])
                    assert mpeg_frame(head, 0) == (slots * slot, samples, full // divisor)
    for third in (0x00, 0xF0, 0x9C):
        assert mpeg_frame(bytes([0xFF, second, third, 0, 0, 0, 0]), 0) is None


@pytest.mark.parametrize(
    ("start", "sizes"),
    [
        (b"#!AMR\n", {0: 13, 1: 14, 2: 16, 3: 18, 4: 20, 5: 21, 6: 27, 7: 32, 8: 6, 15: 1}),
        (b"#!AMR-WB\n", {0: 18, 1: 24, 2: 33, 3: 37, 4: 41, 5: 47, 6: 51, 7: 59, 8: 61, 9: 6, 14: 1, 15: 1}),
    ],
)
def test_every_type_of_amr_frame_has_its_size(start: bytes, sizes: dict[int, int]) -> None:
    for kind in range(16):
        frame = bytes([kind << 3 | 4]).ljust(sizes.get(kind, 1), b"\x83")
        assert played(start + frame * 50) == (1000 if kind in sizes else None)


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (flac(100, claims=409_600), 25_600),
        (flac(100, claims=0), 25_600),
        (flac(100, claims=16_000), 25_600),
        (flac(100, claims=500_000), 31_250),
        (id3(200) + flac(100, claims=409_600), 25_600),
        (flac(2000, claims=1), 512_000),
        (flac(10, claims=0, rate_code=5), 2560),
        (flac(0, claims=16_000), 1000),
        (flac(100, claims=0)[:-20], 25_600),
        (flac(10, claims=0) + flac_frame(rate_code=9), 2560),  # one that stands there by chance
    ],
)
def test_flac_plays_what_its_frames_hold_or_its_head_claims_if_that_is_more(file: bytes, ms: int) -> None:
    assert played(file) == ms


@pytest.mark.parametrize(
    "file",
    [
        flac(0, claims=0),
        flac(30, claims=16_000, rate_code=4),  # every frame names another rate
        flac(10, claims=0, rate=0),
        flac(10, claims=0)[:30],
        b"fLaC\x04" + flac(10, claims=0)[5:],
    ],
)
def test_a_flac_file_that_contradicts_itself_has_no_playing_time(file: bytes) -> None:
    assert played(file) is None


def test_a_flac_head_across_two_windows_is_found() -> None:
    for padding in range(65_536 - 70, 65_536 + 10):
        file = flac(0, claims=0) + b"x" * (padding - 76) + flac_frame() + b"x" * 100
        assert played(file) == 256
