"""The endpoints of holds (contract, section 8.4)."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import answer, respond
from qlaud.api.cursors import Moment, read_cursor, write_cursor
from qlaud.api.fields import Fields
from qlaud.api.principal import Door
from qlaud.api.requests import MS_LIMIT, path_id, query_choice, query_id, query_limit
from qlaud.api.shapes import Micros, Millis
from qlaud.core import money
from qlaud.core.errors import BadRequest
from qlaud.core.ids import KeyId
from qlaud.core.keys import Principal
from qlaud.core.records import HoldRow
from qlaud.flows.holds import HoldFilter, Holds
from qlaud.flows.idempotency import Answer
from qlaud.ports_management import Session

LIST_DEFAULT = 100
LIST_LIMIT = 1000
HoldCursor = tuple[Moment, UUID]


class ResolveIn(Struct):
    """What a lost call really cost."""

    cost_micros: Annotated[int, Meta(description="From 0 to the amount held.", ge=0)]


class HoldOut(Struct, rename={"object_": "object"}):
    """Money set aside for a call."""

    id: UUID
    object_: Literal["hold"]
    key_id: UUID
    end_user_id: str | None
    thread_id: UUID | None
    model: str
    amount_micros: Micros
    state: Literal["held", "lost", "resolved"]
    created_at: Millis
    renewed_at: Millis
    lost_at: Millis | None
    cost_micros: Micros | UnsetType = UNSET


class HoldListOut(Struct, rename={"object_": "object"}):
    """A page of holds, oldest first."""

    object_: Literal["list"]
    data: list[HoldOut]
    has_more: bool
    next_after: str | None


def to_api_hold(hold: HoldRow) -> HoldOut:
    """The hold."""
    return HoldOut(
        id=hold.id,
        object_="hold",
        key_id=hold.key_id,
        end_user_id=hold.end_user_id,
        thread_id=hold.thread_id,
        model=hold.model,
        amount_micros=hold.amount_micros,
        state=hold.state,
        created_at=hold.created_at,
        renewed_at=hold.renewed_at,
        lost_at=hold.lost_at,
    )


class HoldEndpoints:
    """Admin only."""

    def __init__(self, door: Door, holds: Holds) -> None:
        self._door, self._holds = door, holds

    async def page(self, request: Request) -> Response:
        """GET /v1/holds"""
        caller = await self._door.admin(request)
        key_id = query_id(request, "key_id")
        found = await self._holds.page(
            caller,
            HoldFilter(
                query_choice(request, "state", ("held", "lost")), None if key_id is None else KeyId(key_id)
            ),
            limit=query_limit(request, default=LIST_DEFAULT, maximum=LIST_LIMIT),
            after=read_cursor(request, "after", HoldCursor),
        )
        after = None if found.after is None else write_cursor(found.after)
        shape = HoldListOut("list", [to_api_hold(hold) for hold in found.holds], after is not None, after)
        return respond(answer(shape))

    async def resolve(self, request: Request) -> Response:
        """POST /v1/holds/{id}/resolve"""
        hold_id = path_id(request)

        async def verb(session: Session, caller: Principal, fields: Fields) -> Answer:
            fields.refuse_unknown(ResolveIn.__struct_fields__)
            cost = fields.whole("cost_micros", low=0, high=MS_LIMIT)
            if cost is None:
                raise BadRequest("`cost_micros` is required: what the call really cost", param="cost_micros")
            hold = await self._holds.resolve(session, caller, hold_id, money.Micros(cost))
            shape = to_api_hold(hold)
            shape.cost_micros = cost
            return answer(shape)

        return await self._door.post(request, verb)
