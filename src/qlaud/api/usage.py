"""The endpoints of usage and requests (contract, sections 7.3 and 8)."""

from typing import Any

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import answer, respond
from qlaud.api.principal import Door
from qlaud.api.requests import path_id, query_choice, query_id, query_limit, query_ms, query_text
from qlaud.api.usage_shapes import (
    DayGroupOut,
    EndUserGroupOut,
    EventOut,
    InFlightOut,
    KeyGroupOut,
    KeyUsageOut,
    ModelCostOut,
    PeriodOut,
    RequestOut,
    UsageOut,
    event_fields,
    measures,
    to_api_key_sum,
    to_api_model,
)
from qlaud.core.ids import KeyId
from qlaud.core.records import GroupBy, HoldRow, UsageReport
from qlaud.flows.usage import KeyUsage, UsageReports, Window

LIST_DEFAULT = 100
LIST_LIMIT = 1000
FILTER_CHARACTERS = 512
GROUPS: tuple[GroupBy, ...] = ("key", "model", "day", "end_user")


class UsageEndpoints:
    """Usage is for admins; a request can be read by the key that made it."""

    def __init__(self, door: Door, usage: UsageReports) -> None:
        self._door, self._usage = door, usage

    async def report(self, request: Request) -> Response:
        """GET /v1/usage"""
        caller = await self._door.admin(request)
        key_id = query_id(request, "key_id")
        group_by: GroupBy | None = query_choice(request, "group_by", GROUPS)
        window = Window(
            query_ms(request, "from_ms"),
            query_ms(request, "to_ms"),
            key_id=None if key_id is None else KeyId(key_id),
            end_user_id=query_text(request, "end_user_id", limit=FILTER_CHARACTERS),
            model=query_text(request, "model", limit=FILTER_CHARACTERS),
        )
        which, sums = await self._usage.report(caller, window, group_by)
        shape = UsageOut(
            from_ms=which.from_ms,
            to_ms=which.to_ms,
            total_cost_micros=sums.total.cost_micros,
            total_input_tokens=sums.total.input_tokens,
            total_output_tokens=sums.total.output_tokens,
            request_count=sums.total.request_count,
            avg_latency_ms=sums.total.avg_latency_ms,
            by_key=[to_api_key_sum(key) for key in sums.by_key],
            by_model=[to_api_model(model) for model in sums.by_model],
            group_by=UNSET if group_by is None else group_by,
            groups=UNSET if group_by is None else _groups(sums, group_by),
        )
        return respond(answer(shape))

    async def of_key(self, request: Request) -> Response:
        """GET /v1/keys/{id}/usage"""
        caller = await self._door.admin(request)
        found = await self._usage.of_key(
            caller,
            KeyId(path_id(request)),
            limit=query_limit(request, default=LIST_DEFAULT, maximum=LIST_LIMIT),
            before=query_id(request, "before"),
        )
        return respond(answer(_key_usage(found)))

    async def request(self, request: Request) -> Response:
        """GET /v1/requests/{id}"""
        caller = await self._door.anyone(request)
        found = await self._usage.request(caller, path_id(request))
        if isinstance(found, HoldRow):
            state = "lost" if found.state == "lost" else "in_flight"
            return respond(answer(InFlightOut(found.id, state, found.amount_micros), 202))
        shape = RequestOut(
            **event_fields(found.event), calls=found.calls, total_cost_micros=found.total_cost_micros
        )
        return respond(answer(shape))


def _groups(sums: UsageReport, group_by: GroupBy) -> list[Any]:
    """The groups asked for: days in order, all others by falling cost."""
    match group_by:
        case "key":
            return [
                KeyGroupOut(key.key_id, key.name, key.prefix, **measures(key.sums)) for key in sums.by_key
            ]
        case "model":
            return [to_api_model(model) for model in sums.by_model]
        case "day":
            return [DayGroupOut(day.day_ms, **measures(day.sums)) for day in sums.days]
        case "end_user":
            return [EndUserGroupOut(user.end_user_id, **measures(user.sums)) for user in sums.end_users]


def _key_usage(found: KeyUsage) -> KeyUsageOut:
    key, balance = found.key, found.key.balance
    period = None if balance.period_end is None else PeriodOut(balance.period_start, balance.period_end)
    return KeyUsageOut(
        key_id=key.id,
        total_cost_micros=balance.posted_micros,
        cost_micros=balance.posted_micros,
        max_spend_micros=key.allowance_micros,
        cap_micros=key.allowance_micros,
        held_micros=balance.held_micros + balance.lost_micros,
        remaining_micros=key.remaining_micros,
        credit_micros=balance.credit_micros,
        lifetime_cost_micros=balance.lifetime_micros,
        period=period,
        by_model=[
            ModelCostOut(model.model, model.model, model.sums.cost_micros, model.sums.request_count)
            for model in found.by_model
        ],
        events=[EventOut(**event_fields(event)) for event in found.events],
        has_more=found.before is not None,
        next_before=None if found.before is None else str(found.before),
    )
