"""Playing time of MP4, M4A and MOV: the longest of what the movie, its tracks and the frames of its sound say."""

import struct

import pytest
from tests.support.media_files import (
    AAC_16K,
    FTYP,
    OPUS_20,
    OPUS_ENTRY,
    ac3_frame,
    box,
    esds,
    flac_info,
    fragment,
    full,
    movie,
    mp3_frame,
    played,
    sound_entry,
    stsz,
    stts,
    times,
    track,
    u32,
)

TEN = track(AAC_16K, stts((156, 1024), (1, 512)), stsz(157), duration=160_256)
"""157 frames of AAC: 10.048 s with the last one whole."""
MDAT = box(b"mdat", bytes(157 * 100))
VIDEO = box(b"avc1", bytes(78))


def m4a(*tracks: bytes, duration: int = 0, scale: int = 1000) -> bytes:
    return FTYP + movie(*tracks, duration=duration, scale=scale) + MDAT


@pytest.mark.parametrize(
    ("file", "ms"),
    [
        (m4a(TEN, duration=10_016), 10_048),
        (FTYP + MDAT + movie(TEN, duration=10_016), 10_048),
        (movie(TEN, duration=10_016) + MDAT, 10_048),
        (
            FTYP + box(b"free", bytes(8)) + movie(TEN) + struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(100),
            10_048,
        ),
        (FTYP + movie(TEN) + struct.pack(">I4s", 0, b"mdat") + bytes(100), 10_048),
        (m4a(TEN)[:-9000], 10_048),  # what is missing at the end is sound
        (m4a(TEN, duration=60_000), 60_000),
        (m4a(track(AAC_16K, stts((157, 4096)), stsz(157))), 40_192),
        (m4a(track(AAC_16K, stts((157, 1024)), stsz(157), duration=320_000)), 20_000),
        (m4a(track(VIDEO, stts((300, 512)), stsz(300), scale=12_800, handler=b"vide"), TEN), 12_000),
    ],
)
def test_the_longest_of_what_is_said_is_the_playing_time(file: bytes, ms: int) -> None:
    assert played(file) == ms


@pytest.mark.parametrize(
    "file",
    [
        m4a(track(AAC_16K, stts((157, 1)), stsz(157), duration=157), duration=9),
        m4a(track(AAC_16K, stts((157, 1024)), stsz(157), scale=2**31), duration=9),
        m4a(track(AAC_16K, stts((1, 1024)), stsz(157))),
        m4a(track(AAC_16K, stts((157, 1)), stsz(1))),
        m4a(track(AAC_16K, stts((157, 1)), stsz(157), handler=b"vide")),
        m4a(track(AAC_16K, stts((157, 1)), full(b"stsz", u32(0, 157), u32(*[100] * 157)))),
        FTYP + movie(track(AAC_16K)) + b"".join(fragment(1, ticks=1) for _ in range(157)),
    ],
)
def test_tables_that_claim_less_than_the_frames_play_do_not_matter(file: bytes) -> None:
    assert played(file) == 10_048


def test_edits_that_repeat_the_sound_are_counted() -> None:
    thrice = full(b"elst", u32(3), u32(10_000, 0, 1 << 16) * 3)
    assert played(m4a(track(AAC_16K, stts((157, 1024)), stsz(157), edits=thrice), duration=10_000)) == 30_000
    wide = full(b"elst", u32(1), struct.pack(">QqI", 30_000, 0, 1 << 16), version=1)
    assert played(m4a(track(AAC_16K, stts((157, 1024)), stsz(157), edits=wide), duration=10_000)) == 30_000


def test_heads_of_the_wide_version_are_read() -> None:
    long = full(b"mvhd", struct.pack(">QQIQ", 0, 0, 1000, 2**33), version=1)
    assert played(FTYP + box(b"moov", long, TEN) + MDAT) == 2**33
    unknown = full(b"mvhd", struct.pack(">QQIQ", 0, 0, 1000, 2**64 - 1), version=1)
    assert played(FTYP + box(b"moov", unknown, TEN) + MDAT) == 10_048


