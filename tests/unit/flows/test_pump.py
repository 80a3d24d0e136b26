"""What becomes of the money of one call, and of its caller, whatever happens to either side."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable

import pytest
from tests.support.pump_stage import (
    DELTA,
    ENDS,
    EXACT_MICROS,
    HEAD,
    HOLD_MICROS,
    INPUT_BOUND,
    START,
    STOP,
    TERMS,
    WHOLE,
    WHOLE_HEAD,
    Head,
    Stage,
)

from qlaud.core.errors import Internal, ProviderTimeout, ProviderUnreachable
from qlaud.ports import UpstreamBroken, UpstreamSlow, UpstreamUnreachable

Play = Callable[[Stage], Awaitable[None]]


def on_stage(play: Play, **how: object) -> Stage:
    """Play one call to its end."""

    async def main() -> Stage:
        stage = Stage(**how)  # type: ignore[arg-type]
        await stage.begin()
        await play(stage)
        stage.assert_over()
        return stage

    return asyncio.run(main())


def test_a_stream_is_relayed_as_it_came_and_settled_before_it_ends() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(HEAD, START, DELTA, STOP, ENDS)
        assert stage.relay.body == START + DELTA + STOP
        assert not stage.relay.ended, "the end waits for the settlement"
        stage.ledger.commits.set()
        await stage.rest()

    stage = on_stage(play)
    assert stage.relay.ended
    assert not stage.relay.aborted
    settlement = stage.ledger.only_settlement()
    assert (settlement.cost_micros, settlement.estimated, settlement.status) == (EXACT_MICROS, False, 200)
    assert settlement.upstream_request_id == "req_theirs"


def test_a_whole_answer_waits_for_its_settlement_and_carries_its_cost() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(WHOLE_HEAD, WHOLE, ENDS)
        assert stage.relay.status is None
        stage.ledger.commits.set()
        await stage.rest()

    stage = on_stage(play, stream=False)
    assert stage.relay.body == WHOLE
    assert stage.relay.headers[b"x-qlaud-cost-micros"] == b"%d" % EXACT_MICROS
    assert stage.relay.headers[b"x-qlaud-budget-remaining-micros"] == b"%d" % (1_000_000 - EXACT_MICROS)


def test_a_settlement_slower_than_patience_answers_without_the_cost_header() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(WHOLE_HEAD, WHOLE, ENDS)
        await stage.passes(TERMS.settle_patience_ms + 1)
        assert stage.relay.ended
        assert stage.relay.body == WHOLE
        assert stage.calls.in_flight() == 1, "its hold is still ours and renewed"
        stage.ledger.commits.set()
        await stage.rest()

    stage = on_stage(play, stream=False)
    assert b"x-qlaud-cost-micros" not in stage.relay.headers
    assert stage.ledger.only_settlement().cost_micros == EXACT_MICROS


def test_an_answer_that_waits_for_its_books_does_not_hold_up_the_limits_of_other_calls() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(WHOLE_HEAD, WHOLE, ENDS)
        stage.relay.reads.clear()
        await stage.passes(TERMS.settle_patience_ms + 1)  # returns, though the caller does not read
        await stage.passes(TERMS.client_stall_ms + 1)
        assert stage.relay.aborted
        stage.ledger.commits.set()
        await stage.rest()

    on_stage(play, stream=False)


def test_a_late_answer_is_watched_to_its_end_though_its_settlement_has_come() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(WHOLE_HEAD, WHOLE, ENDS)
        stage.relay.reads.clear()
        await stage.passes(TERMS.settle_patience_ms + 1)
        stage.ledger.commits.set()
        await stage.rest()
        assert stage.task is not None
        assert not stage.task.done(), "a caller who does not read would hold the connection for ever"
        await stage.passes(TERMS.client_stall_ms + 1)
        assert stage.relay.aborted

    on_stage(play, stream=False)


def test_a_caller_who_leaves_while_his_call_is_settled_is_written_nothing() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(WHOLE_HEAD, WHOLE, ENDS)
        await stage.leaves()
        stage.ledger.commits.set()
        await stage.rest()

    stage = on_stage(play, stream=False)
    assert stage.relay.status is None
    assert stage.ledger.only_settlement().cost_micros == EXACT_MICROS


def test_a_whole_answer_is_delivered_even_if_the_ledger_refuses_its_settlement() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.refusal = Internal()
        await stage.answers(WHOLE_HEAD, WHOLE, ENDS)

    stage = on_stage(play, stream=False)
    assert (stage.relay.body, stage.relay.aborted) == (WHOLE, False)


def test_a_huge_whole_answer_streams_without_being_kept() -> None:
    part = b'"' + b"x" * 3_000 + b'",'
    body = b'{"content":[' + part * 3 + b'""],"usage":{"input_tokens":100,"output_tokens":40}}'

    async def play(stage: Stage) -> None:
        head = Head(content_type=b"application/json", more=((b"content-length", b"%d" % len(body)),))
        await stage.answers(head, body[:3_000])
        assert stage.relay.status is None, "still small enough to wait"
        await stage.answers(body[3_000:6_000])
        assert stage.relay.body == body[:6_000]
        await stage.answers(body[6_000:], ENDS)

    stage = on_stage(play, stream=False)
    assert stage.relay.body == body
    assert stage.relay.ended
    assert stage.relay.headers[b"content-length"] == b"%d" % len(body)
    assert stage.ledger.only_settlement().cost_micros == EXACT_MICROS


@pytest.mark.parametrize("window_bits", [zlib.MAX_WBITS | 16, zlib.MAX_WBITS])
def test_a_compressed_answer_is_metered_and_relayed_as_it_came(window_bits: int) -> None:
    deflate = zlib.compressobj(wbits=window_bits)
    compressed = deflate.compress(WHOLE) + deflate.flush()
    encoding = b"gzip" if window_bits & 16 else b"deflate"

    async def play(stage: Stage) -> None:
        await stage.answers(
            Head(content_type=b"application/json", more=((b"content-encoding", encoding),)),
            compressed[:20],
            compressed[20:],
            ENDS,
        )

    stage = on_stage(play, stream=False)
    assert stage.relay.body == compressed
    assert stage.relay.headers[b"content-encoding"] == encoding
    assert stage.ledger.only_settlement().cost_micros == EXACT_MICROS


def test_a_caller_who_leaves_is_drained_and_billed_exactly() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START, DELTA)
        await stage.leaves()
        assert not stage.upstream.responses[0].closed
        await stage.answers(DELTA, STOP, ENDS)

    settlement = on_stage(play).ledger.only_settlement()
    assert (settlement.cost_micros, settlement.estimated, settlement.status) == (EXACT_MICROS, False, 200)


def test_a_drain_that_takes_too_long_is_billed_as_an_estimate() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START, DELTA)
        await stage.leaves()
        await stage.passes(TERMS.drain_max_ms)
        assert stage.ledger.settlements == []
        await stage.passes(1)

    settlement = on_stage(play).ledger.only_settlement()
    assert settlement.estimated
    assert 100 < settlement.cost_micros <= HOLD_MICROS


def test_a_cancelled_key_hangs_up_and_bills_an_estimate_within_the_hold() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START, DELTA * 300)
        await stage.leaves()
        assert stage.upstream.responses[0].closed

    settlement = on_stage(play, on_disconnect="cancel").ledger.only_settlement()
    assert settlement.estimated
    assert settlement.cost_micros == HOLD_MICROS, "300 words of 5 bytes would be more"
    assert settlement.status == 200


def test_a_cancelled_key_pays_the_counted_input_before_the_provider_answered() -> None:
    async def play(stage: Stage) -> None:
        await stage.leaves()

    settlement = on_stage(play, on_disconnect="cancel").ledger.only_settlement()
    assert (settlement.cost_micros, settlement.estimated, settlement.status) == (INPUT_BOUND, True, 499)


@pytest.mark.parametrize("on_disconnect", ["drain", "cancel"])
def test_a_caller_who_left_before_the_call_did_pays_nothing(on_disconnect: str) -> None:
    """He hung up while he waited for his hold: his leaving is seen before the pump's first step."""

    async def main() -> Stage:
        stage = Stage(on_disconnect=on_disconnect)  # type: ignore[arg-type]
        stage.start(await stage.calls.admit(stage.prepared.ask, since_ticks_ms=0))
        await stage.leaves()
        stage.assert_over()
        return stage

    stage = asyncio.run(main())
    assert stage.ledger.voided == [stage.hold.id]
    assert stage.upstream.requests == []


