"""How the body of a model call comes in: JSON into memory, forms and sound into a spool.

    JSON   whole, in memory, up to `max_body_bytes`, whatever its content type says
    form   `multipart/form-data`, on a path that takes it: fields are read as they pass, files rest in the spool,
           which is what is sent on
    sound  on a path that takes it (`upload = "audio"`), where the body does not say that it is JSON

An upload is never whole in memory. It is spooled, not passed on as it comes, because money is held before a call
leaves, and how much depends on the whole file: its playing time, and a model that may be named behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import Struct

from qlaud.api.spool import Spool
from qlaud.api.top import ClientLeft
from qlaud.core.errors import BadRequest, BodyTooLarge
from qlaud.core.providers import UploadKind
from qlaud.ports import Headers, Upload
from qlaud.wire.form import Form
from qlaud.wire.multipart import FormReader

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

FORM = b"multipart/form-data"
AS_IT_IS = frozenset((b"", b"identity"))


@dataclass(frozen=True, slots=True)
class EdgeTerms:
    """Limits of a request."""

    max_body_bytes: int
    body_timeout_s: float
    audio_max_ms: int
    """What audio may play whose playing time cannot be read."""
    spool_folder: Path | None = None


class Body(Struct, frozen=True, gc=False):
    """A body that has arrived. Whoever gets it closes its upload."""

    json: bytes = b""
    upload: Upload | None = None
    form: Form | None = None


async def read_body(
    receive: Receive, headers: Headers, terms: EdgeTerms, *, takes_form: bool, upload: UploadKind
) -> Body:
    """The whole body. Raises BodyTooLarge, BadRequest (it comes too slowly, or is no form), SpoolFull, ClientLeft."""
    kind = b""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > terms.max_body_bytes:
            raise BodyTooLarge(terms.max_body_bytes)
        if name == b"content-type":
            kind = value
        if upload == "audio" and name == b"content-encoding" and value.strip().lower() not in AS_IT_IS:
            raise BadRequest(
                "the sound is compressed, and how long it plays cannot be told; send it without content-encoding"
            )
    if takes_form or upload:
        start = kind[:24].lower()
        if takes_form and start.startswith(FORM):
            return await _form(receive, terms, FormReader(kind))
        if upload and b"json" not in start:
            return await _sound(receive, terms)
    return Body(json=await _json(receive, terms))


async def _json(receive: Receive, terms: EdgeTerms) -> bytes:
    message = await _part(receive, terms)
    if message["type"] == "http.disconnect":
        raise ClientLeft
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    size = len(body)
    while True:
        if size > terms.max_body_bytes:
            raise BodyTooLarge(terms.max_body_bytes)
        message = await _part(receive, terms)
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            if size > terms.max_body_bytes:
                raise BodyTooLarge(terms.max_body_bytes)
            return b"".join(parts)


async def _form(receive: Receive, terms: EdgeTerms, reader: FormReader) -> Body:
    spool = Spool(terms.spool_folder)
    try:
        await _spooled(receive, terms, spool, reader.feed)
        return Body(upload=spool, form=reader.finish())
    except BaseException:
        spool.close()
        raise


async def _sound(receive: Receive, terms: EdgeTerms) -> Body:
    spool = Spool(terms.spool_folder)
    try:
        await _spooled(receive, terms, spool, lambda _: None)
        return Body(upload=spool)
    except BaseException:
        spool.close()
        raise


async def _spooled(receive: Receive, terms: EdgeTerms, spool: Spool, feed: Callable[[bytes], None]) -> None:
    """The body into the spool, and past `feed`."""
    while True:
        message = await _part(receive, terms)
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk: bytes = message.get("body", b"")
        if spool.size + len(chunk) > terms.max_body_bytes:
            raise BodyTooLarge(terms.max_body_bytes)
        spool.write(chunk)
        feed(chunk)
        if not message.get("more_body", False):
            return


async def _part(receive: Receive, terms: EdgeTerms) -> Message:
    """The next part of the body. One that is there already, as small bodies are, costs no timer."""
    coming = receive().__await__()
    try:
        waits_for = next(coming)
    except StopIteration as arrived:
        return arrived.value
    try:
        async with asyncio.timeout(terms.body_timeout_s):
            return await _Begun(coming, waits_for)
    except TimeoutError:
        raise BadRequest(f"the body did not arrive: nothing came for {terms.body_timeout_s:g} s") from None


class _Begun:
    """The rest of an awaitable whose first step was taken by hand."""

    def __init__(self, coming: Generator[Any, Any, Message], waits_for: Any) -> None:
        self._coming = coming
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            yield self._waits_for
        except BaseException:
            self._coming.close()
            raise
        return (yield from self._coming)