def test_fragments_are_added_up() -> None:
    head = FTYP + movie(track(AAC_16K), box(b"mvex", full(b"trex", u32(1, 1, 1024, 100, 0))))
    parts = [fragment(25) + box(b"mdat", bytes(2500)) for _ in range(4)]
    assert played(head + b"".join(parts)) == 6400
    usual = [fragment(25, ticks=None) + box(b"mdat", bytes(2500)) for _ in range(4)]
    assert played(head + b"".join(usual)) == 6400
    late = [fragment(25, time=10**9 + 25_600 * n) + box(b"mdat", bytes(2500)) for n in range(4)]
    assert played(head + b"".join(late)) == 6400
    gap = fragment(25, time=0) + fragment(25, time=320_000)
    assert played(head + gap) == 21_600


def test_ticks_of_each_frame_in_a_fragment_are_read() -> None:
    run = full(b"trun", u32(3), u32(1600, 100, 3200, 100, 16_000, 100), flags=0x300)
    head = FTYP + movie(track(AAC_16K))
    assert played(head + box(b"moof", box(b"traf", full(b"tfhd", u32(1)), run))) == 1300


@pytest.mark.parametrize(
    ("entry", "count", "size", "ms"),
    [
        (sound_entry(b"alac", 0, full(b"alac", u32(4096), bytes(16), u32(44_100))), 100, 9000, 9288),
        (sound_entry(b"samr", 8000, box(b"damr", b"qlau\0\0\0\0\5")), 100, 160, 10_000),
        (sound_entry(b"samr", 8000), 100, 32, 2000),
        (sound_entry(b"samr", 8000), 100, 33, None),
        (sound_entry(b"sawb", 16_000), 100, 61, 2000),
        (sound_entry(b"sowt", 8000), 48_000, 2, 6000),
        (sound_entry(b"sowt", 8000), 48_000, 1, 6000),  # QuickTime says 1 for any size
        (sound_entry(b"sowt", 8000), 1, 96_000, 6000),
        (sound_entry(b"sowt", 0), 48_000, 2, 3000),
        (sound_entry(b"fl32", 8000), 1, 96_000, 3000),
        (sound_entry(b"fLaC", 0, full(b"dfLa", b"\0\0\0\x22", flac_info(0))), 10, 9000, 2560),
        (sound_entry(b"mp4a", 0, esds(b"\x2b\x8a\x08\0")), 100, 300, 4644),  # SBR over 22.05 kHz
        (sound_entry(b"mp4a", 0, esds(b"\x17\x80\x3e\x80\x08")), 100, 300, 3200),  # a rate in full: 32 kHz
        (AAC_16K, 100, 768, 6400),
        (AAC_16K, 100, 769, None),
    ],
)
def test_every_codec_has_its_frames(entry: bytes, count: int, size: int, ms: int | None) -> None:
    assert played(m4a(track(entry, stts((count, 1)), stsz(count, size)))) == ms


@pytest.mark.parametrize(
    ("kinds", "sample_bytes"),
    [
        ("sowt twos lpcm ipcm fpcm NONE", 2),
        ("in24", 3),
        ("in32 fl32", 4),
        ("fl64", 8),
        ("ulaw alaw", 1),
    ],
)
def test_every_kind_of_plain_samples_has_its_size(kinds: str, sample_bytes: int) -> None:
    for kind in (*kinds.encode().split(), *([b"raw "] if sample_bytes == 2 else [])):
        assert played(m4a(track(sound_entry(kind, 8000), stts((1, 1)), stsz(1, 8000 * sample_bytes)))) == 1000


