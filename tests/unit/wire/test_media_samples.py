"""Playing time of WAV, AIFF, AU and raw samples: the bytes decide, whatever the header claims."""

import struct

import pytest
from tests.support.media_files import aiff, au, chunk, mp3_frame, played, wav, wav_format

from qlaud.wire.media import raw_byte_rate

SECOND = bytes(32_000)
FORMAT = wav_format()
GUID = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


@pytest.mark.parametrize(
    ("layout", "size", "ms"),
    [
        (FORMAT, 32_000, 1000),
        (FORMAT, 32_002, 1001),
        (FORMAT, 0, 0),
        (wav_format(channels=2, rate=44_100, block=4), 44_100 * 4, 1000),
        (wav_format(rate=8000, block=1, bits=8), 12_000, 1500),
        (wav_format(channels=2, rate=48_000, block=6, bits=24), 288_000, 1000),
        (wav_format(3, rate=48_000, block=4, bits=32), 192_000, 1000),
        (wav_format(6, rate=8000, block=1, bits=8), 8000, 1000),
        (wav_format(7, rate=8000, block=1, bits=8), 8000, 1000),
        (wav_format(0xFFFE, extra=struct.pack("<HHIH", 22, 16, 4, 1) + GUID), 32_000, 1000),
        (wav_format(0x11, channels=2, rate=44_100, block=2048, bits=4), 2048 * 10, 463),  # 2041 in a block
        (wav_format(0x02, rate=22_050, block=1024, bits=4), 1024 * 10, 924),  # 2036 in a block
        (wav_format(0x31, rate=8000, block=65, bits=0), 65 * 25, 1000),
        (wav_format(0x55, rate=48_000, block=1, bits=0), None, 240),
    ],
)
def test_a_wav_file_plays_as_long_as_its_samples(layout: bytes, size: int | None, ms: int) -> None:
    sound = mp3_frame() * 10 if size is None else bytes(size)
    assert played(wav(layout, chunk(b"data", sound))) == ms


@pytest.mark.parametrize("says", [0, 0xFFFFFFFF, 40_000])
def test_a_wav_size_that_is_not_true_does_not_matter(says: int) -> None:
    assert played(wav(FORMAT, chunk(b"data", SECOND, says=says))) == 1000


def test_sound_behind_a_data_chunk_that_claims_to_be_short_is_counted() -> None:
    short = wav(FORMAT, chunk(b"data", SECOND * 9, says=320))
    assert played(short) == 9000
    assert played(wav(FORMAT, chunk(b"data", SECOND), chunk(b"data", SECOND))) == 2001
    assert played(wav(FORMAT, chunk(b"data", SECOND), chunk(b"what", SECOND))) == 2001


def test_metadata_around_the_sound_is_not_counted() -> None:
    tags = chunk(b"LIST", b"INFO" + bytes(5001))
    assert (
        played(
            wav(tags, FORMAT, chunk(b"fact", bytes(4)), chunk(b"data", SECOND), tags, chunk(b"id3 ", b"x"))
        )
        == 1000
    )


def test_a_wav_of_more_than_four_gigabytes_is_read() -> None:
    large = chunk(b"ds64", struct.pack("<QQQI", 0, 32_000, 16_000, 0))
    assert played(wav(large, FORMAT, chunk(b"data", SECOND, says=0xFFFFFFFF), kind=b"RF64")) == 1000


def test_a_byte_rate_that_is_not_true_does_not_shorten_a_wav() -> None:
    lying = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 320_000_000, 2, 16))
    assert played(wav(lying, chunk(b"data", SECOND))) == 1000


@pytest.mark.parametrize(
    "layout",
    [
        wav_format(block=64),
        wav_format(block=0),
        wav_format(channels=0),
        wav_format(rate=2_000_000_000),
        wav_format(rate=0),
        wav_format(0x161),
        wav_format(0x11, block=2048, bits=8),
        chunk(b"fmt ", b"\1\0"),
        b"",
    ],
)
def test_a_wav_whose_speed_has_two_readings_or_none_has_no_playing_time(layout: bytes) -> None:
    assert played(wav(layout, chunk(b"data", SECOND))) is None


