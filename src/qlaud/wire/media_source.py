"""What every reading of an upload's playing time stands on: bounded reads, bounded steps, and whole milliseconds.

Used by the `media_*` modules only.
"""

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""Offset and length to bytes: fewer only at the end."""

WINDOW_BYTES = 65_536
"""Read at a time where a file is walked."""
MAX_READ_BYTES = 100_663_296
"""Read of one file. A walk looks at every byte once, and a body is smaller than this unless an operator says so."""
MAX_STEPS = 1_000_000
"""Work for one file, of about a microsecond each: more than four hours of 20 ms frames."""
HEAVY_STEPS = 4
"""What a page, a box, an element or a head with a checksum costs."""
LOST_STEPS = 256
"""What it costs to look for the next frame where none stands."""
LEAST_RATE, MOST_RATE = 1000, 1_000_000
"""Samples per second that any reader takes."""


class Unreadable(Exception):
    """The playing time cannot be said with certainty."""


class Source:
    """A file at rest, read in windows, within the limits above."""

    def __init__(self, read_at: ReadAt, size: int) -> None:
        self.size = size
        self._read_at = read_at
        self._window = b""
        self._window_at = 0
        self._left_bytes = MAX_READ_BYTES
        self._left_steps = MAX_STEPS

    def at(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`, fewer than `length` only at the end. Raises Unreadable when too much was read."""
        start = offset - self._window_at
        if start < 0 or start + length > len(self._window):
            self._fill(offset, max(length, WINDOW_BYTES))
            start = 0
        return self._window[start : start + length]

    def exactly(self, offset: int, length: int) -> bytes:
        """So many bytes. Raises Unreadable if the file ends before, or when too much was read."""
        found = self.at(offset, length) if 0 <= length <= MAX_READ_BYTES else b""
        if len(found) < length or length < 0:
            raise Unreadable
        return found

    def number(self, offset: int, length: int) -> int:
        """A big-endian number. Raises Unreadable."""
        return int.from_bytes(self.exactly(offset, length))

    def step(self, count: int = 1) -> None:
        """So much work was done. Raises Unreadable when it is too much."""
        self._left_steps -= count
        if self._left_steps < 0:
            raise Unreadable

    def _fill(self, offset: int, length: int) -> None:
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            self._window, self._window_at = b"", max(offset, 0)
            return
        self._left_bytes -= length
        if self._left_bytes < 0:
            raise Unreadable
        self._window, self._window_at = self._read_at(offset, length), offset


def play_ms(units: int, rate: int) -> int:
    """Whole milliseconds of so many samples (or bytes), rounded up. Raises Unreadable for a rate nobody plays."""
    if not LEAST_RATE <= rate <= MOST_RATE * 64 or units < 0:
        raise Unreadable
    return -(-units * 1000 // rate)


def likely_or_most(claimed_ms: int, most_ms: int, slack_ms: int) -> int:
    """What a file claims, where that is what it holds but for a trimmed beginning and end; else what it holds."""
    return claimed_ms if most_ms - slack_ms <= claimed_ms <= most_ms else most_ms
