"""OpenAI's realtime meter, with providers.md D 18 and 71 as cases."""

import base64
import json
from typing import Any

import pytest

from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.live import Frame, LiveTerms, Meter, Need
from qlaud.wire.live_openai import RealtimeMeter

TERMS = LiveTerms(slice_ms=15_000, max_output=4096, context_window=32_000)


def send(meter: Meter, frame: Frame) -> None:
    meter.offer(frame)
    meter.sent()


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def session(**fields: Any) -> str:
    return event("session.created", session={"type": "realtime", "max_output_tokens": "inf", **fields})


def no_detection(**fields: Any) -> str:
    return session(audio={"input": {"turn_detection": None}}, **fields)


def done(name: str, usage: dict[str, Any] | None, status: str = "completed", **fields: Any) -> str:
    return event("response.done", response={"id": name, "status": status, "usage": usage, **fields})


def usage_of(text: int, audio: int, cached: int, out_text: int, out_audio: int) -> dict[str, Any]:
    return {
        "total_tokens": text + audio + out_text + out_audio,
        "input_tokens": text + audio,
        "output_tokens": out_text + out_audio,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": audio,
            "cached_tokens": cached,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0},
        },
        "output_token_details": {"text_tokens": out_text, "audio_tokens": out_audio},
    }


def begun(meter: RealtimeMeter, name: str) -> None:
    meter.seen(event("response.created", response={"id": name}))


def test_usage_of_all_responses_adds_up_cancelled_ones_too() -> None:
    meter = RealtimeMeter(TERMS)
    for number in (1, 2, 3):
        begun(meter, f"r{number}")
        status = "cancelled" if number == 2 else "completed"
        meter.seen(done(f"r{number}", usage_of(100, 40, 64, 10, 50), status))
    assert meter.due
    used = Usage(
        input_tokens=3 * 36,
        cache_read_tokens=3 * 64,
        audio_in_tokens=120,
        output_tokens=30,
        audio_out_tokens=150,
    )
    assert meter.take() == Exact(used)
    assert meter.end(clean=True) == Nothing()


def test_cached_tokens_are_told_apart_by_modality() -> None:
    meter = RealtimeMeter(TERMS)
    usage = usage_of(100, 200, 0, 1, 0)
    usage["input_token_details"] |= {
        "image_tokens": 30,
        "cached_tokens": 150,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 80, "image_tokens": 10},
    }
    usage["input_tokens"] = 330
    meter.seen(done("r", usage))
    assert meter.take() == Exact(
        Usage(
            input_tokens=40,
            cache_read_tokens=60,
            audio_in_tokens=120,
            audio_cache_read_tokens=80,
            image_in_tokens=20,
            image_cache_read_tokens=10,
            output_tokens=1,
        )
    )


def test_one_response_is_held_while_it_may_begin_by_itself() -> None:
    meter = RealtimeMeter(TERMS)
    assert meter.need(ahead=False) == Need(input_tokens=0, output_tokens=4096)
    assert meter.need(ahead=True) == Need(input_tokens=556, output_tokens=4096)  # 15 s of audio and some room
    meter.seen(session(instructions="i" * 50, tools=[]))
    assert meter.need(ahead=False) == Need(input_tokens=50, output_tokens=4096)


def test_nobody_is_answered_who_has_not_spoken() -> None:
    meter = RealtimeMeter(TERMS)
    send(meter, event("response.create", response={"max_output_tokens": 7}))
    assert meter.need(ahead=False).output_tokens == 7
    send(meter, event("input_audio_buffer.append", audio="AAAA"))
    assert meter.need(ahead=False).output_tokens == 4096 + 7


def test_a_response_under_way_keeps_its_share_and_the_next_may_begin_beside_it() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(session(max_output_tokens=500))
    send(meter, event("input_audio_buffer.append", audio=""))
    begun(meter, "r1")
    assert meter.need(ahead=False).output_tokens == 1000
    meter.seen(done("r1", usage_of(10, 0, 0, 0, 20)))
    # 30 tokens of context, one response that may begin, and what is told and not settled yet.
    assert meter.need(ahead=False) == Need(input_tokens=30 + 10, output_tokens=500 + 20)
    meter.take()
    assert meter.need(ahead=False) == Need(input_tokens=30, output_tokens=500)


