"""Videos and tasks: what is held for a request, and what a record is settled by. Facts: see the wires' modules."""

import json

import pytest

from qlaud.core.errors import BadRequest, InvalidJson
from qlaud.core.usage import AtLeast, Begun, Exact, Nothing, Usage
from qlaud.wire.jobs import Ended, Gone, Progress, Unreadable, Waiting
from qlaud.wire.minimax_video import MINIMAX_VIDEO
from qlaud.wire.openai_video import OPENAI_VIDEO
from qlaud.wire.qwen_tasks import QWEN_IMAGE_TASKS, QWEN_VIDEO
from qlaud.wire.shelf import JOBS, VIDEOS, WIRES
from qlaud.wire.types import AnswerHead, Asked
from qlaud.wire.videos import milliseconds
from qlaud.wire.xai_video import XAI_VIDEO

PLANNED = Usage(video_ms=5000, grade="720p")


def asked(fields: object) -> Asked:
    return Asked(body=json.dumps(fields).encode())


HELD = [
    ("openai_video", {"model": "sora-2", "prompt": "x"}, {"video_ms": 4000}, "720x1280"),
    (
        "openai_video",
        {"model": "sora-2", "seconds": "12", "size": "1792x1024"},
        {"video_ms": 12_000},
        "1792x1024",
    ),
    ("openai_video", {"model": "sora-2", "seconds": 8}, {"video_ms": 8000}, "720x1280"),
    ("xai_video", {"model": "g", "prompt": "x"}, {"video_ms": 8000}, "unsaid"),
    ("xai_video", {"model": "g", "duration": 3, "resolution": "720p"}, {"video_ms": 3000}, "720p"),
    ("xai_video", {"model": "g", "video": {"url": "https://x"}}, {"video_ms": 15_000}, "unsaid"),
    (
        "xai_video",
        {
            "model": "g",
            "duration": 2,
            "image": {"url": "u"},
            "reference_images": [{"url": "a"}, {"url": "b"}],
        },
        {"video_ms": 2000, "images_in": 3},
        "unsaid",
    ),
    ("qwen_video", {"model": "w", "input": {"prompt": "x"}}, {"video_ms": 30_000}, "unsaid"),
    (
        "qwen_video",
        {"model": "w", "input": {"prompt": "x"}, "parameters": {"duration": 5, "resolution": "720P"}},
        {"video_ms": 5000},
        "720p",
    ),
    (
        "qwen_video",
        {"model": "w", "parameters": {"duration": -1, "size": "832*480"}},
        {"video_ms": 30_000},
        "480p",
    ),
    (
        "qwen_video",
        {"model": "w", "parameters": {"duration": 5, "size": "960*960"}},
        {"video_ms": 5000},
        "unsaid",
    ),
    (
        "qwen_video",
        {"model": "w", "input": {"reference_urls": ["a"]}, "parameters": {"duration": 5}},
        {"video_ms": 35_000},
        "unsaid",
    ),
    (
        "qwen_video",
        {
            "model": "w",
            "input": {"media": [{"type": "first_clip", "url": "a"}]},
            "parameters": {"duration": 5},
        },
        {"video_ms": 35_000},
        "unsaid",
    ),
    (
        "qwen_video",
        {
            "model": "w",
            "input": {"media": [{"type": "first_frame", "url": "a"}]},
            "parameters": {"duration": 5},
        },
        {"video_ms": 5000},
        "unsaid",
    ),
    ("qwen_image_tasks", {"model": "w", "input": {"prompt": "x"}}, {"images": 4}, "unsaid"),
    (
        "qwen_image_tasks",
        {"model": "w", "parameters": {"n": 2, "size": "1024*1024"}},
        {"images": 2},
        "1024*1024",
    ),
    ("minimax_video", {"model": "m", "duration": 6, "resolution": "2K"}, {"video_ms": 6000}, "2k"),
    ("minimax_video", {"model": "m"}, {"video_ms": 15_000}, "unsaid"),
    (
        "minimax_video",
        {"model": "m", "duration": 5, "content": [{"type": "text"}, {"type": "video_url"}]},
        {"video_ms": 20_000},
        "unsaid",
    ),
    (
        "minimax_video",
        {"model": "m", "duration": 5, "content": [{"type": "image_url", "role": "base_video"}]},
        {"video_ms": 20_000},
        "unsaid",
    ),
    (
        "minimax_video",
        {"model": "m", "duration": 5, "content": [{"type": "image_url"}] * 7},
        {"video_ms": 5000, "images_in": 2},
        "unsaid",
    ),
]


@pytest.mark.parametrize(("wire", "fields", "most", "grade"), HELD)
def test_what_is_held_is_the_most_the_request_can_cost(
    wire: str, fields: dict[str, object], most: dict[str, int], grade: str
) -> None:
    call = WIRES[wire].read_call(asked(fields))
    assert (dict(call.demand.most), call.demand.grade) == (most, grade)
    assert (call.model, call.stream, call.demand.max_output) == (fields["model"], False, None)


