"""The door of management: who calls, what they sent, and posts that are done once."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import refusal, respond
from qlaud.api.fields import Fields, read_fields
from qlaud.api.requests import check_idempotency_key, idempotency_key, read_body, request_id
from qlaud.core.credentials import read_secret
from qlaud.core.errors import BadRequest
from qlaud.core.keys import Principal
from qlaud.flows.idempotency import Answer, Asked, Idempotency
from qlaud.flows.principals import Principals
from qlaud.ports_management import Session

Post = Callable[[Session, Principal, Fields], Awaitable[Answer]]


class Door:
    """What every endpoint does first."""

    def __init__(
        self,
        principals: Principals,
        idempotency: Idempotency,
        *,
        body_limit_bytes: int,
        body_timeout_s: float,
    ) -> None:
        self._principals, self._idempotency = principals, idempotency
        self._body_limit_bytes = body_limit_bytes
        self._body_timeout_s = body_timeout_s

    async def anyone(self, request: Request) -> Principal:
        """The caller. Raises Unauthorized."""
        return await self._principals.of(_secret(request))

    async def admin(self, request: Request) -> Principal:
        """The caller, who holds a master key. Raises Unauthorized, ScopeTooSmall."""
        return await self._principals.admin(_secret(request))

    async def fields(self, request: Request) -> Fields:
        """The JSON object in the body. Raises InvalidJson, BodyTooLarge."""
        return read_fields(await self._body(request))

    async def post(self, request: Request, verb: Post, *, body_key: str | None = None) -> Response:
        """What `verb` answers in a transaction, or what it answered to the same Idempotency-Key before.

        `body_key` names the member of the body that may stand for the header.
        """
        secret = _secret(request)
        caller = await self._principals.admin(secret)
        body = await self._body(request)
        idem_key = idempotency_key(request)
        fields = read_fields(body)
        if body_key is not None and (inner := fields.text(body_key, limit=255)) is not None:
            if idem_key not in (None, inner):
                raise BadRequest(
                    f"`{body_key}` and the Idempotency-Key header differ; send one", param=body_key
                )
            idem_key = check_idempotency_key(inner)
        asked = Asked(caller.key_id, secret, request.url.path, body, idem_key)
        made = await self._idempotency.run(
            asked,
            lambda session: verb(session, caller, fields),
            lambda error: refusal(error, request_id(request)),
        )
        return respond(made)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._body_limit_bytes, self._body_timeout_s)


def _secret(request: Request) -> str:
    scope = request.scope
    return read_secret(scope["headers"], scope["path"], scope["query_string"])