def test_optional_fields_of_the_codec_description_are_passed_over() -> None:
    decoder = bytes([0x40, 0x15]) + bytes(11) + b"\x05\2\x14\x08"
    described = b"\0\1\xa0" + b"\0\1" + b"\0\2" + b"\x04" + bytes([len(decoder)]) + decoder
    entry = sound_entry(b"mp4a", 0, full(b"esds", b"\x03\x80\x80\x80" + bytes([len(described)]) + described))
    assert played(m4a(track(entry, stts((10, 1)), stsz(10)))) == 640


def test_the_wide_description_of_quicktime_is_read() -> None:
    wide = u32(72) + struct.pack(">dIIIIII", 96_000.0, 2, 0x7F000000, 24, 0, 6, 1)
    head = bytes(6) + b"\0\1" + b"\0\2" + bytes(6) + struct.pack(">HHHHI", 3, 16, 0xFFFE, 0, 1 << 16)
    assert played(m4a(track(box(b"lpcm", head, wide), stts((9600, 1)), stsz(9600, 6), scale=96_000))) == 100
    assert played(m4a(track(box(b"lpcm", head, wide), stts((1, 1)), stsz(1, 576_000), scale=96_000))) == 1000


def chunks_of(
    counts: list[int], offsets: list[int], *, size: int = len(OPUS_20), wide: bool = False
) -> list[bytes]:
    total = sum(counts)
    runs = [u32(index, count, 1) for index, count in enumerate(counts, 1)]
    chunks = (
        full(b"co64", u32(len(offsets)), *(at.to_bytes(8) for at in offsets))
        if wide
        else full(b"stco", u32(len(offsets), *offsets))
    )
    return [stts((total, 1)), stsz(total, size), full(b"stsc", u32(len(runs)), *runs), chunks]


@pytest.mark.parametrize("wide", [False, True])
def test_packets_of_opus_are_looked_at_where_they_stand(wide: bool) -> None:
    film = bytes(3000)
    sound = box(b"mdat", OPUS_20 * 30, film, b"\x18".ljust(31, b"x") * 20)
    start = len(FTYP) + 8
    tables = chunks_of([30, 20], [start, start + 30 * 31 + 3000], wide=wide)
    assert played(FTYP + sound + movie(track(OPUS_ENTRY, *tables))) == 600 + 1200


@pytest.mark.parametrize(
    "entry", [sound_entry(b".mp3", 48_000), sound_entry(b"mp4a", 48_000, esds(b"", codec=0x6B))]
)
def test_frames_of_mp3_are_looked_at_where_they_stand(entry: bytes) -> None:
    sound, start = box(b"mdat", mp3_frame() * 10), len(FTYP) + 8
    assert played(FTYP + sound + movie(track(entry, *chunks_of([10], [start], size=384)))) == 240
    assert played(FTYP + sound + movie(track(entry, *chunks_of([5], [start], size=768)))) is None
    assert played(FTYP + sound + movie(track(entry, *chunks_of([10], [start + 1], size=384)))) is None


def test_frames_of_ac3_are_looked_at_where_they_stand() -> None:
    sound, start = box(b"mdat", ac3_frame() * 10), len(FTYP) + 8
    entry, tables = sound_entry(b"ac-3", 48_000), chunks_of([10], [start], size=512)
    assert played(FTYP + sound + movie(track(entry, *tables))) == 320
    assert played(FTYP + sound + movie(track(sound_entry(b"ac-3", 65_000), *tables))) is None


FAKE = esds(b"\x17\x87\xa1\x20\x08")
"""AAC of a million samples a second."""


@pytest.mark.parametrize(
    "file",
    [
        m4a(track(sound_entry(b"mp4a", 8000, box(b"free", FAKE), esds(b"\x15\x88")), stts((9, 0)), stsz(9))),
        m4a(track(AAC_16K, stts((1, 1)), stsz(1)), box(b"udta", track(AAC_16K, stts((999, 1)), stsz(999)))),
        m4a(track(AAC_16K, stts((1, 1)), stsz(1), box(b"tapt", stsz(999)))),
        m4a(track(AAC_16K, stts((1, 1)), stsz(1))) + box(b"udta", track(AAC_16K, stts((999, 1)), stsz(999))),
    ],
)
def test_what_only_some_readers_find_has_no_playing_time(file: bytes) -> None:
    assert played(file) is None


