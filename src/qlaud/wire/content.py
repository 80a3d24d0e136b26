"""Looks through the content of a conversation for what is billed as something else than its own bytes.

Each wire says which block types are text (billed by bytes at most) and which are pictures; everything else is
taken to be input that the body does not hold. Text itself is skipped unread. Used by the request readers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import msgspec
from msgspec import Raw

from qlaud.wire.body import read_members
from qlaud.wire.counts import UNREADABLE

NOTHING = Raw(b"")


class Block(msgspec.Struct):
    """One content block or part, of any wire; what a wire does not have stays at its default."""

    type: str = ""
    cache_control: Raw = NOTHING
    source: Raw = NOTHING
    content: Raw = NOTHING
    image_url: Raw = NOTHING
    prompt_cache_breakpoint: Raw = NOTHING


class Message(msgspec.Struct):
    """One message of a conversation: a text, or blocks."""

    content: str | list[Block] | None = None
    audio: Raw = NOTHING


class Source(msgspec.Struct):
    """Where a picture is: in the body (`data`), or elsewhere."""

    type: str = ""
    data: Raw = NOTHING
    url: Raw = NOTHING


class CacheControl(msgspec.Struct):
    """A wish to write a cache."""

    ttl: str | None = None


@dataclass(slots=True)
class Found:
    """What a walk has found so far."""

    images: int = 0
    image_bytes: int = 0
    """Bytes of the body that are pictures and no text."""
    whole_context: bool = False
    ttls: set[str] = field(default_factory=lambda: set[str]())
    tools: list[str] = field(default_factory=lambda: list[str]())
    """Types of blocks that bring in tools, whose cost nobody can bound."""


read_messages = cast("Callable[[Raw], list[Message]]", msgspec.json.Decoder(list[Message]).decode)
read_blocks = cast("Callable[[Raw], list[Block]]", msgspec.json.Decoder(list[Block]).decode)
read_source = cast("Callable[[Raw], Source]", msgspec.json.Decoder(Source).decode)
_read_control = cast("Callable[[Raw], CacheControl | None]", msgspec.json.Decoder(CacheControl | None).decode)


def opens_with(value: Raw, first: int) -> bool:
    """Whether a JSON value begins with this byte: `[`, `{`, `"`."""
    view = memoryview(value)
    return bool(view) and view[0] == first


def note_cache(found: Found, control: Raw) -> None:
    """Add the cache writes a `cache_control` asks for; a shape nobody knows may be any."""
    try:
        wish = _read_control(control)
    except UNREADABLE:
        found.ttls |= {"5m", "1h"}
        return
    if wish is not None:
        found.ttls.add("1h" if wish.ttl == "1h" else "5m")


def refuse_two_types(tool: Raw, own: int, *parts: Raw) -> None:
    """Raise BadRequest if a tool of the caller's says `type` more than `own` times outside `parts`.

    The provider's reader might take the other one, and run a tool of its own that nobody held money for.
    """
    text = bytes(tool)
    inside = sum(bytes(part).count(b'"type"') for part in parts)
    if text.count(b'"type"') > inside + own or b"\\u00" in text:
        read_members(text, "a tool")
