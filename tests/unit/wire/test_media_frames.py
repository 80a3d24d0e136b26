"""Playing time of MP3, AAC, AMR and FLAC: every frame counts, and what a head claims only where it is more."""

import pytest
from tests.support.media_files import adts_frame, flac, flac_frame, id3, mp3_frame, played

from qlaud.wire.media_frames import MAX_JUNK_BYTES
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
        (adts_frame(8000) + adts_frame(9), 128),
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
