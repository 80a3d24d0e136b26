"""The simulator's jobs, read by the very wires that read the providers'."""

import json

import pytest

from qlaud.core.demand import as_asked
from qlaud.core.usage import Begun, Exact, Nothing
from qlaud.providers.registry import load_registry
from qlaud.providers.simulator.films import FILM, MAKING_MS, Films
from qlaud.wire.jobs import Ended, Waiting
from qlaud.wire.shelf import JOBS, WIRES
from qlaud.wire.types import Asked

BEGUN_MS = 1_800_000_000_000
SIM = load_registry({}).provider("sim")
ASKS = {
    "openai_video": {"model": "sora-2", "seconds": "8", "size": "1280x720"},
    "xai_video": {"model": "grok-imagine-video", "duration": 6, "resolution": "720p"},
    "qwen_video": {"model": "wan3.0-video", "parameters": {"duration": 5, "resolution": "1080P"}},
    "qwen_image_tasks": {"model": "wan2.5-t2i", "parameters": {"n": 3, "size": "1024*1024"}},
    "minimax_video": {"model": "MiniMax-H3", "duration": 6, "resolution": "2K"},
    "gemini_video": {"instances": [], "parameters": {"durationSeconds": 6, "sampleCount": 2}},
}
SIMULATED = [name for name, wire in SIM.wires.items() if wire.jobs is not None and name in JOBS]


def begin(films: Films, wire: str, ask: object, now_ms: int = BEGUN_MS) -> tuple[str, bytes]:
    """The job and the answer that began it."""
    path = SIM.target(wire).decode().replace("{model}", "m")
    made = films.answer("POST", path, json.dumps(ask).encode(), seed="5eed5eed", now_ms=now_ms)
    assert made is not None
    assert made.status == 200
    return JOBS[wire].job_in(made.body), made.body


def look(films: Films, wire: str, job: str, now_ms: int) -> bytes:
    jobs = SIM.wires[wire].jobs
    assert jobs is not None
    made = films.answer("GET", jobs.record.filled({"job": job}), b"", seed="", now_ms=now_ms)
    assert made is not None
    assert made.status == 200
    return made.body


@pytest.mark.parametrize("wire", SIMULATED)
def test_a_simulated_job_is_begun_runs_and_costs_what_was_asked_for(wire: str) -> None:
    films = Films()
    body = json.dumps(ASKS[wire]).encode()
    call = WIRES[wire].read_call(Asked(body=body, model="m" if wire == "gemini_video" else ""))
    planned = call.expected or as_asked(call.demand, 0)
    job, answer = begin(films, wire, ASKS[wire])
    tap = WIRES[wire].tap(call, strip_usage=False)
    tap.feed(answer)
    tap.finish()
    assert tap.outcome(input_bound=0) == Begun(job, planned)
    early = look(films, wire, job, BEGUN_MS + MAKING_MS - 1)
    assert JOBS[wire].progress(early, planned) == Waiting()
    late = JOBS[wire].progress(look(Films(), wire, job, BEGUN_MS + MAKING_MS), planned)
    assert isinstance(late, Ended), "another gateway knows it too"
    assert isinstance(late.metered, Exact)
    seen = late.metered.usage
    assert (seen.video_ms, seen.images, seen.grade) == (planned.video_ms, planned.images, planned.grade)


def test_two_jobs_of_one_moment_are_two() -> None:
    films = Films()
    assert begin(films, "openai_video", ASKS["openai_video"]) != begin(
        films, "openai_video", ASKS["openai_video"]
    )


def test_a_film_that_fails_says_so_and_costs_nothing() -> None:
    films = Films()
    job, _ = begin(films, "openai_video", {"model": "sim/film-fails"})
    record = look(films, "openai_video", job, BEGUN_MS + MAKING_MS)
    assert JOBS["openai_video"].progress(
        record, as_asked(WIRES["openai_video"].read_call(Asked(body=b"{}")).demand, 0)
    ) == Ended(Nothing())


def test_the_film_is_there_when_it_is_made_and_not_before() -> None:
    films = Films()
    job, _ = begin(films, "openai_video", {"model": "sim/film"})
    path = f"/v1/videos/{job}/content"
    early = films.answer("GET", path, b"", seed="", now_ms=BEGUN_MS)
    late = films.answer("GET", path, b"", seed="", now_ms=BEGUN_MS + MAKING_MS)
    assert early is not None
    assert late is not None
    assert (early.status, late.status, late.body, late.content_type) == (404, 200, FILM, b"video/mp4")


@pytest.mark.parametrize("job", ["x", "sim-openai", "sim-openai-x-1-4-s-m", "video_1", "sim-a-1-b-c-d-e"])
def test_an_id_that_was_never_given_is_not_found(job: str) -> None:
    made = Films().answer("GET", f"/v1/videos/{job}", b"", seed="", now_ms=BEGUN_MS)
    assert made is not None
    assert made.status == 404


def test_a_form_is_read_as_its_sdk_sends_it() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nsim/film\r\n'
        b'--b\r\nContent-Disposition: form-data; name="seconds"\r\n\r\n12\r\n--b--\r\n'
    )
    made = Films().answer("POST", "/v1/videos", body, seed="5eed5eed", now_ms=BEGUN_MS)
    assert made is not None
    fields = json.loads(made.body)
    assert (fields["model"], fields["seconds"]) == ("sim/film", "12")


def test_paths_that_are_not_about_jobs_are_left_to_others() -> None:
    assert Films().answer("POST", "/v1/messages", b"{}", seed="", now_ms=BEGUN_MS) is None
