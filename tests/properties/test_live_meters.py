"""However a provider tells a session's usage, and whenever it is settled, the takes add up to the same total."""

import json
from decimal import ROUND_CEILING, Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.support import fake_gemini_live as gemini

from qlaud.core.usage import QUANTITIES, AtLeast, Exact, Metered, Nothing
from qlaud.wire.counts import LONGEST_S, millis
from qlaud.wire.live import LiveTerms, Meter
from qlaud.wire.live_deepgram import ListenMeter, SpeakMeter
from qlaud.wire.live_elevenlabs import SpeechMeter
from qlaud.wire.live_gemini import GeminiLiveMeter
from qlaud.wire.live_openai import RealtimeMeter
from qlaud.wire.live_time import TimeMeter

SLICE_MS = 15_000
TERMS = LiveTerms(slice_ms=SLICE_MS)
BYTES_PER_MS = 32
RAW = b"encoding=linear16&sample_rate=16000"

cuts = st.lists(st.booleans(), max_size=40)


def amount(metered: Metered, quantity: str) -> int:
    return getattr(metered.usage, quantity) if isinstance(metered, Exact | AtLeast) else 0


def settled(meter: Meter, quantity: str, takes: list[int], *, now: bool, everything: bool = False) -> None:
    if now:
        takes.append(amount(meter.take(everything=everything), quantity))


@given(
    pieces=st.lists(st.tuples(st.integers(1, 4_000), st.integers(0, 100)), min_size=1, max_size=40),
    cut_at=cuts,
    tail_ms=st.integers(0, 900),
)
def test_any_split_of_audio_and_progress_sums_to_the_closing_duration(
    pieces: list[tuple[int, int]], cut_at: list[bool], tail_ms: int
) -> None:
    meter = ListenMeter(RAW, TERMS)
    sent = 0
    takes: list[int] = []
    for number, (length_ms, done_percent) in enumerate(pieces):
        meter.offer(bytes(length_ms * BYTES_PER_MS))
        meter.sent()
        sent += length_ms
        progress = sent * done_percent // 100
        meter.seen(json.dumps({"type": "Results", "start": 0, "duration": progress / 1000}))
        settled(meter, "audio_ms", takes, now=number < len(cut_at) and cut_at[number])
        assert meter.need(ahead=False).most["audio_ms"] == sent - sum(takes)
    total = sent + tail_ms
    meter.seen(json.dumps({"type": "Metadata", "duration": total / 1000, "channels": 1}))
    takes.append(amount(meter.end(clean=True), "audio_ms"))
    assert sum(takes) == total


@given(texts=st.lists(st.text(min_size=2, max_size=60), max_size=30), cut_at=cuts)
def test_any_split_of_text_sums_to_its_characters(texts: list[str], cut_at: list[bool]) -> None:
    for meter in (SpeechMeter(b"", TERMS), SpeakMeter(b"", TERMS)):
        takes: list[int] = []
        for number, text in enumerate(texts):
            meter.offer(json.dumps({"type": "Speak", "text": text}))
            meter.sent()
            settled(meter, "characters", takes, now=number < len(cut_at) and cut_at[number])
        takes.append(amount(meter.end(clean=False), "characters"))
        assert sum(takes) == sum(map(len, texts))


@given(turns=st.lists(st.integers(0, 500), max_size=20), cut_at=cuts)
def test_turns_and_the_session_sum_are_never_both_billed(turns: list[int], cut_at: list[bool]) -> None:
    meter = SpeakMeter(b"", TERMS, tells=True)
    takes: list[int] = []
    for number, billable in enumerate(turns):
        meter.offer(json.dumps({"type": "Speak", "text": "x" * (billable + 3)}))
        meter.sent()
        meter.seen(json.dumps({"type": "SpeechMetadata", "billable_character_count": billable}))
        settled(meter, "characters", takes, now=number < len(cut_at) and cut_at[number])
    meter.seen(json.dumps({"type": "SessionMetadata", "total_billable_character_count": sum(turns)}))
    takes.append(amount(meter.end(clean=True), "characters"))
    assert sum(takes) == sum(turns)