def test_what_nobody_looks_into_may_hold_anything() -> None:
    assert played(m4a(TEN, box(b"udta", b"a name"), box(b"free", TEN))) == played(m4a(TEN))


def test_packets_of_opus_in_fragments_are_looked_at() -> None:
    head = FTYP + movie(track(OPUS_ENTRY, scale=48_000))
    sound = box(b"mdat", b"\x18".ljust(31, b"x") * 20)
    assert played(head + fragment(20, ticks=1, size=31) + sound) == 1200


@pytest.mark.parametrize(
    "file",
    [
        FTYP + MDAT,
        FTYP + movie() + MDAT,
        FTYP + movie(TEN) + movie(TEN) + MDAT,
        FTYP + fragment(10) + movie(TEN),
        m4a(track(AAC_16K, stts((1, 1024)), stsz(1, 9000))),  # more than one frame
        m4a(track(AAC_16K, stts((2, 1024)), full(b"stsz", u32(0, 2), u32(100, 9000)))),
        FTYP + movie(track(AAC_16K)) + fragment(1, size=9000),
        m4a(track(sound_entry(b"dtsc", 48_000), stts((9, 1024)), stsz(9))),
        m4a(track(sound_entry(b"mp4a", 48_000, esds(b"", codec=0xDD)), stts((9, 1)), stsz(9))),
        m4a(track(sound_entry(b"mp4a", 48_000, esds(b"\x2f\x80")), stts((9, 1)), stsz(9))),
        m4a(track(sound_entry(b"mp4a", 48_000), stts((9, 1)), stsz(9))),
        m4a(track(AAC_16K, stts((9, 1)), full(b"stsz", u32(0, 9)))),
        m4a(track(AAC_16K, full(b"stts", u32(2**31)), stsz(9))),
        m4a(track(OPUS_ENTRY, *chunks_of([3], [5000])[:2])),
        m4a(track(AAC_16K, stts((9, 1)), stsz(9), scale=0)),
        FTYP + struct.pack(">I4s", 7, b"free") + movie(TEN),
        FTYP + movie(TEN)[:-4],
        FTYP + struct.pack(">I4s", 5000, b"free") + movie(TEN),
        FTYP + box(b"moov", times(b"mvhd", 1000, 9), box(b"trak", struct.pack(">I4s", 99, b"mdia"))),
        m4a(track(AAC_16K, stts((9, 1)), full(b"stz2", u32(8, 9)))),
    ],
)
def test_a_film_that_contradicts_itself_or_is_unknown_has_no_playing_time(file: bytes) -> None:
    assert played(file) is None


SPEECH_60 = b"\x18".ljust(31, b"x")
"""An Opus packet of 60 ms, as long as the one of 20 ms."""
OPUS_FILM = FTYP + movie(track(OPUS_ENTRY, scale=48_000), box(b"mvex", full(b"trex", u32(1, 1, 7, 31, 0))))


def test_a_fragment_may_name_where_its_packets_stand_and_how_long_they_are() -> None:
    start = len(OPUS_FILM) + 8
    sound = box(b"mdat", bytes(62), SPEECH_60 * 10, b"\x18" + bytes(61), bytes(40))
    header = full(b"tfhd", u32(1), start.to_bytes(8), u32(1, 960, 31, 0), flags=0x3B)
    runs = full(b"trun", u32(4, 62), flags=1) + full(b"trun", u32(6, 0), flags=4)
    assert played(OPUS_FILM + sound + box(b"moof", box(b"traf", header, runs))) == 600
    larger = full(b"tfhd", u32(1), start.to_bytes(8), u32(62), flags=0x11)
    assert (
        played(OPUS_FILM + sound + box(b"moof", box(b"traf", larger, full(b"trun", u32(5, 62), flags=1))))
        == 300
    )
    without_base = full(b"tfhd", u32(1), flags=0)
    moof = box(b"moof", box(b"traf", without_base, full(b"trun", u32(10, 0), flags=1)))
    offset = len(moof) + 8 + 62
    moof = box(b"moof", box(b"traf", without_base, full(b"trun", u32(10, offset), flags=1)))
    assert played(OPUS_FILM + moof + sound) == 600


