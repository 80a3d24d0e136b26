"""Google's films: what is held for a request, what an operation is settled by, and where callers find the films.

Whole answers with their cost are in the golden corpus. Facts: see the wire's module.
"""

import json
from typing import Any

import pytest

from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.core.usage import AtLeast, Begun, Exact, Nothing, Usage
from qlaud.wire.gemini_video import CONTENT, FILMS, GEMINI_VIDEO
from qlaud.wire.jobs import Ended, Progress, Unreadable, Waiting
from qlaud.wire.types import Asked, Changes, ModelCall
from qlaud.wire.videos import VideoAsk, VideoState

MODEL = "veo-3.1-generate-001"
NAME = f"models/{MODEL}/operations/abc"
PROMPT = [{"prompt": 'A pixel with a uri in its Mari" and "uri": here'}]
PICTURE = {"bytesBase64Encoded": "aGk=", "mimeType": "image/png"}


def read(body: object, query: bytes = b"") -> ModelCall:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return GEMINI_VIDEO.read_call(Asked(body=text, model=MODEL, query=query))


def asking(instances: object = PROMPT, **parameters: object) -> dict[str, object]:
    return {"instances": instances, "parameters": parameters}


HELD: list[tuple[object, int, str]] = [
    ({"instances": PROMPT}, 8000, "720p"),
    ({}, 8000, "720p"),
    (asking(), 8000, "720p"),
    (asking(durationSeconds=None, sampleCount=None, resolution=None), 8000, "720p"),
    (asking(durationSeconds=4, resolution="1080p"), 4000, "1080p"),
    (asking(durationSeconds="6", sampleCount=3), 18_000, "720p"),
    (asking(duration_seconds=6, sample_count=2, resolution="4K"), 12_000, "4k"),
    (asking(numberOfVideos=4), 32_000, "720p"),
    (asking(sampleCount=1, numberOfVideos=4), 32_000, "720p"),
    (asking(PROMPT * 3, sampleCount=2), 48_000, "720p"),
    (asking(sampleCount=100), 800_000, "720p"),
]


@pytest.mark.parametrize(("body", "video_ms", "grade"), HELD)
def test_what_is_held_is_the_most_the_request_can_cost(body: object, video_ms: int, grade: str) -> None:
    call = read(body)
    assert (dict(call.demand.most), call.demand.grade) == ({"video_ms": video_ms}, grade)
    assert (call.model, call.stream, call.account_resource) == (MODEL, False, None)


@pytest.mark.parametrize(
    "body",
    [
        asking(sampleCount="4"),
        asking(sampleCount=0),
        asking(sampleCount=-1),
        asking(sampleCount=2.5),
        asking(sampleCount=101),
        asking(sampleCount=10**12),
        asking(sampleCount=1, sample_count=4),
        asking(numberOfVideos="4"),
        asking(durationSeconds="long"),
        asking(durationSeconds=1e3),
        asking(durationSeconds=-8),
        asking(durationSeconds=99_999),
        asking(durationSeconds=4, duration_seconds=8),
        asking(resolution=4),
        asking(["A pixel", 7, [PROMPT]][1:]),
        {"instances": {"prompt": "A pixel"}},
        {"instances": PROMPT, "parameters": [8]},
        {"instances": PROMPT, "model": "veo-3.1-fast-generate-001"},
        b'{"parameters":{"sampleCount":1,"sampleCount":4}}',
        b'{"parameters":{"sampleCount":1,"s\\u0061mpleCount":4}}',
        b'{"parameters":{"durationSeconds":4},"parameters":{"durationSeconds":8}}',
        b'{"instances":[{"prompt":"x","prompt":"y"}]}',
    ],
)
def test_a_request_that_lies_about_its_length_is_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        read(body)


def test_a_query_that_hides_the_name_of_the_job_is_refused() -> None:
    with pytest.raises(UnsupportedField):
        read({"instances": PROMPT}, b"fields=done")


def test_pictures_are_the_callers_own_and_references_are_for_admins() -> None:
    own = {"prompt": "x", "image": PICTURE, "lastFrame": {"inlineData": {"data": "aGk=", "mimeType": "m"}}}
    references = [{"image": PICTURE, "referenceType": "asset"}]
    assert read(asking([{**own, "referenceImages": references}])).account_resource is None
    for foreign in (
        {"image": {"gcsUri": "gs://b/o"}},
        {"image": {"fileUri": "files/abc"}},
        {"image": {"name": "files/abc"}},
        {"referenceImages": [{"image": PICTURE}, {"image": {"g\u0063sUri": "gs://b/o"}}]},
        {"somethingNew": 1},
    ):
        assert read(asking([{"prompt": "x"}, {"prompt": "x", **foreign}])).account_resource
    with pytest.raises(UnsupportedField):
        read(asking([{"prompt": "x", "video": {"uri": "files/abc"}}]))


def test_the_body_goes_on_as_it_came() -> None:
    body = b'{ "instances": [] }'
    assert GEMINI_VIDEO.rewrite(body, read(body), Changes(model="another")) == body


def sample(name: str = "f") -> dict[str, Any]:
    return {"video": {"uri": f"https://generativelanguage.googleapis.com/v1beta/files/{name}:download"}}


def done(made: object, **more: object) -> dict[str, object]:
    return {"name": NAME, "done": True, "response": {"generateVideoResponse": made}, **more}


PLANNED = Usage(video_ms=12_000, grade="1080p", detail={FILMS: 2})
WAS_PLANNED = Ended(AtLeast(PLANNED))


def films(count: int) -> Ended:
    return Ended(Exact(Usage(video_ms=6000 * count, grade="1080p", detail={FILMS: count})))


