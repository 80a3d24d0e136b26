"""A server on loopback that answers exactly what a test scripts, byte by byte, and notes what it was sent."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from qlaud.ports import UpstreamFault, UpstreamRequest
from qlaud.providers.upstream import HttpUpstream, UpstreamLimits
from qlaud.providers.upstream.response import WireResponse

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number

    async def head(self) -> bytes:
        """The next request's head."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> bytes:
        """The next request, whole, its body as sent."""
        head = await self.head()
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            return head + await self.reader.readuntil(b"0\r\n\r\n")
        _, found, rest = head.partition(b"\r\ncontent-length: ")
        return head + (await self.reader.readexactly(int(rest.split(b"\r\n")[0])) if found else b"")

    async def send(self, *pieces: bytes) -> None:
        """Write the pieces, each on its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    def reset(self) -> None:
        """Hang up with a TCP reset."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> bool:
        """True once the client has hung up."""
        while await self.reader.read(65_536):
            pass
        return True


class Server:
    """What the server saw."""

    def __init__(self) -> None:
        self.origin, self.port = "", 0
        self.connections = 0
        self.requests: list[bytes] = []


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """A server that plays `script` on every connection and closes it after. What a script raises fails the test."""
    server, tasks = Server(), list[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        server.connections += 1
        try:
            await script(Peer(reader, writer, server.connections))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1" if host == "localhost" else host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    server.origin = f"{'https' if tls else 'http'}://{host}:{server.port}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await listener.wait_closed()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert not failures, f"a script failed: {failures}"


def plain_client(limits: UpstreamLimits | None = None) -> HttpUpstream:
    """A client that trusts no certificate at all: reading the system's takes longer than a test does."""
    return HttpUpstream(limits, tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def answering(answer: bytes = OK, *, server: list[bytes] | None = None) -> Script:
    """Answers every request on a connection alike; notes the requests in `server`."""

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if server is not None:
                server.append(request)
            await peer.send(answer)

    return script


def call(origin: str, method: str = "POST", body: object = b"{}", **rest: object) -> UpstreamRequest:
    """A request with little in it."""
    fields = {"target": b"/v1/messages", "headers": [(b"x-api-key", b"k")], **rest}
    return UpstreamRequest(method=method, origin=origin, body=body, **fields)  # type: ignore[arg-type]


async def whole(response: WireResponse) -> bytes:
    """The body to its end."""
    return (await whole_until(response, None))[0]


async def whole_until(
    response: WireResponse, fault: type[UpstreamFault] | None
) -> tuple[bytes, UpstreamFault | None]:
    """The body, and the fault of the expected type that ended it."""
    body = bytearray()
    try:
        while piece := await response.read():
            body += piece
    except UpstreamFault as error:
        if fault is None or not isinstance(error, fault):
            raise
        return bytes(body), error
    return bytes(body), None


async def until(condition: Callable[[], bool]) -> None:
    """Turn the loop until `condition` holds; fail after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to set
            await asyncio.sleep(0)