def test_a_wav_without_sound_has_no_playing_time() -> None:
    assert played(wav(FORMAT)) is None


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (aiff(32_000), 1000),
        (aiff(44_100 * 4, rate=44_100), 1000),
        (aiff(48_000 * 6, rate=48_000, bits=24), 1000),
        (aiff(32_000, packed=b"sowt\0\0"), 1000),
        (aiff(32_000, bits=16, packed=b"ulaw\0\0"), 2000),
        (aiff(64_000, bits=32, packed=b"fl32\0\0"), 1000),
        (aiff(32_000, behind=b"ANNO\0\0\0\3abc\0"), 1000),
        (aiff(32_000, behind=b"what\0\0\0\4abcd"), 1001),
        (aiff(32_000, channels=65), None),
        (aiff(32_000, packed=b"MAC6\0\0"), None),
        (aiff(32_000, rate=1), None),
        (aiff(32_000)[:40], None),
        (au(16_000), 1000),
        (au(16_000, channels=65), None),
        (au(16_000, says=16), 1000),
        (au(8000, encoding=1), 1000),
        (au(8000, encoding=27), 1000),
        (au(32_000, encoding=6), 1000),
        (au(4000, encoding=23), 1000),
        (au(32_000, channels=2), 1000),
        (au(16_000, encoding=99), None),
        (au(16_000, rate=0), None),
    ],
)
def test_aiff_and_au_play_as_long_as_their_samples(file: bytes, ms: int | None) -> None:
    assert played(file) == ms


@pytest.mark.parametrize(
    ("packed", "sample_bytes"),
    [(kind, 2) for kind in ("NONE", "twos", "sowt", "raw ")]
    + [("in24", 3), ("in32", 4), ("fl32", 4), ("FL32", 4), ("fl64", 8), ("FL64", 8)]
    + [(kind, 1) for kind in ("ulaw", "ULAW", "alaw", "ALAW")],
)
def test_every_kind_of_aiff_c_has_its_sample_size(packed: str, sample_bytes: int) -> None:
    assert played(aiff(8000 * 2 * sample_bytes, packed=packed.encode() + b"\0\0")) == 1000


@pytest.mark.parametrize(
    ("encoding", "bits"),
    [(1, 8), (2, 8), (3, 16), (4, 24), (5, 32), (6, 32), (7, 64), (23, 4), (25, 3), (26, 5), (27, 8)],
)
def test_every_encoding_of_au_has_its_sample_size(encoding: int, bits: int) -> None:
    assert played(au(1000 * bits, encoding=encoding)) == 1000


@pytest.mark.parametrize(
    ("names", "sample_bytes"),
    [
        ("linear16 pcm pcm16 pcm_s16le", 2),
        ("linear32 pcm_s32le pcm_f32le", 4),
        ("mulaw alaw ulaw pcmu pcma pcm_mulaw pcm_alaw g711_ulaw g711_alaw", 1),
    ],
)
def test_every_name_of_a_raw_encoding_has_its_sample_size(names: str, sample_bytes: int) -> None:
    assert {raw_byte_rate(name, 8000, 1) for name in names.split()} == {8000 * sample_bytes}


@pytest.mark.parametrize(
    ("encoding", "rate", "channels", "bytes_per_s"),
    [
        ("linear16", 16_000, 1, 32_000),
        ("linear32", 48_000, 2, 384_000),
        ("mulaw", 8000, 1, 8000),
        ("alaw", 8000, 2, 16_000),
        ("pcm16", 24_000, 1, 48_000),
        ("pcm_f32le", 44_100, 1, 176_400),
        ("g711_ulaw", 8000, 1, 8000),
        ("LINEAR16", 8000, 1, 16_000),
        ("flac", 16_000, 1, None),
        ("opus", 16_000, 1, None),
        ("ogg-opus", 16_000, 1, None),
        ("amr-nb", 8000, 1, None),
        ("g729", 8000, 1, None),
        ("", 16_000, 1, None),
        ("linear16", 0, 1, None),
        ("linear16", -1, 1, None),
        ("linear16", 16_000, 0, None),
        ("linear16", 10**9, 1, None),
        ("linear16", 16_000, 1000, None),
    ],
)
def test_raw_samples_have_a_byte_rate_by_every_name(
    encoding: str, rate: int, channels: int, bytes_per_s: int | None
) -> None:
    assert raw_byte_rate(encoding, rate, channels) == bytes_per_s


def test_a_layout_that_stands_twice_is_read_by_some_as_the_first_and_by_others_as_the_last() -> None:
    slow, fast = (
        wav_format(rate=8000, block=1, bits=8),
        wav_format(channels=8, rate=1_000_000, block=64, bits=64),
    )
    sound = chunk(b"data", bytes(80_000))
    assert played(wav(slow, sound)) == 10_000
    assert played(wav(slow, fast, sound)) is None
    assert played(wav(fast, slow, sound)) is None
    fields = aiff(8000, rate=8000, channels=1, bits=8)
    common = fields[12:38]
    assert common.startswith(b"COMM")
    assert played(aiff(8000, rate=1_000_000, channels=8, bits=64, behind=common)) is None
