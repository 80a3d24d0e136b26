"""What the OpenAPI document says of every management path, with an example of each answer."""

from collections.abc import Mapping
from typing import Any

from qlaud.api.account import AccountOut, BalanceOut, EntryListOut, WalletOut
from qlaud.api.catalog import CatalogOut
from qlaud.api.documentation import EXAMPLE_ID, Query, Spec
from qlaud.api.health import HealthOut, ReadyOut
from qlaud.api.holds import HoldListOut, HoldOut, ResolveIn
from qlaud.api.key_shapes import CreditIn, KeyListOut, KeyOut, MintIn, PatchIn
from qlaud.api.shapes import OkOut
from qlaud.api.usage_shapes import InFlightOut, KeyUsageOut, RequestOut, UsageOut

KEY: Mapping[str, Any] = {
    "id": EXAMPLE_ID,
    "object": "key",
    "name": "user_7",
    "prefix": "qlk_live_9f3c…02ab",
    "scope": "standard",
    "mode": "live",
    "max_spend_usd": 5,
    "cap_period": "lifetime",
    "cap_anchor_day": 1,
    "on_cap": "clamp",
    "on_disconnect": "drain",
    "rpm_limit": None,
    "max_parallel": None,
    "allowed_models": None,
    "expires_at": None,
    "external_id": "cus_7",
    "metadata": None,
    "credit_micros": 0,
    "spent_micros": 0,
    "held_micros": 0,
    "remaining_micros": 5_000_000,
    "created_at": 1_777_000_000_000,
    "last_used_at": None,
    "revoked": False,
}
SECRETIVE = {**KEY, "secret": "qlk_live_" + "9f3c" + "0" * 56 + "02ab"}
SUMS: Mapping[str, Any] = {
    "cost_micros": 123_456,
    "request_count": 9,
    "input_tokens": 7300,
    "output_tokens": 1080,
    "avg_latency_ms": 1700,
}
MODEL_SUM = {"model_slug": "claude-haiku-4-5", **SUMS}
EVENT: Mapping[str, Any] = {
    "id": EXAMPLE_ID,
    "parent_id": None,
    "key_id": EXAMPLE_ID,
    "end_user_id": "user_7",
    "thread_id": None,
    "model": "claude-haiku-4-5",
    "model_slug": "claude-haiku-4-5",
    "provider_slug": "anthropic",
    "surface": "messages",
    "input_tokens": 800,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 120,
    "reasoning_tokens": 0,
    "audio_seconds": 0,
    "video_seconds": 0,
    "characters": 0,
    "images": 0,
    "cost_micros": 1400,
    "provider_cost_micros": 1400,
    "price_version": "2026-05-04.1",
    "latency_ms": 1700,
    "first_token_ms": None,
    "status": 200,
    "stream": False,
    "estimated": False,
    "clamped": False,
    "created_at": 1_777_262_000_000,
}
KEY_USAGE: Mapping[str, Any] = {
    "key_id": EXAMPLE_ID,
    "total_cost_micros": 123_456,
    "cost_micros": 123_456,
    "max_spend_micros": 5_000_000,
    "cap_micros": 5_000_000,
    "held_micros": 0,
    "remaining_micros": 4_876_544,
    "credit_micros": 0,
    "lifetime_cost_micros": 123_456,
    "period": None,
    "by_model": [
        {
            "model": "claude-haiku-4-5",
            "model_slug": "claude-haiku-4-5",
            "cost_micros": 123_456,
            "request_count": 9,
        }
    ],
    "events": [EVENT],
    "has_more": False,
    "next_before": None,
}
USAGE: Mapping[str, Any] = {
    "from_ms": 1_775_001_600_000,
    "to_ms": 1_777_100_000_000,
    "total_cost_micros": 123_456,
    "total_input_tokens": 7300,
    "total_output_tokens": 1080,
    "request_count": 9,
    "avg_latency_ms": 1700,
    "by_key": [
        {
            "key_id": EXAMPLE_ID,
            "key_name": "user_7",
            "name": "user_7",
            "key_prefix": "qlk_live_9f3c…02ab",
            "external_id": "cus_7",
            **SUMS,
            "by_model": [MODEL_SUM],
        }
    ],
    "by_model": [MODEL_SUM],
}
HOLD: Mapping[str, Any] = {
    "id": EXAMPLE_ID,
    "object": "hold",
    "key_id": EXAMPLE_ID,
    "end_user_id": None,
    "thread_id": None,
    "model": "claude-haiku-4-5",
    "amount_micros": 82_500,
    "state": "lost",
    "created_at": 1_777_262_000_000,
    "renewed_at": 1_777_262_010_000,
    "lost_at": 1_777_262_071_000,
}
WALLET: Mapping[str, Any] = {
    "object": "wallet",
    "mode": "live",
    "balance_micros": 20_000_000,
    "held_micros": 0,
    "available_micros": 20_000_000,
    "low_balance_micros": 5_000_000,
}
ENTRY: Mapping[str, Any] = {
    "id": "top_0f",
    "type": "topup",
    "amount_micros": 20_000_000,
    "balance_after_micros": 20_000_000,
    "created_at": 1_777_262_000_000,
}
ACCOUNT: Mapping[str, Any] = {"user_id": EXAMPLE_ID, "email": None, "first_name": "owner", "last_name": None}
BALANCE: Mapping[str, Any] = {
    "balance_usd": 4.5,
    "balance_micros": 4_500_000,
    "held_micros": 0,
    "available_micros": 4_500_000,
    "wallet": "off",
    "scope": "key",
}

