"""Responses in the background: what begins a job, what a record is settled by, and whose id is seen in an answer."""

import json

import pytest

from qlaud.core.usage import AtLeast, Begun, Exact, Nothing, Usage
from qlaud.wire.jobs import Ended, Progress, Unreadable, Waiting
from qlaud.wire.openai_responses import OpenAIResponsesWire
from qlaud.wire.responses_jobs import RESPONSE_JOBS, kept_id
from qlaud.wire.types import AnswerHead, Asked, Tap

WIRE = OpenAIResponsesWire()
PLANNED = Usage(input_tokens=500, output_tokens=4000, tier="flex")
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 4},
    "output_tokens": 7,
}
USED = {"input_tokens": 11, "cache_read_tokens": 5, "output_tokens": 7, "served_model": "gpt-6-sol"}


def response(status: str, **more: object) -> dict[str, object]:
    return {"id": "resp_1", "status": status, "model": "gpt-6-sol", "output": [], "usage": None, **more}


def record(status: str, **more: object) -> bytes:
    return json.dumps(response(status, **more)).encode()


@pytest.mark.parametrize(
    ("body", "progress"),
    [
        (record("queued"), Waiting()),
        (record("in_progress"), Waiting()),
        (
            record("completed", usage=USAGE, service_tier="default"),
            Ended(Exact(Usage(**USED, cache_write_30m_tokens=4, tier="default"))),
        ),
        (
            record("incomplete", usage=USAGE, service_tier="flex", prompt_cache_options={"ttl": "12h"}),
            Ended(Exact(Usage(**USED, cache_write_12h_tokens=4, tier="flex"))),
        ),
        (
            record("cancelled", usage=USAGE, service_tier="default"),
            Ended(Exact(Usage(**USED, cache_write_30m_tokens=4, tier="default"))),
        ),
        (record("completed"), Ended(AtLeast(PLANNED))),
        (record("failed"), Ended(Nothing())),
        (record("failed", error={"code": "server_error"}), Ended(Nothing())),
        (record("cancelled"), Ended(AtLeast(Usage(input_tokens=500, output_tokens=2, tier="flex")))),
        (record("another"), Unreadable()),
        (b'{"error":{"message":"no"}}', Unreadable()),
        (b"", Unreadable()),
        (b"[1", Unreadable()),
    ],
)
def test_a_record_says_what_a_response_cost(body: bytes, progress: Progress) -> None:
    assert RESPONSE_JOBS.progress(body, PLANNED) == progress


def tap(*, stream: bool, answer: bytes, background: bool = True) -> Tap:
    asked = {
        "model": "gpt-6-sol",
        "input": "Hi",
        "background": background,
        "stream": stream,
        "max_output_tokens": 90,
    }
    call = WIRE.read_call(Asked(body=json.dumps(asked).encode()))
    kind = b"text/event-stream" if stream else b"application/json"
    made = WIRE.tap(call, strip_usage=False, head=AnswerHead(200, ((b"content-type", kind),)))
    made.feed(answer)
    made.finish()
    return made


def events(*kinds: tuple[str, dict[str, object]]) -> bytes:
    return b"".join(
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'response': one})}\n\n".encode()
        for kind, one in kinds
    )


BEGUN = Begun("resp_1", Usage(input_tokens=30, output_tokens=90))


def test_what_is_queued_is_a_job() -> None:
    for status in ("queued", "in_progress"):
        assert tap(stream=False, answer=record(status)).outcome(input_bound=30) == BEGUN


def test_a_stream_that_ends_early_goes_on_as_a_job() -> None:
    opened = ("response.created", response("queued"))
    assert tap(stream=True, answer=events(opened)).outcome(input_bound=30) == BEGUN
    text = (
        events(opened)
        + b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n'
    )
    assert tap(stream=True, answer=text).outcome(input_bound=30) == BEGUN


def test_what_has_ended_in_the_answer_is_no_job() -> None:
    done = response("completed", usage=USAGE)
    for made in (
        tap(stream=False, answer=json.dumps(done).encode()),
        tap(
            stream=True, answer=events(("response.created", response("queued")), ("response.completed", done))
        ),
    ):
        assert isinstance(made.outcome(input_bound=30), Exact)
    failed = tap(stream=False, answer=record("failed"))
    assert failed.outcome(input_bound=30) == Nothing()


def test_without_background_nothing_is_a_job() -> None:
    cut = tap(stream=True, answer=events(("response.created", response("in_progress"))), background=False)
    assert isinstance(cut.outcome(input_bound=30), AtLeast)


def test_the_id_is_seen_with_the_first_event_that_has_it() -> None:
    assert kept_id(tap(stream=True, answer=events(("response.created", response("queued"))))) == "resp_1"
    assert kept_id(tap(stream=False, answer=record("completed"))) == "resp_1"
    assert kept_id(tap(stream=True, answer=b": hello\n\n")) == ""
    assert kept_id(tap(stream=False, answer=b"<html>")) == ""
