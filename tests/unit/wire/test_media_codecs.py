"""What a codec's own header says, bit by bit: AAC's configuration, Vorbis's modes, and packets of Opus."""

import pytest
from tests.support.media_files import VORBIS_ID, vorbis_setup

from qlaud.wire.media_codecs import OPUS_MOST, VorbisPackets, aac_layout, opus_samples
from qlaud.wire.media_source import Unreadable


def bits(*fields: tuple[int, int]) -> bytes:
    """Values and their widths, the highest bit first."""
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


@pytest.mark.parametrize(
    ("config", "rate", "most_bytes"),
    [
        (bits((2, 5), (4, 4), (2, 4)), 44_100, 1536),
        (bits((1, 5), (0, 4), (1, 4)), 96_000, 768),
        (bits((3, 5), (12, 4), (6, 4)), 7350, 4608),
        (bits((4, 5), (11, 4), (7, 4)), 8000, 6144),
        (bits((23, 5), (3, 4), (0, 4)), 48_000, 6144),
        (bits((31, 5), (7, 6), (8, 4), (1, 4)), 16_000, 768),  # 32 + 7: low delay
        (bits((2, 5), (15, 4), (12_345, 24), (2, 4)), 12_345, 1536),
        (bits((5, 5), (7, 4), (2, 4), (4, 4), (2, 5)), 22_050, 1536),  # the frames have the rate below SBR
        (bits((29, 5), (6, 4), (1, 4), (3, 4), (2, 5)), 24_000, 768),
    ],
)
def test_a_configuration_of_aac_is_read(config: bytes, rate: int, most_bytes: int) -> None:
    assert aac_layout(config) == (rate, most_bytes)


@pytest.mark.parametrize(
    "config",
    [
        b"",
        bits((0, 5), (4, 4), (2, 4)),
        bits((6, 5), (4, 4), (2, 4)),
        bits((31, 5), (10, 6), (4, 4), (2, 4)),  # extended high efficiency: frames of several sizes
        bits((2, 5), (13, 4), (2, 4)),
        bits((2, 5), (15, 4), (999, 24), (2, 4)),
        bits((2, 5), (15, 4), (2_000_000, 24), (2, 4)),
    ],
)
def test_a_configuration_of_another_codec_is_not(config: bytes) -> None:
    with pytest.raises(Unreadable):
        aac_layout(config)


@pytest.mark.parametrize("modes", [(0,), (1,), (0, 1), (1, 0, 1), (0, 1, 1, 0, 1), tuple([0, 1] * 31)])
def test_the_modes_of_vorbis_are_read_from_behind(modes: tuple[int, ...]) -> None:
    play = VorbisPackets(VORBIS_ID, vorbis_setup(modes))
    assert play(b"\0") == 0
    before = modes[0]
    sizes = (256, 2048)
    for mode, long in enumerate(modes):
        assert play(bytes([mode << 1 & 0xFF])) == (sizes[before] + sizes[long]) // 4
        before = long
    assert play(b"\1") == play(b"") == 0


def test_a_vorbis_header_of_another_kind_is_not_read() -> None:
    for first, setup in (
        (VORBIS_ID[:20], vorbis_setup()),
        (b"\x01vorbix" + VORBIS_ID[7:], vorbis_setup()),
        (VORBIS_ID[:12] + bytes(4) + VORBIS_ID[16:], vorbis_setup()),
        (VORBIS_ID, b""),
        (VORBIS_ID, b"\x05vorbis" + b"\xff" * 100),
    ):
        with pytest.raises(Unreadable):
            VorbisPackets(first, setup)


def test_every_packet_of_opus_has_its_time() -> None:
    frames = [480, 960, 1920, 2880] * 3 + [480, 960] * 2 + [120, 240, 480, 960] * 4
    for config, samples in enumerate(frames):
        for stereo in (0, 4):
            assert opus_samples(bytes([config << 3 | stereo])) == samples
            assert opus_samples(bytes([config << 3 | stereo | 1])) == 2 * samples
            assert opus_samples(bytes([config << 3 | stereo | 2])) == 2 * samples
            for count in (1, 2, 3, 48):
                packet = bytes([config << 3 | stereo | 3, 0xC0 | count])
                assert opus_samples(packet) == min(count * samples, OPUS_MOST)
