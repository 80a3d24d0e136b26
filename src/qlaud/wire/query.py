"""The query of a request: where Deepgram and ElevenLabs say what is asked, or about to be sent."""

import re
from collections.abc import Mapping

_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
TRUE = frozenset(("true", "1", "yes"))


class Query:
    """The parameters of a query, decoded. The first of several values counts."""

    __slots__ = ("_values", "doubtful")

    def __init__(self, query: bytes) -> None:
        values: dict[str, str] = {}
        doubtful: set[str] = set()
        for pair in query.split(b"&"):
            raw_name, _, raw_value = pair.partition(b"=")
            if raw_name:
                name, value = _decoded(raw_name), _decoded(raw_value)
                if values.setdefault(name, value) != value:
                    doubtful.add(name)
        self._values: Mapping[str, str] = values
        self.doubtful = frozenset(doubtful)
        """Names with several values, of which a provider may read another one than the first."""

    def text(self, name: str, default: str = "") -> str:
        """The value of `name`."""
        return self._values.get(name) or default

    def number(self, name: str, default: int) -> int:
        """A whole number above 0; the default where it is none."""
        value = self._values.get(name, "")
        return int(value) if value.isascii() and value.isdigit() and 0 < int(value) < 10**9 else default

    def flag(self, name: str) -> bool:
        """Whether `name` is true."""
        return self._values.get(name, "").lower() in TRUE

    def __contains__(self, name: str) -> bool:
        return name in self._values


def _decoded(text: bytes) -> str:
    plain = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), text.replace(b"+", b" "))
    return plain.decode("utf-8", "replace")
