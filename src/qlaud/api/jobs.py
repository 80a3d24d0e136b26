"""Paths about jobs: those that begin a video on the common paths, and whatever is asked of a job by its owner.

    own paths     `/xai/v1/videos/{job}`: answered as the provider answers, after the owner was looked up
    common paths  `/v1/videos…` in OpenAI's shape, `/v1/videos/generations…` in a small one, for any provider's videos

A call that begins a job on a provider's own path is a model call like any other and does not pass here. Plain ASGI.
"""

from urllib.parse import parse_qsl, quote

import msgspec
from msgspec.structs import replace

from qlaud.api.bodies import EdgeTerms, Receive, Scope, Send
from qlaud.api.inference import JSON_TYPE, AsgiRelay, InferenceEdge, read_incoming
from qlaud.api.surfaces import Found
from qlaud.api.top import guarded
from qlaud.core.errors import BadRequest, NotFound, ProviderRefused, ProviderUnreachable, QlaudError
from qlaud.core.ids import RequestId
from qlaud.core.jobs import Job
from qlaud.flows.calls import Incoming
from qlaud.flows.headers import to_client
from qlaud.flows.own_jobs import NO_JOB, OwnJobs
from qlaud.flows.pump import Pump
from qlaud.flows.videos import OPENAI_VIDEO, Videos, facts_of
from qlaud.ports import Clock, Headers
from qlaud.wire.errors import error_json
from qlaud.wire.shelf import JOBS, KEEPERS, VIDEOS
from qlaud.wire.types import Asked
from qlaud.wire.videos import VIDEO_MS, VideoFacts, VideoState, openai_video, small_video

OF_THEIR_BODY = frozenset((b"content-encoding", b"content-length", b"content-type"))
ADDRESS = frozenset((b"host", b"x-forwarded-proto"))


