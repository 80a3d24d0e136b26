"""Google's films: `POST /{v}/models/{model}:predictLongRunning`, and the operation that is the record of the job.

Facts (the provider's pages, google-genai 1.75, public clients, seen 2026-11): the body is `{"instances":[{"prompt",
"image":{"bytesBase64Encoded","mimeType"}}],"parameters":{"durationSeconds","sampleCount","resolution","aspectRatio"}}`,
8 seconds, one film and 720p where they are not said; the answer is `{"name":"models/{model}/operations/{id}"}`; that
operation has no `done` while it runs, then an `error`, or `response.generateVideoResponse` with `generatedSamples`
(`video.uri`, fetched with the key of the account) and `raiMediaFilteredCount`. There is no usage: billed are the
seconds of the films that were made, at the price of the resolution. Films that were filtered out, and failed
operations, are free. Films of 1080p and 4k are 8 seconds long, others 4, 6 or 8.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec
from msgspec import Raw

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire import body as json_body
from qlaud.wire.content import opens_with
from qlaud.wire.counts import UNREADABLE, Fields, nested, number, objects, read_fields, word
from qlaud.wire.errors import provider_message
from qlaud.wire.gemini_names import by_camel, check_model, check_query, list_error
from qlaud.wire.jobs import Ended, JobWire, Progress, Unreadable, Waiting
from qlaud.wire.types import Asked, Changes, Headers, ModelCall
from qlaud.wire.videos import (
    ERROR_CHARS,
    MS_PER_S,
    VIDEO_MS,
    VideoAsk,
    VideoState,
    seconds_text,
    whole_seconds,
)

DEFAULT_SECONDS, DEFAULT_GRADE = 8, "720p"
LENGTHS = (4, 6, 8)
LONGEST = LENGTHS[-1]
MOST_FILMS = 100
"""Of one instance, and instances of a call: more than any model takes."""
FILMS = "films"
"""In the plan of a job: how many films its seconds are those of."""
RATIOS = ("16:9", "9:16")
OPERATION = re.compile(r"models/[^/]+/operations/([A-Za-z0-9_.~-]{1,200})")
OWN_MEMBERS = frozenset(
    (
        *("prompt", "negativePrompt", "image", "lastFrame", "referenceImages", "referenceType"),
        *("bytesBase64Encoded", "mimeType", "inlineData", "data"),
    )
)
"""Members of an instance, however deep, that hold what the caller sends. Others may name what the account has."""
FILTERED = "raiMediaFiltered"
CONTENT = "/v1beta/files/{}:download?alt=media"
"""Where callers fetch a film here, by the job: the vendor's SDK asks for files so."""
DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")


def _job(fields: Fields) -> str | None:
    name = fields.get("name")
    if isinstance(name, str) and (found := OPERATION.fullmatch(name)):
        return found[1]
    return "" if "error" in fields else None


