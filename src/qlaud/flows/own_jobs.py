"""Jobs as their owners ask for them: a standard key sees its own, an admin those of its account (contract 3.4).

The operator's account at a provider holds the jobs of all keys, so an id alone opens nothing: the job is looked up, and
its owner compared, before the provider is asked. A look settles what has ended, as the chore does.
"""

from contextlib import suppress
from urllib.parse import parse_qsl, quote

from msgspec import Struct

from qlaud.core.catalog import Host
from qlaud.core.errors import BadRequest, NotFound, ProviderUnreachable, QlaudError
from qlaud.core.jobs import CONTENT_FOR_MS, Job, content_token, opens_content
from qlaud.core.providers import Provider
from qlaud.flows.answers import fault_error, provider_error
from qlaud.flows.calls import Incoming, Relay, Route
from qlaud.flows.directory import SIMULATOR, Directory
from qlaud.flows.headers import to_client, to_upstream_query
from qlaud.flows.jobs import Jobs
from qlaud.flows.owned import Owned, has_jobs
from qlaud.flows.principals import Principals
from qlaud.flows.records import RECORD_LIMIT_BYTES, Looked, Records, record_path, whole
from qlaud.ports import Clock, Headers, JobStore, UpstreamFault, UpstreamResponse
from qlaud.wire.shelf import VIDEOS, WIRES
from qlaud.wire.videos import VideoState

NO_JOB = "no such job of this key"
NOT_READY = "there is nothing to fetch: the video is not made yet, or could not be made"
FOR_FILMS = frozenset((b"accept", b"range", b"if-range"))
"""Headers that go to wherever a film is kept."""


class Kept(Struct, frozen=True, gc=False):
    """An answer that its provider keeps, and that is no job: it was settled when it was given."""

    provider: str
    wire: str
    upstream_id: str