def test_a_shutdown_before_the_call_left_gives_the_hold_back_and_says_so() -> None:
    async def main() -> Stage:
        stage = Stage()
        stage.start(await stage.calls.admit(stage.prepared.ask, since_ticks_ms=0))
        stage.pump.shut_down()
        await stage.rest()
        stage.assert_over()
        return stage

    stage = asyncio.run(main())
    assert stage.ledger.voided == [stage.hold.id]
    assert stage.relay.status == 503


def test_a_caller_who_does_not_read_is_given_up_and_drained() -> None:
    async def play(stage: Stage) -> None:
        stage.relay.reads.clear()
        await stage.answers(HEAD, START, DELTA)
        await stage.passes(TERMS.client_stall_ms + 1)
        assert stage.relay.aborted
        await stage.answers(STOP, ENDS)

    assert on_stage(play).ledger.only_settlement().cost_micros == EXACT_MICROS


def test_a_caller_who_does_not_read_on_a_cancelled_key_is_hung_up_on() -> None:
    async def play(stage: Stage) -> None:
        stage.relay.reads.clear()
        await stage.answers(HEAD, START, DELTA)
        await stage.passes(TERMS.client_stall_ms + 1)
        await stage.passes(1_000)
        assert stage.upstream.responses[0].closed

    assert on_stage(play, on_disconnect="cancel").ledger.only_settlement().estimated


