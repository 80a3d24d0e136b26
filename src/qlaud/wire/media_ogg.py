"""Playing time of Ogg (RFC 3533): Opus, Vorbis, FLAC and Speex, chained or side by side.

Every page is looked at, and must have its checksum: a decoder that checks it would look for other pages within one
that has not. What the packets play is added up; where the last page says a little less, as it does for an end that
is trimmed, that is believed.
"""

import zlib
from collections.abc import Callable, Iterator

from qlaud.wire.media_codecs import FIRST_BYTES, OPUS_MOST, OPUS_RATE, VorbisPackets, opus_samples
from qlaud.wire.media_flac import frame_head, stream_layout
from qlaud.wire.media_source import HEAVY_STEPS, Source, Unreadable, likely_or_most, play_ms

MAX_SETUP_BYTES = 262_144
"""Of the third header of Vorbis."""
MAX_STREAMS = 64

_HEAD_BYTES = 27
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_NO_POSITION = (1 << 64) - 1


class _Stream:
    """One logical stream: its codec, what its packets played so far, and where its last page stands."""

    def __init__(self) -> None:
        self.position = 0
        self.samples = 0
        self.rate = 0
        self.skipped = 0
        """Samples at the beginning that are not played."""
        self.trimmed = 0
        """Samples at the end that may not be played, at most."""
        self._packets = 0
        self._headers = 2
        self._first = b""
        self._setup = b""
        self._play: Callable[[bytes], int] | None = None

    def page(self, page: bytes, position: int) -> int:
        """Take a page; returns how many packets begin in it."""
        if position != _NO_POSITION:
            self.position = position
        count = 0
        for begins, packet in _packets(page):
            if begins:
                count += 1
                self._packets += 1
                if self._packets > self._headers and self._play is not None:
                    self.samples += self._play(packet[:FIRST_BYTES])
                elif self._packets == 1:
                    self._begin(packet)
            if self._packets == 3 and self._headers == 3:
                self._setup += packet
                if len(self._setup) > MAX_SETUP_BYTES:
                    raise Unreadable
        return count

    def played_ms(self) -> int:
        """What the stream plays, 0 for one without sound."""
        if not self.rate:
            return 0
        most = play_ms(self.samples, self.rate)
        if not self.position:
            return most
        claimed = play_ms(max(self.position - self.skipped, 0), self.rate)
        return likely_or_most(claimed, most, play_ms(self.skipped + self.trimmed, self.rate))

    def _begin(self, first: bytes) -> None:
        if first.startswith(b"OpusHead") and len(first) >= 19:
            self.rate, self._play = OPUS_RATE, opus_samples
            self.skipped, self.trimmed = int.from_bytes(first[10:12], "little"), OPUS_MOST
        elif first.startswith(b"\x01vorbis"):
            self._headers, self._first, self._play = 3, first, self._vorbis
        elif first.startswith(b"\x7fFLAC"):
            self._headers = 1
            self.rate, _, most = stream_layout(first[17:])
            self.trimmed, self._play = most, self._flac
        elif first.startswith(b"Speex   ") and len(first) >= 72:
            self._speex(first)
        elif not first.startswith((b"fishead\0", b"\x80theora", b"\x01video")):
            raise Unreadable

    def _vorbis(self, packet: bytes) -> int:
        play = VorbisPackets(self._first, self._setup)
        self._play, self.rate, self.trimmed = play, play.rate, 8192
        return play(packet)

    def _flac(self, packet: bytes) -> int:
        if packet[:1] != b"\xff":
            return 0
        head = frame_head(packet, 0, self.rate) if len(packet) > 5 else None
        if head is None or head[1] != self.rate:
            raise Unreadable
        return head[0]

    def _speex(self, head: bytes) -> None:
        fields = [int.from_bytes(head[at : at + 4], "little") for at in range(36, 72, 4)]
        samples = fields[5] * max(fields[7], 1)
        self.rate, self.trimmed, self._headers = fields[0], samples, 2 + fields[8]
        self.skipped = samples
        if not 0 < samples <= 640 * 10 or self._headers > 16:
            raise Unreadable
        self._play = lambda _: samples


def ogg_ms(source: Source) -> int:
    """Of an Ogg file: all its streams with sound together."""
    streams: list[_Stream] = []
    current: dict[bytes, _Stream] = {}
    for page in _pages(source):
        serial = page[14:18]
        if page[5] & 2:
            current[serial] = _Stream()
            streams.append(current[serial])
        stream = current.get(serial)
        if stream is None or len(streams) > MAX_STREAMS:
            raise Unreadable
        source.step(HEAVY_STEPS + stream.page(page, int.from_bytes(page[6:14], "little")))
    played = [stream.played_ms() for stream in streams]
    if not any(stream.rate for stream in streams):
        raise Unreadable
    return sum(played)


def _pages(source: Source) -> Iterator[bytes]:
    """Every page, one behind the other. Raises Unreadable for anything else; a last one may be cut off."""
    at = 0
    while at < source.size:
        head = source.at(at, _HEAD_BYTES + 255)
        if not head.startswith(b"OggS\0"[: len(head)]):
            raise Unreadable
        if len(head) < _HEAD_BYTES or len(head) < _HEAD_BYTES + head[26]:
            return
        size = _HEAD_BYTES + head[26] + sum(head[_HEAD_BYTES : _HEAD_BYTES + head[26]])
        page = source.at(at, size)
        if len(page) == size and _checksum(page) != page[22:26]:
            raise Unreadable
        yield page
        at += size


def _checksum(page: bytes) -> bytes:
    """The CRC of RFC 3533, 6, as it stands in the page: zlib's, with the bits of every byte the other way round."""
    turned = (page[:22] + b"\0\0\0\0" + page[26:]).translate(_REVERSED)
    return (zlib.crc32(turned, 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "little").translate(_REVERSED)[::-1]


def _packets(page: bytes) -> Iterator[tuple[bool, bytes]]:
    """What the page has of each packet, and whether the packet begins here."""
    at = _HEAD_BYTES + page[26]
    begins = not page[5] & 1
    size = 0
    lace = -1
    for lace in page[_HEAD_BYTES:at]:
        size += lace
        if at >= len(page) and size:
            return  # cut off
        if lace < 255:
            yield begins, page[at : at + size]
            at += size
            size, begins = 0, True
    if lace == 255:
        yield begins, page[at : at + size]
