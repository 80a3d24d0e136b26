"""Videos, whoever makes them: what is asked, what a record says, and the shapes callers of the common paths get.

A video is asked for in OpenAI's words (`seconds`, `size`) and answered in OpenAI's video object or in the small one of
`/v1/videos/generations`; each wire of videos turns the ask into its provider's own body, and its provider's record into
a `VideoState`. Seconds are billed seconds: `video_ms` is 1000 times that. Used by the wires of videos and their edge.
"""

from decimal import Decimal, InvalidOperation
from typing import Literal, Protocol

from msgspec import Struct

from qlaud.core.errors import BadRequest
from qlaud.wire import body as json_body
from qlaud.wire.body import Members
from qlaud.wire.jobs import JobRule
from qlaud.wire.types import Asked, Headers

VIDEO_MS = "video_ms"
MS_PER_S = 1000
LONGEST_S = 3600
"""More is refused: no provider makes it, and a misread one would hold a fortune."""
USUAL_SECONDS, USUAL_SIZE = 5, "1280x720"
"""Sent to providers of the common paths where the caller says nothing; all of them can do it."""
MOST_PIXELS = 16_384
ERROR_CHARS = 1000
NO_REASON = "the provider gives no reason"

VideoStatus = Literal["queued", "running", "succeeded", "failed"]


class VideoAsk(Struct, frozen=True, gc=False):
    """A video as a caller of the common paths asks for it."""

    model: str
    prompt: str
    seconds: int
    width: int
    height: int
    first_frame: str = ""
    """Address of a picture, or a data URI."""

    @property
    def short_side(self) -> int:
        """In pixels: what names like `720p` count."""
        return min(self.width, self.height)

    def ratio(self, known: tuple[str, ...]) -> str:
        """The one of `known` (`16:9`, …) that is nearest to the size."""

        def distance(name: str) -> Decimal:
            across, down = map(int, name.split(":"))
            return abs(Decimal(self.width) / self.height - Decimal(across) / down)

        return min(known, key=distance)


class VideoFacts(Struct, frozen=True, gc=False):
    """What we know of a video ourselves."""

    id: str
    """The provider's id of the job, under which callers ask for it too."""
    model: str
    created_at: int
    video_ms: int
    size: str


class VideoState(Struct, frozen=True, gc=False):
    """What a record says of a video."""

    status: VideoStatus
    url: str = ""
    """Where the film is, outside; empty where the provider gives it under the record's path, or there is none."""
    further: tuple[str, ...] = ()
    """Where further films of the same job are."""
    error: str = ""
    progress: int = 0
    """Percent."""
    video_ms: int | None = None


class VideoWire(JobRule, Protocol):
    """A wire of videos."""

    def compose(self, ask: VideoAsk) -> tuple[bytes, Headers]:
        """The provider's own body for `ask`, and headers that it needs besides."""
        ...

    def state(self, body: bytes) -> VideoState | None:
        """What a record says; None if it is none."""
        ...


def read_ask(asked: Asked) -> VideoAsk:
    """What a caller of the common paths asks, JSON or form. Raises InvalidJson or BadRequest."""
    form = asked.form
    if form is not None:
        if form.files:
            raise BadRequest(
                'this model takes no files here; send `input_reference` as {"image_url": …} in a JSON body',
                param="input_reference",
            )
        members: Members = {}
        texts = {name: form.text(name) for name in ("model", "prompt", "seconds", "size")}
    else:
        members = json_body.read_body(asked.body)
        texts = {name: json_body.read_text(members, name) for name in ("model", "prompt", "size")}
        texts["seconds"] = seconds_text(members, "seconds")
    if not texts["prompt"]:
        raise BadRequest("`prompt` is missing; say what to show", param="prompt")
    size = texts["size"] or USUAL_SIZE
    width, height = sides(size)
    seconds = texts["seconds"]
    return VideoAsk(
        model=texts["model"] or asked.model,
        prompt=texts["prompt"],
        seconds=whole_seconds(seconds, "seconds") if seconds else USUAL_SECONDS,
        width=width,
        height=height,
        first_frame=_first_frame(members),
    )


def seconds_text(members: Members, name: str) -> str | None:
    """A number of seconds as OpenAI's SDK sends it (a string), or as everybody else does."""
    value = members.get(name)
    if value is not None and bytes(value)[:1] not in (b'"', b"n"):
        return bytes(value).decode("ascii", "replace")
    return json_body.read_text(members, name)


def whole_seconds(text: str, name: str) -> int:
    """A whole number of seconds. Raises BadRequest."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= LONGEST_S):
        raise BadRequest(f"`{name}` must be a whole number of seconds from 1 to {LONGEST_S}", param=name)
    return int(text)


def sides(size: str) -> tuple[int, int]:
    """Width and height of a size such as `1280x720`. Raises BadRequest."""
    across, _, down = size.lower().replace("*", "x").partition("x")
    if not all(side.isascii() and side.isdigit() and 1 <= len(side) <= 5 for side in (across, down)):
        raise BadRequest("`size` must be width and height in pixels, such as 1280x720", param="size")
    width, height = int(across), int(down)
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise BadRequest(f"`size` must have sides from 1 to {MOST_PIXELS} pixels", param="size")
    return width, height


def milliseconds(value: object) -> int | None:
    """Seconds as a provider writes them (8, 8.0, "8", "7.96") in milliseconds, rounded up; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        exact = Decimal(str(value)[:32]) * MS_PER_S
    except InvalidOperation:
        return None
    if not exact.is_finite() or not 0 <= exact <= LONGEST_S * MS_PER_S * 24:
        return None
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def openai_video(facts: VideoFacts, state: VideoState) -> dict[str, object]:
    """OpenAI's video object (SDK 3.54.0, `types.Video`) for a video of any provider."""
    words = {"queued": "queued", "running": "in_progress", "succeeded": "completed", "failed": "failed"}
    millis = facts.video_ms if state.video_ms is None else state.video_ms
    error = {"code": "video_generation_failed", "message": state.error or NO_REASON}
    return {
        "id": facts.id,
        "object": "video",
        "created_at": facts.created_at // MS_PER_S,
        "completed_at": None,
        "expires_at": None,
        "model": facts.model,
        "status": words[state.status],
        "progress": 100 if state.status == "succeeded" else state.progress,
        "prompt": None,
        "remixed_from_video_id": None,
        "seconds": f"{Decimal(millis) / MS_PER_S:f}",
        "size": facts.size,
        "error": error if state.status == "failed" else None,
    }


def small_video(facts: VideoFacts, state: VideoState, video_url: str) -> dict[str, object]:
    """The object of `/v1/videos/generations/:id` (contract 9.2)."""
    return {
        "id": facts.id,
        "status": state.status,
        "video_url": video_url if state.status == "succeeded" else None,
        "error": (state.error or NO_REASON) if state.status == "failed" else None,
    }


def _first_frame(members: Members) -> str:
    reference = json_body.read_object(members, "input_reference")
    return (json_body.read_text(reference, "image_url") or "") if reference is not None else ""