class ShapedRelay:
    """A caller's side that gets the answer to a begun video in the shape of its path: implements `calls.Relay`."""

    def __init__(self, relay: AsgiRelay, incoming: Incoming, model: str, form: str, *, at_ms: int) -> None:
        self._relay, self._incoming, self._model = relay, incoming, model
        self._form, self._at_ms = form, at_ms
        self.start, self.write, self.end = relay.start, relay.write, relay.end
        self.fail, self.abort = relay.fail, relay.abort

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer of the provider: the job that was begun, or its refusal in its own words."""
        if status >= 300:
            message = self._incoming.wire.error_message(body) or f"the provider answered with status {status}"
            shaped = error_json("openai", ProviderRefused(status, message, retry_after=None), "")
        else:
            shaped = self._begun(body) or body
        kept = [pair for pair in headers if pair[0] not in OF_THEIR_BODY]
        await self._relay.answer(status, [JSON_TYPE, *kept], shaped)

    def _begun(self, body: bytes) -> bytes | None:
        job = JOBS[self._incoming.wire_name].job_in(body)
        if not job:
            return None
        if self._form == "small":
            return msgspec.json.encode({"id": job, "status": "queued"})
        demand = self._incoming.wire.read_call(self._incoming.asked).demand
        facts = VideoFacts(job, self._model, self._at_ms, demand.most.get(VIDEO_MS, 0), demand.grade)
        return msgspec.json.encode(openai_video(facts, VideoState("queued")))


class JobsEdge:
    """Serves the paths about jobs."""

    def __init__(
        self, inference: InferenceEdge, own: OwnJobs, videos: Videos, clock: Clock, *, terms: EdgeTerms
    ) -> None:
        self._clock = clock
        self._inference = inference
        self._own = own
        self._videos = videos
        self._terms = terms

    async def serve(
        self, found: Found, scope: Scope, receive: Receive, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """One request. `head` are the headers of every answer; the request id stands first."""
        relay = self._inference.relay(found.surface, scope, send, head)
        if found.surface.about_job in (None, "again"):
            opening = self._begin(found, scope, receive, relay)
            await self._inference.carry(opening, relay, receive, head[0][1].decode())
        else:
            await guarded(self._ask(found, scope, receive, relay), relay.fail, head[0][1].decode())

    async def _begin(self, found: Found, scope: Scope, receive: Receive, relay: AsgiRelay) -> Pump:
        incoming = await read_incoming(found, scope, receive, self._terms)
        form = found.surface.video_form
        try:
            if found.surface.about_job == "again":
                job = await self._own.find(incoming.secret, found.job, found.surface.provider)
                return await self._inference.open(
                    self._videos.remix(incoming, job, self._own.again(job)), relay
                )
            native, model = self._videos.native(incoming)
        except QlaudError:
            if incoming.upload is not None:
                incoming.upload.close()
            await self._own.known(incoming.secret)
            raise
        if form == "openai" and native.wire_name == OPENAI_VIDEO:
            return await self._inference.open(native, relay)
        readable = tuple(pair for pair in native.headers if pair[0] != b"accept-encoding")
        native = replace(native, headers=readable)
        shaped = ShapedRelay(relay, native, model, form, at_ms=self._clock.now_ms())
        return await self._inference.open(native, shaped)

    async def _ask(self, found: Found, scope: Scope, receive: Receive, relay: AsgiRelay) -> None:
        surface = found.surface
        if surface.wire_name in KEEPERS:
            await self._ask_of_kept(found, scope, receive, relay)
            return
        token = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
        if surface.about_job == "content" and token:
            job = await self._own.opened_by(token, found.job)
            incoming = _without_key(found, scope)
        else:
            incoming = await read_incoming(found, scope, receive, self._terms)
            job = await self._own.find(incoming.secret, found.job, surface.provider)
        match surface.about_job:
            case "record":
                await self._record(found, job, incoming, scope, relay)
            case "content":
                await self._own.content(job, incoming, relay)
            case _ if surface.video_form and job.wire != OPENAI_VIDEO:
                raise BadRequest(
                    "the provider of this video keeps it for a while and cannot be asked to delete it"
                )
            case _ if surface.video_form:
                await self._own.pass_on(job, incoming, relay, target=self._own.target(job))
            case _:
                await self._own.pass_on(job, incoming, relay)

    async def _ask_of_kept(self, found: Found, scope: Scope, receive: Receive, relay: AsgiRelay) -> None:
        """An answer that its provider keeps. The record of one made in the background is looked at, and settles."""
        surface = found.surface
        incoming = await read_incoming(found, scope, receive, self._terms)
        thing = await self._own.kept(incoming.secret, found.job, surface.wire_name, surface.provider)
        if isinstance(thing, Job) and surface.about_job == "record" and not incoming.asked.query:
            await self._record(found, thing, incoming, scope, relay)
            return
        target = "" if surface.provider else self._own.target(thing) + surface.tail
        await self._own.pass_on(thing, incoming, relay, target=target)

    async def _record(
        self, found: Found, job: Job, incoming: Incoming, scope: Scope, relay: AsgiRelay
    ) -> None:
        form = found.surface.video_form
        if form and job.wire not in VIDEOS:
            raise NotFound(NO_JOB)
        looked = await self._own.record(job, incoming.headers if not form else ())
        headers = to_client(looked.headers, drop=OF_THEIR_BODY)
        if not form or (form == "openai" and job.wire == OPENAI_VIDEO):
            body = JOBS[job.wire].for_caller(looked.body, _address(scope) + found.prefix)
        else:
            state = VIDEOS[job.wire].state(looked.body)
            if state is None:
                raise ProviderUnreachable(job.provider, "its record of the video cannot be read")
            shaped = (
                openai_video(facts_of(job), state)
                if form == "openai"
                else small_video(facts_of(job), state, self._content_url(scope, job))
            )
            body = msgspec.json.encode(shaped)
        await relay.answer(looked.status, [JSON_TYPE, *headers], body)

    def _content_url(self, scope: Scope, job: Job) -> str:
        path = f"/v1/videos/{quote(job.upstream_id, safe='')}/content"
        return f"{_address(scope)}{path}?token={self._own.token(job)}"


def _address(scope: Scope) -> str:
    """Where the caller found this gateway."""
    named = {name: value.decode("latin-1") for name, value in scope["headers"] if name in ADDRESS}
    scheme = named.get(b"x-forwarded-proto", scope["scheme"])
    return f"{'https' if scheme == 'https' else 'http'}://{named.get(b'host', '')}"


def _without_key(found: Found, scope: Scope) -> Incoming:
    """A request whose token stands for a key."""
    surface = found.surface
    return Incoming(
        id=RequestId(scope["qlaud.request_id"]),
        secret="",
        wire=surface.wire,
        wire_name=surface.wire_name,
        surface=surface.name,
        headers=scope["headers"],
        asked=Asked(query=scope["query_string"]),
        method=surface.method,
    )