def test_a_write_that_fails_is_a_caller_who_left() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START)
        stage.relay.fault = ConnectionResetError()
        await stage.answers(DELTA, STOP, ENDS)

    assert not on_stage(play).ledger.only_settlement().estimated


def test_a_provider_that_is_not_reached_costs_nothing() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(UpstreamUnreachable("refused"))

    stage = on_stage(play)
    settlement = stage.ledger.only_settlement()
    assert (settlement.cost_micros, settlement.estimated, settlement.status) == (0, False, 502)
    assert isinstance(stage.relay.error, ProviderUnreachable)


@pytest.mark.parametrize(
    ("fault", "status"), [(UpstreamBroken("reset"), 502), (UpstreamSlow("first_byte", 600), 504)]
)
def test_a_provider_that_dies_before_its_answer_may_have_billed_the_input(
    fault: Exception, status: int
) -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(fault)

    stage = on_stage(play)
    settlement = stage.ledger.only_settlement()
    assert (settlement.cost_micros, settlement.estimated, settlement.status) == (INPUT_BOUND, True, status)
    assert stage.relay.status == status
    assert isinstance(stage.relay.error, ProviderTimeout if status == 504 else ProviderUnreachable)


def test_a_stream_that_dies_ends_in_an_error_event_and_an_estimate() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START, DELTA, UpstreamBroken("reset"))

    stage = on_stage(play)
    assert stage.relay.body.startswith(START + DELTA + b"event: error\n")
    assert stage.relay.ended
    settlement = stage.ledger.only_settlement()
    assert settlement.estimated
    assert settlement.cost_micros == 100 + 5 * len("hello")
    assert settlement.status == 502


def test_a_stream_that_dies_within_an_event_breaks_the_connection() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START, DELTA[:40], UpstreamBroken("reset"))

    stage = on_stage(play)
    assert stage.relay.aborted
    assert not stage.relay.ended


def test_a_whole_answer_that_dies_is_an_error_if_nothing_was_relayed() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(WHOLE_HEAD, WHOLE[:30], UpstreamBroken("reset"))

    stage = on_stage(play, stream=False)
    assert stage.relay.status == 502
    settlement = stage.ledger.only_settlement()
    assert settlement.estimated
    assert settlement.cost_micros >= INPUT_BOUND


@pytest.mark.parametrize("status", [400, 503])
def test_a_refusal_that_looks_like_work_is_no_estimate(status: int) -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(Head(status, b"text/event-stream"), START, DELTA, ENDS)
        await stage.rest()

    settlement = on_stage(play).ledger.only_settlement()
    assert (settlement.cost_micros, settlement.status) == (0, status)


def test_a_refusal_of_the_provider_is_free_and_keeps_its_words() -> None:
    refusal = b'{"type":"error","error":{"type":"invalid_request_error","message":"no such tool"}}'

    async def play(stage: Stage) -> None:
        await stage.answers(Head(400, b"application/json"), refusal, ENDS)

    stage = on_stage(play)
    assert (stage.relay.status, stage.relay.body) == (400, refusal)
    assert stage.relay.headers[b"x-qlaud-cost-micros"] == b"0"
    assert stage.ledger.only_settlement().cost_micros == 0


