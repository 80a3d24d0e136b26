"""The elements of Matroska (RFC 8794), and the frames within a block (RFC 9559, 10.3). Used by `media_matroska`."""

import struct
from collections.abc import Sequence

from msgspec import Struct

from qlaud.wire.media_source import Source, Unreadable

LACING = 0x06
_XIPH, _FIXED = 0x02, 0x04


class Element(Struct, frozen=True, gc=False):
    """An element: `size` is None where it is not known."""

    id: int
    start: int
    size: int | None


def element_at(source: Source, at: int) -> Element:
    """The element whose head stands at `at`. Raises Unreadable if none does."""
    head = source.at(at, 12)
    length = 9 - head[0].bit_length()
    if length > 4:
        raise Unreadable
    id_ = int.from_bytes(head[:length])
    value, width = _vint(head, length)
    if value == (1 << 7 * width) - 1:
        return Element(id_, at + length + width, None)
    return Element(id_, at + length + width, value)


def unsigned(source: Source, start: int, end: int) -> int:
    """A whole number of up to eight bytes. Raises Unreadable."""
    if end - start > 8:
        raise Unreadable
    return int.from_bytes(source.exactly(start, end - start))


def real(source: Source, start: int, end: int) -> float:
    """A number of four or eight bytes, 0.0 of none. Raises Unreadable."""
    form = {0: "", 4: ">f", 8: ">d"}.get(end - start)
    if form is None:
        raise Unreadable
    return struct.unpack(form, source.exactly(start, end - start))[0] if form else 0.0


def block_head(source: Source, start: int, end: int) -> tuple[int, int, int, int]:
    """Of a block: its track, its time in the cluster, its flags, and where its frames begin."""
    head = source.at(start, min(12, end - start))
    track, width = _vint(head, 0)
    time = int.from_bytes(head[width : width + 2], signed=True)
    return track, time, head[width + 2], start + width + 3


def frames_of(source: Source, at: int, end: int, flags: int) -> tuple[int, Sequence[int]]:
    """Where the first frame of a block begins, and the size of each. Raises Unreadable."""
    kind = flags & LACING
    if not kind:
        return at, (end - at,)
    count, at = source.number(at, 1) + 1, at + 1
    head = source.at(at, min(end - at, 8 * count + (end - at) // 255))
    if kind == _FIXED:
        return at, (-(-(end - at) // count),) * count
    sizes: list[int] = []
    here = 0
    while len(sizes) < count - 1:
        if kind == _XIPH:
            size = 0
            while head[here] == 255:
                size, here = size + 255, here + 1
            size, here = size + head[here], here + 1
        else:
            value, width = _vint(head, here)
            size = value - (1 << 7 * width - 1) + 1 + sizes[-1] if sizes else value
            here += width
        sizes.append(size)
    sizes.append(end - at - here - sum(sizes))
    if min(sizes) < 0:
        raise Unreadable
    return at + here, sizes


def _vint(text: bytes, at: int) -> tuple[int, int]:
    """A number of variable width, and the width."""
    width = 9 - text[at].bit_length()
    if width > 8 or at + width > len(text):
        raise Unreadable
    return int.from_bytes(text[at : at + width]) & (1 << 7 * width) - 1, width
