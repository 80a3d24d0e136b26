"""The simulator's tokens: four bytes of UTF-8 each, rounded up per text.

Invariant: a text never has more tokens than bytes, so a bound by bytes holds.
"""

import re

BYTES_PER_TOKEN = 4
MEDIA_BYTES_PER_TOKEN = 1024
"""Images and documents sent as base64 or by address: cheap on purpose, below every provider's formula."""

_PIECES = re.compile(r".{4}\S{0,12}\s{0,4}|.{1,3}\Z", re.DOTALL)


def count(text: str) -> int:
    """The tokens of a text; 0 of an empty one."""
    size = len(text) if text.isascii() else len(text.encode())
    return count_bytes(size)


def count_bytes(size: int) -> int:
    """The tokens of that many bytes of text."""
    return (size + BYTES_PER_TOKEN - 1) // BYTES_PER_TOKEN


def count_media(size: int) -> int:
    """The tokens of an image or document written in that many bytes; 0 when there is none."""
    return (size + MEDIA_BYTES_PER_TOKEN - 1) // MEDIA_BYTES_PER_TOKEN


def cut(text: str, limit: int) -> str:
    """The longest beginning of at most `limit` tokens; never half a character."""
    if count(text) <= limit:
        return text
    return text.encode()[: limit * BYTES_PER_TOKEN].decode(errors="ignore")


def pieces(text: str) -> list[str]:
    """The text in the portions it is streamed in, about a word each; joined they are the text.

    There are never more of them than the text has tokens: who counts events has a lower bound of the output.
    """
    return _PIECES.findall(text)
