"""MiniMax's songs and pictures: billed by the piece, and not at all for an error with status 200."""

import json

import pytest

from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall

EVENTS = AnswerHead(headers=((b"content-type", b"text/event-stream"),))
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))
OK = {"status_code": 0, "status_msg": "success"}
LONG = "00" * 2_500_000


def read(wire: str, **fields: object) -> ModelCall:
    return WIRES[wire].read_call(Asked(body=json.dumps({"model": "m", **fields}).encode()))


def outcome(wire: str, answer: bytes, head: AnswerHead = JSON, **fields: object) -> Metered:
    tap = WIRES[wire].tap(read(wire, **fields), strip_usage=False, head=head)
    pieces = [tap.feed(answer[at : at + 65_536]) for at in range(0, len(answer), 65_536)]
    assert b"".join((*pieces, tap.finish())) == answer
    return tap.outcome(input_bound=0)


def song(audio: str = "00", code: int = 0, *, ended: bool = True) -> dict[str, object]:
    extra = {"extra_info": {"music_duration": 25_364}} if ended else {}
    return {"data": {"audio": audio, "status": 2}, **extra, "base_resp": {**OK, "status_code": code}}


def test_a_song_is_held_for_by_the_call() -> None:
    assert read("minimax_music", prompt="a waltz").demand.most == {"calls": 1}
    assert read("minimax_music", stream=True).stream


@pytest.mark.parametrize("audio", ["00", LONG])
def test_a_song_is_billed_once_whatever_its_length(audio: str) -> None:
    assert outcome("minimax_music", json.dumps(song(audio)).encode()) == Exact(Usage(calls=1))
    events = b"".join(
        b"data: %s\n\n" % json.dumps(one).encode()
        for one in (song(ended=False), song(ended=False), song(audio))
    )
    assert outcome("minimax_music", events, EVENTS, stream=True) == Exact(Usage(calls=1))


def test_a_song_that_breaks_off_is_an_estimate_and_an_error_costs_nothing() -> None:
    begun = b"data: %s\n\n" % json.dumps(song(ended=False)).encode()
    error = b"data: %s\n\n" % json.dumps({"data": None, "base_resp": {"status_code": 1008}}).encode()
    assert outcome("minimax_music", begun, EVENTS, stream=True) == AtLeast(Usage(calls=1))
    assert outcome("minimax_music", begun + error, EVENTS, stream=True) == AtLeast(Usage(calls=1))
    assert outcome("minimax_music", error, EVENTS, stream=True) == Nothing()
    assert outcome("minimax_music", error[6:]) == Nothing()


def test_pictures_are_held_for_as_asked() -> None:
    assert read("minimax_image").demand.most == {"images": 1}
    assert read("minimax_image", n=4).demand.most == {"images": 4}
    with pytest.raises(BadRequest, match="`n`"):
        read("minimax_image", n=10)


@pytest.mark.parametrize("pictures", [["https://example.com/1.png"], [LONG]])
def test_pictures_are_billed_as_made(pictures: list[str]) -> None:
    answer = {"data": {"image_base64": pictures}, "metadata": {"success_count": "2", "failed_count": "1"}}
    body = json.dumps({**answer, "base_resp": OK}).encode()
    assert outcome("minimax_image", body, n=3) == Exact(Usage(images=2))


def test_pictures_that_nobody_counted_are_an_estimate_and_an_error_costs_nothing() -> None:
    assert outcome("minimax_image", b'{"data":{"image_urls":["a"]}}', n=3) == AtLeast(Usage(images=3))
    refused = b'{"metadata":{},"base_resp":{"status_code":1026}}'
    assert outcome("minimax_image", refused, n=3) == Nothing()
    none_made = b'{"metadata":{"success_count":0},"base_resp":{"status_code":0}}'
    assert outcome("minimax_image", none_made, n=3) == Nothing()
    assert outcome("minimax_image", b"", n=3) == Nothing()
