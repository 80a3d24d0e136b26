"""Alibaba Qwen's tasks: films and pictures, submitted with `X-DashScope-Async: enable`, asked for by task id.

Facts (the provider's pages, its SDK 2.0.2, public clients, seen 2026-11): a submission is answered with
`{"output":{"task_id","task_status":"PENDING"},"request_id"}`; the record `GET /api/v1/tasks/{task_id}` has a
`task_status` of PENDING, RUNNING, SUCCEEDED, FAILED, CANCELED or UNKNOWN (a task nobody knows, or of more than a day
ago), and with SUCCEEDED a `usage`: `duration` (billed seconds of output and of input films) with `SR` (720), older
models `video_duration` with `video_ratio`; of pictures `output_image_count` or `image_count`. A failed task is free.
"""

from dataclasses import dataclass

import msgspec

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire import body as json_body
from qlaud.wire.body import Members
from qlaud.wire.counts import UNREADABLE, Fields, count, nested, number, read_fields, word
from qlaud.wire.jobs import Ended, Gone, JobWire, Progress, Unreadable, Waiting
from qlaud.wire.types import Asked, Headers, ModelCall
from qlaud.wire.videos import (
    ERROR_CHARS,
    LONGEST_S,
    MS_PER_S,
    VIDEO_MS,
    VideoAsk,
    VideoState,
    VideoStatus,
    milliseconds,
)

MOST_SECONDS = 30
"""The longest film any of its models makes, and the most of input films that one is billed for."""
MOST_PICTURES = 4
"""What some of its models make where the number is not said."""
UNSAID = "unsaid"
ASYNCHRONOUS = (b"x-dashscope-async", b"enable")
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
SIZED = ("wan2.1", "wan2.2", "wan2.5", "wan2.6", "wanx")
"""Models that take `size` in pixels; newer ones take `resolution` and `ratio`."""
NO_FILMS = frozenset(
    ("prompt", "negative_prompt", "img_url", "first_frame_url", "last_frame_url", "audio_url", "template")
)
STILL_MEDIA = frozenset(
    ("first_frame", "last_frame", "reference_image", "image", "audio", "driving_audio", "reference_audio")
)
STATUSES: dict[str, VideoStatus] = {
    "PENDING": "queued",
    "SUSPENDED": "queued",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "failed",
}
GRADES = {480: "480p", 720: "720p", 1080: "1080p"}


def _job(fields: Fields) -> str | None:
    return word(nested(fields, "output"), "task_id") or ("" if word(fields, "code") else None)


def task_status(fields: Fields) -> str:
    """The status of a task."""
    return word(nested(fields, "output"), "task_status")


@dataclass(frozen=True, slots=True)
class QwenVideoWire(JobWire):
    """`POST /api/v1/services/aigc/video-generation/video-synthesis`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        members = json_body.read_body(asked.body)
        parameters = json_body.read_object(members, "parameters") or {}
        seconds = _seconds(parameters)
        if _has_films(json_body.read_object(members, "input") or {}):
            seconds += MOST_SECONDS
        return ModelCall(
            model=json_body.read_text(members, "model") or asked.model,
            stream=False,
            demand=Demand(0, grade=_grade(parameters), most={VIDEO_MS: seconds * MS_PER_S}),
            wants_usage=False,
        )

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a task's record says."""
        fields = read_fields(body)
        early = _early(fields)
        if fields is None or early is not None:
            return early or Unreadable()
        usage = nested(fields, "usage")
        told = (usage.get(name) for name in ("duration", "video_duration", "output_video_duration"))
        made = next((ms for value in told if (ms := milliseconds(value))), None)
        if made is None:
            return Ended(AtLeast(planned))
        grade = GRADES.get(number(usage, "SR")) or planned.grade
        return Ended(Exact(Usage(video_ms=made, grade=grade)))

    def compose(self, ask: VideoAsk) -> tuple[bytes, Headers]:
        """The body of a submission, and the header that makes it one."""
        parameters: dict[str, object] = {"duration": ask.seconds}
        if ask.model.startswith(SIZED):
            parameters["size"] = f"{ask.width}*{ask.height}"
        else:
            short = next((side for side in GRADES if ask.short_side <= side), 1080)
            parameters |= {"resolution": f"{short}P", "ratio": ask.ratio(RATIOS)}
        asked: dict[str, object] = {"prompt": ask.prompt}
        if ask.first_frame and ask.model.startswith(SIZED):
            asked["img_url"] = ask.first_frame
        elif ask.first_frame:
            asked["media"] = [{"type": "first_frame", "url": ask.first_frame}]
        fields = {"model": ask.model, "input": asked, "parameters": parameters}
        return msgspec.json.encode(fields), (ASYNCHRONOUS,)

    def state(self, body: bytes) -> VideoState | None:
        """What a task's record says."""
        fields = read_fields(body)
        status = STATUSES.get(task_status(fields)) if fields is not None else None
        if fields is None or status is None:
            return None
        output, usage = nested(fields, "output"), nested(fields, "usage")
        url = output.get("video_url")
        return VideoState(
            status=status,
            url=url if isinstance(url, str) else "",
            error=(word(output, "message") or task_status(fields))[:ERROR_CHARS],
            video_ms=milliseconds(usage.get("output_video_duration") or usage.get("video_duration")),
        )


