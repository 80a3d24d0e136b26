"""Usage events as they are read: one, a page of a key's, or the sums of a window in one pass.

Sums are made by the database in bigint; an average is rounded there, once.
"""

from collections.abc import Sequence
from uuid import UUID

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.keys import Mode
from qlaud.core.money import Micros
from qlaud.core.records import (
    NO_USAGE,
    DaySum,
    EndUserSum,
    GroupBy,
    KeySum,
    Measures,
    ModelSum,
    UsageEvent,
    UsageFilter,
    UsageReport,
)
from qlaud.store.connection import Connection, Row

EVENT = """
SELECT id, parent_id, key_id, end_user_id, thread_id, model, provider, surface, input_tokens, cache_read_tokens,
       cache_write_tokens, output_tokens, reasoning_tokens, audio_ms, video_ms, characters, images, cost_micros,
       provider_cost_micros, price_version, latency_ms, first_token_ms, status, stream, estimated, clamped, created_at
  FROM usage_events
"""
GET_EVENT = EVENT + "WHERE id = $1 AND account_id = $2 AND mode = $3"
HAS_EVENT = "SELECT EXISTS (SELECT 1 FROM usage_events WHERE id = $1 AND key_id = $2)"
CALLS = "SELECT id, cost_micros FROM usage_events WHERE parent_id = $1 AND account_id = $2 ORDER BY created_at, id"

NEWEST_OF_KEY = EVENT + "WHERE key_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"
OLDER_OF_KEY = (
    EVENT
    + """
 WHERE key_id = $1
   AND (created_at, id) < (SELECT b.created_at, b.id FROM usage_events b WHERE b.id = $3 AND b.key_id = $1)
 ORDER BY created_at DESC, id DESC LIMIT $2
"""
)

MEASURES = """
       COALESCE(sum(e.cost_micros), 0)::bigint AS cost_micros, count(*) AS request_count,
       COALESCE(sum(e.input_tokens + e.cache_read_tokens + e.cache_write_tokens), 0)::bigint AS input_tokens,
       COALESCE(sum(e.output_tokens), 0)::bigint AS output_tokens, round(avg(e.latency_ms))::bigint AS avg_latency_ms
"""

MODELS_OF_KEY = f"""
SELECT e.model, {MEASURES} FROM usage_events e WHERE e.key_id = $1 AND e.created_at >= $2
 GROUP BY e.model ORDER BY cost_micros DESC, e.model
"""

# One pass makes every sum. `level` tells which one a row is: 7 in all, 3 by key, 5 by model, 1 by key and model,
# 6 by the extra column.
REPORT = """
SELECT s.*, k.name, k.prefix, k.external_id
  FROM (SELECT {level} AS level, e.key_id, e.model, {extra} AS extra, {measures}
          FROM usage_events e
         WHERE {where}
         GROUP BY GROUPING SETS ((), (e.key_id), (e.model), (e.key_id, e.model){extra_set})) s
  LEFT JOIN keys k ON k.id = s.key_id
 ORDER BY s.cost_micros DESC, s.model, s.key_id
"""
TOTAL, BY_KEY, BY_MODEL, BY_KEY_AND_MODEL = 7, 3, 5, 1

EXTRAS = {"day": "(e.created_at / 86400000 * 86400000)", "end_user": "e.end_user_id"}


