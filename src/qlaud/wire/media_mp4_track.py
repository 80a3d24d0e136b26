"""One track of an MP4 file: what its time table says, and what its frames play. Used by `media_mp4` only."""

import struct
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from qlaud.wire.media_codecs import AAC_MOST_BYTES, OPUS_RATE, aac_rate, opus_samples
from qlaud.wire.media_flac import stream_layout
from qlaud.wire.media_source import LEAST_RATE, MOST_RATE, Source, Unreadable, play_ms

MP3_MOST_BYTES = 2881
OPUS = b"Opus"


class Sound(Struct, frozen=True, gc=False):
    """What the frames of a track are."""

    kind: bytes
    samples: int
    """Of one frame, at most."""
    rate: int
    """0: as many as the track has time units."""
    most_bytes: int = 0
    """A larger frame would hold more than one; 0: nobody knows."""


_PCM = frozenset(b"sowt twos lpcm ipcm fpcm in24 in32 fl32 fl64 NONE ulaw alaw".split()) | {b"raw "}
_AC3 = (b"ac-3", b"ec-3")
_AMR = {b"samr": (160, 8000), b"sawb": (320, 16000)}
_AAC_OBJECTS = (0x40, 0x66, 0x67, 0x68)
_MP3_OBJECTS = (0x69, 0x6B)


def sound_of(entry: bytes) -> Sound | None:
    """What a sample description says of sound; None for a codec that is none. Raises Unreadable."""
    kind, rate = entry[4:8], _entry_rate(entry)
    if kind == OPUS:
        return Sound(kind, 0, OPUS_RATE)
    if kind in _PCM:
        return Sound(kind, 1, rate)
    if kind in _AC3:
        return Sound(kind, 1536, rate)
    if kind in (b".mp3", b"ms\0U"):
        return Sound(kind, 1152, rate, MP3_MOST_BYTES)
    if kind in _AMR:
        samples, rate = _AMR[kind]
        at = entry.find(b"damr") + 4
        return Sound(kind, samples * max(entry[at + 8] if 4 <= at < len(entry) - 8 else 1, 1), rate)
    if kind == b"mp4a":
        return _mpeg4(entry, rate)
    if kind == b"alac":
        at = entry.find(b"alac", 8) + 8
        samples, rate = int.from_bytes(entry[at : at + 4]), int.from_bytes(entry[at + 20 : at + 24])
        return Sound(kind, samples, rate)
    if kind == b"fLaC":
        at = entry.find(b"dfLa") + 12
        rate, _, samples = stream_layout(entry[at : at + 18])
        return Sound(kind, samples, rate)
    return None


def _entry_rate(entry: bytes) -> int:
    """Samples per second that the description itself names, 0 if none that can be."""
    if entry[16:18] == b"\0\2" and len(entry) >= 48:
        (rate,) = struct.unpack(">d", entry[40:48])
        return int(rate) if LEAST_RATE <= rate <= MOST_RATE else 0
    return int.from_bytes(entry[32:34])


def _mpeg4(entry: bytes, rate: int) -> Sound:
    """By the descriptors of ISO 14496-1, 7.2.6.5: which codec, and for AAC its configuration."""
    at = entry.find(b"esds") + 8
    if at < 8:
        raise Unreadable
    at, _ = _descriptor(entry, at, 0x03)
    flags = entry[at + 2]
    at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
    at, _ = _descriptor(entry, at, 0x04)
    codec = entry[at]
    if codec in _MP3_OBJECTS:
        return Sound(b"mp4a", 1152, rate, MP3_MOST_BYTES)
    if codec not in _AAC_OBJECTS or flags & 0x40:
        raise Unreadable
    at, size = _descriptor(entry, at + 13, 0x05)
    return Sound(b"mp4a", 1024, aac_rate(entry[at : at + size]), AAC_MOST_BYTES)


