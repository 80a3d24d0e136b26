"""OpenAI's videos: `POST /v1/videos`, JSON or form, and the video object, which is the record of the job.

Facts (types of the SDK 3.54.0, the provider's pages, seen 2026-11): `seconds` is a string, 4 where it is not said;
`size` is 720x1280 where it is not said; a video object has no usage, its `seconds` at its `size` are billed when
`status` turns `completed`; a failed one costs nothing.
"""

from dataclasses import dataclass

import msgspec

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire import body as json_body
from qlaud.wire.counts import Fields, nested, number, read_fields, word
from qlaud.wire.jobs import Ended, JobWire, Progress, Unreadable, Waiting
from qlaud.wire.types import Asked, Headers, ModelCall
from qlaud.wire.videos import (
    ERROR_CHARS,
    MS_PER_S,
    VIDEO_MS,
    VideoAsk,
    VideoState,
    VideoStatus,
    milliseconds,
    seconds_text,
    sides,
    whole_seconds,
)

NOTHING_YET = Usage()
DEFAULT_SECONDS, DEFAULT_SIZE = 4, "720x1280"
STATUSES: dict[str, VideoStatus] = {
    "queued": "queued",
    "in_progress": "running",
    "completed": "succeeded",
    "failed": "failed",
}


def _job(fields: Fields) -> str | None:
    if word(fields, "object") == "video" or "status" in fields:
        return word(fields, "id") or None
    return "" if "error" in fields else None


@dataclass(frozen=True, slots=True)
class OpenAIVideoWire(JobWire):
    """`POST /v1/videos`."""

    takes_form: bool = True

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        form = asked.form
        if form is not None:
            model, size, seconds = form.text("model"), form.text("size"), form.text("seconds")
        else:
            members = json_body.read_body(asked.body)
            model, size = json_body.read_text(members, "model"), json_body.read_text(members, "size")
            seconds = seconds_text(members, "seconds")
        if size:
            sides(size)
        wanted = whole_seconds(seconds, "seconds") if seconds else DEFAULT_SECONDS
        return ModelCall(
            model=model or asked.model,
            stream=False,
            demand=Demand(0, grade=size or DEFAULT_SIZE, most={VIDEO_MS: wanted * MS_PER_S}),
            wants_usage=False,
        )

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a video object says."""
        fields = read_fields(body)
        status = STATUSES.get(word(fields, "status")) if fields is not None else None
        if fields is None or status is None:
            return Unreadable()
        if status in ("queued", "running"):
            return Waiting()
        if status == "failed":
            return Ended(Nothing())
        made = milliseconds(fields.get("seconds"))
        if made is None:
            return Ended(AtLeast(planned))
        size, model = word(fields, "size") or planned.grade, word(fields, "model")
        return Ended(Exact(Usage(video_ms=made, grade=size, served_model=model)))

    def compose(self, ask: VideoAsk) -> tuple[bytes, Headers]:
        """The body of `POST /v1/videos`."""
        fields: dict[str, object] = {"model": ask.model, "prompt": ask.prompt, "seconds": str(ask.seconds)}
        fields["size"] = f"{ask.width}x{ask.height}"
        if ask.first_frame:
            fields["input_reference"] = {"image_url": ask.first_frame}
        return msgspec.json.encode(fields), ()

    def state(self, body: bytes) -> VideoState | None:
        """What a video object says."""
        fields = read_fields(body)
        status = STATUSES.get(word(fields, "status")) if fields is not None else None
        if fields is None or status is None:
            return None
        return VideoState(
            status=status,
            error=word(nested(fields, "error"), "message")[:ERROR_CHARS],
            progress=number(fields, "progress"),
            video_ms=milliseconds(fields.get("seconds")),
        )


OPENAI_VIDEO = OpenAIVideoWire(find=_job)


@dataclass(frozen=True, slots=True)
class RemixWire(OpenAIVideoWire):
    """`POST /v1/videos/{id}/remix`: as long and as large as the video it is made from, by the same model."""

    source: Usage = NOTHING_YET
    """What that one was to use."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson."""
        json_body.read_body(asked.body)
        most = {VIDEO_MS: self.source.video_ms}
        return ModelCall(asked.model, False, Demand(0, grade=self.source.grade, most=most), wants_usage=False)


def remix_of(source: Usage) -> RemixWire:
    """The wire of a remix of a video that was to use this."""
    return RemixWire(find=_job, source=source)