@dataclass(frozen=True, slots=True)
class GeminiVideoWire(JobWire):
    """`POST /v1beta/models/{model}:predictLongRunning`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson, BadRequest or UnsupportedField."""
        check_query(asked.query)
        members = json_body.read_body(asked.body)
        if not asked.model:
            raise BadRequest("the path names no model", param="model")
        check_model(members, asked.model)
        fields = by_camel(members, "the body")
        instances = json_body.read_items(fields, "instances")
        resource = next(filter(None, map(_resource, instances)), None)
        parameters = by_camel(json_body.read_object(fields, "parameters") or {}, "`parameters`")
        said = seconds_text(parameters, "durationSeconds")
        seconds = whole_seconds(said, "durationSeconds") if said else DEFAULT_SECONDS
        films = _films(parameters) * max(1, len(instances))
        grade = (json_body.read_text(parameters, "resolution") or DEFAULT_GRADE).lower()
        total_ms = seconds * MS_PER_S * films
        return ModelCall(
            model=asked.model,
            stream=False,
            demand=Demand(0, grade=grade, most={VIDEO_MS: total_ms}),
            wants_usage=False,
            account_resource=resource,
            expected=Usage(video_ms=total_ms, grade=grade, detail={FILMS: films}),
        )

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body as it is: the model stands in the path."""
        return body

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What an operation says. Films are counted; how long each is was asked, and is in no record."""
        fields = read_fields(body)
        if fields is None or not word(fields, "name"):
            return Unreadable()
        if fields.get("done") is not True:
            return Waiting()
        if fields.get("error"):
            return Ended(Nothing())
        made = _made(fields)
        films = len(objects(made, "generatedSamples"))
        if films:
            each_ms = planned.video_ms // max(1, planned.detail.get(FILMS, 1))
            seen = Usage(video_ms=each_ms * films, grade=planned.grade, detail={FILMS: films})
            return Ended(Exact(seen))
        return Ended(Nothing() if number(made, f"{FILTERED}Count") else AtLeast(planned))

    def for_caller(self, record: bytes, ours: str) -> bytes:
        """The operation, its films at `ours`: where they are, they open to the operator's key alone."""
        fields = read_fields(record)
        job = _job(fields) if fields is not None else None
        samples = objects(_made(fields), "generatedSamples") if fields is not None and job else []
        for at, sample in enumerate(samples):
            video = nested(sample, "video")
            if video.get("uri"):
                video["uri"] = ours + CONTENT.format(job) + (f"&sample={at}" if at else "")
        return msgspec.json.encode(fields) if samples else record

    def compose(self, ask: VideoAsk) -> tuple[bytes, Headers]:
        """The body of `:predictLongRunning`: the next length that the model can make. Raises BadRequest."""
        resolution = "720p" if ask.short_side <= 720 else "1080p" if ask.short_side <= 1080 else "4k"
        instance: dict[str, object] = {"prompt": ask.prompt}
        if ask.first_frame:
            found = DATA_URI.match(ask.first_frame)
            if found is None:
                raise BadRequest(
                    "this model takes a picture as a data URI only, not by its address",
                    param="input_reference",
                )
            data = ask.first_frame[found.end() :]
            instance["image"] = {"bytesBase64Encoded": data, "mimeType": found[1]}
        wanted = ask.seconds if resolution == DEFAULT_GRADE else max(ask.seconds, LONGEST)
        parameters = {
            "durationSeconds": next((length for length in LENGTHS if wanted <= length), wanted),
            "resolution": resolution,
            "aspectRatio": ask.ratio(RATIOS),
        }
        return msgspec.json.encode({"instances": [instance], "parameters": parameters}), ()

    def state(self, body: bytes) -> VideoState | None:
        """What an operation says."""
        fields = read_fields(body)
        if fields is None or not word(fields, "name"):
            return None
        if fields.get("done") is not True:
            return VideoState("running")
        made = _made(fields)
        found = [nested(sample, "video").get("uri") for sample in objects(made, "generatedSamples")]
        urls = tuple(url for url in found if isinstance(url, str) and url)
        if urls:
            return VideoState("succeeded", url=urls[0], further=urls[1:])
        reasons = made.get(f"{FILTERED}Reasons")
        why = " ".join(map(str, cast("list[object]", reasons))) if isinstance(reasons, list) else ""
        return VideoState("failed", error=(word(nested(fields, "error"), "message") or why)[:ERROR_CHARS])

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return provider_message(list_error(body))


def _made(fields: Fields) -> Fields:
    return nested(nested(fields, "response"), "generateVideoResponse")


def _films(parameters: Mapping[str, Raw]) -> int:
    """Films of one instance, at most; the SDKs call the number otherwise than the wire."""
    told = (
        json_body.read_whole(parameters, name, least=1, most=MOST_FILMS)
        for name in ("sampleCount", "numberOfVideos")
    )
    return max(1, *(films or 1 for films in told))


def _resource(instance: Raw) -> str | None:
    """The member of an instance that may name something of the operator's account, None where there is none.

    Raises UnsupportedField for a film to go on with: what that costs is not published.
    """
    try:
        if "video" in by_camel(json_body.read_members(bytes(instance), "an instance"), "an instance"):
            raise UnsupportedField("`video` is not offered here; send a prompt, and pictures", param="video")
        return _foreign(instance)
    except UNREADABLE:
        raise BadRequest("`instances` must be objects", param="instances") from None


def _foreign(value: Raw) -> str | None:
    """The first member in a value, however deep, that is not known to be the caller's own."""
    if opens_with(value, 0x5B):
        return next(filter(None, map(_foreign, json_body.read_items({"": value}, ""))), None)
    if not opens_with(value, 0x7B):
        return None
    for name, inner in by_camel(json_body.read_members(bytes(value), "an instance"), "an instance").items():
        found = name if name not in OWN_MEMBERS else _foreign(inner)
        if found:
            return found
    return None


GEMINI_VIDEO = GeminiVideoWire(find=_job, error_shape="google")
