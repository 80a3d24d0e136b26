"""The JSON that commands print: the members of the API's answers, under the same names (a test compares them)."""

from typing import Any

import msgspec

from qlaud.cli.output import usd
from qlaud.core.keys import Key, OnDisconnect
from qlaud.core.records import GroupBy, HoldRow, KeySum, Measures, ModelSum, UsageFilter, UsageReport

Shape = dict[str, Any]


def key_shape(key: Key, default: OnDisconnect, secret: str | None = None) -> Shape:
    """The key; `default` is what an unset `on_disconnect` means here."""
    policy, balance = key.policy, key.balance
    return {
        "id": key.id,
        "object": "key",
        "name": policy.name,
        **({} if secret is None else {"secret": secret}),
        "prefix": key.prefix,
        "scope": key.scope,
        "mode": key.mode,
        "max_spend_usd": None if policy.max_spend_micros is None else usd(policy.max_spend_micros),
        "cap_period": policy.cap_period,
        "cap_anchor_day": policy.cap_anchor_day,
        "on_cap": policy.on_cap,
        "on_disconnect": policy.on_disconnect or default,
        "rpm_limit": policy.rpm_limit,
        "max_parallel": policy.max_parallel,
        "allowed_models": policy.allowed_models,
        "expires_at": policy.expires_at,
        "external_id": policy.external_id,
        "metadata": None if policy.metadata is None else msgspec.Raw(policy.metadata.encode()),
        "credit_micros": balance.credit_micros,
        "spent_micros": balance.posted_micros,
        "held_micros": balance.held_micros + balance.lost_micros,
        "remaining_micros": key.remaining_micros,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked": key.revoked_at is not None,
    }


def usage_shape(which: UsageFilter, report: UsageReport, group_by: GroupBy) -> Shape:
    """The sums of a window, with the groups asked for."""
    total = report.total
    return {
        "from_ms": which.from_ms,
        "to_ms": which.to_ms,
        "total_cost_micros": total.cost_micros,
        "total_input_tokens": total.input_tokens,
        "total_output_tokens": total.output_tokens,
        "request_count": total.request_count,
        "avg_latency_ms": total.avg_latency_ms,
        "by_key": [
            {
                **_key_identity(one),
                "name": one.name,
                "external_id": one.external_id,
                **measures(one.sums),
                "by_model": [_model(model) for model in one.by_model],
            }
            for one in report.by_key
        ],
        "by_model": [_model(one) for one in report.by_model],
        "group_by": group_by,
        "groups": group_shapes(report, group_by),
    }


def group_shapes(report: UsageReport, group_by: GroupBy) -> list[Shape]:
    """The groups: days in order, all others by falling cost."""
    match group_by:
        case "key":
            return [{**_key_identity(one), **measures(one.sums)} for one in report.by_key]
        case "model":
            return [_model(one) for one in report.by_model]
        case "day":
            return [{"day_ms": one.day_ms, **measures(one.sums)} for one in report.days]
        case "end_user":
            return [{"end_user_id": one.end_user_id, **measures(one.sums)} for one in report.end_users]


def measures(sums: Measures) -> Shape:
    """The five sums."""
    return {
        "cost_micros": sums.cost_micros,
        "request_count": sums.request_count,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "avg_latency_ms": sums.avg_latency_ms,
    }


def hold_shape(hold: HoldRow, cost_micros: int | None = None) -> Shape:
    """The hold; `cost_micros` once it is resolved."""
    return {
        "id": hold.id,
        "object": "hold",
        "key_id": hold.key_id,
        "end_user_id": hold.end_user_id,
        "thread_id": hold.thread_id,
        "model": hold.model,
        "amount_micros": hold.amount_micros,
        "state": hold.state,
        "created_at": hold.created_at,
        "renewed_at": hold.renewed_at,
        "lost_at": hold.lost_at,
        **({} if cost_micros is None else {"cost_micros": cost_micros}),
    }


def _key_identity(one: KeySum) -> Shape:
    return {"key_id": one.key_id, "key_name": one.name, "key_prefix": one.prefix}


def _model(one: ModelSum) -> Shape:
    return {"model_slug": one.model, **measures(one.sums)}