def test_without_detection_only_what_was_asked_for_needs_money() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(no_detection())
    send(meter, event("response.create", response={"max_output_tokens": 77, "instructions": "abc"}))
    assert meter.need(ahead=False) == Need(input_tokens=3, output_tokens=77)
    begun(meter, "r1")
    assert meter.need(ahead=False) == Need(input_tokens=3, output_tokens=77)
    send(meter, event("response.create", response={"conversation": "none", "max_output_tokens": 5}))
    assert meter.need(ahead=False) == Need(input_tokens=6, output_tokens=82)


@pytest.mark.parametrize(
    ("detection", "begins_alone"),
    [
        (None, False),
        ({"type": "server_vad"}, True),
        ({"type": "semantic_vad", "create_response": False}, False),
        ({"type": "server_vad", "create_response": False, "idle_timeout_ms": 6000}, True),
    ],
)
def test_detection_decides_whether_a_response_may_begin_by_itself(detection: Any, begins_alone: bool) -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(session(audio={"input": {"turn_detection": detection}}, max_output_tokens=100))
    send(meter, event("input_audio_buffer.append", audio=""))
    begun(meter, "r1")
    assert meter.need(ahead=False).output_tokens == (200 if begins_alone else 100)


def test_older_sessions_say_it_at_the_top() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(event("session.created", session={"turn_detection": None, "max_response_output_tokens": 42}))
    assert meter.need(ahead=False).output_tokens == 42


def test_until_a_change_is_confirmed_the_dearer_terms_hold() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(session(max_output_tokens=1000))
    send(meter, event("session.update", session={"max_output_tokens": 10, "instructions": "x" * 20}))
    meter.seen(session(max_output_tokens=1000))  # it was on its way
    assert meter.need(ahead=False).output_tokens == 1000
    meter.seen(event("session.updated", session={"max_output_tokens": 10}))
    assert meter.need(ahead=False).output_tokens == 10


def test_a_context_grows_by_bytes_of_text_and_by_audio() -> None:
    meter = RealtimeMeter(TERMS)
    send(
        meter, event("input_audio_buffer.append", audio=base64.b64encode(bytes(48_000)).decode())
    )  # one second
    assert meter.need(ahead=False).input_tokens == 20
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüße"}]}
    meter.offer(event("conversation.item.create", item=item))
    assert meter.need(ahead=False).input_tokens == 20 + 16 + 7
    meter.withdraw()
    assert meter.need(ahead=False).input_tokens == 20


def test_what_came_while_a_response_ran_is_on_top_of_what_it_told() -> None:
    meter = RealtimeMeter(TERMS)
    begun(meter, "r1")
    send(meter, event("input_audio_buffer.append", audio=base64.b64encode(bytes(96_000)).decode()))
    meter.seen(done("r1", usage_of(100, 0, 0, 0, 60)))
    meter.take()
    assert meter.need(ahead=False).input_tokens == 160 + 40


def test_a_context_never_counts_for_more_than_the_window() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(session(instructions="x" * 40_000))
    assert meter.need(ahead=True).input_tokens == 32_000


@pytest.mark.parametrize("outside", [{"tools": [{"type": "mcp"}]}, {"prompt": {"id": "pmpt_1"}}])
def test_input_from_elsewhere_counts_as_the_whole_window(outside: dict[str, Any]) -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(session(**outside))
    assert meter.need(ahead=False).input_tokens == 32_000


def test_a_template_of_the_operators_is_told() -> None:
    meter = RealtimeMeter(TERMS)
    for frame in (
        event("session.update", session={"prompt": {"id": "p"}}),
        event("response.create", response={}),
    ):
        meter.offer(frame)
        assert meter.foreign == ("prompt" if "prompt" in frame else None)


def test_a_response_outside_the_conversation_does_not_tell_its_context() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(done("r1", usage_of(500, 0, 0, 0, 50)))
    meter.seen(done("r2", usage_of(5, 0, 0, 1, 0), conversation_id=None))
    meter.take()
    assert meter.need(ahead=False).input_tokens == 550


