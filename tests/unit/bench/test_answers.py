"""The fake provider's bytes: real enough for a real gateway."""

import json

import pytest
from bench import answers

MESSAGES, CHAT = b"/v1/messages", b"/v1/chat/completions"


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_json_answer_is_well_formed_and_echoes_the_model(path: bytes) -> None:
    head, _, body = answers.json_answer(path, b"some-model").partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    answer = json.loads(body)
    assert answer["model"] == "some-model"
    assert answer["usage"]
    assert 1000 <= len(body) <= 1500


def _payloads(raw: bytes) -> bytes:
    found, rest = b"", raw
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        found, rest = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return found


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_stream_is_chunked_and_carries_one_mark_an_event(path: bytes) -> None:
    made = answers.script(path, b"some-model", burst=5)
    body = _payloads(made.opening.removeprefix(answers.STREAM_HEAD) + made.burst + made.single + made.closing)
    assert body.count(answers.MARK) == 6
    assert made.burst.count(answers.MARK) == 5
    data = [
        line[6:] for line in body.decode().splitlines() if line.startswith("data: ") and "[DONE]" not in line
    ]
    usages = [json.loads(line).get("usage") for line in data]
    assert any(usages), "the end tells the usage"


def test_an_event_is_of_realistic_size() -> None:
    event = len(_payloads(answers.script(MESSAGES, b"m", burst=1).single))
    assert 110 <= event <= 150


def test_steering_is_read_from_anywhere_in_the_body() -> None:
    assert answers.read_steer(b'{"metadata":{"user_id":"bench:stream:500:5:20"}}') == answers.Steer(
        kind="stream", count=500, burst=5, gap_ms=20
    )
    assert answers.read_steer(b'{"user":"bench:open:10"}') == answers.Steer(kind="open", count=10)
    assert answers.read_steer(b'{"messages":[]}') is None


def test_the_model_is_read_however_the_body_is_spaced() -> None:
    assert answers.read_model(b'{ "model" : "a-b" }') == b"a-b"
    assert answers.read_model(b"{}") == b"unknown"
