"""Asks providers about jobs, with the operator's credential: their records, and the lines of their results.

Used by whoever follows a job, and by callers who ask for their own. Nothing here settles anything.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import quote, urljoin, urlsplit

from msgspec import Struct

from qlaud.core.jobs import Job
from qlaud.core.paths import MODEL
from qlaud.core.providers import JobPaths, Provider
from qlaud.flows.decoding import decoder_for
from qlaud.flows.directory import Directory
from qlaud.flows.headers import to_upstream
from qlaud.flows.keyring import REFUSED
from qlaud.ports import Headers, UpstreamFault, UpstreamRequest, UpstreamResponse
from qlaud.wire.jobs import Gone, JobRule, Line, Progress, Unreadable
from qlaud.wire.shelf import JOBS

RECORD_LIMIT_BYTES = 16 * 1_048_576
"""A record may hold a whole answer."""
LINE_LIMIT_BYTES = 16 * 1_048_576
"""A line is one answer of a model; nothing it may cost stands beyond this."""
UNKNOWN = frozenset((404, 410))
MOVED = frozenset((301, 302, 303, 307, 308))
MOST_HOPS = 4
"""Addresses that are asked one after the other, each named by the one before."""


class Looked(Struct, frozen=True, gc=False):
    """A provider's answer about a job."""

    status: int
    headers: Headers
    body: bytes
    progress: Progress


class Records:
    """The way to the records."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def provider(self, slug: str) -> Provider | None:
        """The provider of that name, None where this gateway does not know it (any more)."""
        return self._directory.registry.providers.get(slug)

    async def ask(self, job: Job, *, headers: Headers = ()) -> Looked:
        """The job's record now. Raises UpstreamFault when there is no answer, or one of absurd size."""
        provider, rule = self._known(job)
        jobs = provider.wires[job.wire].jobs
        assert jobs is not None, "the registry gives every wire of jobs its paths"
        path = record_path(jobs, job.upstream_id, job.terms.upstream_model)
        async with self.opened(provider, provider.base_path + path, headers=headers) as response:
            body = await whole(response, RECORD_LIMIT_BYTES)
        if response.status in UNKNOWN:
            progress: Progress = Gone()
        elif response.status < 300:
            progress = rule.progress(body, job.terms.planned)
        else:
            progress = Unreadable()
        return Looked(response.status, response.headers, body, progress)

    async def lines(self, job: Job, path: str) -> AsyncGenerator[Line]:
        """What each line of a job's results used. Raises UpstreamFault when they do not come whole."""
        provider, rule = self._known(job)
        async with self.opened(provider, provider.base_path + path) as response:
            if response.status >= 300:
                raise UpstreamFault(f"results answered with status {response.status}")
            decoder = decoder_for(response.headers)
            rest = b""
            while chunk := await response.read():
                *ended, rest = (rest + decoder.decode(chunk)).split(b"\n")
                if len(rest) > LINE_LIMIT_BYTES:
                    raise UpstreamFault("a line of the results is too long to be read")
                for text in ended:
                    if (line := rule.line(text)) is not None:
                        yield line
            if decoder.blind:
                raise UpstreamFault("the results came in an encoding nobody asked for")
            if (line := rule.line(rest)) is not None:
                yield line

    def _known(self, job: Job) -> tuple[Provider, JobRule]:
        provider, rule = self.provider(job.provider), JOBS.get(job.wire)
        if provider is None or rule is None or job.wire not in provider.wires:
            raise UpstreamFault(f"this gateway knows no {job.wire} of {job.provider}")
        return provider, rule

    @asynccontextmanager
    async def opened(
        self,
        provider: Provider,
        target: str,
        *,
        headers: Headers = (),
        method: str = "GET",
        body: bytes = b"",
    ) -> AsyncGenerator[UpstreamResponse]:
        """The provider's answer to a raw path and query, by the first of the operator's keys that knows it.

        Raises UpstreamFault when there is none.
        """
        ring = self._directory.rings.get(provider.slug)
        *others, last = ring.order() if ring is not None else [0]
        for number in (*others, last):
            keys = (*provider.extra_headers, *provider.auth_headers(number))
            response = await self._directory.outlets.of(provider).send(
                UpstreamRequest(
                    method=method,
                    origin=provider.origin,
                    target=target.encode("ascii"),
                    headers=to_upstream(headers, stream=True, extra=keys),
                    body=body or None,
                )
            )
            try:
                if number != last and response.status in REFUSED | UNKNOWN:
                    continue  # it may belong to another of the operator's keys
                yield response
                return
            finally:
                response.close()

    @asynccontextmanager
    async def fetched(self, slug: str, url: str, headers: Headers) -> AsyncGenerator[UpstreamResponse]:
        """What a record of that provider says is at `url`, or where that leads to. Raises UpstreamFault.

        The operator's key is sent to the provider itself, as long as nobody else has named the address.
        """
        provider = self.provider(slug)
        for _ in range(MOST_HOPS):
            at, target = _parted(url)
            if provider is not None and at != provider.origin:
                provider = None
            async with self._at(provider, at, target, headers=headers) as response:
                onward = _onward(response, url)
                if not onward:
                    yield response
                    return
            url = onward
        raise UpstreamFault("the address that the record names leads in circles")

    @asynccontextmanager
    async def _at(
        self, provider: Provider | None, origin: str, target: str, *, headers: Headers
    ) -> AsyncGenerator[UpstreamResponse]:
        if provider is not None:
            async with self.opened(provider, target, headers=headers) as response:
                yield response
            return
        if not origin.startswith("https://"):
            raise UpstreamFault("the record names an address that is not https")
        response = await self._directory.outlets.http.send(
            UpstreamRequest(
                method="GET",
                origin=origin,
                target=target.encode("ascii"),
                headers=to_upstream(headers, stream=True, extra=()),
            )
        )
        try:
            yield response
        finally:
            response.close()


def record_path(jobs: JobPaths, upstream_id: str, model: str) -> str:
    """The raw path of a job's record, below the provider's base path."""
    return jobs.record.filled({"job": quote(upstream_id, safe=""), MODEL: quote(model, safe="")})


def _parted(url: str) -> tuple[str, str]:
    """Origin and target of an address. Raises UpstreamFault for one that cannot be asked."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UpstreamFault("the record names an address that cannot be read") from None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc}", target.encode("ascii", "ignore").decode()


def _onward(response: UpstreamResponse, url: str) -> str:
    """Where an answer sends the caller, "" where it is itself what was asked for. Raises UpstreamFault."""
    if response.status not in MOVED:
        return ""
    told = next((value.decode("latin-1") for name, value in response.headers if name == b"location"), "")
    try:
        return urljoin(url, told) if told else ""
    except ValueError:
        raise UpstreamFault("the record leads to an address that cannot be read") from None


async def whole(response: UpstreamResponse, limit_bytes: int) -> bytes:
    """The whole body, readable. Raises UpstreamFault beyond the limit."""
    decoder = decoder_for(response.headers)
    parts: list[bytes] = []
    size = 0
    while chunk := await response.read():
        parts.append(decoder.decode(chunk))
        size += len(chunk)
        if size > limit_bytes:
            raise UpstreamFault(f"an answer of more than {limit_bytes} bytes")
    return b"".join(parts)
