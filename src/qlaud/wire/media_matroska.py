"""Playing time of WebM and Matroska (RFC 9559), also of recordings that browsers leave without one.

The longest of what the file says, how far its blocks reach, and what the packets of a track with sound play, which
is what a decoder puts out whatever the times say.
"""

import math

from qlaud.wire.media_codecs import FIRST_BYTES
from qlaud.wire.media_ebml import block_head, element_at, frames_of, real, unsigned
from qlaud.wire.media_packets import Play, play_of
from qlaud.wire.media_source import HEAVY_STEPS, Source, Unreadable, play_ms

SEGMENT, INFO, TRACKS, TRACK, AUDIO, CLUSTER, GROUP = (
    0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE1, 0x1F43B675, 0xA0,
)  # fmt: skip
SCALE, DURATION, NUMBER, CODEC, PRIVATE, RATE, CHANNELS, BITS, ENCODINGS = (
    0x2AD7B1, 0x4489, 0xD7, 0x86, 0x63A2, 0xB5, 0x9F, 0x6264, 0x6D80,
)  # fmt: skip
TIME, SIMPLE_BLOCK, BLOCK, BLOCK_DURATION, ENCRYPTED = 0xE7, 0xA3, 0xA1, 0x9B, 0xAF

MAX_DEPTH = 16
MAX_TRACKS = 64
MAX_PRIVATE_BYTES = 262_144
MAX_CUT_BYTES = 1_048_576
"""Left of a last element that the file ends within."""
USUAL_SCALE = 1_000_000
"""Nanoseconds of a unit of time, where the file names no other."""

_MASTERS = frozenset((SEGMENT, INFO, TRACKS, TRACK, AUDIO, CLUSTER, GROUP))
_PARENTS = {
    **dict.fromkeys((SCALE, DURATION), INFO),
    **dict.fromkeys((CODEC, PRIVATE), TRACK),
    **dict.fromkeys((RATE, CHANNELS, BITS), AUDIO),
}
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class Track:
    """What was found of one track."""

    def __init__(self) -> None:
        self.codec = ""
        self.private = b""
        self.rate = 0
        self.channels = 1
        self.bits = 0
        self.is_encoded = False
        self.samples = 0
        self.play: Play | None = None


def matroska_ms(source: Source) -> int:
    """Of a WebM or Matroska file."""
    film = _Film(source)
    film.read()
    return film.played_ms()


class _Film:
    """What was found so far."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._scale = USUAL_SCALE
        self._duration = 0.0
        self._track = Track()
        self._tracks: list[Track] = []
        self._by_number: dict[int, Track] = {}
        self._cluster = 0
        self._first: int | None = None
        self._last_ns = 0
        self._start_ns = 0
        self._described: set[tuple[int, int]] = set()

    def read(self) -> None:
        """Every element, those with others in them from the inside. Raises Unreadable for one that does not fit."""
        source, at = self._source, 0
        ends, masters = [source.size], [0]
        while at < source.size:
            source.step(HEAVY_STEPS)
            while at >= ends[-1]:
                ends.pop()
                masters.pop()
            element = element_at(source, at)
            is_master = element.id in _MASTERS
            if element.size is None:
                if not is_master:
                    raise Unreadable
                end = ends[-1]
            else:
                end = self._fitting(element.id, element.start, element.start + element.size, ends[-1])
            if not is_master:
                self._check_place(element.id, masters[-1])
                self._take(element.id, element.start, end)
                at = end
                continue
            if element.id == TRACK:
                self._track = Track()
                self._tracks.append(self._track)
            if element.start < end < ends[-1]:
                ends.append(end)
                masters.append(element.id)
            elif element.start < end:
                masters[-1] = element.id
            if len(ends) > MAX_DEPTH:
                raise Unreadable
            at = element.start if end > element.start else end

    def _check_place(self, id_: int, master: int) -> None:
        """Raises Unreadable for what describes a track somewhere else, or twice: decoders differ on that."""
        if _PARENTS.get(id_, master) != master:
            raise Unreadable
        if id_ in _PARENTS:
            place = len(self._tracks), id_
            if place in self._described:
                raise Unreadable
            self._described.add(place)

    def _fitting(self, id_: int, start: int, end: int, most: int) -> int:
        """The end of an element within its master. A decoder would look for clusters in one that does not fit."""
        if end <= most:
            return end
        size = self._source.size
        is_cut = id_ in _MASTERS or (id_ in (SIMPLE_BLOCK, BLOCK) and size - start <= MAX_CUT_BYTES)
        if most < size or not is_cut:
            raise Unreadable
        return size

    def played_ms(self) -> int:
        """The longest of all that is said."""
        if not self._tracks or len(self._tracks) > MAX_TRACKS:
            raise Unreadable
        told = self._duration * self._scale / _NS_PER_MS
        if not 0 <= told < 1e12:
            raise Unreadable
        reached = -(-(self._last_ns - (self._first or 0) * self._scale) // _NS_PER_MS)
        played = [play_ms(track.samples, track.rate) for track in self._tracks if track.samples]
        return max(math.ceil(told), reached, *played, 0)

    def _take(self, id_: int, start: int, end: int) -> None:
        source, track = self._source, self._track
        if id_ in (SIMPLE_BLOCK, BLOCK):
            self._block(start, end)
        elif id_ == TIME:
            self._cluster = unsigned(source, start, end)
        elif id_ == BLOCK_DURATION:
            length = unsigned(source, start, end) * self._scale
            self._last_ns = max(self._last_ns, self._start_ns + length)
        elif id_ == SCALE:
            self._scale = unsigned(source, start, end)
        elif id_ == DURATION:
            self._duration = real(source, start, end)
        elif id_ == NUMBER:
            self._by_number[unsigned(source, start, end)] = track
        elif id_ == CODEC:
            track.codec = source.exactly(start, min(end - start, 64)).decode("ascii", "replace").rstrip("\0")
        elif id_ == PRIVATE:
            track.private = source.exactly(start, min(end - start, MAX_PRIVATE_BYTES))
        elif id_ == RATE:
            rate = real(source, start, end)
            track.rate = int(rate) if 0 < rate < 1e9 else 0
        elif id_ == CHANNELS:
            track.channels = unsigned(source, start, end)
        elif id_ == BITS:
            track.bits = unsigned(source, start, end)
        elif id_ in (ENCODINGS, ENCRYPTED):
            track.is_encoded = True

    def _block(self, start: int, end: int) -> None:
        source = self._source
        number, time, flags, here = block_head(source, start, end)
        track = self._by_number.get(number)
        if track is None:
            raise Unreadable
        at = self._cluster + time
        self._first = at if self._first is None else min(self._first, at)
        self._start_ns = at * self._scale
        self._last_ns = max(self._last_ns, self._start_ns)
        if not track.codec.startswith("A_"):
            return
        if track.play is None:
            if track.is_encoded:
                raise Unreadable
            sound = play_of(track.codec, track.private, track.rate, track.channels * track.bits)
            track.play, track.rate = sound.play, sound.rate
        samples = 0
        here, sizes = frames_of(source, here, end, flags)
        source.step(len(sizes))
        for size in sizes:
            samples += track.play(source.at(here, min(size, FIRST_BYTES)), size)
            here += size
        track.samples += samples
        self._last_ns = max(self._last_ns, at * self._scale + samples * _NS_PER_S // max(track.rate, 1))
