"""MiniMax' videos: `POST /v2/video_generation`, and the record `GET /v2/query/video_generation/{task_id}`.

Facts (the provider's pages and public clients, seen 2026-11): the answer is `{"task_id","base_resp"}`, and what is
wrong comes as status 200 with `base_resp.status_code` other than 0; a record is `{"task":{"status","content":{"url"},
"duration","resolution","usage":{"total_seconds","input_seconds","output_seconds","input_image_count"}}}` with the
statuses queued, running, succeeded, failed, cancelled, expired. Billed are the seconds asked for and those of reference
videos, each rounded up to whole seconds (15 together at most), at the price of the resolution; of pictures those beyond
the fifth. `duration` is at most 15. A failed task costs nothing.
"""

from dataclasses import dataclass

import msgspec
from msgspec import Raw

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire import body as json_body
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

MOST_SECONDS, MOST_REFERENCE_SECONDS = 15, 15
FREE_PICTURES = 5
UNSAID = "unsaid"
RATIOS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
STATUSES: dict[str, VideoStatus] = {
    "queued": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "failed",
    "expired": "failed",
}


def _code(fields: Fields) -> int | None:
    return count(nested(fields, "base_resp").get("status_code"))


def _job(fields: Fields) -> str | None:
    if _code(fields):
        return ""
    task = fields.get("task_id")
    return str(task)[:128] if isinstance(task, str | int) and task else None


@dataclass(frozen=True, slots=True)
class MinimaxVideoWire(JobWire):
    """`POST /v2/video_generation`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        members = json_body.read_body(asked.body)
        seconds = json_body.read_whole(members, "duration", least=1, most=LONGEST_S) or MOST_SECONDS
        kinds = [_kind(item) for item in json_body.read_items(members, "content")]
        if any(kind not in ("text", "image_url", "audio_url") for kind in kinds):
            seconds += MOST_REFERENCE_SECONDS
        pictures = max(0, kinds.count("image_url") - FREE_PICTURES)
        most = {VIDEO_MS: seconds * MS_PER_S}
        return ModelCall(
            model=json_body.read_text(members, "model") or asked.model,
            stream=False,
            demand=Demand(
                0,
                grade=(json_body.read_text(members, "resolution") or UNSAID).lower(),
                most=most | {"images_in": pictures} if pictures else most,
            ),
            wants_usage=False,
        )

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a record says."""
        fields = read_fields(body)
        if fields is None:
            return Unreadable()
        task = nested(fields, "task")
        status = STATUSES.get(word(task, "status"))
        if status is None:
            return (
                Gone() if "invalid task" in word(nested(fields, "base_resp"), "status_msg") else Unreadable()
            )
        if status in ("queued", "running"):
            return Waiting()
        if status == "failed":
            return Ended(AtLeast(planned) if word(task, "status") == "expired" else Nothing())
        usage = nested(task, "usage")
        made = milliseconds(usage.get("total_seconds")) or milliseconds(task.get("duration"))
        if made is None:
            return Ended(AtLeast(planned))
        pictures = max(0, number(usage, "input_image_count") - FREE_PICTURES)
        grade = word(task, "resolution").lower() or planned.grade
        seen = Usage(video_ms=made, images_in=pictures, grade=grade, served_model=word(task, "model"))
        return Ended(Exact(seen))

    def compose(self, ask: VideoAsk) -> tuple[bytes, Headers]:
        """The body of `POST /v2/video_generation`."""
        content: list[dict[str, object]] = [{"type": "text", "text": ask.prompt}]
        if ask.first_frame:
            picture = {"url": ask.first_frame}
            content.append({"type": "image_url", "role": "first_frame", "image_url": picture})
        fields = {
            "model": ask.model,
            "content": content,
            "duration": ask.seconds,
            "resolution": "768P" if ask.short_side <= 768 else "2K",
            "ratio": ask.ratio(RATIOS),
        }
        return msgspec.json.encode(fields), ()

    def state(self, body: bytes) -> VideoState | None:
        """What a record says."""
        fields = read_fields(body)
        task = nested(fields, "task") if fields is not None else {}
        status = STATUSES.get(word(task, "status"))
        if status is None:
            return None
        url = nested(task, "content").get("url")
        return VideoState(
            status=status,
            url=url if isinstance(url, str) else "",
            error=(word(nested(task, "error"), "message") or word(task, "status"))[:ERROR_CHARS],
            video_ms=milliseconds(task.get("duration")),
        )


def _kind(item: Raw) -> str:
    """What an item of the content is; one whose role makes it a film counts as one, whatever its type."""
    try:
        members = json_body.read_members(bytes(item), "an item of `content`")
    except UNREADABLE:
        return "unknown"
    role = json_body.read_text(members, "role") or ""
    return "video_url" if "video" in role else json_body.read_text(members, "type") or ""


MINIMAX_VIDEO = MinimaxVideoWire(find=_job, error_shape="minimax")
