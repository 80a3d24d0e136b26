"""Connections are kept, limited, waited for and checked before they are used again."""

import asyncio
import socket

import pytest
from tests.unit.upstream.abusive import OK, Peer, answering, call, plain_client, serving, until, whole

from qlaud.ports import UpstreamBroken, UpstreamResponse, UpstreamUnreachable
from qlaud.providers.upstream import UpstreamLimits


def test_requests_in_a_row_share_one_connection_and_are_counted(run):
    async def main() -> None:
        client = plain_client()
        async with serving(answering()) as server:
            for _ in range(5):
                assert await whole(await client.send(call(server.origin))) == b"ok"
            assert server.connections == 1
            assert (client.counts.opened, client.counts.reused) == (1, 4)
            assert (client.open_connections, client.idle_connections) == (1, 1)
            await client.aclose()
            assert (client.open_connections, client.idle_connections) == (0, 0)

    run(main)


def test_an_answer_that_came_whole_frees_its_connection_before_it_is_read(run):
    async def main() -> None:
        client = plain_client()
        async with serving(answering()) as server:
            first = await client.send(call(server.origin))
            second = await client.send(call(server.origin))
            assert server.connections == 1
            assert (await whole(first), await whole(second)) == (b"ok", b"ok")
            await client.aclose()

    run(main)


def test_the_connection_used_last_is_used_first(run):
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % peer.number)

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            both = await asyncio.gather(*(client.send(call(server.origin)) for _ in range(2)))
            last = await whole(both[1])
            assert {await whole(both[0]), last} == {b"1", b"2"}
            idle = {await whole(await client.send(call(server.origin))) for _ in range(4)}
            assert len(idle) == 1
            await client.aclose()

    run(main)


def test_a_response_that_is_closed_early_hangs_up(run):
    hung_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome")
        assert await peer.gone()
        hung_up.set()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            reading = asyncio.create_task(whole(response))
            await asyncio.sleep(0)
            response.close()
            response.close()
            with pytest.raises(UpstreamBroken):
                await reading
            assert client.open_connections == 0
            await hung_up.wait()

    run(main)


def test_a_full_pool_is_waited_for_in_order(run):
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await gate.wait()
            await peer.send(OK)

    async def main() -> None:
        client, order = plain_client(UpstreamLimits(max_connections_per_origin=1)), list[int]()

        async def one(number: int, origin: str) -> None:
            response: UpstreamResponse = await client.send(call(origin))
            order.append(number)
            while await response.read():
                pass

        async with serving(script) as server:
            tasks = [asyncio.create_task(one(number, server.origin)) for number in range(5)]
            await until(lambda: client.open_connections == 1)
            gate.set()
            await asyncio.gather(*tasks)
            assert order == [0, 1, 2, 3, 4]
            assert server.connections == 1
            await client.aclose()

    run(main)


