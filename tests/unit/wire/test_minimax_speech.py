"""MiniMax's speech: what was billed, and an error that comes with status 200."""

import json

import pytest

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall

WIRE = WIRES["minimax_speech"]
EVENTS = AnswerHead(headers=((b"content-type", b"text/event-stream"),))
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))


def read(text: str, *, stream: bool = False) -> ModelCall:
    body = {"model": "speech-2.8-hd", "text": text, "stream": stream}
    return WIRE.read_call(Asked(body=json.dumps(body).encode()))


def event(audio: str = "", code: int = 0, characters: int | None = None) -> bytes:
    fields: dict[str, object] = {"data": {"audio": audio, "status": 1} if audio else None}
    if characters is not None:
        fields["extra_info"] = {"audio_length": 9, "usage_characters": characters}
    return b"data: %s\n\n" % json.dumps({**fields, "base_resp": {"status_code": code}}).encode()


def outcome(call: ModelCall, answer: bytes, head: AnswerHead) -> Metered:
    tap = WIRE.tap(call, strip_usage=False, head=head)
    pieces = [tap.feed(answer[at : at + 65_536]) for at in range(0, len(answer), 65_536)]
    assert b"".join((*pieces, tap.finish())) == answer
    return tap.outcome(input_bound=0)


def test_a_chinese_character_may_be_billed_twice_and_is_held_for_twice() -> None:
    call = read("Hello 世界")
    assert call.demand.most == {"characters": 16}
    assert call.expected == Usage(characters=10)


@pytest.mark.parametrize("code", [1000, 1002, 1004, 1008, 2013])
def test_an_error_with_status_200_costs_nothing(code: int) -> None:
    body = b'{"data":null,"base_resp":{"status_code":%d,"status_msg":"no"}}' % code
    assert outcome(read("Hi"), body, JSON) == Nothing()
    assert outcome(read("Hi", stream=True), event(code=code), EVENTS) == Nothing()
    assert outcome(read("Hi", stream=True), body, JSON) == Nothing()


def test_an_error_after_sound_costs_what_the_text_does() -> None:
    call = read("Hi", stream=True)
    found = outcome(call, event("00") + event("00") + event(code=1000), EVENTS)
    assert found == AtLeast(Usage(characters=2))


def test_a_stream_cut_before_its_last_event_costs_what_the_text_does() -> None:
    assert outcome(read("Hi", stream=True), event("00"), EVENTS) == AtLeast(Usage(characters=2))


def test_the_sound_that_the_last_event_repeats_is_not_kept() -> None:
    stream = event("00") + event("00" * 2_500_000, characters=7)
    assert outcome(read("Hi", stream=True), stream, EVENTS) == Exact(Usage(characters=7))


def test_a_large_answer_is_read_at_its_end() -> None:
    body = json.dumps(
        {
            "data": {"audio": "00" * 2_500_000, "status": 2},
            "extra_info": {"usage_characters": 9},
            "base_resp": {"status_code": 0},
        }
    ).encode()
    assert outcome(read("Hi"), body, JSON) == Exact(Usage(characters=9))


def test_sound_waits_for_nothing_in_a_stream_and_for_its_bill_in_one_piece() -> None:
    assert WIRE.tap(read("Hi", stream=True), strip_usage=False, head=EVENTS).as_it_comes
    assert not WIRE.tap(read("Hi"), strip_usage=False, head=JSON).as_it_comes
