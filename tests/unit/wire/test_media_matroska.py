"""Playing time of WebM and Matroska: the longest of its head, its times and the packets of its sound."""

import struct

import pytest
from tests.support.media_files import (
    LONG,
    OPUS_20,
    VORBIS_ID,
    ac3_frame,
    block,
    cluster,
    eac3_frame,
    ebml,
    flac_frame,
    flac_info,
    mp3_frame,
    played,
    track_entry,
    vorbis_setup,
    webm,
)

SIXTY = b"\x18" + bytes(40)
"""An Opus packet of 60 ms."""
BLOCKS = [block(60 * n, SIXTY) for n in range(10)]
RATE_48 = ebml(0xE1, ebml(0xB5, struct.pack(">f", 48_000.0)))


PCM_8 = ebml(0xE1, ebml(0xB5, struct.pack(">d", 8000.0)), ebml(0x9F, b"\1"), ebml(0x6264, b"\x08"))
"""A byte is a sample, 8000 of them a second."""


def of_codec(codec: bytes, private: bytes, *frames: bytes, audio: bytes = RATE_48) -> bytes:
    entry = track_entry(codec, ebml(0x63A2, private) if private else b"", audio)
    return webm(cluster(0, *(block(0, frame) for frame in frames)), tracks=[entry])


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (webm(cluster(0, *BLOCKS)), 600),
        (webm(cluster(0, *BLOCKS), unknown=False), 600),
        (webm(cluster(0, *BLOCKS, unknown=True), cluster(600, *BLOCKS, unknown=True)), 1200),
        (webm(*[cluster(0, block(0, SIXTY), unknown=True) for _ in range(40)]), 2400),
        (webm(cluster(0, *BLOCKS), duration=600.5), 601),
        (webm(cluster(0, *BLOCKS), duration=9000.0), 9000),
        (webm(cluster(0, *BLOCKS), duration=1.0), 600),
        (webm(cluster(0, *[block(0, SIXTY)] * 100)), 6000),  # times that stand still
        (webm(cluster(0, block(0, SIXTY)), cluster(30_000, block(0, SIXTY))), 30_060),
        (webm(cluster(50_000, *BLOCKS)), 600),  # a recording that began in the middle
        (webm(cluster(0, *BLOCKS))[:-20], 600),
        (webm(ebml(0xEC, bytes(300)), cluster(0, *BLOCKS), ebml(0x1C53BB6B, b"cues")), 600),
        (webm(cluster(0, ebml(0xA0, ebml(0xA1, b"\x81\0\0\0" + SIXTY), ebml(0x9B, b"\x13\x88")))), 5000),
        (webm(), 0),
        (webm(cluster(100_000, *BLOCKS), cluster(200_000, *BLOCKS), scale=500_000), 50_330),
        (webm(cluster(0, *BLOCKS), duration=18_000.0, scale=500_000), 9000),
        (webm(cluster(0, *BLOCKS), duration=9000.0, scale=None), 9000),
    ],
)
def test_the_longest_of_what_is_said_is_the_playing_time(file: bytes, ms: int) -> None:
    assert played(file) == ms


def test_other_tracks_only_reach_as_far_as_their_times() -> None:
    tracks = [track_entry(b"A_OPUS"), track_entry(b"V_VP8", number=2, kind=1)]
    film = [block(40 * n, b"x" * 500, number=2) for n in range(20)]
    assert played(webm(cluster(0, *BLOCKS, *film), tracks=tracks)) == 760


@pytest.mark.parametrize("lacing", ["xiph", "fixed", "ebml"])
def test_every_frame_of_a_laced_block_is_counted(lacing: str) -> None:
    frames = [OPUS_20, SIXTY.ljust(31, b"x")[:31], OPUS_20, b"\x18".ljust(31, b"x")]
    assert played(webm(cluster(0, block(0, *frames, lacing=lacing)))) == 160
    if lacing != "fixed":
        uneven = [OPUS_20, SIXTY + bytes(600), OPUS_20 + bytes(255), SIXTY]
        assert played(webm(cluster(0, block(0, *uneven, lacing=lacing)))) == 160