CATALOG: Mapping[str, Any] = {
    "providers": [{"slug": "anthropic", "display_name": "Anthropic"}],
    "models": [
        {
            "slug": "claude-haiku-4-5",
            "aliases": ["claude-haiku-4-5-20251001"],
            "display_name": "Claude Haiku 4.5",
            "author": "Anthropic",
            "description": "Fast small model. Good for short turns.",
            "task": "text-generation",
            "capabilities": ["function-calling", "streaming", "vision"],
            "context_window": 200000,
            "default_max_tokens": 8192,
            "max_output_tokens": 64000,
            "available": True,
            "priced": True,
            "deprecated": None,
            "replaced_by": None,
            "hosts": [
                {
                    "provider": "anthropic",
                    "input_per_mtok_usd": 1,
                    "output_per_mtok_usd": 5,
                    "cache_read_per_mtok_usd": 0.1,
                    "cache_write_per_mtok_usd": 1.25,
                    "other_per_mtok_usd": {"cache_write_1h_tokens": 2},
                    "unit": None,
                    "unit_price_usd": None,
                    "throughput_score": None,
                    "verified_tools_ok": True,
                }
            ],
        }
    ],
    "markup_multiplier": 1,
    "price_version": "2026-11-21.0.2.3+b6865d8c",
    "generated_at": "2026-11-25T00:00:00.000Z",
}
LIMIT = Query("limit", "Most items; above the maximum (1000) it is the maximum.", "integer")
AFTER = Query("after", "`next_after` of the page before.")
BEFORE = Query("before", "`next_before` of the page before.")
KEY_FILTERS = (
    Query("external_id", "Only keys with this external_id."),
    Query("revoked", "Only revoked ones, or only others.", choices=("true", "false")),
    Query("mode", "Default: the caller's. Live keys may ask for others.", choices=("live", "test", "all")),
    LIMIT,
    AFTER,
)
USAGE_FILTERS = (
    Query("from_ms", "Events at or after this moment. Default: the start of the UTC month.", "integer"),
    Query("to_ms", "Events before this moment. Default: now.", "integer"),
    Query("key_id", "Only this key."),
    Query("end_user_id", "Only this end user."),
    Query("model", "Only this model."),
    Query("group_by", "Adds `groups`.", choices=("key", "model", "day", "end_user")),
)
HOLD_FILTERS = (
    Query("state", "Default: both.", choices=("held", "lost")),
    Query("key_id", "Only this key."),
    LIMIT,
    AFTER,
)
KEYS_PAGE: Mapping[str, Any] = {"keys": [KEY], "has_more": False, "next_after": None}
HOLDS_PAGE: Mapping[str, Any] = {"object": "list", "data": [HOLD], "has_more": False, "next_after": None}
ENTRIES_PAGE: Mapping[str, Any] = {"object": "list", "data": [ENTRY], "has_more": False, "next_before": None}

