"""Paths as patterns: `/v1/text-to-speech/{voice}/stream`, matched whole, and changed only where a name stands.

A placeholder matches one segment; `{model}` also matches slashes, because some SDKs send `vendor/model` raw
(google-genai 3.4.0, measured 2026-11-21), and `{name}` no colon, behind which Google writes a verb. Matching is on
the decoded path, changing on the raw one, so that every other byte goes on as it came. Used by the registry and by
whoever finds the way of a request.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"\{([a-z_]+)\}")
_MATCHES = {"model": ".+", "name": "[^/:]+"}
MODEL = "model"


@dataclass(frozen=True, slots=True)
class PathPattern:
    """One path with `{placeholders}`. Raises ValueError for a pattern that cannot be read."""

    text: str
    _regex: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _raw_regex: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.text.startswith("/"):
            raise ValueError(f"a path begins with a slash, not {self.text!r}")
        parts = _NAME.split(self.text)
        names = parts[1::2]
        if len(set(names)) < len(names) or "{" in "".join(parts[::2]):
            raise ValueError(f"{self.text!r}: a placeholder is a lower-case word, named once")
        expression = "".join(
            f"(?P<{part}>{_MATCHES.get(part, '[^/]+')})" if at % 2 else re.escape(part)
            for at, part in enumerate(parts)
        )
        object.__setattr__(self, "_regex", re.compile(expression))
        object.__setattr__(self, "_raw_regex", re.compile(expression.encode()))

    @property
    def is_fixed(self) -> bool:
        """Whether it has no placeholder."""
        return "{" not in self.text

    @property
    def names(self) -> frozenset[str]:
        """The placeholders."""
        return frozenset(self._regex.groupindex)

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the placeholders, None if `path` (decoded) is another one."""
        found = self._regex.fullmatch(path)
        return None if found is None else found.groupdict()

    def replaced(self, raw: bytes, name: str, value: bytes) -> bytes:
        """The raw path with another value in place of `{name}`; `raw` itself where the pattern does not match."""
        found = self._raw_regex.fullmatch(raw)
        if found is None:
            return raw
        start, end = found.span(name)
        return raw[:start] + value + raw[end:]

    def filled(self, values: Mapping[str, str]) -> str:
        """The path with these values. Raises KeyError where one is missing."""
        return _NAME.sub(lambda name: values[name[1]], self.text)
