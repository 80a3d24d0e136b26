"""Asks providers about jobs, with the operator's credential: their records, and the lines of their results.

Used by whoever follows a job, and by callers who ask for their own. Nothing here settles anything.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

from msgspec import Struct

from qlaud.core.jobs import Job
from qlaud.core.providers import Provider
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
        path = jobs.record.filled({"job": quote(job.upstream_id, safe="")})
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
    async def fetched(self, job: Job, url: str, headers: Headers) -> AsyncGenerator[UpstreamResponse]:
        """What a record says is at `url`, asked for without any key. Raises UpstreamFault."""
        parts, provider = urlsplit(url), self.provider(job.provider)
        origin = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme != "https" and (provider is None or origin != provider.origin):
            raise UpstreamFault("the record names an address that is not https")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        response = await self._directory.outlets.http.send(
            UpstreamRequest(
                method="GET",
                origin=origin,
                target=target.encode("ascii", "ignore"),
                headers=to_upstream(headers, stream=True, extra=()),
            )
        )
        try:
            yield response
        finally:
            response.close()


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