@given(steps=st.lists(st.integers(0, 60_000), min_size=1, max_size=20), cut_at=cuts)
def test_any_split_of_cumulative_seconds_sums_to_the_last(steps: list[int], cut_at: list[bool]) -> None:
    meter = TimeMeter(TERMS, "openai_live")
    takes: list[int] = []
    total = 0
    for number, step in enumerate(steps):
        total += step
        meter.passed(total)
        meter.seen(json.dumps({"type": "session.usage.updated", "usage": {"seconds": total / 1000}}))
        settled(meter, "audio_ms", takes, now=number < len(cut_at) and cut_at[number])
    meter.seen(json.dumps({"type": "session.closed", "usage": {"seconds": total / 1000}}))
    takes.append(amount(meter.end(clean=True), "audio_ms"))
    assert sum(takes) == total


@given(responses=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 4096)), max_size=20), cut_at=cuts)
def test_every_response_is_settled_once_and_was_covered_while_it_ran(
    responses: list[tuple[int, int]], cut_at: list[bool]
) -> None:
    meter = RealtimeMeter(LiveTerms(slice_ms=SLICE_MS, max_output=4096, context_window=32_000))
    paid_in = paid_out = 0
    for number, (told_in, told_out) in enumerate(responses):
        meter.offer(json.dumps({"type": "response.create", "response": {"instructions": "x" * told_in}}))
        meter.sent()
        meter.seen(json.dumps({"type": "response.created", "response": {"id": f"r{number}"}}))
        covered = meter.need(ahead=False)
        usage = {"input_tokens": told_in, "output_tokens": told_out}
        assert covered.input_tokens >= told_in
        assert covered.output_tokens >= told_out
        meter.seen(json.dumps({"type": "response.done", "response": {"id": f"r{number}", "usage": usage}}))
        if number < len(cut_at) and cut_at[number]:
            taken = meter.take()
            paid_in += amount(taken, "input_tokens")
            paid_out += amount(taken, "output_tokens")
    last = meter.end(clean=True)
    assert paid_in + amount(last, "input_tokens") == sum(told for told, _ in responses)
    assert paid_out + amount(last, "output_tokens") == sum(told for _, told in responses)


@given(
    st.floats(0, LONGEST_S)
    | st.integers(0, LONGEST_S)
    | st.integers(0, LONGEST_S * 1000).map(lambda ms: ms / 1000)
    | st.integers(0, 10**12).map(lambda tenths: tenths / 10_000)
)
def test_seconds_are_milliseconds_rounded_up_by_the_digits_that_were_sent(seconds: float) -> None:
    digits = Decimal(str(seconds)) * 1000
    assert millis({"duration": seconds}, "duration") == int(digits.to_integral_value(ROUND_CEILING))


