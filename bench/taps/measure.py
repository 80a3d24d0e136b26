"""Feeds each stream to its tap and counts the CPU time of this process. No other part of the bench looks inside."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.taps.streams import Session, Stream, chunks, cut
from qlaud.core.errors import QlaudError
from qlaud.core.usage import AtLeast, Exact
from qlaud.wire.form import Form
from qlaud.wire.live import LiveTerms, Meter
from qlaud.wire.live_shelf import LIVE_WIRES, LiveWire
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall, Tap, Wire

EVENTS = 2000
AT_ONCE = 5
CUT_BYTES = 4096
SLICE_MS = 15_000
ALONE, TOGETHER, ANYHOW = "alone_us", "together_us", "cut_us"
"""An event a chunk; several; chunks that end anywhere."""
WITH_EVENTS = ((b"x-dashscope-sse", b"enable"),)
"""What DashScope's callers ask for a stream with."""

Run = Callable[[], object]
"""One whole stream through a fresh tap; what it used, if it tells."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one stream: CPU microseconds an event, one number a round."""

    wire: str
    name: str
    event_bytes: int
    figures: Mapping[str, Sequence[float]]


def measure(
    streams: Sequence[Stream], sessions: Sequence[Session], *, rounds: int
) -> tuple[list[Row], dict[str, str], list[str]]:
    """Rows; what was left out, and why; and taps that read something else than the stream says.

    Rounds go over all streams in turn, so that a slow moment of the machine does not hit one alone.
    """
    runs: dict[tuple[str, str], dict[str, Run]] = {}
    left_out: dict[str, str] = {}
    complaints: list[str] = []
    for one in (*streams, *sessions):
        key = (one.wire, one.name)
        try:
            runs[key] = _stream_runs(one) if isinstance(one, Stream) else _session_runs(one)
        except LookupError:
            left_out[f"{one.wire}, {one.name}"] = "this version has no such wire"
        except (QlaudError, AttributeError, TypeError) as refusal:
            left_out[f"{one.wire}, {one.name}"] = f"{type(refusal).__name__}: {refusal}"
        else:
            complaints += _checked(one, runs[key])
    spent: dict[tuple[str, str], dict[str, list[float]]] = {key: {} for key in runs}
    for _ in range(rounds):
        for key, forms in runs.items():
            for form, run in forms.items():
                spent[key].setdefault(form, []).append(_cost_us(run))
    sizes = {(one.wire, one.name): _event_bytes(one) for one in (*streams, *sessions)}
    rows = [Row(wire, name, sizes[wire, name], figures) for (wire, name), figures in spent.items()]
    return rows, left_out, complaints


def to_json(rows: Sequence[Row], left_out: Mapping[str, str], complaints: Sequence[str]) -> str:
    """One line of JSON for the bench."""
    told = [
        {"wire": row.wire, "name": row.name, "event_bytes": row.event_bytes, "figures": row.figures}
        for row in rows
    ]
    return json.dumps({"rows": told, "left_out": left_out, "complaints": complaints})


def _cost_us(run: Run) -> float:
    before = time.process_time_ns()
    run()
    return (time.process_time_ns() - before) / 1000 / EVENTS


def _event_bytes(one: Stream | Session) -> int:
    made = [one.event(n) if isinstance(one, Stream) else one.frame(n) for n in range(1, 17)]
    return round(statistics.mean(len(event) for event in made))


def _checked(one: Stream | Session, forms: Mapping[str, Run]) -> list[str]:
    """A fast tap that does not see what was used is none. Also warms everything up."""
    found = [run() for run in forms.values()]
    if isinstance(one, Session):
        return []
    wanted = Exact if one.is_exact else AtLeast
    if all(isinstance(outcome, wanted) for outcome in found) and len(set(map(repr, found))) == 1:
        return []
    read = sorted({type(outcome).__name__ for outcome in found})
    return [f"{one.wire}, {one.name}: of one stream the tap made {' and '.join(read)}, not {wanted.__name__}"]


def _stream_runs(stream: Stream) -> dict[str, Run]:
    wire = WIRES[stream.wire]
    call = wire.read_call(asked_for(stream))
    head = AnswerHead(200, ((b"content-type", stream.content_type.encode()),))
    forms = {
        ALONE: chunks(stream, count=EVENTS, at_once=1),
        TOGETHER: chunks(stream, count=EVENTS, at_once=AT_ONCE),
        ANYHOW: cut(stream, count=EVENTS, size=CUT_BYTES),
    }
    return {form: _stream_run(wire, call, head, told) for form, told in forms.items()}


def _stream_run(wire: Wire, call: ModelCall, head: AnswerHead, told: Sequence[bytes]) -> Run:
    def run() -> object:
        tap: Tap = wire.tap(call, strip_usage=call.stream and not call.wants_usage, head=head)
        feed = tap.feed
        for chunk in told:
            feed(chunk)
        tap.finish()
        return tap.outcome(input_bound=1)

    return run


def asked_for(stream: Stream) -> Asked:
    """The request that `stream` answers."""
    if not stream.is_form:
        return Asked(
            body=json.dumps(stream.request).encode(),
            model=stream.model,
            stream=stream.streams,
            headers=WITH_EVENTS,
        )
    form = Form(fields={name: (str(text).encode(),) for name, text in stream.request.items()})
    return Asked(form=form, media_ms=60_000)


def _session_runs(session: Session) -> dict[str, Run]:
    wire = LIVE_WIRES[session.wire]
    told = [session.frame(number) for number in range(1, EVENTS + 1)]
    return {ALONE: _session_run(wire, session, told)}


def _session_run(wire: LiveWire, session: Session, told: Sequence[str | bytes]) -> Run:
    def run() -> object:
        meter: Meter = wire.meter(session.query.encode(), LiveTerms(SLICE_MS))
        if session.is_callers:
            for frame in told:
                meter.offer(frame)
                meter.sent()
        else:
            for frame in told:
                meter.seen(frame)
        return None

    return run