def vorbis_private() -> bytes:
    comment, setup = b"\x03vorbis" + bytes(300), vorbis_setup()
    return (
        b"\2" + bytes([len(VORBIS_ID)]) + b"\xff" + bytes([len(comment) - 255]) + VORBIS_ID + comment + setup
    )


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (of_codec(b"A_VORBIS", vorbis_private(), *[LONG] * 11), 214),
        (of_codec(b"A_AAC", b"\x11\x88", *[b"x" * 300] * 10), 214),
        (of_codec(b"A_AAC/MPEG4/LC", b"", *[b"x" * 300] * 10), 214),
        (of_codec(b"A_MPEG/L3", b"", *[mp3_frame()] * 10), 240),
        (of_codec(b"A_AC3", b"", *[ac3_frame()] * 10), 320),
        (of_codec(b"A_EAC3", b"", *[eac3_frame()] * 10), 320),
        (of_codec(b"A_EAC3", b"", *[eac3_frame(codes=0)] * 60), 320),
        (of_codec(b"A_FLAC", b"fLaC\x80\0\0\x22" + flac_info(0), *[flac_frame(n) for n in range(10)]), 2560),
        (of_codec(b"A_ALAC", (4096).to_bytes(4) + bytes(16) + (48_000).to_bytes(4), *[b"x"] * 10), 854),
        (
            of_codec(
                b"A_PCM/INT/LIT",
                b"",
                bytes(96_000),
                audio=ebml(
                    0xE1, ebml(0xB5, struct.pack(">d", 48_000.0)), ebml(0x9F, b"\2"), ebml(0x6264, b"\x10")
                ),
            ),
            500,
        ),
    ],
)
def test_every_codec_has_its_packets(file: bytes, ms: int) -> None:
    assert played(file) == ms


@pytest.mark.parametrize(
    "file",
    [
        of_codec(b"A_DTS", b"", b"x"),
        of_codec(b"A_AC3", b"", ac3_frame(rate_code=2)),  # 32 kHz, and called 48
        of_codec(b"A_AC3", b"", ac3_frame() * 2),
        of_codec(b"A_AC3", b"", b"x" * 300),
        of_codec(b"A_EAC3", b"", eac3_frame(codes=15)),
        of_codec(b"A_PCM/INT/LIT", b"", bytes(8000), audio=PCM_8 + ebml(0xB5, struct.pack(">d", 64e6))),
        of_codec(b"A_PCM/INT/LIT", b"", bytes(8000), audio=PCM_8 + RATE_48),
        of_codec(b"A_OPUS", b"", SIXTY, audio=ebml(0x86, b"A_PCM/INT/LIT")),
        of_codec(b"A_AAC", b"\x11\x88", b"x" * 9000),
        of_codec(b"A_AAC", b"", b"x", audio=b""),
        of_codec(b"A_MPEG/L3", b"", mp3_frame() * 2),
        of_codec(b"A_MPEG/L3", b"", b"x" * 30),
        of_codec(b"A_FLAC", b"fLaC\x80\0\0\x22" + flac_info(0), flac_frame(rate_code=9)),
        of_codec(b"A_VORBIS", b"\1\1", LONG),
        of_codec(b"A_PCM/INT/LIT", b"", b"xx"),
        of_codec(b"A_OPUS", b"", SIXTY, audio=ebml(0x6D80, b"")),
        webm(cluster(0, block(0, SIXTY, number=5))),
        webm(cluster(0, *BLOCKS), duration=float("nan")),
        webm(cluster(0, *BLOCKS), duration=-5.0),
        webm(cluster(0, *BLOCKS), duration=1e300),
        webm(b"\xec\xff" + bytes(9), cluster(0, *BLOCKS)),
        webm(b"\x00\x00", cluster(0, *BLOCKS)),
        ebml(0x1A45DFA3, ebml(0x4282, b"webm")),
        webm(cluster(0, *BLOCKS))[:60],
        webm(b"\xec\x44\x00x", cluster(0, *BLOCKS)),  # padding beyond the end, which a decoder would search
        webm(cluster(0, b"\xa3\x44\x00x"), cluster(0, *BLOCKS), unknown=False),
        webm(cluster(0, ebml(0xA3, b"\x81\0\0\2\x01\xfe" + bytes(20)))),
        webm(cluster(0, ebml(0xA3, b"\x81\0"))),
    ],
)
def test_a_film_that_contradicts_itself_or_is_unknown_has_no_playing_time(file: bytes) -> None:
    assert played(file) is None
