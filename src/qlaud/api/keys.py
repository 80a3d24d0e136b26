"""The endpoints of API keys (contract, section 7)."""

from typing import Literal
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import answer, respond
from qlaud.api.cursors import read_cursor, write_cursor
from qlaud.api.fields import Fields
from qlaud.api.key_shapes import (
    EXTERNAL_ID_CHARACTERS,
    MODES,
    SCOPES,
    CreditIn,
    KeyListOut,
    KeyOut,
    MintIn,
    PatchIn,
    from_api_policy,
    to_api_key,
)
from qlaud.api.principal import Door
from qlaud.api.requests import path_id, query_choice, query_limit, query_text
from qlaud.api.shapes import OkOut
from qlaud.core.errors import BadRequest, InvalidAmount
from qlaud.core.ids import KeyId
from qlaud.core.keys import Key, KeyPolicy, Mode, OnDisconnect, Principal, Scope
from qlaud.flows.idempotency import Answer
from qlaud.flows.keys import Keys
from qlaud.ports_management import KeyFilter, Session

LIST_LIMIT = 1000
NO_POLICY = KeyPolicy(name="")
KeyCursor = tuple[UUID]
ModeFilter = Literal["live", "test", "all"]
MODE_FILTERS: tuple[ModeFilter, ...] = ("live", "test", "all")


class KeyEndpoints:
    """`on_disconnect` is the deployment's, for keys that leave it open."""

    def __init__(self, door: Door, keys: Keys, *, on_disconnect: OnDisconnect) -> None:
        self._door, self._keys = door, keys
        self._on_disconnect: OnDisconnect = on_disconnect

    async def mint(self, request: Request) -> Response:
        """POST /v1/keys"""

        async def verb(session: Session, caller: Principal, fields: Fields) -> Answer:
            fields.refuse_unknown(MintIn.__struct_fields__)
            policy = from_api_policy(fields, NO_POLICY)
            scope: Scope | None = fields.choice("scope", SCOPES)
            mode: Mode | None = fields.choice("mode", MODES)
            minted = await self._keys.mint(session, caller, policy, scope=scope or "standard", mode=mode)
            return answer(to_api_key(minted.key, self._on_disconnect, minted.secret), 201)

        return await self._door.post(request, verb)

    async def page(self, request: Request) -> Response:
        """GET /v1/keys"""
        caller = await self._door.admin(request)
        asked: ModeFilter | None = query_choice(request, "mode", MODE_FILTERS)
        revoked = query_choice(request, "revoked", ("true", "false"))
        which = KeyFilter(
            caller.account_id,
            None if asked == "all" else asked or caller.mode,
            external_id=query_text(request, "external_id", limit=EXTERNAL_ID_CHARACTERS),
            revoked=None if revoked is None else revoked == "true",
        )
        found = await self._keys.page(
            caller,
            which,
            limit=query_limit(request, default=LIST_LIMIT, maximum=LIST_LIMIT),
            after=KeyId(after[0]) if (after := read_cursor(request, "after", KeyCursor)) else None,
        )
        return respond(
            answer(
                KeyListOut(
                    [self._shape(key) for key in found.keys],
                    found.after is not None,
                    None if found.after is None else write_cursor((found.after,)),
                )
            )
        )

    async def get(self, request: Request) -> Response:
        """GET /v1/keys/{id}"""
        caller = await self._door.admin(request)
        return respond(answer(self._shape(await self._keys.get(caller, KeyId(path_id(request))))))

    async def change(self, request: Request) -> Response:
        """PATCH /v1/keys/{id}"""
        caller = await self._door.admin(request)
        fields = await self._door.fields(request)
        for fixed in ("scope", "mode"):
            if fixed in fields:
                raise BadRequest(f"`{fixed}` is fixed for the life of a key; mint another one", param=fixed)
        fields.refuse_unknown(PatchIn.__struct_fields__)
        from_api_policy(
            fields, KeyPolicy(name="-")
        )  # what is wrong in itself is told before the key is locked
        key = await self._keys.change(
            caller, KeyId(path_id(request)), lambda policy: from_api_policy(fields, policy)
        )
        return respond(answer(self._shape(key)))

    async def credit(self, request: Request) -> Response:
        """POST /v1/keys/{id}/credit"""
        key_id = KeyId(path_id(request))

        async def verb(session: Session, caller: Principal, fields: Fields) -> Answer:
            fields.refuse_unknown(CreditIn.__struct_fields__)
            amount = fields.usd("amount_usd")
            if not amount:
                raise InvalidAmount("amount_usd", "must be above 0")
            return answer(self._shape(await self._keys.credit(session, caller, key_id, amount)))

        return await self._door.post(request, verb, body_key="idempotency_key")

    async def rotate(self, request: Request) -> Response:
        """POST /v1/keys/{id}/rotate"""
        key_id = KeyId(path_id(request))

        async def verb(session: Session, caller: Principal, fields: Fields) -> Answer:
            fields.refuse_unknown(())
            rotated = await self._keys.rotate(session, caller, key_id)
            return answer(to_api_key(rotated.key, self._on_disconnect, rotated.secret))

        return await self._door.post(request, verb)

    async def revoke(self, request: Request) -> Response:
        """DELETE /v1/keys/{id}"""
        caller = await self._door.admin(request)
        await self._keys.revoke(caller, KeyId(path_id(request)))
        return respond(answer(OkOut(True)))

    def _shape(self, key: Key) -> KeyOut:
        return to_api_key(key, self._on_disconnect)
