"""The load generator's connection finds the end of every answer, however the bytes are cut."""

import asyncio

import pytest
from bench import answers
from bench.client import Connection, request_bytes
from bench.job import Job, job_from_json, to_json


class Wire(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.sent = b""


def _opened() -> tuple[Connection, list[str]]:
    ended: list[str] = []
    connection = Connection(b"request", lambda _, complaint: ended.append(complaint))
    connection.connection_made(Wire())
    return connection, ended


def _stream() -> bytes:
    made = answers.script(b"/v1/messages", b"m", burst=5)
    return made.opening + made.burst * 3 + made.single + made.closing


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 64, 1000, 100_000])
@pytest.mark.parametrize(
    ("answer", "events"), [(_stream(), 16), (answers.json_answer(b"/v1/messages", b"m"), 0)]
)
def test_an_answer_ends_once_and_at_its_last_byte(answer: bytes, events: int, size: int) -> None:
    connection, ended = _opened()
    for _ in range(2):
        ended.clear()
        connection.send()
        for start in range(0, len(answer), size):
            assert ended == []
            connection.data_received(answer[start : start + size])
        assert ended == [""]
    assert connection.events == 2 * events


def test_another_status_is_a_complaint() -> None:
    connection, ended = _opened()
    connection.send()
    connection.data_received(b"HTTP/1.1 402 Payment Required\r\nContent-Length: 2\r\n\r\n{}")
    assert len(ended) == 1
    assert ended[0].startswith("status 402")


def test_a_connection_that_breaks_under_a_request_is_a_complaint() -> None:
    connection, ended = _opened()
    connection.send()
    connection.connection_lost(None)
    assert ended == ["connection lost: closed by peer"]
    assert not connection.alive


def test_a_connection_that_breaks_while_idle_is_silent() -> None:
    connection, ended = _opened()
    connection.connection_lost(None)
    assert ended == []


def test_a_request_is_whole() -> None:
    head, _, body = request_bytes(80, "/v1/messages", "k", "{}").partition(b"\r\n\r\n")
    assert body == b"{}"
    assert b"content-length: 2" in head
    assert b"x-api-key: k" in head


def test_a_job_survives_its_way_to_the_load_generator() -> None:
    job = Job(mode="paced", port=1, path="/", body="{}", keys=["k"], watch={"contender": [1, 2]})
    assert job_from_json(to_json(job)) == job
