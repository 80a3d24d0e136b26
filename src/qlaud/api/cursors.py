"""Places in a list as opaque text. Whoever writes one decides what it holds; nobody else reads it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request

from qlaud.core.errors import BadRequest

T = TypeVar("T")

Moment = Annotated[int, Meta(ge=0, le=2**53)]
Amount = Annotated[int, Meta(ge=-(2**62), le=2**62)]
Name = Annotated[str, Meta(max_length=300, pattern=r"\A[^\x00]*\Z")]


def write_cursor(place: tuple[object, ...]) -> str:
    """`place` as text."""
    return urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def read_cursor(request: Request, name: str, kind: type[T]) -> T | None:
    """The place in the query parameter `name`, None without one. Raises BadRequest."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=kind)
    except (ValueError, msgspec.MsgspecError):
        raise BadRequest(f"`{name}` is not a place this list has given out", param=name) from None