def test_a_response_that_was_refused_needs_no_money_any_more() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(no_detection())
    send(meter, event("response.create", event_id="e1", response={"max_output_tokens": 5}))
    send(meter, event("response.create", event_id="e2", response={"max_output_tokens": 7}))
    meter.seen(event("error", error={"type": "invalid_request_error", "event_id": "e1"}))
    assert meter.need(ahead=False).output_tokens == 7


def test_a_session_that_breaks_in_a_response_keeps_what_was_told_and_estimates_the_rest() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(done("r1", usage_of(30, 0, 0, 5, 0)))
    begun(meter, "r2")
    assert not meter.ready
    assert not meter.countable
    assert meter.farewell() == ('{"type":"response.cancel"}',)
    assert meter.end(clean=False) == AtLeast(Usage(input_tokens=30 + 35, output_tokens=5))


def test_a_response_without_usage_is_free() -> None:
    meter = RealtimeMeter(TERMS)
    begun(meter, "r1")
    meter.seen(done("r1", None, "failed"))
    assert meter.end(clean=True) == Nothing()


def transcribed(usage: dict[str, Any]) -> str:
    return event("conversation.item.input_audio_transcription.completed", transcript="hi", usage=usage)


def test_transcription_is_metered_apart_in_tokens_or_in_time() -> None:
    meter = RealtimeMeter(TERMS)
    assert meter.second is None
    send(
        meter,
        event("session.update", session={"audio": {"input": {"transcription": {"model": "whisper-1"}}}}),
    )
    assert meter.second == ("whisper-1", meter.transcription)
    send(meter, event("input_audio_buffer.append", audio=base64.b64encode(bytes(96_000)).decode()))
    second = meter.transcription
    assert second.need(ahead=True).most == {"audio_ms": 17_000}
    meter.seen(transcribed({"type": "duration", "seconds": 2}))
    assert second.take() == Exact(Usage(audio_ms=2000))
    assert second.need(ahead=False).most == {"audio_ms": 0}
    tokens = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    meter.seen(transcribed({**tokens, "input_token_details": {"audio_tokens": 10, "text_tokens": 4}}))
    assert second.end(clean=True) == Exact(Usage(input_tokens=4, audio_in_tokens=10, output_tokens=45))
    assert meter.end(clean=True) == Nothing()


def test_transcription_by_tokens_is_bounded_in_tokens() -> None:
    meter = RealtimeMeter(TERMS)
    meter.transcription.by_time = False
    meter.transcription.add(3_000)
    need = meter.transcription.need(ahead=False)
    assert (need.input_tokens, need.output_tokens, need.most) == (60, 60, {"audio_ms": 0})


@pytest.mark.parametrize(
    "frame", [b"\x00", "response.done", '{"type":"response.done"}', '["response.created"]', "{}"]
)
def test_messages_without_sense_change_nothing(frame: str | bytes) -> None:
    meter = RealtimeMeter(TERMS)
    send(meter, frame)
    meter.seen(frame)
    assert meter.end(clean=True) == Nothing()
    assert meter.need(ahead=False) == Need(output_tokens=4096)


def test_a_message_counts_by_what_it_is_and_not_by_what_else_stands_in_it() -> None:
    meter = RealtimeMeter(TERMS)
    meter.seen(no_detection())
    before = meter.need(ahead=False).input_tokens
    asked = event("response.create", event_id="input_audio_buffer.append", response={"input": ["x" * 5_000]})
    send(meter, asked)
    assert meter.need(ahead=False).input_tokens >= before + 5_000
    assert not meter.countable, "a response was asked for"
    other = RealtimeMeter(TERMS)
    other.seen(no_detection())
    audio = base64.b64encode(bytes(480_000)).decode()
    send(other, event("input_audio_buffer.append", audio=audio).replace(".append", "\\u002eappend"))
    assert other.need(ahead=False).input_tokens >= before + 200


def test_a_message_that_some_readers_take_otherwise_may_bring_in_the_whole_context() -> None:
    for frame in ('{"type":"session.update","type":"response.create"}', '{"type":"response.create","n":NaN}'):
        meter = RealtimeMeter(TERMS)
        meter.seen(no_detection())
        send(meter, frame)
        assert meter.need(ahead=False).input_tokens == TERMS.context_window
