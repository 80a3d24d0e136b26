"""Frames server-sent events: where events end, and what their data is.

Line ends may be LF, CRLF or CR, also mixed; an event ends with an empty line. Bytes are never changed: the events
of a buffer and its rest, joined, are the buffer. Used by the taps.
"""

_BOM = b"\xef\xbb\xbf"


def split_events(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The complete events of `buffer` with their terminators, and the rest."""
    if b"\r" in buffer:
        return _split_with_returns(buffer)
    events: list[bytes] = []
    at = 0
    while (end := buffer.find(b"\n\n", at) + 2) > 1:
        events.append(buffer[at:end])
        at = end
    return events, buffer[at:] if at else buffer


def _split_with_returns(buffer: bytes) -> tuple[list[bytes], bytes]:
    events: list[bytes] = []
    at = 0
    while (end := _boundary(buffer, at)) >= 0:
        events.append(buffer[at:end])
        at = end
    return events, buffer[at:]


def _boundary(buffer: bytes, at: int) -> int:
    """The end of the first empty line from `at` on, -1 if none is complete.

    Two line ends in a row are one of LF LF, LF CR and CR CR, the first maybe the tail of a CRLF. A CR in last
    place may be half of a CRLF, so it is not decided yet.
    """
    first = -1
    for pair in (b"\n\n", b"\n\r", b"\r\r"):
        found = buffer.find(pair, at, len(buffer) if first < 0 else first + 1)
        if found >= 0:
            first = found
    if first < 0:
        return -1
    end = first + 2
    if buffer[end - 1] == 0x0A:
        return end
    if end == len(buffer):
        return -1
    return end + 1 if buffer[end] == 0x0A else end


def whole_until(buffer: bytes) -> int:
    """Where the last whole event of `buffer` ends: the rest holds none. 0 where that takes a closer look."""
    if b"\r" not in buffer:
        end = buffer.rfind(b"\n\n") + 2
        return end if end > 1 else 0
    end = buffer.rfind(b"\r\n\r\n") + 4
    return end if end > 3 and _boundary(buffer, end) < 0 else 0


def event_data(event: bytes) -> bytes:
    """The data of an event: its `data` lines joined by LF; b"" if it has none (comments, bare names)."""
    if event.startswith(_BOM):
        event = event[3:]
    if event.startswith(b"data:") and b"\n" not in event[:-2] and b"\r" not in event:
        return event[5:]
    return b"\n".join(line[5:] for line in event.splitlines() if line.startswith(b"data:"))
