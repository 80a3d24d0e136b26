"""The query of a request: where Deepgram and ElevenLabs say what is asked, or about to be sent."""

import re
from collections.abc import Mapping

from qlaud.core.errors import BadRequest

_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
OFF = frozenset(("", "false"))
DECIDING = frozenset(
    (
        "model",
        "model_id",
        "language",
        "multichannel",
        "encoding",
        "sample_rate",
        "channels",
        "callback",
        "audio_format",
    )
)
"""What decides about money, and so must not be said twice."""


class Query:
    """The parameters of a query, decoded. The first of several values counts."""

    __slots__ = ("_values",)

    def __init__(self, query: bytes) -> None:
        values: dict[str, list[str]] = {}
        for pair in query.split(b"&"):
            raw_name, _, raw_value = pair.partition(b"=")
            if raw_name:
                values.setdefault(_decoded(raw_name), []).append(_decoded(raw_value))
        self._values: Mapping[str, list[str]] = values

    def check(self) -> None:
        """Raises BadRequest where what decides about money has several values: a provider may read another one."""
        for name in sorted(self._values.keys() & DECIDING):
            if len(set(self._values[name])) > 1:
                raise BadRequest(f"`{name}` stands twice in the query; send it once", param=name)

    def text(self, name: str, default: str = "") -> str:
        """The value of `name`."""
        return self._first(name) or default

    def is_on(self, name: str) -> bool:
        """Whether any value of `name` asks for something."""
        return any(value.lower() not in OFF for value in self._values.get(name, ()))

    def number(self, name: str, default: int) -> int:
        """A whole number above 0; the default where it is none."""
        value = self._first(name)
        return int(value) if value.isascii() and value.isdigit() and 0 < int(value) < 10**9 else default

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def _first(self, name: str) -> str:
        return next(iter(self._values.get(name, ())), "")


def _decoded(text: bytes) -> str:
    plain = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), text.replace(b"+", b" "))
    return plain.decode("utf-8", "replace")
