"""Paths that take no hold and are not management: token counts, the list of models, metrics. Plain ASGI.

The list of models has the shape of the SDK that asks.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from qlaud.api.bodies import EdgeTerms, Receive, Scope, Send
from qlaud.api.inference import JSON_TYPE, error_headers, read_incoming
from qlaud.api.models import listed_models, one_model, speaker_of
from qlaud.api.surfaces import Found
from qlaud.api.top import guarded
from qlaud.core.credentials import read_secret
from qlaud.core.errors import InvalidKey, MissingKey, QlaudError
from qlaud.flows.free import Free
from qlaud.ports import Headers
from qlaud.telemetry import Metrics
from qlaud.wire.errors import error_json

Stored = Callable[[], Awaitable[Mapping[str, tuple[str, float]]]]


class FreeEdge:
    """Serves what costs nothing."""

    def __init__(
        self, free: Free, metrics: Metrics, stored: Stored, terms: EdgeTerms, *, metrics_token: str
    ) -> None:
        self._free = free
        self._metrics = metrics
        self._stored = stored
        self._terms = terms
        self._metrics_token = metrics_token

    async def count_tokens(
        self, found: Found, scope: Scope, receive: Receive, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """`POST …/count_tokens`."""

        async def answer() -> tuple[int, Headers, bytes]:
            counted = await self._free.count_tokens(await read_incoming(found, scope, receive, self._terms))
            return counted.status, counted.headers, counted.body

        await self._answered(answer, found.surface.error_shape, send, head)

    async def models(
        self, name: str | None, scope: Scope, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """`GET /v1/models` and `/v1/models/{name}`."""
        headers: Headers = scope["headers"]
        shape = speaker_of(headers, scope["path"])

        async def answer() -> tuple[int, Headers, bytes]:
            secret = read_secret(headers, scope["path"], scope["query_string"])
            if name is not None:
                body = one_model(shape, await self._free.model(secret, name))
            else:
                body = listed_models(shape, await self._free.models(secret))
            return 200, [JSON_TYPE], msgspec.json.encode(body)

        await self._answered(answer, shape, send, head)

    async def listed(self, found: Found, scope: Scope, send: Send, head: list[tuple[bytes, bytes]]) -> bool:
        """Answer a provider's list of models to a key that may not see all of it; False where the provider is asked."""
        headers: Headers = scope["headers"]
        surface = found.surface
        sees_all = False

        async def answer() -> tuple[int, Headers, bytes] | None:
            nonlocal sees_all
            secret = read_secret(headers, scope["path"], scope["query_string"])
            sees_all = await self._free.sees_all(secret)
            if sees_all:
                return None
            if name := found.listed_model:
                body = one_model(surface.error_shape, await self._free.model(secret, name, surface.provider))
            else:
                body = listed_models(surface.error_shape, await self._free.models(secret, surface.provider))
            return 200, [JSON_TYPE], msgspec.json.encode(body)

        await self._answered(answer, surface.error_shape, send, head)
        return not sees_all

    async def metrics(self, scope: Scope, send: Send, head: list[tuple[bytes, bytes]]) -> None:
        """`GET /metrics`, with a token if the deployment has set one."""

        async def answer() -> tuple[int, Headers, bytes]:
            if self._metrics_token:
                given = dict(scope["headers"]).get(b"authorization", b"")
                if not given:
                    raise MissingKey
                if not hmac.compare_digest(given, b"Bearer " + self._metrics_token.encode()):
                    raise InvalidKey
            text = self._metrics.text(await self._stored())
            return 200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], text.encode()

        await self._answered(answer, "anthropic", send, head)

    async def refuse(
        self, error: QlaudError, shape: str, send: Send, head: list[tuple[bytes, bytes]]
    ) -> None:
        """Tell `error` in one of `wire.errors.SHAPES`."""

        async def answer() -> tuple[int, Headers, bytes]:
            raise error

        await self._answered(answer, shape, send, head)

    async def _answered(
        self,
        answer: Callable[[], Awaitable[tuple[int, Headers, bytes] | None]],
        shape: str,
        send: Send,
        head: list[tuple[bytes, bytes]],
    ) -> None:
        request_id = head[0][1].decode()

        async def whole(status: int, headers: Headers, body: bytes) -> None:
            length = (b"content-length", b"%d" % len(body))
            await send(
                {"type": "http.response.start", "status": status, "headers": [*headers, length, *head]}
            )
            await send({"type": "http.response.body", "body": body, "more_body": False})

        async def fail(error: QlaudError) -> None:
            await whole(error.status, error_headers(error), error_json(shape, error, request_id))

        answered = await guarded(answer(), fail, request_id)
        if answered is not None:
            await whole(*answered)
