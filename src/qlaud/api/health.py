"""Is the process up, is it ready, and what does it offer: endpoints without a key."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import answer, respond
from qlaud.api.docs_page import DOCS_HTML, DOCS_POLICY
from qlaud.api.shapes import to_json
from qlaud.core.errors import QlaudError


class HealthOut(Struct):
    """The process answers."""

    ok: bool


class ReadyOut(Struct):
    """Whether requests can be served: the database answers, and its schema is this program's."""

    ready: bool
    reason: str | None


Ready = Callable[[], Awaitable[str | None]]
"""What is missing, None if nothing is. Raises StoreUnavailable."""


class HealthEndpoints:
    """`document` makes the OpenAPI document."""

    def __init__(self, ready: Ready, document: Callable[[], dict[str, Any]]) -> None:
        self._ready, self._document = ready, document

    async def health(self, request: Request) -> Response:
        """GET /healthz"""
        return respond(answer(HealthOut(True)))

    async def readiness(self, request: Request) -> Response:
        """GET /readyz"""
        try:
            reason = await self._ready()
        except QlaudError as error:
            reason = error.message
        return respond(answer(ReadyOut(reason is None, reason), 200 if reason is None else 503))

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json"""
        return Response(to_json(self._document()), media_type="application/json")

    async def docs(self, request: Request) -> Response:
        """GET /docs"""
        return Response(DOCS_HTML, media_type="text/html", headers={"content-security-policy": DOCS_POLICY})
