"""The kinds of tap: over a stream of events, over one JSON body, and over what says nothing. A format is a `Reading`.

Invariants: what `feed` and `finish` return, joined, is what was fed, but for an event the reading wants hidden;
memory is bounded whatever arrives; nothing a provider sends raises. A chunk of whole, uninteresting events costs a
few substring searches and no object: that is the path of nearly every chunk. Made by the wires.
"""

from typing import Protocol

from qlaud.core.usage import Metered, Nothing
from qlaud.wire.sse import event_data, split_events, whole_until
from qlaud.wire.types import AnswerHead, ModelCall, Tap

EVENT_KEEP_BYTES = 64 * 1024
"""A partial event is kept up to this; no event that carries usage alone is anywhere near it."""
TAIL_BYTES = 16 * 1024
"""Of a larger event only its end is kept, where usage stands."""
BODY_KEEP_BYTES = 1024 * 1024
"""A JSON answer is kept whole up to this (128k tokens of text are about half of it)."""
BODY_TAIL_BYTES = 256 * 1024
ENDS = (b"\n\n", b"\r\n\r\n")
"""What a chunk of whole events ends with."""
BODY_HEAD_BYTES = 64 * 1024
"""Of a larger answer that says at its beginning what it costs (Deepgram)."""


class Reading(Protocol):
    """What one wire format understands of an answer. Never raises."""

    output_floor: int
    started: bool
    complete: bool

    def plain(self, events: bytes) -> bool:
        """True if these whole events hold nothing to parse; their content is then counted."""
        ...

    def event(self, text: bytes) -> bool:
        """Read the data of one event. True if it holds usage and nothing else, which only we may have asked for."""
        ...

    def tail(self, text: bytes, relayed: int) -> None:
        """Read the end of an event of `relayed` bytes that was too large to keep."""
        ...

    def body(self, text: bytes, size: int) -> None:
        """Read a JSON answer of `size` bytes; `text` is its end when it was too large to keep."""
        ...

    def outcome(self, *, input_bound: int) -> Metered:
        """What the call used, as far as it was seen."""
        ...


class ReadingTap:
    """The part of a tap that is the same for all that have a reading."""

    __slots__ = ("_reading",)

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def reading(self) -> Reading:
        """What was understood so far, for the wire that made this tap."""
        return self._reading

    @property
    def output_floor(self) -> int:
        return self._reading.output_floor

    @property
    def started(self) -> bool:
        return self._reading.started

    @property
    def complete(self) -> bool:
        return self._reading.complete

    def outcome(self, *, input_bound: int) -> Metered:
        return self._reading.outcome(input_bound=input_bound)


class StreamTap(ReadingTap):
    """A tap over server-sent events."""

    as_it_comes = True
    __slots__ = ("_carry", "_dropped", "_loose", "_strip", "at_boundary")

    def __init__(self, reading: Reading, *, strip_usage: bool) -> None:
        super().__init__(reading)
        self._strip = strip_usage
        self._carry = b""
        """The event that has begun. When stripping, it is withheld, unless it is loose."""
        self._loose = False
        """The event that has begun is too large to keep or to withhold: only its end is kept."""
        self._dropped = 0
        self.at_boundary = True

    def feed(self, chunk: bytes) -> bytes:
        if not self._carry and chunk.endswith(ENDS) and self._reading.plain(chunk):
            return chunk
        return self._feed_plain(chunk) or self._feed_slowly(chunk)

    def finish(self) -> bytes:
        carry, loose = self._carry, self._loose
        if not carry:
            return b""
        self._carry = b""
        size = len(carry) + self._dropped
        hidden = self._end_event(carry)
        if carry.lstrip()[:1] == b"{":  # a JSON body under a stream's name
            self._reading.body(carry, size)
        if not self._strip or loose or hidden:
            return b""
        self.at_boundary = False
        return carry

    def _feed_plain(self, chunk: bytes) -> bytes:
        """What to relay of a chunk that cuts plain events and holds nothing else; b"" if it may hold more."""
        if self._loose:
            return b""
        buffer = self._carry + chunk
        end = whole_until(buffer)
        rest = buffer[end:]
        if not end or len(rest) > EVENT_KEEP_BYTES or not self._reading.plain(buffer[:end]):
            return b""
        self._carry = rest
        if not self._strip:
            self.at_boundary = not rest
            return chunk
        self.at_boundary = True
        return buffer[:end]

    def _feed_slowly(self, chunk: bytes) -> bytes:
        carry, loose = self._carry, self._loose
        events, rest = split_events(carry + chunk if carry else chunk)
        relay: list[bytes] = []
        for event in events:
            hidden = self._end_event(event)
            if loose:
                relay.append(event[len(carry) :])
                loose = False
            elif not hidden:
                relay.append(event)
        self._keep(rest)
        if loose:
            relay.append(chunk)
        elif self._loose:
            relay.append(rest)
        self.at_boundary = not (self._loose if self._strip else rest)
        return b"".join(relay) if self._strip else chunk

    def _keep(self, rest: bytes) -> None:
        if self._loose or len(rest) > EVENT_KEEP_BYTES:
            self._loose = True
            self._dropped += max(len(rest) - TAIL_BYTES, 0)
            rest = rest[-TAIL_BYTES:]
        self._carry = rest

    def _end_event(self, event: bytes) -> bool:
        """Read one whole event. True if the client must not see it."""
        size = len(event) + self._dropped
        if self._loose:
            self._loose, self._dropped = False, 0
            self._reading.tail(event, size)
            return False
        if self._reading.plain(event):
            return False
        text = event_data(event)
        return bool(text) and self._reading.event(text) and self._strip


