"""Sockets to providers: the same way out as every call, what refuses one, and how one ends."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.unit.upstream.conftest import Run
from tests.unit.upstream.test_ways import make_trust
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from qlaud.ports import LiveEnd, LiveRefused, LiveRequest, UpstreamSlow, UpstreamUnreachable
from qlaud.providers.upstream import LiveLimits, ProxyRule, UpstreamLimits, WebSocketUpstream

LIMITS = UpstreamLimits(connect_timeout_s=1)
Talk = Callable[[ServerConnection], "object"]


@contextlib.asynccontextmanager
async def talking(
    talk: Talk,
    *,
    refuse: Callable[[ServerConnection, Request], Response | None] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """A server on a free port."""
    async with serve(talk, "127.0.0.1", 0, process_request=refuse, ssl=tls, compression=None) as server:  # type: ignore[arg-type]
        yield next(iter(server.sockets)).getsockname()[1]


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that speaks no WebSocket: says this and waits for its caller to leave. Ends with the last connection."""
    ended: list[asyncio.Event] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(end := asyncio.Event())
        writer.write(answer)
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        end.set()

    async with await asyncio.start_server(serve_one, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for end in ended:
            await end.wait()


def upstream(**more: object) -> WebSocketUpstream:
    return WebSocketUpstream(LIMITS, LiveLimits(1 << 20), **more)  # type: ignore[arg-type]


def request(port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> LiveRequest:
    headers = ((b"authorization", b"Bearer k"), (b"user-agent", b"app/1"))
    return LiveRequest(f"{scheme}://{host}:{port}", b"/v1/live?model=a%20b", headers, ("one", "two"))


def test_a_handshake_says_what_it_is_given_and_nothing_else(run: Run) -> None:
    async def main() -> None:
        seen: list[Request] = []

        async def talk(connection: ServerConnection) -> None:
            assert connection.request is not None
            seen.append(connection.request)
            await connection.send("hello")
            await connection.send(b"\x00")
            await connection.close(4000, "over")

        async with talking(talk) as port:
            socket = await upstream().connect(request(port))
            assert [await socket.receive() for _ in range(3)] == ["hello", b"\x00", LiveEnd(4000, "over")]
            assert not await socket.send("late")
        (asked,) = seen
        assert asked.path == "/v1/live?model=a%20b"
        assert sorted(name.lower() for name, _ in asked.headers.raw_items()) == [
            "authorization",
            "connection",
            "host",
            "sec-websocket-key",
            "sec-websocket-protocol",
            "sec-websocket-version",
            "upgrade",
            "user-agent",
        ]

    run(main)


def test_a_server_that_vanishes_ends_the_socket_without_a_code(run: Run) -> None:
    async def main() -> None:
        async def talk(connection: ServerConnection) -> None:
            connection.transport.abort()

        async with talking(talk) as port:
            socket = await upstream().connect(request(port))
            assert await socket.receive() == LiveEnd(1006, "")
            await socket.close(1000)
            socket.abort()

    run(main)


@pytest.mark.parametrize("status", [302, 401, 402, 429, 500])
def test_an_answer_that_is_no_socket_is_told_with_its_body_and_never_followed(run: Run, status: int) -> None:
    async def main() -> None:
        asked = 0

        def refuse(connection: ServerConnection, _: Request) -> Response:
            nonlocal asked
            asked += 1
            answer = connection.respond(status, '{"err_msg":"no"}')
            answer.headers["location"] = "/v1/elsewhere"
            return answer

        async with talking(lambda _: None, refuse=refuse) as port:
            with pytest.raises(LiveRefused) as refused:
                await upstream().connect(request(port))
        assert (refused.value.status, refused.value.body, asked) == (status, b'{"err_msg":"no"}', 1)
        assert (b"location", b"/v1/elsewhere") in refused.value.headers

    run(main)


def test_nobody_there_is_unreachable(run: Run) -> None:
    async def main() -> None:
        async with talking(lambda _: None) as port:
            pass
        with pytest.raises(UpstreamUnreachable):
            await upstream().connect(request(port))
        with pytest.raises(UpstreamUnreachable, match="plain http"):
            await upstream().connect(request(80, host="provider.example"))

    run(main)


def test_a_server_that_does_not_answer_is_slow(run: Run) -> None:
    async def main() -> None:
        async with answering(b"") as port:
            with pytest.raises(UpstreamSlow):
                await upstream().connect(request(port))

    run(main)


def test_a_server_that_speaks_something_else_was_never_reached(run: Run) -> None:
    async def main() -> None:
        async with answering(b"220 mail.example ESMTP\r\n") as port:
            with pytest.raises(UpstreamUnreachable):
                await upstream().connect(request(port))

    run(main)


def test_tls_is_verified(run: Run, tmp_path: Path) -> None:
    trust = make_trust(tmp_path)

    async def main() -> None:
        async def talk(connection: ServerConnection) -> None:
            await connection.send("safe")

        async with talking(talk, tls=trust.server) as port:
            where = request(port, scheme="https", host="localhost")
            socket = await upstream(tls=trust.client).connect(where)
            assert await socket.receive() == "safe"
            await socket.close(1000)
            with pytest.raises(UpstreamUnreachable):
                await upstream().connect(where)

    run(main)


def test_a_socket_goes_through_the_proxy(run: Run, tmp_path: Path) -> None:
    trust = make_trust(tmp_path)

    async def main() -> None:
        async def talk(connection: ServerConnection) -> None:
            await connection.send("through")

        async with talking(talk, tls=trust.server) as port:
            heads: list[bytes] = []
            ended = asyncio.Event()

            async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))
                ended.set()

            proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
            async with proxy:
                rule = ProxyRule("127.0.0.1", proxy.sockets[0].getsockname()[1])
                where = request(443, scheme="https", host="provider.test")
                socket = await upstream(tls=trust.client, proxy=rule).connect(where)
                assert await socket.receive() == "through"
                await socket.close(1000)
                await ended.wait()
            assert heads[0].startswith(b"CONNECT provider.test:443 HTTP/1.1\r\n")

    run(main)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
