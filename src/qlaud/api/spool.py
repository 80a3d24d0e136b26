"""Where an upload rests between its arrival and its departure: in memory while it is small, else in a file.

The file has no name from the moment it exists: nothing is left behind by a crash, and nobody else can open it.
Money is held for a whole upload before any of it leaves, so it must rest somewhere (`api/bodies`).
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from qlaud.core.errors import SpoolFull
from qlaud.wire.splice import Edit

MEMORY_BYTES = 262_144
"""What rests in memory; one byte more, and all of it goes to a file."""
PIECE_BYTES = 65_536
READ_BYTES = 4 * PIECE_BYTES
"""Read from a file at a time: a way to another thread and back costs as much as reading this."""


class Spool:
    """One upload. Written once, then read as often as needed, from any thread; its owner closes it."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where the file goes, the system's folder for temporary files if None."""
        self._folder = folder
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._closed = False
        self.size = 0
        """Bytes written so far."""

    def write(self, chunk: bytes) -> None:
        """Append. Raises SpoolFull, after which the spool is closed."""
        if self._closed:
            raise ValueError("the spool is closed")
        if self._file is None and self.size + len(chunk) <= MEMORY_BYTES:
            self._memory += chunk
        else:
            try:
                self._to_file(chunk)
            except OSError as fault:
                self.close()
                raise SpoolFull(os.strerror(fault.errno or 0)) from fault
        self.size += len(chunk)

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`: fewer only at the end, none beyond it."""
        if self._closed:
            raise ValueError("the spool is closed")
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        file = self._file
        if file is None:
            return bytes(self._memory[offset : offset + length])
        parts: list[bytes] = []
        while length > 0 and (part := os.pread(file.fileno(), length, offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    async def pieces(self, edits: Sequence[Edit] = ()) -> AsyncIterator[bytes]:
        """The whole body with the edits made, which must not overlap; disks are read off the event loop.

        Can be asked for again, with other edits.
        """
        for start, end, instead in _stretches(edits, self.size):
            for at in range(start, end, READ_BYTES):
                length = min(READ_BYTES, end - at)
                if self._file is None:
                    read = self.read_at(at, length)
                else:
                    read = await asyncio.to_thread(self.read_at, at, length)
                for piece in _cut(read):
                    yield piece
            for piece in _cut(instead):
                yield piece

    def close(self) -> None:
        """Forget the upload. Idempotent."""
        self._closed = True
        self._memory.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _to_file(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115 - outlives the call
            _write_all(self._file, self._memory)
            self._memory.clear()
        _write_all(self._file, chunk)


def _write_all(file: BinaryIO, chunk: bytes | bytearray) -> None:
    with memoryview(chunk) as view:
        written = 0
        while written < len(view):
            written += file.write(view[written:])


def _stretches(edits: Sequence[Edit], size: int) -> Iterator[Edit]:
    """What stays, each followed by what is put behind it instead of what comes next."""
    at = 0
    for start, end, instead in sorted(edits, key=lambda edit: edit[:2]):
        yield at, start, instead
        at = end
    yield at, size, b""


def _cut(read: bytes) -> Iterator[bytes]:
    for at in range(0, len(read), PIECE_BYTES):
        yield read[at : at + PIECE_BYTES]