@dataclass(frozen=True, slots=True)
class QwenImageTaskWire(JobWire):
    """`POST /api/v1/services/aigc/text2image/image-synthesis`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        members = json_body.read_body(asked.body)
        parameters = json_body.read_object(members, "parameters") or {}
        pictures = json_body.read_whole(parameters, "n", least=1, most=128) or MOST_PICTURES
        return ModelCall(
            model=json_body.read_text(members, "model") or asked.model,
            stream=False,
            demand=Demand(
                0,
                grade=json_body.read_text(parameters, "size") or UNSAID,
                most={"images": pictures},
            ),
            wants_usage=False,
        )

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a task's record says."""
        fields = read_fields(body)
        early = _early(fields)
        if fields is None or early is not None:
            return early or Unreadable()
        usage = nested(fields, "usage")
        made = count(usage.get("output_image_count"))
        if made is None:
            made = count(usage.get("image_count"))
        if made is None:
            return Ended(AtLeast(planned))
        return Ended(Exact(Usage(images=made, grade=planned.grade)))


def _early(fields: Fields | None) -> Progress | None:
    """What a record says that does not tell of a success."""
    if fields is None:
        return Unreadable()
    said = task_status(fields)
    if said == "UNKNOWN":
        return Gone()
    status = STATUSES.get(said)
    if status is None:
        return Unreadable()
    if status in ("queued", "running"):
        return Waiting()
    return Ended(Nothing()) if status == "failed" else None


def _has_films(given: Members) -> bool:
    """Whether films may be among what is sent, which are billed too: anything not known to be something else."""
    if given.keys() - NO_FILMS - {"media"}:
        return True
    for item in json_body.read_items(given, "media"):
        try:
            members = json_body.read_members(bytes(item), "an item of `media`")
        except UNREADABLE:
            return True
        if json_body.read_text(members, "type") not in STILL_MEDIA:
            return True
    return False


def _seconds(parameters: Members) -> int:
    """The most that will be made. -1 leaves it to the model."""
    said = parameters.get("duration")
    if said is None or json_body.is_null(said) or bytes(said) == b"-1":
        return MOST_SECONDS
    text = bytes(said).decode("ascii", "replace").strip('"')
    if not (text.isdigit() and len(text) <= 5 and 1 <= int(text) <= LONGEST_S):
        raise BadRequest(
            f"`duration` must be a whole number of seconds, at most {LONGEST_S}", param="duration"
        )
    return int(text)


def _grade(parameters: Members) -> str:
    resolution = json_body.read_text(parameters, "resolution")
    if resolution:
        return resolution.lower()
    size = json_body.read_text(parameters, "size") or ""
    across, _, down = size.replace("x", "*").partition("*")
    sides = [int(side) for side in (across, down) if side.isascii() and side.isdigit() and len(side) <= 5]
    return GRADES.get(min(sides), UNSAID) if len(sides) == 2 else UNSAID


QWEN_VIDEO = QwenVideoWire(find=_job, error_shape="qwen")
QWEN_IMAGE_TASKS = QwenImageTaskWire(find=_job, error_shape="qwen")
