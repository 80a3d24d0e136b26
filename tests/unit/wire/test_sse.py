"""Event framing: line ends of all kinds, and data over several lines."""

import pytest

from qlaud.wire.sse import event_data, split_events


@pytest.mark.parametrize(
    ("buffer", "events", "rest"),
    [
        (b"data: a\n\ndata: b\n\n", [b"data: a\n\n", b"data: b\n\n"], b""),
        (b"data: a\r\n\r\ndata: b\r\n", [b"data: a\r\n\r\n"], b"data: b\r\n"),
        (b"data: a\r\rdata: b\r", [b"data: a\r\r"], b"data: b\r"),
        (b"data: a\n\r\ndata: b", [b"data: a\n\r\n"], b"data: b"),
        (b"data: a\r\n\ndata: b", [b"data: a\r\n\n"], b"data: b"),
        (b"data: a\n\rdata: b", [b"data: a\n\r"], b"data: b"),
        (b"data: a\r\r\ndata: b", [b"data: a\r\r\n"], b"data: b"),
        (b"data: a\r\n\r", [], b"data: a\r\n\r"),
        (b"data: a\r\r", [], b"data: a\r\r"),
        (b"data: a", [], b"data: a"),
        (b"", [], b""),
        (b": c\n\n\ndata: a\n\n", [b": c\n\n", b"\ndata: a\n\n"], b""),
    ],
)
def test_events_end_with_an_empty_line(buffer: bytes, events: list[bytes], rest: bytes) -> None:
    assert split_events(buffer) == (events, rest)


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b" {}\n\n"),
        (b"data:{}\n\n", b"{}\n\n"),
        (b"event: x\ndata: {}   \n\n", b" {}   "),
        (b'data: {"a":\ndata: 1}\n\n', b' {"a":\n 1}'),
        (b"data: {}\r\n\r\n", b" {}"),
        (b"\xef\xbb\xbfdata: {}\n\n", b" {}\n\n"),
        (b": keep-alive\n\n", b""),
        (b"event: ping\n\n", b""),
        (b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n\n", b"{}"),
    ],
)
def test_data_is_the_data_lines_joined(event: bytes, data: bytes) -> None:
    assert event_data(event) == data