SPECS: Mapping[tuple[str, str], Spec] = {
    ("POST", "/v1/keys"): Spec(
        "keys",
        "Mint a key; its secret is shown once",
        KeyOut,
        SECRETIVE,
        status=201,
        body=MintIn,
        body_example={"name": "user_7", "max_spend_usd": 5, "external_id": "cus_7"},
    ),
    ("GET", "/v1/keys"): Spec(
        "keys", "List keys, newest first", KeyListOut, KEYS_PAGE, query=KEY_FILTERS, errors=(400,)
    ),
    ("GET", "/v1/keys/{id}"): Spec("keys", "Read a key", KeyOut, KEY, errors=(404,)),
    ("PATCH", "/v1/keys/{id}"): Spec(
        "keys",
        "Change a key; the next call obeys it",
        KeyOut,
        KEY,
        body=PatchIn,
        body_example={"max_spend_usd": 7.5},
        errors=(404, 409),
    ),
    ("DELETE", "/v1/keys/{id}"): Spec(
        "keys", "Revoke a key for good", OkOut, {"ok": True}, errors=(404, 409)
    ),
    ("POST", "/v1/keys/{id}/credit"): Spec(
        "keys",
        "Raise a key's allowance",
        KeyOut,
        {**KEY, "credit_micros": 2_500_000, "remaining_micros": 7_500_000},
        body=CreditIn,
        body_example={"amount_usd": 2.5},
        errors=(404,),
    ),
    ("POST", "/v1/keys/{id}/rotate"): Spec(
        "keys", "Give a key a new secret; the old one dies at once", KeyOut, SECRETIVE, errors=(404,)
    ),
    ("GET", "/v1/keys/{id}/usage"): Spec(
        "usage", "The account of a key", KeyUsageOut, KEY_USAGE, query=(LIMIT, BEFORE), errors=(400, 404)
    ),
    ("GET", "/v1/usage"): Spec(
        "usage", "Sums of a window", UsageOut, USAGE, query=USAGE_FILTERS, errors=(400,)
    ),
    ("GET", "/v1/requests/{id}"): Spec(
        "usage",
        "One request and what it cost",
        RequestOut,
        {**EVENT, "calls": [], "total_cost_micros": 1400},
        access="any key",
        errors=(404,),
        others=((202, InFlightOut),),
    ),
    ("GET", "/v1/holds"): Spec(
        "holds", "List holds, oldest first", HoldListOut, HOLDS_PAGE, query=HOLD_FILTERS, errors=(400,)
    ),
    ("POST", "/v1/holds/{id}/resolve"): Spec(
        "holds",
        "End a lost hold with what its call really cost",
        HoldOut,
        {**HOLD, "state": "resolved", "cost_micros": 1200},
        body=ResolveIn,
        body_example={"cost_micros": 1200},
        errors=(404,),
    ),
    ("GET", "/v1/account"): Spec("account", "Whose key this is", AccountOut, ACCOUNT, access="any key"),
    ("GET", "/v1/billing/balance"): Spec(
        "account", "What can still be spent", BalanceOut, BALANCE, access="any key"
    ),
    ("GET", "/v1/wallet"): Spec("account", "The prepaid wallet", WalletOut, WALLET),
    ("GET", "/v1/wallet/entries"): Spec(
        "account",
        "What moved the wallet, newest first",
        EntryListOut,
        ENTRIES_PAGE,
        query=(LIMIT, BEFORE),
        errors=(400,),
    ),
    ("GET", "/v1/catalog"): Spec(
        "catalog",
        "Models, their providers and prices",
        CatalogOut,
        CATALOG,
        query=(Query("all", "1: models that no provider here is configured for, too.", choices=("1",)),),
        access="public",
    ),
    ("GET", "/healthz"): Spec("health", "Is the process up", HealthOut, {"ok": True}, access="public"),
    ("GET", "/readyz"): Spec(
        "health",
        "Can requests be served",
        ReadyOut,
        {"ready": True, "reason": None},
        access="public",
        others=((503, ReadyOut),),
    ),
}
