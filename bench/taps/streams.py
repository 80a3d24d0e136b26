"""What a stream to measure is, and the pieces all of them are written with. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass

WORDS = (
    " and",
    " gives",
    " back what",
    " was not used",
    ",",
    " because the",
    " worst",
    " case",
    '\n\n- a \\"cap\\" is',
    " a promise",
    ".",
    " Größe",
    " 上限",
    " it",
    " keeps",
    "\n\t",
)
"""What a model says at a time, escapes and other scripts among it."""
Fields = dict[str, object]
"""A JSON object."""
SSE = "text/event-stream; charset=utf-8"
Event = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Stream:
    """One answer of a provider, as long as wanted."""

    wire: str
    """Its name in the product."""
    name: str
    """What tells it from others of the wire."""
    event: Event
    """The event of that number, from 1 on."""
    request: Fields
    """What it answers; a form's fields where `is_form`."""
    opening: bytes = b""
    closing: bytes = b""
    content_type: str = SSE
    model: str = ""
    """Where the path names it."""
    streams: bool = False
    """The path says that the answer streams."""
    is_form: bool = False
    is_exact: bool = True
    """The provider tells what was used, so the tap must know it exactly."""


@dataclass(frozen=True, slots=True)
class Session:
    """One direction of a live session: what the caller or the provider sends, message by message."""

    wire: str
    name: str
    frame: Callable[[int], str | bytes]
    is_callers: bool
    query: str = ""


def word(number: int) -> str:
    """What is said at that point."""
    return WORDS[number % len(WORDS)]


def compact(fields: object) -> str:
    """JSON as most providers write it: no blanks, no escapes that are not needed."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def line(fields: object) -> bytes:
    """An event of data alone."""
    return f"data: {compact(fields)}\n\n".encode()


def named(kind: str, fields: Fields) -> bytes:
    """An event with a name that stands in its data too."""
    return f"event: {kind}\ndata: {compact({'type': kind, **fields})}\n\n".encode()


def chunks(stream: Stream, *, count: int, at_once: int) -> list[bytes]:
    """The stream with `count` events, so many in each chunk; opening and closing are chunks of their own."""
    events = [stream.event(number) for number in range(1, count + 1)]
    bursts = [b"".join(events[at : at + at_once]) for at in range(0, count, at_once)]
    return [chunk for chunk in (stream.opening, *bursts, stream.closing) if chunk]


def cut(stream: Stream, *, count: int, size: int) -> list[bytes]:
    """The same in chunks of `size` bytes, wherever that cuts it."""
    whole = b"".join(chunks(stream, count=count, at_once=1))
    return [whole[at : at + size] for at in range(0, len(whole), size)]
