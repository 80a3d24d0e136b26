"""A tap over a JSON array that grows while its items are made: Gemini's streams without `alt=sse`.

Each item is read as an event of a stream would be, so both forms are metered by one reading. Invariants as in `taps`:
bytes are relayed as they come, memory is bounded, nothing a provider sends raises, and no byte is parsed twice.
"""

import re
from typing import Protocol

import msgspec
from msgspec import Raw

from qlaud.wire.counts import UNREADABLE
from qlaud.wire.taps import EVENT_KEEP_BYTES, TAIL_BYTES, Reading, ReadingTap
from qlaud.wire.types import Tap

AROUND = b" \t\r\n"
BETWEEN = b" \t\r\n,[]"
_OUTSIDE = re.compile(rb'["{}\[\]]')
_NEXT = re.compile(rb"\}\s*+,\s*+\{")
"""What stands between two items, and may stand within one too."""
_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


BEGUN_BYTES = 4096
"""An item that has begun is waited for, up to this, before its strings and brackets are followed."""


class ItemReading(Reading, Protocol):
    """A reading that knows plain items of an array."""

    def items(self, text: bytes, at: int) -> int:
        """Where the items end that begin at `at` and hold nothing to parse; they are counted."""
        ...


class ArrayTap(ReadingTap):
    """Follows strings and brackets, and hands over each item when it is whole. A bare object is an item too."""

    as_it_comes = True
    __slots__ = (
        "_begun",
        "_depth",
        "_dropped",
        "_escaped",
        "_in_string",
        "_items",
        "_kept",
        "_last",
        "_parts",
        "at_boundary",
    )

    def __init__(self, reading: ItemReading) -> None:
        super().__init__(reading)
        self._items = reading.items
        self._begun = b""
        """The beginning of an item, not looked at yet."""
        self._depth = 0
        """Open brackets of the item that has begun; 0 between items."""
        self._in_string = self._escaped = False
        self._parts: list[bytes] = []
        self._kept = self._dropped = 0
        self._last = b""
        """The last byte relayed that is no white space."""
        self.at_boundary = True

    def feed(self, chunk: bytes) -> bytes:
        at, text = 0, chunk
        if self._depth or self._in_string:
            at = self._scan(chunk, 0)
        elif self._begun:
            text = self._begun + chunk
            self._begun = b""
        if not (self._depth or self._in_string):
            at = self._items(text, at)
            if at and at == len(text):  # as nearly every chunk does
                self._last, self.at_boundary = b"}", True
                return chunk
            self._look(text, at)
        self._last = chunk.rstrip(AROUND)[-1:] or self._last
        self.at_boundary = not (self._begun or self._depth or self._in_string or self._last == b"]")
        return chunk

    def finish(self) -> bytes:
        at = 0
        while at < len(self._begun):
            at = self._scan(self._begun, at)
        if self._dropped:
            self._end_item(b"")
        return b""

    def framed(self, item: bytes) -> bytes:
        """An item of ours as it must be written behind what was relayed, to end the array."""
        before = {b"": b"[", b"[": b"", b",": b""}.get(self._last, b",\r\n")
        return before + item + b"]"

    def _look(self, text: bytes, at: int) -> None:
        """Read the items from `at` on; one that has only begun waits for the next chunk."""
        if text.rstrip(BETWEEN).endswith(b"}") and self._whole_items(text[at:]):
            return
        while len(text) - at > BEGUN_BYTES or _NEXT.search(text, at):
            at = self._scan(text, at)
            if at == len(text):
                return
            at = self._items(text, at)
        if text[at:].strip(BETWEEN):
            self._begun = text[at:]

    def _whole_items(self, chunk: bytes) -> bool:
        """Read a chunk that consists of whole items, as nearly every one does. False if it is something else."""
        text = chunk.strip(BETWEEN)
        if not text:
            return True
        if text[:1] != b"{" or text[-1:] != b"}":
            return False
        try:
            items = msgspec.json.decode(b"[%b]" % text, type=list[Raw])
        except UNREADABLE:
            return False
        for item in items:
            self._reading.event(bytes(item))
        return True

    def _scan(self, chunk: bytes, at: int) -> int:
        """Where the item ends that is open at `at` or begins behind it, read; the end of the chunk if it goes on."""
        start, size = at, len(chunk)
        while at < size:
            if self._in_string:
                at = self._through_string(chunk, at)
                continue
            found = _OUTSIDE.search(chunk, at)
            if found is None:
                break
            at = found.end()
            mark = found[0]
            if mark == b'"':
                self._in_string = True
            elif mark in b"}]":
                if self._depth:
                    self._depth -= 1
                    if not self._depth:
                        self._end_item(chunk[start:at])
                        return at
            elif self._depth or mark == b"{":
                if not self._depth:
                    start = at - 1
                self._depth += 1
        if self._depth:
            self._keep(chunk[start:])
        return size

    def _through_string(self, chunk: bytes, at: int) -> int:
        """Behind the string that is open at `at`, or the end of the chunk."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _INSIDE.match(chunk, at)
        at = found.end() if found else at
        if at < len(chunk):
            self._in_string = self._escaped = chunk[at] == 0x5C  # a backslash at the very end
            at += 1
        return at

    def _keep(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._kept += len(piece)
        if self._kept > EVENT_KEEP_BYTES or (self._dropped and self._kept > 2 * TAIL_BYTES):
            end = b"".join(self._parts)[-TAIL_BYTES:]
            self._dropped += self._kept - len(end)
            self._parts, self._kept = [end], len(end)

    def _end_item(self, piece: bytes) -> None:
        item = b"".join((*self._parts, piece))
        size, loose = len(item) + self._dropped, self._dropped > 0 or len(item) > EVENT_KEEP_BYTES
        self._parts, self._kept, self._dropped = [], 0, 0
        if loose:
            self._reading.tail(item[-TAIL_BYTES:], size)
        else:
            self._reading.event(item)


def inserted(tap: Tap, event: bytes) -> bytes:
    """An event of ours as it must be written into what `tap` relays: of an array, it is the last item."""
    if not isinstance(tap, ArrayTap) or not event:
        return event
    return tap.framed(b",".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")))