RECORDS: list[tuple[object, Progress]] = [
    ({"name": NAME}, Waiting()),
    ({"name": NAME, "done": False, "metadata": {}}, Waiting()),
    ({"name": NAME, "done": True, "error": {"code": 3, "message": "no"}}, Ended(Nothing())),
    (done({"generatedSamples": [sample(), sample()]}), films(2)),
    (done({"generatedSamples": [sample()], "raiMediaFilteredCount": 1}), films(1)),
    (done({"generatedSamples": [sample()]}), films(1)),
    (done({"generatedSamples": [sample()] * 3}), films(3)),
    (done({"generatedSamples": [sample()]}, error=None), films(1)),
    (done({"raiMediaFilteredCount": 2}), Ended(Nothing())),
    (done({}), WAS_PLANNED),
    (done({"generatedSamples": []}), WAS_PLANNED),
    (done({"generatedVideos": [sample()]}), WAS_PLANNED),
    ({"name": NAME, "done": True}, WAS_PLANNED),
    ({"name": NAME, "done": True, "response": "fine"}, WAS_PLANNED),
    ({"done": True}, Unreadable()),
    ({"error": {"code": 403, "message": "no"}}, Unreadable()),
]


@pytest.mark.parametrize(("record", "says"), RECORDS)
def test_an_operation_says_whether_it_runs_and_how_many_films_were_made(
    record: object, says: Progress
) -> None:
    assert GEMINI_VIDEO.progress(json.dumps(record).encode(), PLANNED) == says


@pytest.mark.parametrize("name", [NAME, "models/m/operations/A-b_c.9~"])
def test_the_answer_names_the_job_without_a_slash(name: str) -> None:
    job = name.rpartition("/")[2]
    assert begun({"name": name}) == Begun(job, read({}).expected or Usage())


@pytest.mark.parametrize("name", ["operations/abc", f"{NAME}/x", "models/m/operations/a%2Fb", "", 7, None])
def test_an_answer_with_a_name_that_cannot_be_asked_for_is_not_free(name: object) -> None:
    assert begun({"name": name}) == AtLeast(read({}).expected or Usage())


def begun(answer: object) -> object:
    tap = GEMINI_VIDEO.tap(read({}), strip_usage=False)
    tap.feed(json.dumps(answer).encode())
    tap.finish()
    return tap.outcome(input_bound=0)


def test_callers_find_the_films_of_an_operation_at_the_gateway() -> None:
    record = json.dumps(done({"generatedSamples": [sample("a" * 300), sample(), {}]})).encode()
    shown = json.loads(GEMINI_VIDEO.for_caller(record, "https://gw/google"))
    made = shown["response"]["generateVideoResponse"]["generatedSamples"]
    here = "https://gw/google" + CONTENT.format("abc")
    assert [one.get("video", {}).get("uri") for one in made] == [here, f"{here}&sample=1", None]
    assert (shown["name"], shown["done"]) == (NAME, True)
    for other in (b'{"name": "%b"}' % NAME.encode(), b"<html>", b'{"done":true}'):
        assert GEMINI_VIDEO.for_caller(other, "https://gw") == other


STATES = [
    ({"name": NAME}, VideoState("running")),
    ({"name": NAME, "done": True, "error": {"message": "no"}}, VideoState("failed", error="no")),
    (done({"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["no"]}), VideoState("failed", error="no")),
    (
        done({"generatedSamples": [{"video": {"uri": "u"}}, {"video": {"uri": "v"}}]}),
        VideoState("succeeded", "u", further=("v",)),
    ),
    (done({"generatedSamples": [{"video": {"uri": 7}}]}), VideoState("failed")),
]


@pytest.mark.parametrize(("record", "state"), STATES)
def test_an_operation_is_told_in_common_words(record: object, state: VideoState) -> None:
    assert GEMINI_VIDEO.state(json.dumps(record).encode()) == state


COMPOSED = [
    (VideoAsk("m", "x", 4, 1280, 720), {"durationSeconds": 4, "resolution": "720p", "aspectRatio": "16:9"}),
    (VideoAsk("m", "x", 5, 720, 1280), {"durationSeconds": 6, "resolution": "720p", "aspectRatio": "9:16"}),
    (VideoAsk("m", "x", 5, 1920, 1080), {"durationSeconds": 8, "resolution": "1080p", "aspectRatio": "16:9"}),
    (VideoAsk("m", "x", 8, 3840, 2160), {"durationSeconds": 8, "resolution": "4k", "aspectRatio": "16:9"}),
    (VideoAsk("m", "x", 12, 1280, 720), {"durationSeconds": 12, "resolution": "720p", "aspectRatio": "16:9"}),
]


@pytest.mark.parametrize(("ask", "parameters"), COMPOSED)
def test_an_ask_becomes_the_next_length_that_the_model_makes(ask: VideoAsk, parameters: object) -> None:
    body, headers = GEMINI_VIDEO.compose(ask)
    assert json.loads(body) == {"instances": [{"prompt": "x"}], "parameters": parameters}
    assert not headers
    assert read(body).demand.most["video_ms"] >= ask.seconds * 1000


def test_a_first_frame_is_sent_inside_the_body() -> None:
    ask = VideoAsk("m", "x", 4, 1280, 720, first_frame="data:image/png;base64,aGk=")
    (instance,) = json.loads(GEMINI_VIDEO.compose(ask)[0])["instances"]
    assert instance["image"] == PICTURE
    with pytest.raises(BadRequest, match="data URI"):
        GEMINI_VIDEO.compose(VideoAsk("m", "x", 4, 1280, 720, first_frame="https://x/a.png"))