LIES = [
    ("openai_video", '{"model":"sora-2","seconds":"4","seconds":"12"}'),
    ("openai_video", '{"model":"sora-2","seconds":"4","s\\u0065conds":"12"}'),
    ("openai_video", '{"model":"sora-2","seconds":"0"}'),
    ("openai_video", '{"model":"sora-2","seconds":"4e3"}'),
    ("openai_video", '{"model":"sora-2","seconds":4.5}'),
    ("openai_video", '{"model":"sora-2","seconds":"99999"}'),
    ("openai_video", '{"model":"sora-2","size":"big"}'),
    ("xai_video", '{"model":"g","duration":"5"}'),
    ("xai_video", '{"model":"g","duration":-1}'),
    ("qwen_video", '{"model":"w","parameters":{"duration":5,"duration":30}}'),
    ("qwen_video", '{"model":"w","parameters":{"duration":"long"}}'),
    ("qwen_video", '{"model":"w","input":{"media":[{"type":"first_frame","type":"first_clip"}]}}'),
    ("minimax_video", '{"model":"m","content":[{"type":"text","type":"video_url"}]}'),
    ("minimax_video", '{"model":"m","duration":1e9}'),
    ("qwen_image_tasks", '{"model":"w","parameters":{"n":0}}'),
]


@pytest.mark.parametrize(("wire", "body"), LIES)
def test_a_request_that_could_be_read_in_two_ways_is_refused(wire: str, body: str) -> None:
    with pytest.raises(BadRequest):
        WIRES[wire].read_call(Asked(body=body.encode()))


@pytest.mark.parametrize("wire", sorted(JOBS))
def test_a_body_that_is_no_json_is_refused(wire: str) -> None:
    with pytest.raises(InvalidJson):
        WIRES[wire].read_call(Asked(body=b'{"model": '))


def openai(**fields: object) -> dict[str, object]:
    return {"id": "v", "object": "video", "model": "sora-2", "size": "1280x720", "seconds": "8", **fields}


def xai(status: str, **fields: object) -> dict[str, object]:
    return {"status": status, "model": "grok-imagine-video", **fields}


def qwen(status: str, **usage: object) -> dict[str, object]:
    return {"output": {"task_id": "t", "task_status": status}, "request_id": "r"} | (
        {"usage": usage} if usage else {}
    )


def minimax(status: str, **fields: object) -> dict[str, object]:
    return {"task": {"id": "1", "model": "MiniMax-H3", "status": status, **fields}}


def exactly(**quantities: object) -> Ended:
    return Ended(Exact(Usage(**quantities)))  # type: ignore[arg-type]


FAILED, PLANNED_COST = Ended(Nothing()), Ended(AtLeast(PLANNED))
RECORDS: list[tuple[str, object, Progress]] = [
    ("openai_video", openai(status="queued"), Waiting()),
    ("openai_video", openai(status="in_progress", progress=40), Waiting()),
    ("openai_video", openai(status="failed", error={"code": "x", "message": "no"}), FAILED),
    (
        "openai_video",
        openai(status="completed"),
        exactly(video_ms=8000, grade="1280x720", served_model="sora-2"),
    ),
    ("openai_video", openai(status="completed", seconds=None), PLANNED_COST),
    ("openai_video", openai(status="dreaming"), Unreadable()),
    ("xai_video", xai("pending"), Waiting()),
    (
        "xai_video",
        xai("done", video={"url": "u", "duration": 6}, usage={"cost_in_usd_ticks": 4_200_000_000}),
        exactly(
            video_ms=6000, grade="720p", vendor_cost_picos=420_000_000_000, served_model="grok-imagine-video"
        ),
    ),
    (
        "xai_video",
        xai("done", video={"url": "u", "duration": 6}),
        exactly(video_ms=6000, grade="720p", served_model="grok-imagine-video"),
    ),
    ("xai_video", xai("failed", error={"code": "c", "message": "m"}), FAILED),
    ("xai_video", xai("expired"), PLANNED_COST),
    ("qwen_video", qwen("PENDING"), Waiting()),
    ("qwen_video", qwen("RUNNING"), Waiting()),
    ("qwen_video", qwen("FAILED"), FAILED),
    ("qwen_video", qwen("CANCELED"), FAILED),
    ("qwen_video", qwen("UNKNOWN"), Gone()),
    (
        "qwen_video",
        qwen(
            "SUCCEEDED", video_count=1, duration=10, output_video_duration=5, input_video_duration=5, SR=1080
        ),
        exactly(video_ms=10_000, grade="1080p"),
    ),
    ("qwen_video", qwen("SUCCEEDED", video_duration=5, video_ratio="1280*720"), exactly(video_ms=5000, grade="720p")),
    ("qwen_video", qwen("SUCCEEDED", duration=5.56, SR=480), exactly(video_ms=5560, grade="480p")),
    ("qwen_video", qwen("SUCCEEDED"), PLANNED_COST),
    ("qwen_image_tasks", qwen("SUCCEEDED", image_count=3), exactly(images=3, grade="720p")),
    ("qwen_image_tasks", qwen("SUCCEEDED", output_image_count=2, image_count=9), exactly(images=2, grade="720p")),
    ("qwen_image_tasks", qwen("FAILED"), FAILED),
    ("minimax_video", minimax("queued"), Waiting()),
    ("minimax_video", minimax("failed", error={"code": "1", "message": "m"}), FAILED),
    ("minimax_video", minimax("cancelled"), FAILED),
    ("minimax_video", minimax("expired"), PLANNED_COST),
    (
        "minimax_video",
        minimax(
            "succeeded", duration=5, resolution="2K",
            usage={"total_seconds": 11, "input_seconds": 6, "output_seconds": 5, "input_image_count": 7},
        ),
        exactly(video_ms=11_000, images_in=2, grade="2k", served_model="MiniMax-H3"),
    ),
    ("minimax_video", minimax("succeeded", duration=5, resolution="768P"),
     exactly(video_ms=5000, grade="768p", served_model="MiniMax-H3")),
    ("minimax_video", {"base_resp": {"status_code": 2013, "status_msg": "invalid task_id"}}, Gone()),
    ("minimax_video", {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, Unreadable()),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "record", "says"), RECORDS)