class OwnJobs:
    """The verbs."""

    def __init__(
        self,
        directory: Directory,
        jobs: Jobs,
        records: Records,
        store: JobStore,
        *,
        principals: Principals,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._jobs, self._records, self._store = jobs, records, store
        self._owned = Owned(store)
        self._principals, self._clock = principals, clock

    async def find(self, secret: str, upstream_id: str, provider: str = "") -> Job:
        """The caller's job of that id; of one provider, or of any. Raises Unauthorized, NotFound."""
        principal = await self._principals.of(secret)
        if principal.mode == "test":
            provider = SIMULATOR
        for job, owner in await self._store.find(upstream_id, provider):
            mine = principal.scope == "admin" or owner.key_id == principal.key_id
            if mine and owner.account_id == principal.account_id and job.mode == principal.mode:
                return job
        raise NotFound(NO_JOB)

    async def kept(self, secret: str, upstream_id: str, wire_name: str, provider: str = "") -> Job | Kept:
        """The caller's answer of that id, kept by one provider or any. Raises Unauthorized, NotFound."""
        with suppress(NotFound):
            job = await self.find(secret, upstream_id, provider)
            if job.wire == wire_name:
                return job
        principal = await self._principals.of(secret)
        slugs = [
            one.slug
            for one in self._directory.registry.providers.values()
            if provider in ("", one.slug) and has_jobs(one, wire_name) and principal.mode == "live"
        ]
        slug = await self._owned.provider_of(principal, upstream_id, slugs)
        if not slug:
            raise NotFound(NO_JOB)
        return Kept(slug, wire_name, upstream_id)

    async def known(self, secret: str) -> None:
        """Raises Unauthorized where nobody has this key: then he learns nothing but that."""
        await self._principals.of(secret)

    async def opened_by(self, token: str, upstream_id: str) -> Job:
        """The job whose content `token` opens. Raises NotFound."""
        now = self._clock.now_ms()
        for job, _ in await self._store.find(upstream_id, ""):
            if opens_content(token, job.content_key, job.id, now):
                return job
        raise NotFound("this address has expired, or was never one; ask for the job again")

    def token(self, job: Job) -> str:
        """A token that opens the job's content for a day."""
        return content_token(job.content_key, job.id, self._clock.now_ms() + CONTENT_FOR_MS)

    async def record(self, job: Job, headers: Headers) -> Looked:
        """The job's record as its provider gives it. Raises the QlaudError that its refusal means."""
        try:
            looked = await self._jobs.look(job, headers=headers)
        except UpstreamFault as fault:
            raise fault_error(self._route(job), fault) from fault
        if looked.status >= 300:
            raise self._refusal(job, looked.status, looked.headers, looked.body)
        return looked

    async def pass_on(self, job: Job | Kept, incoming: Incoming, relay: Relay, *, target: str = "") -> None:
        """Ask the provider something else about the job. What it has cost by then is settled first.

        `target` is the path at this provider; without it, that of `incoming` goes on as it came.
        """
        provider = self._provider(job)
        target = target or provider.moved(incoming.target).decode("latin-1")
        if isinstance(job, Job) and not job.ended:
            await self._settle_before(job, incoming.method)
        query = _without_token(to_upstream_query(incoming.asked.query)).decode("latin-1")
        try:
            async with self._records.opened(
                provider,
                target + (f"?{query}" if query else ""),
                headers=incoming.headers,
                method=incoming.method,
                body=incoming.asked.body,
            ) as response:
                await self._relayed(job, response, relay)
        except UpstreamFault as fault:
            raise fault_error(self._route(job), fault) from fault
        if incoming.method == "DELETE" and isinstance(job, Kept):
            await self._store.disown(job.provider, job.upstream_id)

    async def _settle_before(self, job: Job, method: str) -> None:
        """Settle what the provider is about to change or to forget. Raises where it would be forgotten unsettled."""
        if method != "DELETE":
            with suppress(UpstreamFault, QlaudError):
                if method != "GET":
                    await self._jobs.look(job)
            return
        try:
            settled = await self._jobs.close_books(job)
        except UpstreamFault as fault:
            raise fault_error(self._route(job), fault) from fault
        if not settled:
            raise ProviderUnreachable(job.provider, "what this job cost cannot be read yet; delete it later")

    async def content(self, job: Job, incoming: Incoming, relay: Relay) -> None:
        """The film of a job of videos: where the provider keeps it itself, or where its record says that it is."""
        looked = await self.record(job, ())
        wire = VIDEOS.get(job.wire)
        state = wire.state(looked.body) if wire is not None else None
        if state is None or state.status != "succeeded":
            raise NotFound(NOT_READY)
        if not state.url:
            await self.pass_on(job, incoming, relay, target=f"{self.target(job)}/content")
            return
        url = _film(state, incoming.asked.query)
        try:
            wishes = [pair for pair in incoming.headers if pair[0] in FOR_FILMS]
            async with self._records.fetched(job.provider, url, wishes) as response:
                await self._relayed(job, response, relay)
        except UpstreamFault as fault:
            raise fault_error(self._route(job), fault) from fault

    def target(self, job: Job | Kept) -> str:
        """The raw path of the job's record at this provider."""
        provider = self._provider(job)
        jobs = provider.wires[job.wire].jobs
        assert jobs is not None, "the registry gives every wire of jobs its paths"
        return provider.base_path + record_path(jobs, job.upstream_id, _model(job))

    def again(self, job: Job) -> bytes:
        """The raw path that begins another job like this one, as the vendor knows it. Raises BadRequest."""
        provider = self._provider(job)
        jobs = provider.wires[job.wire].jobs
        for other in jobs.others if jobs is not None else ():
            if other.verb == "again":
                filled = other.path.filled({"job": quote(job.upstream_id, safe="")})
                return (provider.usual_base_path + filled).encode("ascii")
        raise BadRequest(f"{provider.display_name} makes no other video from one")

    async def _relayed(self, job: Job | Kept, response: UpstreamResponse, relay: Relay) -> None:
        if response.status >= 300:
            body = await whole(response, RECORD_LIMIT_BYTES)
            raise self._refusal(job, response.status, response.headers, body)
        await relay.start(response.status, to_client(response.headers))
        try:
            while chunk := await response.read():
                await relay.write(chunk)
        except UpstreamFault:
            relay.abort()
            return
        await relay.end()

    def _refusal(self, job: Job | Kept, status: int, headers: Headers, body: bytes) -> QlaudError:
        return provider_error(WIRES[job.wire], self._route(job), status, headers, body)

    def _provider(self, job: Job | Kept) -> Provider:
        provider = self._records.provider(job.provider)
        if provider is None or job.wire not in provider.wires:
            raise NotFound("this gateway does not know the provider of this job any more")
        return provider

    def _route(self, job: Job | Kept) -> Route:
        return self._directory.route(Host(self._provider(job).slug, _model(job), ()), 0)


def _model(job: Job | Kept) -> str:
    """As the provider knows it."""
    return job.terms.upstream_model if isinstance(job, Job) else ""


def _film(state: VideoState, query: bytes) -> str:
    """The address of one of the films that a job made: the first, unless the caller asks for a further `sample`."""
    wanted = dict(parse_qsl(query.decode("latin-1"))).get("sample", "0")
    films = (state.url, *state.further)
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 4 and int(wanted) < len(films)):
        raise NotFound(NOT_READY)
    return films[int(wanted)]


def _without_token(query: bytes) -> bytes:
    """The query, less a token of ours."""
    if b"token=" not in query:
        return query
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"token="))
