"""What is sent again after a reused connection failed: only what cannot have started, or costs nothing."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from tests.unit.upstream.abusive import OK, Peer, call, plain_client, serving, until, whole

from qlaud.ports import UpstreamBroken
from qlaud.providers.upstream import HttpUpstream, UpstreamLimits


class Books:
    """A provider that keeps its own books of what it was asked to do, and dies when it is told to."""

    def __init__(self, dies_on: set[int], *, by_reset: bool = False, after: bytes = b"") -> None:
        self.dies_on, self.by_reset, self.after = dies_on, by_reset, after
        self.asked = 0

    async def script(self, peer: Peer) -> None:
        while True:
            await peer.request()
            self.asked += 1
            if self.asked in self.dies_on:
                await peer.send(self.after)
                if self.by_reset:
                    peer.reset()
                return
            await peer.send(OK)


async def twice(client: HttpUpstream, origin: str, method: str, body: object = None) -> bytes:
    """One good call that leaves an idle connection, then the one under test."""
    assert await whole(await client.send(call(origin, "GET", None))) == b"ok"
    return await whole(await client.send(call(origin, method, body)))


@pytest.mark.parametrize("by_reset", [False, True])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_written_request_that_may_have_started_is_not_sent_again(run, method, by_reset):
    async def main() -> None:
        client, books = plain_client(), Books({2}, by_reset=by_reset)
        async with serving(books.script) as server:
            with pytest.raises(UpstreamBroken) as caught:
                await twice(client, server.origin, method, b"{}")
            assert caught.value.started
            assert books.asked == 2
            assert client.counts.retried == 0
            assert client.open_connections == 0

    run(main)


@pytest.mark.parametrize("by_reset", [False, True])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_request_that_changes_nothing_is_sent_again_once_on_a_fresh_connection(run, method, by_reset):
    async def main() -> None:
        client, books = plain_client(), Books({2}, by_reset=by_reset)
        async with serving(books.script) as server:
            assert await twice(client, server.origin, method) == b"ok"
            assert (books.asked, server.connections, client.counts.retried) == (3, 2, 1)
            await client.aclose()

    run(main)


def test_it_is_not_sent_a_third_time(run):
    async def main() -> None:
        client, books = plain_client(), Books({2, 3})
        async with serving(books.script) as server:
            with pytest.raises(UpstreamBroken):
                await twice(client, server.origin, "GET")
            assert books.asked == 3

    run(main)


def test_a_fresh_connection_that_fails_is_not_retried(run):
    async def main() -> None:
        client, books = plain_client(), Books({1})
        async with serving(books.script) as server:
            with pytest.raises(UpstreamBroken):
                await client.send(call(server.origin, "GET", None))
            assert books.asked == 1

    run(main)


@pytest.mark.parametrize("after", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_one_byte_of_an_answer_forbids_the_retry(run, after):
    async def main() -> None:
        client, books = plain_client(), Books({2}, after=after)
        async with serving(books.script) as server:
            with pytest.raises(UpstreamBroken):
                await twice(client, server.origin, "GET")
            assert books.asked == 2

    run(main)


def test_a_streamed_body_is_never_replayed(run):
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    async def main() -> None:
        client, books = plain_client(), Books({2})
        async with serving(books.script) as server:
            with pytest.raises(UpstreamBroken):
                await twice(client, server.origin, "GET", body())
            assert books.asked == 2

    run(main)


def test_the_fresh_connection_of_a_retry_is_no_idle_one_even_at_the_limit(run):
    dying = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        if peer.number <= 2:
            dying.set()
            return
        await peer.send(OK)

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            both = await asyncio.gather(*(client.send(call(server.origin, "GET", None)) for _ in range(2)))
            assert [await whole(response) for response in both] == [b"ok", b"ok"]
            assert client.idle_connections == 2
            assert await whole(await client.send(call(server.origin, "GET", None))) == b"ok"
            assert dying.is_set()
            assert server.connections == 3
            await client.aclose()

    run(main)


def test_a_retry_that_waits_takes_no_connection_that_another_call_has_used(run):
    async def main() -> None:
        client, books = plain_client(UpstreamLimits(max_connections_per_origin=1)), Books({2})
        async with serving(books.script) as server:
            assert await whole(await client.send(call(server.origin, "GET", None))) == b"ok"
            both = await asyncio.gather(*(client.send(call(server.origin, "GET", None)) for _ in range(2)))
            assert [await whole(response) for response in both] == [b"ok", b"ok"]
            assert (books.asked, server.connections, client.counts.retried) == (4, 3, 1)
            await client.aclose()

    run(main)


@pytest.mark.parametrize("by_reset", [False, True])
@pytest.mark.parametrize("loop_saw_it", [False, True])
def test_a_connection_hung_up_while_idle_is_replaced_before_anything_is_written(run, by_reset, loop_saw_it):
    async def answer(listener: socket.socket) -> tuple[socket.socket, bytes]:
        loop = asyncio.get_running_loop()
        accepted, _ = await loop.sock_accept(listener)
        accepted.setblocking(False)
        request = await loop.sock_recv(accepted, 65_536)
        await loop.sock_sendall(accepted, OK)
        return accepted, request

    async def main() -> None:
        client = plain_client()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
            serving_one = asyncio.create_task(answer(listener))
            assert await whole(await client.send(call(origin))) == b"ok"
            accepted, _ = await serving_one
            if by_reset:
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()  # the kernel has the end now, the loop only after its next turn
            if loop_saw_it:
                await until(lambda: client.open_connections == 0)
            assert client.open_connections == (0 if loop_saw_it else 1)
            second = asyncio.create_task(answer(listener))
            sending = client.send(call(origin, body=b"bill me once"))
            assert await whole(await sending) == b"ok"
            accepted, request = await second
            assert request.endswith(b"bill me once")
            assert client.counts.opened == 2
            assert client.counts.retried == 0
            await client.aclose()
            accepted.close()

    run(main)
