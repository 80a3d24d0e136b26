"""Where a request carries its key. One key, any of the forms the vendors' SDKs send, on any path.

Pure and lean: it runs once per request, on the hot path too. It never says what it read: no secret
reaches an error message. Called by `api` alone.
"""

import re
from collections.abc import Iterable

from qlaud.core.errors import ConflictingCredentials, InvalidKey, MissingKey

PLAIN_HEADERS = frozenset({b"x-api-key", b"xi-api-key", b"x-goog-api-key", b"api-key"})
"""Headers whose whole value is the key: Anthropic, ElevenLabs, Google, Azure-style clients."""

SCHEMES = frozenset({b"bearer", b"token"})
"""`Authorization` schemes, in lower case: OpenAI and Deepgram. Any other scheme is not for us."""

QUERY_PREFIXES = ("/v1beta/", "/google/", "/ws/google.", "//ws/google.")
"""The only paths on which Google's `?key=` is read."""

_SECRET = re.compile(rb"qlk_(?:live|test)_[0-9a-f]{64}")


def read_secret(
    headers: Iterable[tuple[bytes, bytes]], path: str = "", query: bytes = b"", *, also: Iterable[str] = ()
) -> str:
    """The one secret a request carries. Header names must be in lower case, as ASGI gives them.

    `also` are candidates found elsewhere: among the sub-protocols of a handshake. Empty values count as absent. The
    same value in several places is fine.

    Raises:
        MissingKey: there is no credential in any known form.
        ConflictingCredentials: two different ones.
        InvalidKey: it does not have the form of a secret.
    """
    found: bytes | None = None
    for name, value in headers:
        if name in PLAIN_HEADERS:
            candidate = value.strip()
        elif name == b"authorization":
            scheme, _, rest = value.strip().partition(b" ")
            if scheme.lower() not in SCHEMES:
                continue
            candidate = rest.strip()
        else:
            continue
        if found is None:
            found = candidate or None
        elif candidate and candidate != found:
            raise ConflictingCredentials
    if query and path.startswith(QUERY_PREFIXES):
        found = _with_query(found, query)
    for text in also:
        candidate = text.encode()
        if found is not None and candidate != found:
            raise ConflictingCredentials
        found = candidate
    return _checked(found)


def secret_of(candidates: Iterable[str]) -> str:
    """The one secret among candidates that were found outside a handshake. Raises as `read_secret`."""
    distinct = {candidate for candidate in candidates if candidate}
    if len(distinct) > 1:
        raise ConflictingCredentials
    return _checked(distinct.pop().encode() if distinct else None)


def _checked(found: bytes | None) -> str:
    if found is None:
        raise MissingKey
    if _SECRET.fullmatch(found) is None:
        raise InvalidKey
    return found.decode("ascii")


def _with_query(found: bytes | None, query: bytes) -> bytes | None:
    for pair in query.split(b"&"):
        name, _, candidate = pair.partition(b"=")
        if name != b"key" or not candidate:
            continue
        if found is not None and candidate != found:
            raise ConflictingCredentials
        found = candidate
    return found