class UsageRows:
    """Implements `ports_management.UsageRows`."""

    def __init__(self, connection: Connection) -> None:
        self._on = connection

    async def report(self, which: UsageFilter, group_by: GroupBy | None) -> UsageReport:
        """The sums of a window, keys and models by falling cost, days in order."""
        where = ["e.account_id = $1", "e.mode = $2", "e.created_at >= $3", "e.created_at < $4"]
        args: list[object] = [which.account_id, which.mode, which.from_ms, which.to_ms]
        for column in ("key_id", "end_user_id", "model"):
            value = getattr(which, column)
            if value is not None:
                args.append(value)
                where.append(f"e.{column} = ${len(args)}")
        extra = EXTRAS.get(group_by or "")
        sql = REPORT.format(
            level=f"GROUPING(e.key_id, e.model, {extra})" if extra else "GROUPING(e.key_id, e.model) * 2 + 1",
            extra=extra or "NULL",
            extra_set=f", ({extra})" if extra else "",
            measures=MEASURES,
            where=" AND ".join(where),
        )
        rows = await self._on.fetch(sql, *args)
        return _report(rows, group_by)

    async def models_of_key(self, key_id: KeyId, since_ms: int) -> list[ModelSum]:
        """What each model cost the key from `since_ms` on, by falling cost."""
        rows = await self._on.fetch(MODELS_OF_KEY, key_id, since_ms)
        return [ModelSum(row["model"], _measures(row)) for row in rows]

    async def has_event(self, key_id: KeyId, event_id: UUID) -> bool:
        """Whether the key has this event."""
        return await self._on.fetchval(HAS_EVENT, event_id, key_id)

    async def events_of_key(self, key_id: KeyId, *, limit: int, before: UUID | None) -> list[UsageEvent]:
        """Newest first, those before the event `before`."""
        if before is None:
            rows = await self._on.fetch(NEWEST_OF_KEY, key_id, limit)
        else:
            rows = await self._on.fetch(OLDER_OF_KEY, key_id, limit, before)
        return [from_row_event(row) for row in rows]

    async def event(self, account_id: AccountId, mode: Mode, event_id: UUID) -> UsageEvent | None:
        """One event of the account."""
        row = await self._on.fetchrow(GET_EVENT, event_id, account_id, mode)
        return None if row is None else from_row_event(row)

    async def calls_of(self, account_id: AccountId, event_id: UUID) -> list[tuple[UUID, Micros]]:
        """Id and cost of the calls made for this request, oldest first."""
        rows = await self._on.fetch(CALLS, event_id, account_id)
        return [(row["id"], Micros(row["cost_micros"])) for row in rows]


def from_row_event(row: Row) -> UsageEvent:
    """The event of a row of EVENT."""
    return UsageEvent(
        id=row["id"],
        parent_id=row["parent_id"],
        key_id=KeyId(row["key_id"]),
        end_user_id=row["end_user_id"],
        thread_id=row["thread_id"],
        model=row["model"],
        provider=row["provider"],
        surface=row["surface"],
        input_tokens=row["input_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        output_tokens=row["output_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
        audio_ms=row["audio_ms"],
        video_ms=row["video_ms"],
        characters=row["characters"],
        images=row["images"],
        cost_micros=row["cost_micros"],
        provider_cost_micros=row["provider_cost_micros"],
        price_version=row["price_version"],
        latency_ms=row["latency_ms"],
        first_token_ms=row["first_token_ms"],
        status=row["status"],
        stream=row["stream"],
        estimated=row["estimated"],
        clamped=row["clamped"],
        created_at=row["created_at"],
    )


def _measures(row: Row) -> Measures:
    return Measures(
        row["cost_micros"],
        row["request_count"],
        row["input_tokens"],
        row["output_tokens"],
        row["avg_latency_ms"],
    )


def _report(rows: Sequence[Row], group_by: GroupBy | None) -> UsageReport:
    total = NO_USAGE
    keys: list[Row] = []
    models: list[ModelSum] = []
    models_of: dict[KeyId, list[ModelSum]] = {}
    extras: list[Row] = []
    for row in rows:
        level = row["level"]
        if level == TOTAL:
            total = _measures(row)
        elif level == BY_KEY:
            keys.append(row)
        elif level == BY_MODEL:
            models.append(ModelSum(row["model"], _measures(row)))
        elif level == BY_KEY_AND_MODEL:
            models_of.setdefault(row["key_id"], []).append(ModelSum(row["model"], _measures(row)))
        else:
            extras.append(row)
    return UsageReport(
        total=total,
        by_key=tuple(
            KeySum(
                row["key_id"],
                row["name"],
                row["prefix"],
                row["external_id"],
                _measures(row),
                tuple(models_of.get(row["key_id"], ())),
            )
            for row in keys
        ),
        by_model=tuple(models),
        days=tuple(sorted((DaySum(row["extra"], _measures(row)) for row in extras), key=_day))
        if group_by == "day"
        else (),
        end_users=tuple(EndUserSum(row["extra"], _measures(row)) for row in extras)
        if group_by == "end_user"
        else (),
    )


def _day(group: DaySum) -> int:
    return group.day_ms
