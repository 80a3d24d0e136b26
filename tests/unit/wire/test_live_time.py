"""Meters of connected time, with providers.md D 19 and 30 as cases."""

import json

from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.live import Frame, LiveTerms, Meter
from qlaud.wire.live_time import TimeMeter

TERMS = LiveTerms(slice_ms=15_000)


def send(meter: Meter, frame: Frame) -> None:
    meter.offer(frame)
    meter.sent()


def xai_done(seconds: float) -> str:
    usage = {"input_tokens": 10, "output_tokens": 277, "total_tokens": 287, "billable_audio_seconds": seconds}
    return json.dumps({"type": "response.done", "response": {"id": "r", "usage": {}}, "usage": usage})


def test_live_seconds_are_cumulative() -> None:
    meter = TimeMeter(TERMS, "openai_live")
    for seconds in (5, 12, 20):
        meter.seen(json.dumps({"type": "session.usage.updated", "usage": {"seconds": seconds}}))
    meter.seen(json.dumps({"type": "session.closed", "usage": {"seconds": 20}}))
    assert meter.told_all
    assert meter.end(clean=True) == Exact(Usage(audio_ms=20_000))


def test_xai_tells_usage_at_the_top_of_the_event_and_counts_through() -> None:
    meter = TimeMeter(TERMS, "xai")
    meter.seen(xai_done(3))
    meter.seen('{"type":"ping","timestamp":1}')
    assert meter.take() == Exact(
        Usage(
            audio_ms=3_000,
            detail={"told_input_tokens": 10, "told_output_tokens": 277, "told_total_tokens": 287},
        )
    )
    meter.seen(xai_done(8.5))
    taken = meter.end(clean=True)
    assert isinstance(taken, Exact)
    assert taken.usage.audio_ms == 5_500


def test_a_count_that_begins_anew_is_added() -> None:
    meter = TimeMeter(TERMS, "xai")
    for seconds in (4, 9, 2):
        meter.seen(xai_done(seconds))
    taken = meter.end(clean=True)
    assert isinstance(taken, Exact)
    assert taken.usage.audio_ms == 11_000


def test_time_that_passes_must_be_covered_and_is_billed_where_nothing_was_told() -> None:
    meter = TimeMeter(TERMS, "xai")
    meter.passed(7_250)
    assert meter.need(ahead=False).most == {"audio_ms": 7_250, "calls": 0}
    assert meter.need(ahead=True).most == {"audio_ms": 22_250, "calls": 0}
    assert not meter.ready
    assert meter.end(clean=False) == AtLeast(Usage(audio_ms=7_250))


def test_a_text_message_has_a_fee_of_its_own() -> None:
    meter = TimeMeter(TERMS, "xai")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    send(meter, json.dumps({"type": "conversation.item.create", "item": item}))
    send(meter, '{"type":"response.create"}')
    meter.offer(json.dumps({"type": "conversation.item.create", "item": item}))
    meter.withdraw()
    assert meter.need(ahead=False).most == {"audio_ms": 0, "calls": 1}
    assert meter.take() == Exact(Usage(calls=1))
    assert meter.take() == Nothing()


def test_a_text_message_has_its_fee_however_its_names_are_spelled() -> None:
    item = {"type": "message", "content": [{"type": "input_text", "text": "hi"}]}
    message = json.dumps({"type": "conversation.item.create", "item": item})
    for frame in (
        message.replace("item.create", "item\\u002ecreate"),
        message.replace('"item":', '"item": {}, "item":'),
        message.encode(),
    ):
        meter = TimeMeter(TERMS, "xai")
        send(meter, frame)
        assert meter.end(clean=True) == AtLeast(Usage(calls=1))