def test_a_record_says_whether_the_job_runs_and_what_it_cost(
    wire: str, record: object, says: Progress
) -> None:
    assert JOBS[wire].progress(json.dumps(record).encode(), PLANNED) == says


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"<html>", b'{"status": 7}', b"\xff", b"[" * 9000])
@pytest.mark.parametrize("wire", sorted(JOBS))
def test_nothing_a_provider_sends_as_a_record_raises(wire: str, body: bytes) -> None:
    assert JOBS[wire].progress(body, PLANNED) == Unreadable()
    if wire in VIDEOS:
        assert VIDEOS[wire].state(body) is None


BEGUN = [
    (OPENAI_VIDEO, {"id": "video_1", "object": "video", "status": "queued"}, "video_1"),
    (XAI_VIDEO, {"request_id": "d97"}, "d97"),
    (QWEN_VIDEO, {"output": {"task_id": "t-1", "task_status": "PENDING"}, "request_id": "r"}, "t-1"),
    (QWEN_IMAGE_TASKS, {"output": {"task_id": "t-2", "task_status": "PENDING"}}, "t-2"),
    (MINIMAX_VIDEO, {"task_id": "424010985738629", "base_resp": {"status_code": 0}}, "424010985738629"),
    (MINIMAX_VIDEO, {"task_id": 424010985738629}, "424010985738629"),
]


@pytest.mark.parametrize(("wire", "answer", "job"), BEGUN)
def test_the_answer_names_the_job_that_was_begun(wire: object, answer: object, job: str) -> None:
    assert outcome(wire, json.dumps(answer).encode()) == Begun(job, planned_of(wire))


ONE_BY_ONE = (*VIDEOS.values(), QWEN_IMAGE_TASKS)


def test_an_answer_without_an_id_may_have_begun_a_job_and_is_not_free() -> None:
    for wire in ONE_BY_ONE:
        assert outcome(wire, b'{"fine": true}') == AtLeast(planned_of(wire))
        assert outcome(wire, b"<html>") == AtLeast(planned_of(wire))
        assert outcome(wire, b"") == Nothing()


def test_an_error_with_status_200_begins_nothing() -> None:
    refused = b'{"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}'
    assert outcome(MINIMAX_VIDEO, refused) == Nothing()
    assert outcome(QWEN_VIDEO, b'{"code": "InvalidParameter", "message": "m"}') == Nothing()


def test_a_refusal_costs_nothing() -> None:
    for wire in ONE_BY_ONE:
        assert outcome(wire, b'{"error": {"message": "no"}}', 400) == Nothing()


ANY = Asked(body=b'{"model":"m"}', model="m")


def planned_of(wire: object) -> Usage:
    call = wire.read_call(ANY)  # type: ignore[attr-defined]
    return call.expected or Usage(**call.demand.most, grade=call.demand.grade)


def outcome(wire: object, answer: bytes, status: int = 200) -> object:
    call = wire.read_call(ANY)  # type: ignore[attr-defined]
    tap = wire.tap(call, strip_usage=False, head=AnswerHead(status))  # type: ignore[attr-defined]
    for at in range(len(answer)):
        assert tap.feed(answer[at : at + 1]) == answer[at : at + 1]
    assert tap.finish() == b""
    return tap.outcome(input_bound=0)


@pytest.mark.parametrize(
    ("written", "ms"),
    [(8, 8000), (8.0, 8000), ("8", 8000), ("7.9601", 7961), (0, 0), (True, None), (-1, None), ("x", None),
     (None, None), ("1e400", None), (float("nan"), None), ([], None)],
)  # fmt: skip
def test_seconds_are_read_however_they_are_written(written: object, ms: int | None) -> None:
    assert milliseconds(written) == ms