class BodyTap(ReadingTap):
    """A tap over one JSON body: read when it has ended, relayed as it comes."""

    as_it_comes = False
    __slots__ = ("_chunks", "_head", "_head_bytes", "_kept", "_size", "_started", "at_boundary")

    def __init__(self, reading: Reading, *, keep_head: bool = False) -> None:
        """`keep_head`: what the reading gets of an answer too large to keep begins with its first bytes."""
        super().__init__(reading)
        self._head_bytes = BODY_HEAD_BYTES if keep_head else 0
        self._head = b""
        self._chunks: list[bytes] = []
        self._kept = 0
        self._size = 0
        self._started = False
        self.at_boundary = True

    @property
    def started(self) -> bool:
        return self._started

    def feed(self, chunk: bytes) -> bytes:
        self._started = self._started or bool(chunk.strip())
        self._chunks.append(chunk)
        self._kept += len(chunk)
        self._size += len(chunk)
        self.at_boundary = False
        if self._kept > BODY_KEEP_BYTES:
            kept = b"".join(self._chunks)
            if not self._head:
                self._head = kept[: self._head_bytes]
            tail = kept[-BODY_TAIL_BYTES:]
            self._chunks, self._kept = [tail], len(tail)
        return chunk

    def finish(self) -> bytes:
        self._reading.body(b"".join((self._head, *self._chunks)), self._size)
        self._chunks = []
        return b""


class PlainTap:
    """A tap over an answer that does not say what it costs: sound, pictures, films. The request does, or its head.

    A refusal costs nothing; anything else costs what is known from the beginning, however much of it arrives.
    """

    at_boundary = False
    output_floor = 0
    __slots__ = ("_metered", "as_it_comes", "started")

    def __init__(self, metered: Metered, head: AnswerHead, *, as_it_comes: bool = True) -> None:
        self._metered: Metered = metered if head.status < 300 else Nothing()
        self.as_it_comes = as_it_comes
        self.started = False

    @property
    def complete(self) -> bool:
        return True

    def feed(self, chunk: bytes) -> bytes:
        self.started = True
        return chunk

    def finish(self) -> bytes:
        return b""

    def outcome(self, *, input_bound: int) -> Metered:
        del input_bound
        return self._metered


def tap_for(reading: Reading, call: ModelCall, *, strip_usage: bool, head: AnswerHead) -> Tap:
    """A tap for an answer that comes as events or as one body: by its content type, else as `call` asked."""
    kind = head.content_type
    if b"event-stream" in kind or (call.stream and b"json" not in kind):
        return StreamTap(reading, strip_usage=strip_usage)
    return BodyTap(reading)
