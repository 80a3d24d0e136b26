"""Playing time never raises, costs a bounded number of bytes, and is never less than what the frames play."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import media_files as media

from qlaud.wire.media import duration_ms
from qlaud.wire.media_source import MAX_READ_BYTES, MAX_STEPS, WINDOW_BYTES

OPUS = media.ogg_opus([[media.OPUS_20] * 50] * 3, 144_000)
WHOLE = {
    "wav": media.wav(media.wav_format(), media.chunk(b"data", bytes(9000))),
    "aiff": media.aiff(4000),
    "au": media.au(4000),
    "mp3": media.id3(50) + media.mp3_frame() * 12,
    "adts": media.adts_frame() * 12,
    "amr": b"#!AMR\n" + (b"\x3c" + bytes(31)) * 40,
    "flac": media.flac(20, claims=81_920),
    "opus": OPUS,
    "mp4": media.FTYP
    + media.movie(media.track(media.AAC_16K, media.stts((20, 1024)), media.stsz(20)))
    + media.box(b"mdat", bytes(2000)),
    "fragments": media.FTYP
    + media.movie(media.track(media.OPUS_ENTRY, scale=48_000))
    + media.fragment(20) * 3,
    "webm": media.webm(*(media.cluster(100 * n, *[media.block(0, media.OPUS_20)] * 5) for n in range(4))),
}
STARTS = [file[:cut] for file in WHOLE.values() for cut in (4, 12, 60, 200)]


def answer(file: bytes) -> int | None:
    ms = media.played(file)
    assert ms is None or ms >= 0
    return ms


@given(st.sampled_from(STARTS) | st.just(b""), st.binary(max_size=300), st.integers(0, 3))
@settings(max_examples=300)
def test_bytes_of_any_kind_have_a_playing_time_or_none(start: bytes, rest: bytes, times: int) -> None:
    file = start + rest * 10**times
    assert answer(file) == answer(file)


@given(st.sampled_from(sorted(WHOLE)), st.data())
@settings(max_examples=300)
def test_a_file_that_is_cut_or_damaged_has_a_playing_time_or_none(kind: str, data: st.DataObject) -> None:
    file = bytearray(WHOLE[kind][: data.draw(st.integers(0, len(WHOLE[kind])))])
    for _ in range(data.draw(st.integers(0, 4))):
        if file:
            place = data.draw(st.integers(0, len(file) - 1))
            file[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    answer(bytes(file))


@pytest.mark.parametrize("kind", sorted(WHOLE))
def test_a_file_cut_at_its_end_plays_no_longer_than_the_whole(kind: str) -> None:
    whole = media.played(WHOLE[kind])
    assert whole
    for cut in range(1, min(len(WHOLE[kind]), 2500), 7):
        ms = answer(WHOLE[kind][:-cut])
        assert ms is None or ms <= whole


@given(st.lists(st.sampled_from([32, 64, 128, 320]), min_size=3, max_size=60), st.integers(0, 40))
def test_mp3_frames_add_up_at_any_bit_rate_and_behind_any_tag(rates: list[int], tag: int) -> None:
    assert answer(media.id3(tag) + b"".join(media.mp3_frame(kbits) for kbits in rates)) == 24 * len(rates)


@given(
    st.lists(st.tuples(st.integers(0, 31), st.integers(0, 2)), min_size=1, max_size=200),
    st.integers(0, 2**40),
)
def test_no_position_makes_opus_shorter_than_its_packets_but_for_both_ends(
    packets: list[tuple[int, int]], position: int
) -> None:
    frames = [10, 20, 40, 60] * 3 + [10, 20] * 2 + [2.5, 5, 10, 20] * 4
    most = sum(frames[config] * (1 if code == 0 else 2) for config, code in packets)
    pages = [[bytes([config << 3 | code]) + b"x" for config, code in packets]]
    ms = answer(media.ogg_opus(pages, position))
    assert ms is not None
    assert most - 120 - 312 / 48 <= ms <= most + 1


def zeros_behind(head: bytes) -> Callable[[int, int], bytes]:
    """A file that is zero behind its head, and counts what is read of it."""

    def read_at(offset: int, length: int) -> bytes:
        reads.append(length)
        return head[offset : offset + length].ljust(length, b"\0")

    reads: list[int] = []
    read_at.reads = reads  # type: ignore[attr-defined]
    return read_at


@pytest.mark.parametrize(
    ("head", "ms"),
    [
        (media.wav(media.wav_format(), media.chunk(b"data", b"", says=2**32 - 1)), 10**10 // 32),
        (media.FTYP + media.movie(media.track(media.AAC_16K, media.stts((20, 1024)), media.stsz(20)))
         + struct.pack(">I4s", 0, b"mdat"), 1280),
        (media.au(0)[:28], 10**10 // 16),
    ],
)  # fmt: skip
def test_a_file_of_any_size_with_an_index_is_read_at_a_few_places(head: bytes, ms: int) -> None:
    read_at = zeros_behind(head)
    found = duration_ms(read_at, 10**10)
    assert found is not None
    assert abs(found - ms) <= 10
    assert sum(read_at.reads) <= 4 * WINDOW_BYTES  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        media.mp3_frame() * 9,
        b"\xff" * 100,
        media.flac(1, claims=9),
        WHOLE["webm"],
        OPUS,
        b"\0\0\0\x08free",
    ],
)
def test_of_a_file_that_must_be_walked_no_more_is_read_than_a_limit(head: bytes) -> None:
    read_at = zeros_behind(head)
    assert duration_ms(read_at, 10**10) is None
    assert sum(read_at.reads) <= MAX_READ_BYTES + WINDOW_BYTES  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "piece",
    [
        b"\xff",
        b"\xec\x80",
        b"\0\0\0\x08free",
        b"JUNK\0\0\0\0",
        media.mp3_frame()[:4] + b"\1",
        media.flac_frame()[:7],
    ],
)
@pytest.mark.parametrize("start", ["mp3", "webm", "mp4", "wav", "flac"])
def test_a_file_of_a_million_small_pieces_costs_a_bounded_number_of_reads(start: str, piece: bytes) -> None:
    head = WHOLE[start][:12] if start == "wav" else WHOLE[start]
    body = head + piece * (MAX_STEPS // 3)
    count = 0

    def read_at(offset: int, length: int) -> bytes:
        nonlocal count
        count += 1
        return body[offset : offset + length]

    ms = duration_ms(read_at, len(body))
    assert ms is None or ms >= 0
    assert count <= 2 + 5 * len(body) // WINDOW_BYTES + MAX_STEPS // 200