def test_the_ticks_of_a_fragment_come_from_it_else_from_the_movie() -> None:
    film = FTYP + movie(track(AAC_16K), box(b"mvex", full(b"trex", u32(1, 1, 32_000, 700, 0))))
    run = full(b"trun", u32(2), flags=0)
    for header, ms in (
        (full(b"tfhd", u32(1)), 4000),
        (full(b"tfhd", u32(1, 9, 16_000), flags=0x0A), 2000),
        (full(b"tfhd", u32(1, 16_000, 700), flags=0x18), 2000),
        (full(b"tfhd", u32(1, 16_000, 769), flags=0x18), None),
        (full(b"tfhd", u32(1, 769), flags=0x10), None),
        (full(b"tfhd", u32(2)), None),
    ):
        assert played(film + box(b"moof", box(b"traf", header, run))) == ms


def test_the_time_of_a_fragment_may_be_wide() -> None:
    header, run = full(b"tfhd", u32(1)), full(b"trun", u32(1, 1600, 100), flags=0x300)
    moofs = [
        box(b"moof", box(b"traf", header, full(b"tfdt", (2**40 + at).to_bytes(8), version=1), run))
        for at in (0, 160_000)
    ]
    assert played(FTYP + movie(track(AAC_16K)) + b"".join(moofs)) == 10_100


def test_one_run_of_chunks_may_stand_for_many() -> None:
    start = len(FTYP) + 8
    sound = box(b"mdat", (SPEECH_60 * 10 + bytes(50)) * 3 + OPUS_20 * 5)
    offsets = [start, start + 360, start + 720, start + 1080]
    tables = chunks_of([10, 10, 10, 5], offsets)
    few = full(b"stsc", u32(2, 1, 10, 1, 4, 5, 1))
    assert played(FTYP + sound + movie(track(OPUS_ENTRY, tables[0], tables[1], few, tables[3]))) == 1900
    missing = full(b"stsc", u32(1, 1, 8, 1))
    assert played(FTYP + sound + movie(track(OPUS_ENTRY, tables[0], tables[1], missing, tables[3]))) is None


def test_two_descriptions_of_one_codec_play_as_the_slower() -> None:
    both = full(b"stsd", u32(2), AAC_16K, sound_entry(b"mp4a", 0, esds(b"\x15\x88")))  # 8 kHz
    one = full(b"stsd", u32(1), AAC_16K)

    def described(description: bytes) -> bytes:
        inner = box(b"minf", box(b"stbl", description, stts((10, 1)), stsz(10)))
        return box(b"trak", full(b"tkhd", u32(0, 0, 1, 0, 0)), box(b"mdia", times(b"mdhd", 16_000, 0), inner))

    assert played(m4a(described(one))) == 640
    assert played(m4a(described(both))) == 1280
    assert played(m4a(described(full(b"stsd", u32(2), AAC_16K, OPUS_ENTRY)))) is None


def test_a_table_that_is_longer_than_its_box_is_not_believed() -> None:
    header = full(b"tfhd", u32(1))
    for run in (full(b"trun", u32(3), u32(100, 100), flags=0x200), full(b"trun", u32(2**30), flags=0)):
        assert played(FTYP + movie(track(AAC_16K)) + box(b"moof", box(b"traf", header, run))) is None
