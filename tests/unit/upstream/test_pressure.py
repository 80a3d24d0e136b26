"""Slow readers, slow servers, silence: bounded memory and bounded time in both directions."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.upstream.abusive import OK, Peer, call, plain_client, serving, until, whole, whole_until

from qlaud.ports import UpstreamBroken, UpstreamSlow
from qlaud.providers.upstream import UpstreamLimits

PIECE = b"x" * 65_536
PIECES = 256
"""16 MiB: more than the kernel keeps for one connection."""
READ_BYTES = 262_144


async def settled(read: object) -> object:
    """The value of `read()` once five hundred turns of the loop have not changed it."""
    seen, turns = read(), 0  # type: ignore[operator]
    while turns < 500:
        await asyncio.sleep(0)
        now = read()  # type: ignore[operator]
        seen, turns = now, turns + 1 if now == seen else 0
    return seen


def test_a_slow_reader_stops_the_server_and_bounds_the_buffer(run):
    sent = {"pieces": 0}

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        for _ in range(PIECES):
            await peer.send(PIECE)
            sent["pieces"] += 1
        assert await peer.gone()

    async def main() -> None:
        limits = UpstreamLimits(buffer_bytes=100_000, idle_timeout_s=0.4)
        client = plain_client(limits)
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            await until(lambda: response.buffered_bytes > limits.buffer_bytes)
            stopped_at = await settled(lambda: sent["pieces"])
            assert isinstance(stopped_at, int)
            assert stopped_at < PIECES
            assert response.buffered_bytes <= limits.buffer_bytes + READ_BYTES
            # The pause is ours: it may last longer than the provider is given to send.
            await asyncio.sleep(0.5)  # sleep: longer than the idle timeout, which must not pass meanwhile
            assert len(await whole(response)) == len(PIECE) * PIECES
            assert client.idle_connections == 1
            await client.aclose()

    run(main)


def test_reading_an_old_answer_does_not_unleash_the_next_one_on_its_connection(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        await peer.send(*[PIECE] * PIECES)

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            old = await client.send(call(server.origin))
            new = await client.send(call(server.origin))
            stopped_at = await settled(lambda: new.buffered_bytes)
            assert stopped_at != 0
            assert await whole(old) == b"ok"
            assert await settled(lambda: new.buffered_bytes) == stopped_at
            assert server.connections == 1
            new.close()

    run(main)


@pytest.mark.parametrize("length", [None, len(PIECE) * PIECES], ids=["chunked", "length"])
def test_a_slow_server_stops_the_source_of_an_upload(run, length):
    gate, taken = asyncio.Event(), {"pieces": 0}

    async def source() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            taken["pieces"] += 1
            yield PIECE

    async def script(peer: Peer) -> None:
        await peer.head()
        await gate.wait()
        if length is None:
            for _ in range(PIECES):
                assert await peer.reader.readuntil(b"\r\n") == b"10000\r\n"
                assert await peer.reader.readexactly(len(PIECE) + 2) == PIECE + b"\r\n"
            assert await peer.reader.readexactly(5) == b"0\r\n\r\n"
        else:
            assert len(await peer.reader.readexactly(length)) == length
        await peer.send(OK)
        assert await peer.gone()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            sending = asyncio.create_task(
                client.send(call(server.origin, body=source(), content_length=length))
            )
            await until(lambda: taken["pieces"] > 0)
            stopped_at = await settled(lambda: taken["pieces"])
            assert isinstance(stopped_at, int)
            assert stopped_at < PIECES
            gate.set()
            assert await whole(await sending) == b"ok"
            assert taken["pieces"] == PIECES
            assert client.idle_connections == 1
            await client.aclose()

    run(main)


def test_an_early_answer_ends_the_upload_and_the_connection(run):
    stopped = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"some"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!")
        assert await peer.gone()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin, body=source()))
            assert stopped.is_set()
            assert response.status == 413
            assert await whole(response) == b"no!"
            assert client.open_connections == 0

    run(main)


def test_an_early_answer_is_heard_while_the_socket_is_full(run):
    async def source() -> AsyncIterator[bytes]:
        while True:
            yield PIECE

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 401 No\r\ncontent-length: 3\r\n\r\nno!")
        assert await peer.gone()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin, body=source()))
            assert (response.status, await whole(response)) == (401, b"no!")
            assert client.open_connections == 0

    run(main)


class SourceGone(Exception):
    """Raised by a source that cannot go on."""


def test_what_the_source_raises_comes_out_and_hangs_up(run):
    hung_up = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"some"
        raise SourceGone

    async def script(peer: Peer) -> None:
        assert await peer.gone()
        hung_up.set()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            with pytest.raises(SourceGone):
                await client.send(call(server.origin, body=source()))
            assert client.open_connections == 0
            await hung_up.wait()

    run(main)


@pytest.mark.parametrize("promised", [3, 9])
def test_a_source_that_breaks_its_promised_length_is_never_passed_on_as_whole(run, promised):
    received = list[bytes]()

    async def source() -> AsyncIterator[bytes]:
        yield b"six"
        yield b"six"

    async def script(peer: Peer) -> None:
        await peer.head()
        received.append(await peer.reader.read())

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            with pytest.raises(UpstreamBroken, match="request body"):
                await client.send(call(server.origin, body=source(), content_length=promised))
            assert client.open_connections == 0
            await until(lambda: bool(received))
            assert len(received[0]) <= 6

    run(main)


def test_empty_pieces_do_not_end_a_chunked_upload(run):
    got = list[bytes]()

    async def source() -> AsyncIterator[bytes]:
        for piece in (b"", b"a", b"", b"bc", b""):
            yield piece

    async def script(peer: Peer) -> None:
        got.append((await peer.request()).partition(b"\r\n\r\n")[2])
        await peer.send(OK)

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            assert await whole(await client.send(call(server.origin, body=source()))) == b"ok"
            assert got == [b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"]
            await client.aclose()

    run(main)


def test_a_large_body_arrives_whole(run):
    body, got = bytes(range(256)) * 20_000, list[bytes]()

    async def script(peer: Peer) -> None:
        got.append(await peer.request())
        await peer.send(OK)

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            assert await whole(await client.send(call(server.origin, body=body))) == b"ok"
            assert got[0].partition(b"\r\n\r\n")[2] == body
            await client.aclose()

    run(main)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_head_that_does_not_come_in_time_is_slow_and_hangs_up(run, answer):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        assert await peer.gone()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            with pytest.raises(UpstreamSlow) as caught:
                await client.send(call(server.origin, first_byte_timeout_s=0.05))
            assert (caught.value.phase, caught.value.timeout_s, caught.value.started) == (
                "first_byte",
                0.05,
                True,
            )
            assert client.open_connections == 0

    run(main)


def test_bytes_of_a_head_do_not_stretch_its_time(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            await peer.send(b"a")
            await asyncio.sleep(0.01)  # sleep: the server's pace, faster than the timeout

    async def main() -> None:
        client = plain_client(UpstreamLimits(first_byte_timeout_s=0.1, idle_timeout_s=0.1))
        async with serving(script) as server:
            with pytest.raises(UpstreamSlow) as caught:
                await client.send(call(server.origin))
            assert caught.value.phase == "first_byte"

    run(main)


def test_silence_within_a_body_is_slow_but_each_byte_buys_time(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        for _ in range(10):
            await peer.send(b"x")
            await asyncio.sleep(0.03)  # sleep: the server's pace, in sum three times the timeout
        assert await peer.gone()

    async def main() -> None:
        client = plain_client(UpstreamLimits(idle_timeout_s=0.1, first_byte_timeout_s=0.5))
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            got, fault = await whole_until(response, UpstreamSlow)
            assert got == b"x" * 10
            assert isinstance(fault, UpstreamSlow)
            assert (fault.phase, fault.started) == ("idle", True)
            assert client.open_connections == 0

    run(main)


def test_a_server_that_stops_taking_an_upload_is_slow(run):
    gate = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        while True:
            yield PIECE

    async def script(peer: Peer) -> None:
        await peer.head()
        await gate.wait()

    async def main() -> None:
        client = plain_client(UpstreamLimits(idle_timeout_s=0.05))
        async with serving(script) as server:
            with pytest.raises(UpstreamSlow) as caught:
                await client.send(call(server.origin, body=source()))
            assert (caught.value.phase, caught.value.started) == ("idle", True)
            assert client.open_connections == 0
            gate.set()

    run(main)


def test_a_slow_source_is_not_held_against_the_provider(run):
    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.2)  # sleep: longer than every timeout of the client
        yield b"b"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)

    async def main() -> None:
        client = plain_client(UpstreamLimits(idle_timeout_s=0.05, first_byte_timeout_s=0.1))
        async with serving(script) as server:
            assert await whole(await client.send(call(server.origin, body=source()))) == b"ok"
            await client.aclose()

    run(main)


def test_a_cancelled_upload_hangs_up_and_lets_go_of_the_source(run):
    released, hung_up = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await asyncio.Event().wait()
        finally:
            released.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        assert await peer.gone()
        hung_up.set()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            sending = asyncio.create_task(client.send(call(server.origin, body=source())))
            await until(lambda: client.open_connections == 1)
            sending.cancel()
            await asyncio.wait((sending,))
            assert sending.cancelled()
            assert released.is_set()
            await hung_up.wait()
            assert client.open_connections == 0

    run(main)