def test_a_server_error_that_reports_usage_is_billed() -> None:
    body = b'{"type":"error","error":{"message":"too late"},"usage":{"input_tokens":100,"output_tokens":40}}'

    async def play(stage: Stage) -> None:
        await stage.answers(Head(500, b"application/json"), body, ENDS)

    stage = on_stage(play, stream=False)
    settlement = stage.ledger.only_settlement()
    assert (settlement.cost_micros, settlement.status) == (EXACT_MICROS, 500)
    assert stage.relay.status == 500


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refusal_of_the_operators_account_never_reaches_the_caller(status: int) -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(
            Head(status, b"application/json"), b'{"error":{"message":"sk-operator is bad"}}', ENDS
        )

    stage = on_stage(play)
    assert stage.relay.status == 502
    assert "sk-operator" not in str(stage.relay.error)


def test_a_shutdown_settles_what_was_seen_and_tells_the_caller() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START, DELTA)
        stage.pump.shut_down()
        await stage.rest()

    stage = on_stage(play)
    assert b"shutting down" in stage.relay.body
    settlement = stage.ledger.only_settlement()
    assert (settlement.estimated, settlement.status) == (True, 503)


def test_a_shutdown_while_a_settlement_waits_changes_nothing() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.commits.clear()
        await stage.answers(HEAD, START, STOP, ENDS)
        stage.pump.shut_down()
        await stage.rest()
        stage.ledger.commits.set()
        await stage.rest()

    assert on_stage(play).ledger.only_settlement().cost_micros == EXACT_MICROS


def test_a_shutdown_and_a_stall_at_once_still_cut_the_call() -> None:
    async def play(stage: Stage) -> None:
        stage.relay.reads.clear()
        await stage.answers(HEAD, START)
        stage.clock.at_ms += int(TERMS.client_stall_ms) + 1
        stage.pump.tick()
        stage.pump.shut_down()
        await stage.rest()

    assert on_stage(play).ledger.only_settlement().estimated


def test_a_provider_that_runs_past_its_limit_is_cut_with_the_formats_own_length_stop() -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START)
        for _ in range(11):
            await stage.answers(DELTA * 100)

    stage = on_stage(play)
    assert stage.upstream.responses[0].closed
    assert b'"stop_reason":"max_tokens"' in stage.relay.body
    assert stage.relay.body.endswith(b'{"type":"message_stop"}\n\n')
    assert stage.relay.ended
    settlement = stage.ledger.only_settlement()
    assert settlement.cost_micros == HOLD_MICROS
    assert len(stage.ledger.extensions) == 1


def test_a_hold_that_grew_bounds_the_estimate_it_ends_in() -> None:
    async def play(stage: Stage) -> None:
        stage.ledger.grows = True
        await stage.answers(HEAD, START)
        for _ in range(11):
            await stage.answers(DELTA * 100)
        await stage.answers(UpstreamBroken("reset"))

    stage = on_stage(play)
    settlement = stage.ledger.only_settlement()
    grown = HOLD_MICROS + sum(stage.ledger.extensions)
    assert settlement.hold.amount_micros == grown
    assert HOLD_MICROS < settlement.cost_micros <= grown


def test_a_defect_after_the_hold_ends_in_a_settlement(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage) -> None:
        await stage.answers(HEAD, START)
        tap = stage.pump._tap
        monkeypatch.setattr(type(tap), "feed", _broken)
        monkeypatch.setattr(type(tap), "finish", _broken)
        await stage.answers(DELTA)

    stage = on_stage(play)
    settlement = stage.ledger.only_settlement()
    assert settlement.estimated
    assert settlement.cost_micros >= INPUT_BOUND
    assert stage.relay.aborted


def test_a_call_that_cannot_be_settled_is_renewed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is found lost, and an operator sees it."""

    async def main() -> Stage:
        stage = Stage()
        await stage.begin()
        monkeypatch.setattr("qlaud.flows.call_books.settlement_of", _broken)
        await stage.answers(HEAD, START, STOP, ENDS)
        assert stage.task is not None
        assert isinstance(stage.task.exception(), ZeroDivisionError)
        return stage

    stage = asyncio.run(main())
    assert stage.calls.in_flight() == 0
    assert stage.upstream.responses[0].closed


def test_a_crash_leaves_the_hold_to_be_found() -> None:
    async def main() -> Stage:
        stage = Stage()
        await stage.begin()
        await stage.answers(HEAD, START)
        assert stage.task is not None
        stage.task.cancel()
        await stage.rest()
        assert stage.task.cancelled()
        return stage

    stage = asyncio.run(main())
    assert stage.ledger.settlements == []
    assert stage.calls.in_flight() == 0
    assert stage.upstream.responses[0].closed


def _broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError
