"""Reads what a management request says outside of its JSON: the body's bytes, path, query, headers, id."""

import asyncio
import re
from uuid import UUID

from starlette.requests import Request

from qlaud.api.fields import Choice, check_text
from qlaud.core.errors import BadRequest, BodyTooLarge, NotFound

REQUEST_ID = "qlaud.request_id"
"""Where the outer layer puts the request's id, in the ASGI scope."""

MS_LIMIT = 2**53 - 1
"""The latest moment taken as input: exact in every JSON reader."""
IDEMPOTENCY_KEY_CHARACTERS = 255

_WHOLE = re.compile(r"[0-9]{1,16}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


async def read_body(request: Request, limit_bytes: int, timeout_s: float) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is known to be longer than `limit_bytes`.

    Raises BadRequest when nothing of it came for `timeout_s`.
    """
    declared = request.headers.get("content-length", "")
    if _WHOLE.fullmatch(declared) and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    chunks: list[bytes] = []
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(timeout_s):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise BadRequest(f"the body did not arrive: nothing came for {timeout_s:g} s") from None
        if chunk is None:
            return b"".join(chunks)
        size += len(chunk)
        if size > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        chunks.append(chunk)


def request_id(request: Request) -> str:
    """The id of this request, as it stands in its answer's headers."""
    return str(request.scope.get(REQUEST_ID, ""))


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` header, None without one. Raises BadRequest if it is empty or too long."""
    text = request.headers.get("idempotency-key")
    return None if text is None else check_idempotency_key(text)


def check_idempotency_key(text: str) -> str:
    """`text` if it can be a key. Raises BadRequest."""
    if not 1 <= len(text) <= IDEMPOTENCY_KEY_CHARACTERS or "\0" in text:
        raise BadRequest(
            f"an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARACTERS} characters", param="idempotency_key"
        )
    return text


def path_id(request: Request, name: str = "id") -> UUID:
    """The id in the path. Raises NotFound: what is not an id names nothing."""
    found = to_uuid(request.path_params[name])
    if found is None:
        raise NotFound("there is nothing with this id")
    return found


def to_uuid(text: str) -> UUID | None:
    """The UUID that `text` spells, None if it does not."""
    return UUID(text) if _UUID.fullmatch(text) else None


def query_id(request: Request, name: str) -> UUID | None:
    """An id from the query, None without one. Raises BadRequest."""
    text = request.query_params.get(name)
    if not text:
        return None
    found = to_uuid(text)
    if found is None:
        raise BadRequest(f"`{name}` is not an id", param=name)
    return found


def query_text(request: Request, name: str, *, limit: int) -> str | None:
    """A string from the query, None without one. Raises BadRequest."""
    text = request.query_params.get(name)
    return check_text(text, name, limit) if text else None


def query_choice(request: Request, name: str, choices: tuple[Choice, ...]) -> Choice | None:
    """One of `choices` from the query, None without one. Raises BadRequest."""
    text = request.query_params.get(name)
    if not text:
        return None
    for choice in choices:
        if text == choice:
            return choice
    raise BadRequest(f"`{name}` must be one of: {', '.join(choices)}", param=name)


def query_ms(request: Request, name: str) -> int | None:
    """A moment from the query, None without one. Raises BadRequest."""
    text = request.query_params.get(name)
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or int(text) > MS_LIMIT:
        raise BadRequest(f"`{name}` must be a time in epoch milliseconds", param=name)
    return int(text)


def query_limit(request: Request, *, default: int, maximum: int) -> int:
    """`limit` from the query; above the maximum it is the maximum. Raises BadRequest below 1."""
    text = request.query_params.get("limit")
    if text is None:
        return default
    digits = text.lstrip("0")
    if not text.isascii() or not text.isdigit() or not digits:
        raise BadRequest("`limit` must be an integer of at least 1", param="limit")
    return maximum if len(digits) > len(str(maximum)) else min(int(digits), maximum)
