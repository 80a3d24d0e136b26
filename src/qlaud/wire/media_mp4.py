"""Playing time of MP4, M4A, 3GP and MOV (ISO 14496-12, QuickTime): whole or in fragments, its index anywhere.

The longest of what the movie says, what each track's time table says, and what the frames of a track with sound
play, which is what a decoder puts out whatever the tables say. Of the sound itself no more is read than the first
bytes of packets of Opus and MP3; a frame of another codec is taken as one, but must not be larger than one can be.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping

from qlaud.wire.media_mp4_sound import sound_of
from qlaud.wire.media_mp4_track import Run, Track
from qlaud.wire.media_source import HEAVY_STEPS, Source, Unreadable

Box = tuple[bytes, int, int]
"""Its kind, and where what is in it begins and ends."""

MAX_DEPTH = 8
MAX_TRACKS = 64
MAX_TABLE_BYTES = 16_777_216
MAX_DESCRIPTION_BYTES = 65_536

_CONTAINERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"mvex", b"moof", b"traf"))
_OPAQUE = frozenset((b"mdat", b"free", b"skip", b"wide"))
"""Nobody looks into these."""
_TABLE = re.compile(rb"trak|mdia|stbl|stsd|stts|stsz|stsc|stco|co64|trun|moof")
_RUN_FIELDS = (0x100, 0x200, 0x400, 0x800)
"""What a run may tell of each sample: duration, size, flags, time of composition."""


def mp4_ms(source: Source) -> int:
    """Of an MP4 file."""
    movie = _Movie(source)
    movie.read(0, source.size, depth=0)
    return movie.played_ms()


class _Movie:
    """What was found so far."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._movies = 0
        self._timescale = 0
        self._duration = 0
        self._tracks: list[Track] = []
        self._by_id: dict[int, Track] = {}
        self._fragment_at = 0
        self._run = Run()
        self._readers: Mapping[bytes, Callable[[int, int], None]] = {
            b"mvhd": self._mvhd,
            b"tkhd": self._tkhd,
            b"mdhd": self._mdhd,
            b"hdlr": self._hdlr,
            b"elst": self._elst,
            b"stsd": self._stsd,
            b"stts": self._stts,
            b"stsz": self._stsz,
            b"stsc": self._table,
            b"stco": self._table,
            b"co64": self._table,
            b"trex": self._trex,
            b"tfhd": self._tfhd,
            b"tfdt": self._tfdt,
            b"trun": self._trun,
        }

    def read(self, at: int, end: int, *, depth: int) -> None:
        """Every box between the two places. Raises Unreadable for one that does not fit."""
        for kind, start, stop in _boxes(self._source, at, end, is_top=depth == 0):
            if kind in _CONTAINERS and depth < MAX_DEPTH:
                if kind == b"moov":
                    self._movies += 1
                elif kind == b"trak":
                    self._tracks.append(Track())
                elif kind == b"moof":
                    self._fragment_at = start - 8
                self.read(start, stop, depth=depth + 1)
            elif kind == b"stz2":
                raise Unreadable
            elif kind in self._readers:
                self._readers[kind](start, stop)
            elif kind not in _OPAQUE:
                self._check_closed(start, stop)

    def _check_closed(self, start: int, stop: int) -> None:
        """Raises Unreadable for a box that is not looked into here and may hold what others read there."""
        if _TABLE.search(self._source.exactly(start, stop - start)):
            raise Unreadable

    def played_ms(self) -> int:
        """The longest of all that is said."""
        if self._movies != 1 or not self._tracks or len(self._tracks) > MAX_TRACKS:
            raise Unreadable
        tracks = [track.played_ms(self._source, self._timescale) for track in self._tracks]
        whole = -(-self._duration * 1000 // self._timescale) if self._timescale else 0
        return max(whole, *tracks)

    @property
    def _track(self) -> Track:
        if not self._tracks:
            raise Unreadable
        return self._tracks[-1]

    def _mvhd(self, start: int, end: int) -> None:
        self._timescale, self._duration = _times(self._source.exactly(start, min(end - start, 36)))

    def _mdhd(self, start: int, end: int) -> None:
        self._track.timescale, self._track.ticks_told = _times(
            self._source.exactly(start, min(end - start, 36))
        )

    def _tkhd(self, start: int, end: int) -> None:
        del end
        is_long = self._source.number(start, 1)
        self._by_id[self._source.number(start + (20 if is_long else 12), 4)] = self._track

    def _hdlr(self, start: int, end: int) -> None:
        del end
        # A handler of the file's own (QuickTime's alias, a metadata box) comes after that of the media.
        self._track.handler = self._track.handler or self._source.exactly(start + 8, 4)

    def _elst(self, start: int, end: int) -> None:
        is_long = self._source.number(start, 1)
        entry = 20 if is_long else 12
        text = self._entries(start, end, entry)
        step = 8 if is_long else 4
        self._track.edited += sum(
            int.from_bytes(text[at : at + step]) for at in range(0, len(text) - entry + 1, entry)
        )

    def _stsd(self, start: int, end: int) -> None:
        text = self._source.exactly(start, min(end - start, MAX_DESCRIPTION_BYTES))
        at = 8
        for _ in range(min(int.from_bytes(text[4:8]), MAX_TRACKS)):
            size = int.from_bytes(text[at : at + 4])
            if size < 16 or at + size > len(text):
                raise Unreadable
            self._track.sounds.append(sound_of(text[at : at + size]))
            at += size

    def _stts(self, start: int, end: int) -> None:
        text = self._entries(start, end, 8)
        for count, ticks in struct.iter_unpack(">II", text):
            self._track.ticks += count * ticks
            self._track.timed += count

    def _stsz(self, start: int, end: int) -> None:
        size, count = struct.unpack(">II", self._source.exactly(start + 4, 8))
        self._track.size, self._track.count = size, count
        if not size and count:
            if count * 4 > min(end - start - 12, MAX_TABLE_BYTES):
                raise Unreadable
            self._source.step(count // 16)
            self._track.sizes = struct.unpack(f">{count}I", self._source.exactly(start + 12, 4 * count))

    def _table(self, start: int, end: int) -> None:
        """A table of chunks, read when it is needed."""
        kind = self._source.exactly(start - 4, 4)
        self._track.tables[kind] = lambda entry: self._entries(start, end, entry)

    def _entries(self, start: int, end: int, entry: int) -> bytes:
        """The entries of a table whose number stands before them."""
        count = self._source.number(start + 4, 4)
        if count * entry > min(end - start - 8, MAX_TABLE_BYTES):
            raise Unreadable
        self._source.step(count)
        return self._source.exactly(start + 8, count * entry)

    def _trex(self, start: int, end: int) -> None:
        del end
        track_id, _, ticks, size = struct.unpack(">IIII", self._source.exactly(start + 4, 16))
        if (track := self._by_id.get(track_id)) is not None:
            track.default_ticks, track.default_size = ticks, size

    def _tfhd(self, start: int, end: int) -> None:
        text = self._source.exactly(start, min(end - start, 40))
        flags, track = int.from_bytes(text[1:4]), self._by_id.get(int.from_bytes(text[4:8]))
        if track is None:
            raise Unreadable
        at, base, ticks, size = 8, self._fragment_at, track.default_ticks, track.default_size
        if flags & 1:
            base, at = int.from_bytes(text[at : at + 8]), at + 8
        at += 4 if flags & 2 else 0
        if flags & 8:
            ticks, at = int.from_bytes(text[at : at + 4]), at + 4
        if flags & 16:
            size = int.from_bytes(text[at : at + 4])
        self._run = Run(track, base, ticks, size)

    def _tfdt(self, start: int, end: int) -> None:
        del end
        length = 8 if self._source.number(start, 1) else 4
        self._run.starts(self._source.number(start + 4, length))

    def _trun(self, start: int, end: int) -> None:
        flags, count = self._source.number(start + 1, 3), self._source.number(start + 4, 4)
        at = start + 8
        offset = None
        if flags & 1:
            offset, at = struct.unpack(">i", self._source.exactly(at, 4))[0], at + 4
        at += 4 if flags & 4 else 0
        told = [field for field in _RUN_FIELDS if flags & field]
        if at + 4 * len(told) * count > end or count > MAX_TABLE_BYTES:
            raise Unreadable
        self._source.step(1 + count // 4)
        words = struct.unpack(f">{len(told) * count}I", self._source.exactly(at, 4 * len(told) * count))
        ticks = words[told.index(0x100) :: len(told)] if 0x100 in told else None
        sizes = words[told.index(0x200) :: len(told)] if 0x200 in told else None
        self._run.takes(self._source, count, offset, ticks=ticks, sizes=sizes)


def _times(text: bytes) -> tuple[int, int]:
    """Units per second and duration, of a header whose version decides how wide they are; 0 if not known."""
    at, width = (20, 8) if text[:1] == b"\1" else (12, 4)
    duration = int.from_bytes(text[at + 4 : at + 4 + width])
    return int.from_bytes(text[at : at + 4]), 0 if duration == (1 << 8 * width) - 1 else duration


def _boxes(source: Source, at: int, end: int, *, is_top: bool) -> Iterator[Box]:
    while at + 8 <= end:
        source.step(HEAVY_STEPS)
        size, kind = struct.unpack(">I4s", source.exactly(at, 8))
        start = at + 8
        if size == 1:
            size, start = source.number(start, 8), at + 16
        elif size == 0:
            size = end - at
        if size < start - at or (at + size > end and not (is_top and kind == b"mdat")):
            raise Unreadable
        yield kind, start, min(at + size, end)
        at += size
