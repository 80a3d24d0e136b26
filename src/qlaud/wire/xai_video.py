"""xAI's videos: `POST /v1/videos/generations`, and the record `GET /v1/videos/{request_id}`.

Facts (the provider's pages and public clients, seen 2026-11): the answer is `{"request_id"}`; a record is
`{"status":"pending"}` (HTTP 202 or 200), `{"status":"done","video":{"url","duration"},"usage":{"cost_in_usd_ticks"}}`,
`failed` or `expired`; `duration` is 1 to 15 whole seconds, 8 where it is not said; an edit keeps the length of its
source. A tick is 10^-10 dollars, and that is exactly what is billed. Which resolution is the default differs by
source, so one that is not said is held at the dearest.
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
    LONGEST_S,
    MS_PER_S,
    VIDEO_MS,
    VideoAsk,
    VideoState,
    VideoStatus,
    milliseconds,
)

PICOS_PER_TICK = 100
DEFAULT_SECONDS, MOST_SECONDS = 8, 15
UNSAID = "unsaid"
"""A grade that no price list knows: it may cost as much as any."""
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3")
STATUSES: dict[str, VideoStatus] = {
    "pending": "running",
    "queued": "queued",
    "processing": "running",
    "done": "succeeded",
    "failed": "failed",
    "expired": "failed",
}


def _job(fields: Fields) -> str | None:
    return word(fields, "request_id") or ("" if "error" in fields else None)


@dataclass(frozen=True, slots=True)
class XaiVideoWire(JobWire):
    """`POST /v1/videos/generations`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        members = json_body.read_body(asked.body)
        said = json_body.read_whole(members, "duration", least=1, most=LONGEST_S)
        has_source = any(not json_body.is_null(members.get(name)) for name in ("video", "video_url"))
        seconds = max(said or DEFAULT_SECONDS, MOST_SECONDS if has_source else 1)
        pictures = len(json_body.read_items(members, "reference_images"))
        pictures += not json_body.is_null(members.get("image"))
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
        """What a record says. A job that expired unseen may have been billed."""
        fields = read_fields(body)
        said = word(fields, "status") if fields is not None else ""
        if fields is None or said not in STATUSES:
            return Unreadable()
        if STATUSES[said] in ("queued", "running"):
            return Waiting()
        if said == "expired":
            return Ended(AtLeast(planned))
        ticks = number(nested(fields, "usage"), "cost_in_usd_ticks")
        made = milliseconds(nested(fields, "video").get("duration"))
        if said == "failed" and not ticks:
            return Ended(Nothing())
        usage = Usage(
            video_ms=planned.video_ms if made is None else made,
            images_in=planned.images_in,
            grade=planned.grade,
            vendor_cost_picos=ticks * PICOS_PER_TICK,
            served_model=word(fields, "model"),
        )
        return Ended(Exact(usage) if ticks or made is not None else AtLeast(usage))

    def compose(self, ask: VideoAsk) -> tuple[bytes, Headers]:
        """The body of `POST /v1/videos/generations`."""
        fields: dict[str, object] = {
            "model": ask.model,
            "prompt": ask.prompt,
            "duration": ask.seconds,
            "resolution": "480p" if ask.short_side <= 480 else "720p" if ask.short_side <= 720 else "1080p",
            "aspect_ratio": ask.ratio(RATIOS),
        }
        if ask.first_frame:
            fields["image"] = {"url": ask.first_frame}
        return msgspec.json.encode(fields), ()

    def state(self, body: bytes) -> VideoState | None:
        """What a record says."""
        fields = read_fields(body)
        status = STATUSES.get(word(fields, "status")) if fields is not None else None
        if fields is None or status is None:
            return None
        video, error = nested(fields, "video"), fields.get("error")
        said = error if isinstance(error, str) else word(nested(fields, "error"), "message")
        url = video.get("url")
        return VideoState(
            status=status,
            url=url if isinstance(url, str) else "",
            error=(said or word(fields, "status"))[:ERROR_CHARS],
            progress=number(fields, "progress"),
            video_ms=milliseconds(video.get("duration")),
        )


XAI_VIDEO = XaiVideoWire(find=_job)
