"""The path of nearly every event: a few substring searches, and no JSON reader. Streams are those of the bench.

What a microsecond costs is the bench's business; here it is counted how often anything is parsed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from bench.taps.chat import TEXT
from bench.taps.live import LIVE
from bench.taps.measure import asked_for
from bench.taps.sound import SOUND
from bench.taps.streams import Session, Stream

from qlaud.wire.counts import last_object, read_fields
from qlaud.wire.live import LiveTerms
from qlaud.wire.live_shelf import LIVE_WIRES
from qlaud.wire.shelf import WIRES
from qlaud.wire.taps import PlainTap
from qlaud.wire.types import AnswerHead, Tap

READERS = frozenset({"json_decode", "raw_decode"})
"""What the JSON readers of msgspec and of the standard library are called."""
TELLING = frozenset({("deepgram_live_listen", "results down"), ("deepgram_live_flux", "turns down")})
"""Sessions in which every message says how much was heard: it must be read."""
EVENTS = 12


@contextmanager
def parsings() -> Iterator[list[str]]:
    """Every use of a JSON reader within the block."""
    found: list[str] = []

    def watch(frame: FrameType, event: str, what: object) -> None:
        name = frame.f_code.co_name if event == "call" else getattr(what, "__name__", "")
        if event in ("call", "c_call") and name in READERS:
            found.append(name)

    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(None)


def tap_of(stream: Stream) -> Tap:
    """A tap that has seen the beginning, of which something must be read."""
    wire = WIRES[stream.wire]
    call = wire.read_call(asked_for(stream))
    head = AnswerHead(200, ((b"content-type", stream.content_type.encode()),))
    tap = wire.tap(call, strip_usage=call.stream and not call.wants_usage, head=head)
    tap.feed(stream.opening + stream.event(1))
    return tap


def one_by_one(tap: Tap, events: list[bytes]) -> None:
    for event in events:
        tap.feed(event)


def together(tap: Tap, events: list[bytes]) -> None:
    tap.feed(b"".join(events))


def cut_within(tap: Tap, events: list[bytes]) -> None:
    whole = b"".join(events)
    for at in range(0, len(whole), 701):
        tap.feed(whole[at : at + 701])


def named(one: object) -> str:
    return f"{one.wire}: {one.name}" if isinstance(one, Stream | Session) else ""


@pytest.mark.parametrize("feed", [one_by_one, together, cut_within])
@pytest.mark.parametrize("stream", [*TEXT, *SOUND], ids=named)
def test_plain_events_pass_unparsed(stream: Stream, feed: Callable[[Tap, list[bytes]], None]) -> None:
    tap = tap_of(stream)
    before = tap.output_floor
    with parsings() as parsed:
        feed(tap, [stream.event(number) for number in range(2, EVENTS)])
    # An array that is cut behind a closing bracket looks as if it ended there, so that is tried.
    tries = 2 if "array" in stream.name and feed is cut_within else 0
    assert len(parsed) <= tries
    assert tap.started
    assert tap.output_floor > before or before == 0, "what passes unread is counted all the same"


@pytest.mark.parametrize("stream", [*TEXT, *SOUND], ids=named)
def test_what_says_the_usage_is_parsed(stream: Stream) -> None:
    tap = tap_of(stream)
    with parsings() as parsed:
        tap.feed(stream.closing)
        tap.finish()
        tap.outcome(input_bound=1)
    assert bool(parsed) is not isinstance(tap, PlainTap)


@pytest.mark.parametrize("session", [one for one in LIVE if not one.is_callers], ids=named)
def test_messages_of_a_live_session_pass_unparsed_unless_each_tells_money(session: Session) -> None:
    meter = LIVE_WIRES[session.wire].meter(session.query.encode(), LiveTerms(15_000))
    meter.seen(session.frame(EVENTS))  # the first piece of an answer may say that one has begun
    with parsings() as parsed:
        told = [meter.seen(session.frame(number)) for number in range(1, EVENTS)]
    tells = (session.wire, session.name) in TELLING
    assert (bool(parsed), all(told), any(told)) == (tells, tells, tells)


def test_the_readers_that_are_watched_are_those_in_use() -> None:
    with parsings() as parsed:
        last_object(b'"usage":{}', "usage")
        read_fields(b"{}")
    assert set(parsed) == READERS
