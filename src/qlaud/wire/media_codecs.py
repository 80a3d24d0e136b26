"""What one packet of a codec plays, from its first bytes or from the codec's own header.

A packet's time is taken from the packet, not from the container around it: that is what a decoder puts out.
"""

from collections.abc import Callable

from qlaud.wire.media_frames import AAC_CHANNEL_BYTES, AAC_MOST_CHANNELS, ADTS_RATES
from qlaud.wire.media_source import LEAST_RATE, MOST_RATE, Unreadable

Packet = Callable[[bytes], int]
"""The first bytes of a packet to the samples it plays."""

OPUS_RATE = 48_000
OPUS_MOST = 5760
"""120 ms, RFC 6716, 3.2.5."""
FIRST_BYTES = 16
"""So many of a packet are looked at."""
_AAC_CORE = (1, 2, 3, 4, 23, 39)
_AAC_EXTENDED = (5, 29)


def _opus_frames() -> tuple[int, ...]:
    """Samples of one frame by its configuration, RFC 6716, table 2."""
    silk, hybrid, celt = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
    return silk * 3 + hybrid * 2 + celt * 4


_OPUS = _opus_frames()


def opus_samples(first: bytes) -> int:
    """Of an Opus packet, at 48 kHz."""
    if not first:
        return OPUS_MOST  # nothing in it: a decoder makes up for what was lost
    frame, code = _OPUS[first[0] >> 3], first[0] & 3
    if code == 3:
        return min(frame * (first[1] & 63), OPUS_MOST) if len(first) > 1 else OPUS_MOST
    return frame * (1 if code == 0 else 2)


class VorbisPackets:
    """What the packets of one Vorbis stream play, one after the other (Vorbis I, 1.3.2 and 4.3.8)."""

    def __init__(self, identification: bytes, setup: bytes) -> None:
        """The first and the third header packet. Raises Unreadable."""
        if not identification.startswith(b"\x01vorbis") or len(identification) < 29:
            raise Unreadable
        self.rate = int.from_bytes(identification[12:16], "little")
        sizes = identification[28]
        self._sizes = (1 << (sizes & 15), 1 << (sizes >> 4))
        self._modes = _vorbis_modes(setup)
        self._mode_mask = (1 << (len(self._modes) - 1).bit_length()) - 1
        self._previous = 0
        if not LEAST_RATE <= self.rate <= MOST_RATE:
            raise Unreadable

    def __call__(self, first: bytes) -> int:
        """The samples that this packet adds."""
        if not first or first[0] & 1:
            return 0
        mode = first[0] >> 1 & self._mode_mask
        size = self._sizes[self._modes[mode] if mode < len(self._modes) else 1]
        samples = (self._previous + size) // 4 if self._previous else 0
        self._previous = size
        return samples


def _vorbis_modes(setup: bytes) -> list[int]:
    """Whether each mode has the long block. They are the last thing in the packet, and are read from behind.

    A mode is one bit, twice sixteen bits of zero and a mapping below 64; their number stands in six bits before.
    """
    bits = int.from_bytes(setup[-400:], "little")
    left = bits.bit_length() - 1  # without the framing bit, the last that is set
    flags: list[int] = []
    found: list[int] = []
    while left >= 41 + 6 and len(flags) < 64:
        left -= 41
        mode = bits >> left & (1 << 41) - 1
        if mode >> 1 & 0xFFFFFFFF or mode >> 33 > 63:
            break
        flags.insert(0, mode & 1)
        if (bits >> left - 6 & 63) + 1 == len(flags):
            found = list(flags)
    if not found:
        raise Unreadable
    return found


def aac_layout(config: bytes) -> tuple[int, int]:
    """Samples per second of the core frames, 1024 each, and the most bytes of one.

    From an AudioSpecificConfig (ISO 14496-3, 1.6.2.1).
    """
    bits = int.from_bytes(config[:8].ljust(8, b"\0"))
    left = 64

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & (1 << count) - 1

    kind = take(5)
    if kind == 31:
        kind = 32 + take(6)
    index = take(4)
    rate = take(24) if index == 15 else ADTS_RATES[index] if index < len(ADTS_RATES) else 0
    if kind not in _AAC_CORE + _AAC_EXTENDED or not LEAST_RATE <= rate <= MOST_RATE:
        raise Unreadable
    channels = take(4)
    return rate, AAC_CHANNEL_BYTES * (channels if 1 <= channels <= 6 else AAC_MOST_CHANNELS)
