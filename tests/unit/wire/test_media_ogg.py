"""Playing time of Ogg: what its packets play; the position of the last page only trims the end."""

import pytest
from tests.support.media_files import (
    LONG,
    OPUS_20,
    SHORT,
    VORBIS_ID,
    flac_frame,
    flac_info,
    ogg_opus,
    ogg_page,
    opus_head,
    played,
    vorbis_setup,
)

from qlaud.wire.media_ogg import MAX_STREAMS

PAGE = [OPUS_20] * 50
SECOND = 48_000


def ogg_vorbis(
    packets: list[bytes], last: int, *, modes: tuple[int, ...] = (0, 1), cut: bool = False
) -> bytes:
    """`cut` lets the setup header go over two pages."""
    comment, setup = b"\x03vorbis" + bytes(300), vorbis_setup(modes)
    if cut:
        setup = setup[:7] + bytes(248) + setup[7:]
        heads = ogg_page([comment, setup[:255]], 0, open_end=True) + ogg_page([setup[255:]], 0, flags=1)
    else:
        heads = ogg_page([comment, setup], 0)
    return ogg_page([VORBIS_ID], 0, flags=2) + heads + ogg_page(packets, last)


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (ogg_opus([PAGE, PAGE], 2 * SECOND), 1994),  # without what is skipped in front
        (ogg_opus([PAGE, PAGE], 2 * SECOND - 480), 1984),  # and a trimmed end
        (ogg_opus([PAGE, PAGE], 0), 2000),
        (ogg_opus([PAGE, PAGE], 48), 2000),
        (ogg_opus([PAGE, PAGE], 10**12), 2000),
        (ogg_opus([PAGE], 2**64 - 1), 1000),
        (ogg_opus([[b"\xfb\x06x"] * 10], 0), 1200),  # six frames of 20 ms each
        (ogg_opus([[b"\xf9xx"] * 10], 0), 400),
        (ogg_opus([[b"\xfb\xc2xx"] * 10], 0), 400),
        (ogg_opus([[b"\x18x"] * 10], 0), 600),  # speech, 60 ms
        (ogg_opus([[b"\x80x"] * 100], 0), 250),  # 2.5 ms
        (ogg_opus([[b"", b"\xfb"]], 0), 240),  # lost, and cut: as long as a packet can be
        (ogg_opus([PAGE], SECOND) + ogg_opus([PAGE], SECOND, serial=8), 1988),
        (ogg_vorbis([LONG] * 11, 10 * 1024), 214),
        (ogg_vorbis([LONG] * 11, 1), 214),
        (ogg_vorbis([LONG] * 11, 10 * 1024, cut=True), 214),
        (ogg_vorbis([LONG] + [SHORT] * 10, 0), 36),  # 576 samples, then nine times 128
        (ogg_vorbis([SHORT] * 11, 0, modes=(1,)), 214),
        (ogg_vorbis([b"\x04"] * 11, 0, modes=(0, 0, 1)), 214),
        (
            ogg_page([b"\x7fFLAC\1\0\0\1fLaC\0\0\0\x22" + flac_info(0)], 0, flags=2)
            + ogg_page([b"\x84\0\0\0"], 0)
            + ogg_page([flac_frame(n) for n in range(10)], 40_960),
            2560,
        ),
        (
            ogg_page(
                [
                    b"Speex   ".ljust(36, b"\0")
                    + b"".join(n.to_bytes(4, "little") for n in (8000, 0, 0, 1, 0, 160, 0, 2, 0))
                ],
                0,
                flags=2,
            )
            + ogg_page([b"comment"], 0)
            + ogg_page([b"x" * 20] * 25, 0),
            1000,
        ),
    ],
)
def test_packets_are_counted_and_the_last_position_trims_them(file: bytes, ms: int) -> None:
    assert played(file) == ms


def test_a_packet_over_two_pages_is_counted_once() -> None:
    long = OPUS_20.ljust(510, b"x")
    pages = ogg_page([OPUS_20, long], 960, open_end=True) + ogg_page([b"rest", OPUS_20], 0, flags=1)
    assert played(ogg_opus([], 0) + pages) == 60


def test_what_is_there_of_a_last_page_that_is_cut_off_is_counted() -> None:
    file = ogg_opus([PAGE, PAGE], 0)
    assert played(file[:-100]) == 1940  # three packets are missing
    assert played(file + b"OggS\0") == 2000


def test_film_beside_the_sound_is_passed_over() -> None:
    film = ogg_page([b"\x80theora" + bytes(40)], 0, flags=2, serial=1)
    assert played(film + ogg_opus([PAGE], SECOND) + ogg_page([b"x"] * 9, 5, serial=1)) == 994
    assert played(film) is None


def test_streams_are_taken_up_to_their_number() -> None:
    streams = [ogg_opus([PAGE], 0, serial=serial) for serial in range(MAX_STREAMS + 1)]
    assert played(b"".join(streams[1:])) == 1000 * MAX_STREAMS
    assert played(b"".join(streams)) is None


def test_a_page_without_a_position_leaves_the_last_one() -> None:
    pages = ogg_page(PAGE, SECOND) + ogg_page([OPUS_20.ljust(255, b"x")], 2**64 - 1, open_end=True)
    assert played(ogg_opus([], 0) + pages + ogg_page([b"rest"], SECOND + 480, flags=1)) == 1004


def broken(file: bytes, at: int) -> bytes:
    return file[:at] + bytes([file[at] ^ 1]) + file[at + 1 :]


@pytest.mark.parametrize(
    "file",
    [
        broken(ogg_opus([PAGE], SECOND), -1),  # a decoder that checks pages would look for others in it
        broken(ogg_opus([PAGE], SECOND), 22),
        ogg_opus([PAGE], SECOND) + b"x" * 100,
        ogg_page([b"unknown"], 0, flags=2),
        ogg_page(PAGE, SECOND),
        ogg_page([opus_head()[:10]], 0, flags=2),
        ogg_vorbis([LONG] * 3, 0).replace(b"\x05vorbis", b"\x05vorbiz"),
        ogg_page([VORBIS_ID], 0, flags=2)
        + ogg_page([b"\x03vorbis", b"\x05vorbis" + b"\xff" * 90], 0)
        + ogg_page([LONG], 0),
        ogg_page([b"\x7fFLAC\1\0\0\1fLaC\0\0\0\x22" + flac_info(0)], 0, flags=2)
        + ogg_page([b"\x84\0\0\0"], 0)
        + ogg_page([flac_frame(rate_code=9)], 0),
    ],
)
def test_an_ogg_file_with_two_readings_has_no_playing_time(file: bytes) -> None:
    assert played(file) is None