@given(
    turns=st.lists(
        st.tuples(
            st.text(max_size=60),
            st.integers(0, 2_000),
            st.integers(0, 200),
            st.integers(0, 56),
            st.integers(0, 3),
        ),
        max_size=20,
    ),
    cut_at=cuts,
)
def test_every_answer_of_gemini_is_settled_once_however_often_it_is_told_and_was_covered_before(
    turns: list[tuple[str, int, int, int, int]], cut_at: list[bool]
) -> None:
    terms = LiveTerms(slice_ms=SLICE_MS, max_output=256, context_window=131_072, model="gemini-3.8-live")
    meter = GeminiLiveMeter(b"", terms)
    meter.offer(gemini.setup())
    meter.sent()
    paid = dict.fromkeys(("input_tokens", "audio_out_tokens", "output_tokens"), 0)
    owed = dict(paid)
    context = 334  # what Google adds to the first prompt
    for number, (text, heard_ms, out, thoughts, times) in enumerate(turns):
        for frame in (gemini.sound(heard_ms), gemini.says(text)):
            meter.offer(frame)
            meter.sent()
        covered, before = meter.need(ahead=False), dict(owed)
        context += len(text.encode()) + heard_ms * 25 // 1000
        usage = {"promptTokenCount": context, "responseTokenCount": out, "thoughtsTokenCount": thoughts}
        for told in range(times):
            so_far = usage | {"responseTokenCount": out * told // times, "thoughtsTokenCount": 0}
            meter.seen(gemini.spoken())
            meter.seen(gemini.written({"usageMetadata": so_far}))
        meter.seen(gemini.spoken())
        meter.seen(gemini.told(usage))
        if number % 2:
            meter.seen(gemini.written({"usageMetadata": usage}))
        owed["input_tokens"] += context
        owed["audio_out_tokens"] += out
        owed["output_tokens"] += thoughts
        assert covered.input_tokens >= context + before["input_tokens"] - paid["input_tokens"]
        assert covered.output_tokens >= 256 + sum(before.values()) - sum(paid.values()) - (
            before["input_tokens"] - paid["input_tokens"]
        )
        context += out
        if number < len(cut_at) and cut_at[number]:
            taken = meter.take()
            paid = {name: paid[name] + amount(taken, name) for name in paid}
    last = meter.end(clean=True)
    assert {name: paid[name] + amount(last, name) for name in paid} == owed


messages = st.one_of(
    st.sampled_from(
        [
            gemini.setup(),
            gemini.says("Hello."),
            gemini.sound(40),
            gemini.seen(),
            gemini.answers("c", 1),
            '{"realtimeInput":{"activityEnd":{}}}',
        ]
    ),
    st.text(max_size=30),
    st.binary(max_size=30),
)
told_of_gemini = st.one_of(
    st.sampled_from(
        [
            gemini.READY,
            gemini.spoken(),
            gemini.calls(),
            gemini.calls(gemini.FIRST),
            gemini.told(),
            gemini.told(gemini.FIRST),
            gemini.told(gemini.SECOND),
            gemini.written({"usageMetadata": gemini.FIRST}),
        ]
    ),
    st.text(max_size=30),
    st.binary(max_size=30),
)


@given(
    moves=st.lists(
        st.one_of(
            st.tuples(st.just("send"), messages),
            st.tuples(st.just("drop"), messages),
            st.tuples(st.just("see"), told_of_gemini),
            st.tuples(st.just("take"), st.just("")),
        ),
        max_size=60,
    )
)
def test_no_order_of_messages_breaks_gemini_and_takes_never_fall(
    moves: list[tuple[str, str | bytes]],
) -> None:
    terms = LiveTerms(slice_ms=SLICE_MS, max_output=256, context_window=131_072, model="gemini-3.8-live")
    meter = GeminiLiveMeter(b"", terms)
    for move, frame in moves:
        if move == "see":
            meter.seen(frame)
        elif move == "take":
            taken = meter.take()
            assert isinstance(taken, Exact | Nothing)
            if isinstance(taken, Exact):
                assert all(getattr(taken.usage, name) >= 0 for name in QUANTITIES)
                assert any(getattr(taken.usage, name) for name in QUANTITIES)
        else:
            before = meter.need(ahead=False)
            meter.offer(frame)
            if move == "drop" or meter.refused is not None:
                meter.withdraw()
                if not (isinstance(frame, str) and '"setup"' in frame):
                    assert meter.need(ahead=False) == before
            else:
                meter.sent()
        need = meter.need(ahead=False)
        assert need.input_tokens > 0
        assert need.output_tokens >= 256
    last = meter.end(clean=False)
    if isinstance(last, Exact | AtLeast):
        assert all(getattr(last.usage, name) >= 0 for name in QUANTITIES)