def test_who_waits_too_long_for_a_connection_is_told_that_nothing_was_sent(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        assert await peer.gone()

    async def main() -> None:
        client = plain_client(UpstreamLimits(max_connections_per_origin=1, pool_wait_s=0.05))
        async with serving(script) as server:
            first = asyncio.create_task(client.send(call(server.origin)))
            await until(lambda: client.open_connections == 1)
            with pytest.raises(UpstreamUnreachable, match="busy") as caught:
                await client.send(call(server.origin))
            assert not caught.value.started
            first.cancel()
            await asyncio.wait((first,))
            assert first.cancelled()

    run(main)


def test_a_cancelled_call_hangs_up_and_its_slot_goes_to_the_next(run):
    hung_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            assert await peer.gone()
            hung_up.set()
        else:
            await peer.send(OK)

    async def main() -> None:
        client = plain_client(UpstreamLimits(max_connections_per_origin=1))
        async with serving(script) as server:
            first = asyncio.create_task(client.send(call(server.origin)))
            await until(lambda: client.open_connections == 1)
            second = asyncio.create_task(client.send(call(server.origin)))
            await asyncio.sleep(0)
            first.cancel()
            assert await whole(await second) == b"ok"
            assert first.cancelled()
            await hung_up.wait()
            await client.aclose()

    run(main)


@pytest.mark.parametrize("turns", range(6))
def test_a_call_cancelled_while_it_waits_for_a_connection_loses_no_slot(run, turns):
    async def main() -> None:
        client = plain_client(UpstreamLimits(max_connections_per_origin=1))
        async with serving(answering()) as server:
            held = asyncio.create_task(client.send(call(server.origin)))
            waits = [asyncio.create_task(client.send(call(server.origin))) for _ in range(3)]
            await until(lambda: client.open_connections == 1)
            await whole(await held)
            for _ in range(turns):  # before, while and after the freed connection is handed on
                await asyncio.sleep(0)
            waits[0].cancel()
            waits[1].cancel()
            await asyncio.wait(waits)
            assert await whole(await waits[2]) == b"ok"
            assert await whole(await client.send(call(server.origin))) == b"ok"
            await client.aclose()
            assert client.open_connections == 0

    run(main)


def test_a_connection_that_cannot_be_opened_frees_its_slot(run):
    async def main() -> None:
        client = plain_client(UpstreamLimits(max_connections_per_origin=1))
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            origin = f"http://127.0.0.1:{closed.getsockname()[1]}"
            for _ in range(3):
                with pytest.raises(UpstreamUnreachable, match="could not connect") as caught:
                    await client.send(call(origin))
                assert not caught.value.started
            assert client.open_connections == 0

    run(main)


def test_who_waits_for_a_slot_of_a_connection_that_cannot_be_opened_tries_at_once(run):
    async def main() -> None:
        client = plain_client(UpstreamLimits(max_connections_per_origin=1, pool_wait_s=60))
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            origin = f"http://127.0.0.1:{closed.getsockname()[1]}"
            faults = await asyncio.gather(
                *(client.send(call(origin)) for _ in range(3)), return_exceptions=True
            )
            assert ["could not connect" in str(fault) for fault in faults] == [True] * 3

    run(main)


def test_idle_connections_are_limited_and_leave_in_time(run):
    left = list[int]()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        assert await peer.gone()
        left.append(peer.number)

    async def main() -> None:
        client = plain_client(UpstreamLimits(max_idle_per_origin=2, idle_keepalive_s=0.05))
        async with serving(script) as server:
            responses = await asyncio.gather(*(client.send(call(server.origin)) for _ in range(4)))
            assert [await whole(response) for response in responses] == [b"ok"] * 4
            assert client.open_connections == client.idle_connections == 2
            await until(lambda: len(left) == 4)
            assert client.open_connections == client.idle_connections == 0

    run(main)


def test_a_closed_client_refuses_and_lets_a_running_answer_end(run):
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await gate.wait()
        await peer.send(b"k")
        assert await peer.gone()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            await client.aclose()
            with pytest.raises(UpstreamUnreachable, match="closed"):
                await client.send(call(server.origin))
            gate.set()
            assert await whole(response) == b"ok"
            assert client.open_connections == 0

    run(main)


def test_who_waits_when_the_client_closes_is_refused(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        assert await peer.gone()

    async def main() -> None:
        client = plain_client(UpstreamLimits(max_connections_per_origin=1))
        async with serving(script) as server:
            held = asyncio.create_task(client.send(call(server.origin)))
            await until(lambda: client.open_connections == 1)
            waits = asyncio.create_task(client.send(call(server.origin)))
            await asyncio.sleep(0)
            await client.aclose()
            with pytest.raises(UpstreamUnreachable, match="closed"):
                await waits
            held.cancel()

    run(main)


@pytest.mark.parametrize("stray", [b"x", b"\r\n", OK])
def test_bytes_on_an_idle_connection_end_it(run, stray):
    nudge = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 1:
            await nudge.wait()
            await peer.send(stray)
            assert await peer.gone()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            assert await whole(await client.send(call(server.origin))) == b"ok"
            nudge.set()
            await until(lambda: client.open_connections == 0)
            assert await whole(await client.send(call(server.origin))) == b"ok"
            assert server.connections == 2
            await client.aclose()

    run(main)
