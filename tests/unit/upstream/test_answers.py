"""Answers good and bad: what is read, what is refused, what is left of the connection."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.upstream.abusive import OK, Peer, answering, call, plain_client, serving, whole, whole_until

from qlaud.ports import UpstreamBroken
from qlaud.providers.upstream import UpstreamLimits
from qlaud.providers.upstream.reader import Refused, ResponseReader
from qlaud.providers.upstream.response import WireResponse

SMALL = UpstreamLimits(header_limit_bytes=4096, line_limit_bytes=1024, header_count_limit=20)
READ_BYTES = 262_144
"""What one read of the socket gives at most, on either loop."""
LONG = READ_BYTES + 40_000
HEAD = b"HTTP/1.1 200 OK\r\n"
SIZED = HEAD + b"Content-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world"
CHUNKED = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
EXTENDED = (
    HEAD
    + b'transfer-encoding: chunked\r\n\r\n5;a=b;c="d"\r\nhello\r\n6;x\r\n world\r\n0;z\r\nTr: x\r\nTs: y\r\n\r\n'
)
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"

GOOD = {
    "sized": SIZED,
    "chunked": CHUNKED,
    "chunk extensions and trailers": EXTENDED,
    "interim responses first": INTERIM + SIZED,
    "no reason phrase": SIZED.replace(b" OK", b""),
    "a lone CRLF first": b"\r\n" + SIZED,
}

BAD = {
    "two lengths that differ": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "two lengths in one": HEAD + b"content-length: 2, 3\r\n\r\nabc",
    "a length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
    "a signed length": HEAD + b"content-length: +2\r\n\r\nab",
    "a negative length": HEAD + b"content-length: -2\r\n\r\nab",
    "an empty length": HEAD + b"content-length:\r\n\r\nab",
    "a length past 64 bits": HEAD + b"content-length: 99999999999999999999\r\n\r\nab",
    "another transfer coding": HEAD + b"transfer-encoding: gzip\r\n\r\nab",
    "two transfer codings": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity": HEAD + b"transfer-encoding: identity\r\n\r\nab",
    "a chunk size that is no number": HEAD + b"transfer-encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
    "a chunk size past 64 bits": HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nab",
    "a chunk longer than its size": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "an upgrade nobody asked for": b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "101 without upgrade": b"HTTP/1.1 101 S\r\n\r\n",
    "status zero": b"HTTP/1.1 000 N\r\ncontent-length: 0\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "a folded header": HEAD + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
    "a space before the colon": HEAD + b"content-length : 2\r\n\r\nok",
    "NUL in a header": HEAD + b"x: a\0b\r\ncontent-length: 2\r\n\r\nok",
    "CR in a header": HEAD + b"x: a\rb\r\ncontent-length: 2\r\n\r\nok",
    "a header line too long": HEAD + b"x: " + b"a" * 2000 + b"\r\ncontent-length: 2\r\n\r\nok",
    "a header name too long": HEAD + b"x" * 2000 + b": a\r\ncontent-length: 2\r\n\r\nok",
    "headers too long together": HEAD + (b"x: " + b"a" * 900 + b"\r\n") * 5 + b"content-length: 2\r\n\r\nok",
    "too many headers": HEAD + b"x: a\r\n" * 21 + b"content-length: 2\r\n\r\nok",
    "a status line too long": b"HTTP/1.1 200 " + b"a" * 2000 + b"\r\ncontent-length: 2\r\n\r\nok",
    "a header that never ends": HEAD + b"x: " + b"a" * LONG,
    "a status line that never ends": b"HTTP/1.1 200 " + b"a" * LONG,
    "interim responses that never end": b"HTTP/1.1 103 E\r\nlink: a\r\n\r\n" * 400,
    "a trailer that never ends": HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * LONG,
    "trailers too long together": HEAD
    + b"transfer-encoding: chunked\r\n\r\n0\r\n"
    + (b"x: " + b"a" * 900 + b"\r\n") * 5
    + b"\r\n",
    "a chunk extension that never ends": HEAD + b"transfer-encoding: chunked\r\n\r\n5;" + b"a" * LONG,
}


@pytest.mark.parametrize("answer", GOOD.values(), ids=GOOD.keys())
@pytest.mark.parametrize("one_byte_at_a_time", [False, True])
def test_a_good_answer_is_read_however_it_is_cut(run, answer, one_byte_at_a_time):
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            if one_byte_at_a_time:
                for place in range(len(answer)):
                    await peer.send(answer[place : place + 1])
                    await asyncio.sleep(0)
            else:
                await peer.send(answer)

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            for _ in range(2):
                response = await client.send(call(server.origin))
                assert response.status == 200
                assert await whole(response) == b"hello world"
                assert await response.read() == b""
            assert server.connections == 1
            await client.aclose()

    run(main)


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("piece_bytes", [1_000_000, 700])
def test_a_bad_answer_is_broken_and_its_connection_closed(run, answer, piece_bytes):
    async def script(peer: Peer) -> None:
        await peer.request()
        for place in range(0, len(answer), piece_bytes):
            await peer.send(answer[place : place + piece_bytes])
            await asyncio.sleep(0)
        assert await peer.gone()

    async def main() -> None:
        client = plain_client(SMALL)
        async with serving(script) as server:
            with pytest.raises(UpstreamBroken) as caught:
                await whole(await client.send(call(server.origin)))
            assert caught.value.started
            assert client.open_connections == 0

    run(main)


@pytest.mark.parametrize("answer", [SIZED, CHUNKED, EXTENDED], ids=["sized", "chunked", "extended"])
@pytest.mark.parametrize("hard", [False, True], ids=["closed", "reset"])
def test_an_answer_cut_short_at_any_byte_is_never_taken_for_whole(run, answer, hard):
    cut_at = {"bytes": 0}

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer[: cut_at["bytes"]])
        if hard:
            peer.reset()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            for place in range(len(answer)):
                cut_at["bytes"] = place
                with pytest.raises(UpstreamBroken) as caught:
                    await whole(await client.send(call(server.origin)))
                assert caught.value.started
            assert server.connections == len(answer)
            assert client.open_connections == 0

    run(main)


def test_what_came_before_the_cut_is_delivered_and_the_fault_is_told_on_every_read(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(SIZED[:-3])

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            got, fault = await whole_until(response, UpstreamBroken)
            assert got == b"hello wo"
            assert fault is not None
            with pytest.raises(UpstreamBroken):
                await response.read()

    run(main)


def test_headers_come_in_wire_order_in_lower_case_without_outer_blanks(run):
    answer = HEAD + b"X-B:  two words \t\r\nx-a: 1\r\nX-B: 3\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"

    async def main() -> None:
        client = plain_client()
        async with serving(answering(answer)) as server:
            response = await client.send(call(server.origin))
            assert list(response.headers) == [
                (b"x-b", b"two words"),
                (b"x-a", b"1"),
                (b"x-b", b"3"),
                (b"empty", b""),
                (b"content-length", b"0"),
            ]
            assert await response.read() == b""
            await client.aclose()

    run(main)


@pytest.mark.parametrize(
    ("method", "answer", "reused"),
    [
        ("GET", b"HTTP/1.1 204 N\r\ncontent-length: 7\r\n\r\n", True),
        ("GET", b"HTTP/1.1 204 N\r\n\r\n", True),
        ("GET", b"HTTP/1.1 304 N\r\ncontent-length: 7\r\n\r\n", True),
        ("HEAD", HEAD + b"content-length: 7\r\n\r\n", False),
        ("HEAD", HEAD + b"transfer-encoding: chunked\r\n\r\n", False),
        ("HEAD", HEAD + b"\r\n", False),
    ],
)
def test_an_answer_without_a_body_ends_with_its_head(run, method, answer, reused):
    async def main() -> None:
        client = plain_client()
        async with serving(answering(answer)) as server:
            response = await client.send(call(server.origin, method, None))
            assert await response.read() == b""
            assert not response.until_close
            assert client.idle_connections == (1 if reused else 0)
            await client.aclose()

    run(main)


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"x",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
        OK + b"garbage\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP",
        HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok and more",
    ],
)
def test_an_answer_is_whole_but_its_connection_is_not_used_again(run, answer):
    async def main() -> None:
        client = plain_client()
        async with serving(answering(answer)) as server:
            for _ in range(2):
                assert await whole(await client.send(call(server.origin))) == b"ok"
                assert client.open_connections == 0
            assert server.connections == 2

    run(main)


def test_a_body_without_a_promised_length_ends_at_the_hang_up_and_says_so(run):
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + b"\r\n", b"hello ", b"world")

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            assert await whole(response) == b"hello world"
            assert response.until_close
            assert client.open_connections == 0

    run(main)


def test_a_reset_is_no_end_of_a_body_without_a_promised_length(run):
    read_some = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD + b"\r\nhello")
        await read_some.wait()
        peer.reset()

    async def main() -> None:
        client = plain_client()
        async with serving(script) as server:
            response = await client.send(call(server.origin))
            assert await response.read() == b"hello"
            read_some.set()
            with pytest.raises(UpstreamBroken):
                await response.read()

    run(main)


def test_compressed_bytes_pass_as_they_are(run):
    squeezed = bytes(range(256))
    answer = HEAD + b"content-encoding: gzip\r\ncontent-length: 256\r\n\r\n" + squeezed

    async def main() -> None:
        client = plain_client()
        async with serving(answering(answer)) as server:
            response = await client.send(call(server.origin))
            assert (b"content-encoding", b"gzip") in list(response.headers)
            assert await whole(response) == squeezed
            await client.aclose()

    run(main)


class NoFeed:
    def resume(self) -> None: ...

    def drop(self) -> None: ...


def outcome(answer: bytes, cuts: list[int]) -> tuple[object, ...]:
    """What a reader makes of `answer` when it comes cut at `cuts`."""
    reader = ResponseReader(SMALL)
    response = WireResponse(NoFeed(), None)  # type: ignore[arg-type]
    reader.begin(response, head_only=False)
    reads = range(0, len(answer), READ_BYTES)
    places = sorted([*reads, *(cut % (len(answer) + 1) for cut in cuts), len(answer)])
    refused = False
    try:
        for start, end in itertools.pairwise(places):
            reader.feed(answer[start:end])
    except Refused:
        refused = True
    ended = reader.complete
    reader.stop()
    return refused, ended, response.status, list(response.headers), b"".join(response.chunks)


@given(st.sampled_from([*GOOD.values()]), st.lists(st.integers(0, 10_000), max_size=12))
def test_where_a_good_answer_is_cut_changes_nothing(answer, cuts):
    assert outcome(answer, cuts) == outcome(answer, [])
    assert outcome(answer, cuts)[:2] == (False, True)


@given(st.sampled_from([*BAD.values()]), st.lists(st.integers(0, 10_000), max_size=12))
def test_no_cut_makes_a_bad_answer_whole(answer, cuts):
    refused, ended, *_ = outcome(answer, cuts)
    assert refused
    assert not ended
