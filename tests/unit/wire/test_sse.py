"""Event framing: line ends of all kinds, and data over several lines."""

import pytest

from qlaud.wire.sse import event_data, split_events, whole_until


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


@pytest.mark.parametrize(
    ("buffer", "rest"),
    [
        (b"data: a\n\ndata: b\n\ndata: c", b"data: c"),
        (b"data: a\n\n", b""),
        (b"data: a\r\n\r\ndata: b\r\n\r\ndata: c\r\n", b"data: c\r\n"),
        (b"data: a\r\n\r\ndata: b\r\n\r", b"data: b\r\n\r"),
    ],
)
def test_the_end_of_the_last_whole_event_is_found_without_looking_at_the_others(
    buffer: bytes, rest: bytes
) -> None:
    assert buffer[whole_until(buffer) :] == rest == split_events(buffer)[1]


@pytest.mark.parametrize(
    "buffer",
    [b"", b"data: a\n", b"data: a\r\rdata: b", b"data: a\r\n\r\ndata: b\n\n", b"data: a\n\ndata: b\r\n"],
)
def test_line_ends_of_another_kind_take_a_closer_look(buffer: bytes) -> None:
    assert whole_until(buffer) == 0
