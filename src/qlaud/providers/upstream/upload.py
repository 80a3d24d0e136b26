"""Sending a body that comes in pieces, as fast as both ends take it.

Runs as a task beside the wait for the response: a server that answers early (413, 401) must be heard while the
source is silent.
"""

import asyncio
from collections.abc import AsyncIterator

from qlaud.ports import UpstreamBroken
from qlaud.providers.upstream.connection import Connection
from qlaud.providers.upstream.response import WireResponse


def start_upload(
    connection: Connection,
    response: WireResponse,
    body: AsyncIterator[bytes],
    *,
    length: int | None,
    timeout_s: float,
) -> asyncio.Task[None]:
    """The running upload. If it fails, the connection hangs up and the failure becomes the response's fault."""

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            response.fail(error)
            connection.drop()

    task = asyncio.get_running_loop().create_task(
        upload(connection, body, length=length, timeout_s=timeout_s)
    )
    task.add_done_callback(ended)
    return task


async def upload(
    connection: Connection, body: AsyncIterator[bytes], *, length: int | None, timeout_s: float
) -> None:
    """Send `body` to its end, or until an answer comes; then start the wait for the first byte.

    Chunked, unless `length` is given. Raises UpstreamBroken if the source does not keep to `length`, and
    whatever the source raises.
    """
    sent_bytes = 0
    async for piece in body:
        if not connection.takes_body:
            return
        if not piece:
            continue  # an empty chunk would end the body
        sent_bytes += len(piece)
        if length is None:
            await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        elif sent_bytes > length:
            raise UpstreamBroken(f"the request body is longer than the {length} bytes it promised")
        else:
            await connection.write(piece)
    if length is not None and sent_bytes < length:
        raise UpstreamBroken(f"the request body ended after {sent_bytes} of {length} bytes")
    if length is None:
        await connection.write(b"0\r\n\r\n")
    connection.body_sent(timeout_s)
