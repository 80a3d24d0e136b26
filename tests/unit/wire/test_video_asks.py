"""A video asked for on the common paths, in the words of each provider; each provider's record in the common ones."""

import json

import pytest

from qlaud.core.errors import BadRequest
from qlaud.wire.form import FilePart, Form
from qlaud.wire.shelf import VIDEOS, WIRES
from qlaud.wire.types import Asked
from qlaud.wire.videos import (
    VideoAsk,
    VideoFacts,
    VideoState,
    VideoStatus,
    openai_video,
    read_ask,
    small_video,
)

ASK = VideoAsk("m", "A pixel", 6, 1280, 720)
TALL = VideoAsk("m", "A pixel", 5, 1080, 1920, first_frame="https://x/a.png")
COMPOSED = [
    ("openai_video", ASK, {"model": "m", "prompt": "A pixel", "seconds": "6", "size": "1280x720"}),
    (
        "openai_video", TALL,
        {"model": "m", "prompt": "A pixel", "seconds": "5", "size": "1080x1920",
         "input_reference": {"image_url": "https://x/a.png"}},
    ),
    ("xai_video", ASK,
     {"model": "m", "prompt": "A pixel", "duration": 6, "resolution": "720p", "aspect_ratio": "16:9"}),
    (
        "xai_video", TALL,
        {"model": "m", "prompt": "A pixel", "duration": 5, "resolution": "1080p", "aspect_ratio": "9:16",
         "image": {"url": "https://x/a.png"}},
    ),
    ("qwen_video", ASK,
     {"model": "m", "input": {"prompt": "A pixel"},
      "parameters": {"duration": 6, "resolution": "720P", "ratio": "16:9"}}),
    (
        "qwen_video", TALL,
        {"model": "m", "input": {"prompt": "A pixel", "media": [{"type": "first_frame", "url": "https://x/a.png"}]},
         "parameters": {"duration": 5, "resolution": "1080P", "ratio": "9:16"}},
    ),
    ("minimax_video", ASK,
     {"model": "m", "content": [{"type": "text", "text": "A pixel"}], "duration": 6, "resolution": "768P",
      "ratio": "16:9"}),
    (
        "minimax_video", TALL,
        {"model": "m", "duration": 5, "resolution": "2K", "ratio": "9:16",
         "content": [{"type": "text", "text": "A pixel"},
                     {"type": "image_url", "role": "first_frame", "image_url": {"url": "https://x/a.png"}}]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "ask", "body"), COMPOSED)
def test_an_ask_becomes_the_providers_own_body(wire: str, ask: VideoAsk, body: object) -> None:
    composed, headers = VIDEOS[wire].compose(ask)
    assert json.loads(composed) == body
    assert list(headers) == ([(b"x-dashscope-async", b"enable")] if wire == "qwen_video" else [])


def test_an_older_model_of_qwens_gets_its_size_in_pixels() -> None:
    ask = VideoAsk("wan2.5-t2v-preview", "A pixel", 5, 832, 480, first_frame="u")
    fields = json.loads(VIDEOS["qwen_video"].compose(ask)[0])
    assert fields["parameters"] == {"duration": 5, "size": "832*480"}
    assert fields["input"] == {"prompt": "A pixel", "img_url": "u"}


@pytest.mark.parametrize("wire", sorted(VIDEOS.keys() - {"gemini_video"}))  # its films come in few lengths
@pytest.mark.parametrize("ask", [ASK, TALL, VideoAsk("m", "x", 15, 854, 480)])
def test_what_is_held_for_a_composed_body_is_what_was_asked(wire: str, ask: VideoAsk) -> None:
    call = WIRES[wire].read_call(Asked(body=VIDEOS[wire].compose(ask)[0]))
    assert call.demand.most["video_ms"] == ask.seconds * 1000
    assert call.demand.grade not in ("", "unsaid")


def test_an_ask_is_read_from_json_and_from_a_form() -> None:
    body = json.dumps({"model": "m", "prompt": "A pixel", "seconds": "6", "size": "1280x720"}).encode()
    fields = {"model": (b"m",), "prompt": (b"A pixel",), "seconds": (b"6",), "size": (b"1280x720",)}
    assert read_ask(Asked(body=body)) == read_ask(Asked(form=Form(fields=fields))) == ASK


def test_what_is_not_said_is_what_every_provider_can_do() -> None:
    assert read_ask(Asked(body=b'{"prompt":"A pixel"}', model="sora-2")) == VideoAsk(
        "sora-2", "A pixel", 5, 1280, 720
    )


@pytest.mark.parametrize(
    "asked",
    [
        Asked(body=b'{"model":"m"}'),
        Asked(body=b'{"model":"m","prompt":"x","size":"large"}'),
        Asked(body=b'{"model":"m","prompt":"x","size":"0x720"}'),
        Asked(body=b'{"model":"m","prompt":"x","seconds":"0"}'),
        Asked(form=Form(fields={"prompt": (b"x",)}, files=(FilePart("input_reference", "a.png", "", 0, 1),))),
        Asked(form=Form(fields={"prompt": (b"x", b"y")})),
    ],
)
def test_an_ask_that_cannot_be_put_in_other_words_is_refused(asked: Asked) -> None:
    with pytest.raises(BadRequest):
        read_ask(asked)


STATES = [
    ("xai_video", {"status": "pending", "progress": 40}, VideoState("running", progress=40, error="pending")),
    (
        "xai_video",
        {"status": "done", "video": {"url": "https://x/f.mp4", "duration": 6}},
        VideoState("succeeded", "https://x/f.mp4", video_ms=6000, error="done"),
    ),
    ("xai_video", {"status": "failed", "error": {"message": "no"}}, VideoState("failed", error="no")),
    ("xai_video", {"status": "failed", "error": "no"}, VideoState("failed", error="no")),
    (
        "qwen_video",
        {"output": {"task_status": "SUCCEEDED", "video_url": "u"}, "usage": {"output_video_duration": 5}},
        VideoState("succeeded", "u", video_ms=5000, error="SUCCEEDED"),
    ),
    ("qwen_video", {"output": {"task_status": "FAILED", "message": "no"}}, VideoState("failed", error="no")),
    (
        "minimax_video",
        {"task": {"status": "succeeded", "content": {"url": "u"}, "duration": 5}},
        VideoState("succeeded", "u", video_ms=5000, error="succeeded"),
    ),
    (
        "minimax_video",
        {"task": {"status": "failed", "error": {"message": "no"}}},
        VideoState("failed", error="no"),
    ),
    ("openai_video", {"status": "in_progress", "progress": 7}, VideoState("running", progress=7)),
    ("openai_video", {"status": "failed", "error": {"message": "no"}}, VideoState("failed", error="no")),
]


@pytest.mark.parametrize(("wire", "record", "state"), STATES)
def test_a_record_is_told_in_common_words(wire: str, record: object, state: VideoState) -> None:
    assert VIDEOS[wire].state(json.dumps(record).encode()) == state


def test_a_video_of_any_provider_looks_like_one_of_openais() -> None:
    facts = VideoFacts("d97", "grok-imagine-video", 1_790_000_000_999, 6000, "720p")
    queued = openai_video(facts, VideoState("queued"))
    assert queued == {
        "id": "d97", "object": "video", "created_at": 1_790_000_000, "completed_at": None, "expires_at": None,
        "model": "grok-imagine-video", "status": "queued", "progress": 0, "prompt": None,
        "remixed_from_video_id": None, "seconds": "6", "size": "720p", "error": None,
    }  # fmt: skip
    done = openai_video(facts, VideoState("succeeded", "u", video_ms=5560))
    assert (done["status"], done["progress"], done["seconds"], done["error"]) == (
        "completed",
        100,
        "5.56",
        None,
    )
    failed = openai_video(facts, VideoState("failed"))
    assert failed["error"] == {"code": "video_generation_failed", "message": "the provider gives no reason"}


def test_the_small_form_has_four_members_and_four_statuses() -> None:
    facts = VideoFacts("d97", "m", 0, 6000, "720p")
    statuses: tuple[VideoStatus, ...] = ("queued", "running", "succeeded", "failed")
    assert [small_video(facts, VideoState(status, error="no"), "u") for status in statuses] == [
        {"id": "d97", "status": "queued", "video_url": None, "error": None},
        {"id": "d97", "status": "running", "video_url": None, "error": None},
        {"id": "d97", "status": "succeeded", "video_url": "u", "error": None},
        {"id": "d97", "status": "failed", "video_url": None, "error": "no"},
    ]  # fmt: skip