def _descriptor(entry: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where what is in the descriptor begins, and its size."""
    if entry[at] != tag:
        raise Unreadable
    size = 0
    for here in range(at + 1, at + 5):
        size = size << 7 | entry[here] & 0x7F
        if entry[here] < 0x80:
            return here + 1, size
    raise Unreadable


class Track:
    """What was found of one track."""

    def __init__(self) -> None:
        self.handler = b""
        self.sounds: list[Sound | None] = []
        self.timescale = 0
        self.ticks_told = 0
        self.edited = 0
        """All its edits, in units of the movie."""
        self.ticks = self.timed = 0
        self.count = self.size = 0
        self.sizes: Sequence[int] = ()
        self.tables: dict[bytes, Callable[[int], bytes]] = {}
        self.default_ticks = self.default_size = 0
        self.fragment_ticks = self.fragment_frames = 0
        self.opus_samples = 0
        self.first: int | None = None
        self.last = 0

    @property
    def sound(self) -> Sound | None:
        """Of its descriptions, the one that plays longest. Raises Unreadable where that cannot be said."""
        sounds = [sound for sound in self.sounds if sound is not None]
        if not sounds:
            if self.handler == b"soun" and (self.count or self.fragment_frames):
                raise Unreadable
            return None
        if len({sound.kind for sound in sounds}) > 1:
            raise Unreadable
        return max(sounds, key=lambda sound: sound.samples * MOST_RATE // (sound.rate or MOST_RATE))

    def check_size(self, most: int) -> None:
        """Raises Unreadable for a frame that is too large to be one."""
        sound = self.sound
        if sound is not None and sound.most_bytes and most > sound.most_bytes:
            raise Unreadable

    def played_ms(self, source: Source, movie_timescale: int) -> int:
        """The longest of its tables, its edits and its frames."""
        ticks = max(self.ticks + self.fragment_ticks, self.ticks_told, self.last - (self.first or 0))
        if (ticks and not self.timescale) or (self.edited and not movie_timescale):
            raise Unreadable
        played = -(-ticks * 1000 // self.timescale) if ticks else 0
        if self.edited:
            played = max(played, -(-self.edited * 1000 // movie_timescale))
        sound = self.sound
        if sound is None:
            return played
        if sound.kind == OPUS:
            samples = self.opus_samples + sum(
                opus_samples(source.at(at, 2)[:size]) for at, size in self._packets(source)
            )
        else:
            self.check_size(max(self.size, *self.sizes, 0))
            samples = (max(self.count, self.timed) + self.fragment_frames) * sound.samples
        return max(played, play_ms(samples, sound.rate or self.timescale)) if samples else played

    def _packets(self, source: Source) -> Iterator[tuple[int, int]]:
        """Where every sample of the tables stands, and its size (ISO 14496-12, 8.7)."""
        if not self.count:
            return
        wide = b"co64" in self.tables
        chunks = self.tables[b"co64" if wide else b"stco"](8 if wide else 4) if self.tables else b""
        offsets = [value for (value,) in struct.iter_unpack(">Q" if wide else ">I", chunks)]
        runs = list(struct.iter_unpack(">III", self.tables[b"stsc"](12))) if b"stsc" in self.tables else []
        number = 0
        source.step(self.count)
        for index, (first, per_chunk, _) in enumerate(runs):
            after = runs[index + 1][0] if index + 1 < len(runs) else len(offsets) + 1
            for at in offsets[max(first, 1) - 1 : max(after, 1) - 1]:
                for _ in range(per_chunk):
                    if number == self.count:
                        return
                    size = self.size or self.sizes[number]
                    yield at, size
                    at += size
                    number += 1
        if number < self.count:
            raise Unreadable


class Run:
    """The fragment of a track that is read."""

    def __init__(self, track: Track | None = None, base: int = 0, ticks: int = 0, size: int = 0) -> None:
        self._track = track or Track()
        self._base = self._at = base
        self._ticks = ticks
        self._size = size

    def starts(self, at: int) -> None:
        """The time of its first frame."""
        track = self._track
        track.first = at if track.first is None else min(track.first, at)
        track.last = max(track.last, at)

    def takes(
        self,
        source: Source,
        count: int,
        offset: int | None,
        *,
        ticks: Sequence[int] | None,
        sizes: Sequence[int] | None,
    ) -> None:
        """So many frames, at `offset` from the fragment or behind those before."""
        track = self._track
        total = sum(ticks) if ticks is not None else count * self._ticks
        track.fragment_ticks += total
        track.fragment_frames += count
        track.last += total
        at = self._at if offset is None else self._base + offset
        sound = track.sound
        if sound is not None and sound.kind == OPUS:
            source.step(count)
            for size in sizes if sizes is not None else [self._size] * count:
                track.opus_samples += opus_samples(source.at(at, 2)[:size])
                at += size
        else:
            at += count * self._size if sizes is None else sum(sizes)
            track.check_size(self._size if sizes is None else max(sizes, default=0))
        self._at = at
