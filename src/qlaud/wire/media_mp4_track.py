"""One track of an MP4 file: what its time table says, and what its frames play. Used by `media_mp4` only."""

import struct
from collections.abc import Callable, Iterator, Sequence

from qlaud.wire.media_codecs import FIRST_BYTES
from qlaud.wire.media_mp4_sound import Sound
from qlaud.wire.media_source import MOST_RATE, Source, Unreadable, play_ms


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
        self.fragment_samples = 0
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

    def samples_of(self, count: int, most_bytes: int, all_bytes: int) -> int:
        """Of so many frames, which need not be looked at. Raises Unreadable for one that is too large to be one."""
        sound = self.sound
        if sound is None or sound.look is not None:
            return 0
        if sound.most_bytes and most_bytes > sound.most_bytes:
            raise Unreadable
        by_size = -(-all_bytes // sound.sample_bytes) if sound.sample_bytes else 0
        return max(count * sound.samples, by_size)

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
        samples = self.fragment_samples
        if sound.look is not None:
            for at, size in self._packets(source):
                samples += sound.look(source.at(at, min(size, FIRST_BYTES)), size)
        else:
            total = self.size * self.count if self.size else sum(self.sizes)
            samples += self.samples_of(max(self.count, self.timed), max(self.size, *self.sizes, 0), total)
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
        all_bytes = count * self._size if sizes is None else sum(sizes)
        self._at = at + all_bytes
        sound = track.sound
        if sound is None or sound.look is None:
            most = self._size if sizes is None else max(sizes, default=0)
            track.fragment_samples += track.samples_of(count, most, all_bytes)
            return
        source.step(count)
        for size in sizes if sizes is not None else [self._size] * count:
            track.fragment_samples += sound.look(source.at(at, min(size, FIRST_BYTES)), size)
            at += size
