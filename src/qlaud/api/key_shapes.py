"""The JSON of API keys, in and out."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from qlaud.api.fields import Fields
from qlaud.api.requests import MS_LIMIT
from qlaud.api.shapes import Micros, Millis, Usd, UsdIn, Verbatim, to_usd
from qlaud.core.errors import BadRequest
from qlaud.core.keys import CapPeriod, Key, KeyPolicy, Mode, OnCap, OnDisconnect, Scope

NAME_CHARACTERS = 200
EXTERNAL_ID_CHARACTERS = 256
METADATA_BYTES = 16 * 1024
MODELS = 1000
MODEL_CHARACTERS = 200
COUNT_LIMIT = 2**31 - 1

CAP_PERIODS: tuple[CapPeriod, ...] = ("lifetime", "day", "week", "month")
ON_CAPS: tuple[OnCap, ...] = ("clamp", "refuse")
ON_DISCONNECTS: tuple[OnDisconnect, ...] = ("drain", "cancel")
SCOPES: tuple[Scope, ...] = ("standard", "admin")
MODES: tuple[Mode, ...] = ("live", "test")

T = TypeVar("T")


class MintIn(Struct):
    """A new key. null stands for the default: no such limit."""

    name: Annotated[str, Meta(description="Label, need not be unique.", max_length=NAME_CHARACTERS)]
    max_spend_usd: Annotated[UsdIn, Meta(description="The cap. null: none. 0: may spend nothing.")] = None
    cap_period: Literal["lifetime", "day", "week", "month"] = "lifetime"
    cap_anchor_day: Annotated[
        int, Meta(description="Week: 1 (Monday) to 7. Month: 1 to 31.", ge=1, le=31)
    ] = 1
    on_cap: Literal["clamp", "refuse"] = "clamp"
    on_disconnect: Literal["drain", "cancel"] | None = None
    rpm_limit: Annotated[int, Meta(ge=1)] | None = None
    max_parallel: Annotated[int, Meta(ge=1)] | None = None
    allowed_models: Annotated[list[str], Meta(description="Slugs, or prefixes ending in `*`.")] | None = None
    expires_at: Millis | None = None
    external_id: (
        Annotated[str, Meta(description="Your customer id.", max_length=EXTERNAL_ID_CHARACTERS)] | None
    ) = None
    metadata: Annotated[Any, Meta(extra_json_schema={"type": ["object", "null"]})] = None

    scope: Literal["standard", "admin"] = "standard"
    mode: Annotated[Literal["live", "test"], Meta(description="Default: the caller's.")] | UnsetType = UNSET


class PatchIn(Struct):
    """Changes of a key. What is absent stays; null sets the default: no such limit."""

    name: Annotated[str, Meta(max_length=NAME_CHARACTERS)] | UnsetType = UNSET
    max_spend_usd: UsdIn | UnsetType = UNSET
    cap_period: Literal["lifetime", "day", "week", "month"] | UnsetType = UNSET
    cap_anchor_day: Annotated[int, Meta(ge=1, le=31)] | UnsetType = UNSET
    on_cap: Literal["clamp", "refuse"] | UnsetType = UNSET
    on_disconnect: Literal["drain", "cancel"] | UnsetType | None = UNSET
    rpm_limit: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    max_parallel: Annotated[int, Meta(ge=1)] | UnsetType | None = UNSET
    allowed_models: list[str] | UnsetType | None = UNSET
    expires_at: Millis | UnsetType | None = UNSET
    external_id: Annotated[str, Meta(max_length=EXTERNAL_ID_CHARACTERS)] | UnsetType | None = UNSET
    metadata: Annotated[Any, Meta(extra_json_schema={"type": ["object", "null"]})] = UNSET


class CreditIn(Struct):
    """More allowance for a key."""

    amount_usd: Annotated[UsdIn, Meta(description="Above 0.")]
    idempotency_key: Annotated[str, Meta(description="The same as the header.")] | None = None


class KeyOut(Struct, kw_only=True, rename={"object_": "object"}):
    """An API key."""

    id: UUID
    object_: Literal["key"]
    name: str
    secret: Annotated[str, Meta(description="Only in the answers of mint and rotate.")] | UnsetType = UNSET
    prefix: str
    scope: Literal["standard", "admin"]
    mode: Literal["live", "test"]
    max_spend_usd: Usd | None
    cap_period: Literal["lifetime", "day", "week", "month"]
    cap_anchor_day: int
    on_cap: Literal["clamp", "refuse"]
    on_disconnect: Literal["drain", "cancel"]
    rpm_limit: int | None
    max_parallel: int | None
    allowed_models: tuple[str, ...] | None
    expires_at: Millis | None
    external_id: str | None
    metadata: Verbatim
    credit_micros: Micros
    spent_micros: Micros
    held_micros: Micros
    remaining_micros: Micros | None
    created_at: Millis
    last_used_at: Millis | None
    revoked: bool


class KeyListOut(Struct):
    """A page of keys, newest first."""

    keys: list[KeyOut]
    has_more: bool
    next_after: str | None


def to_api_key(key: Key, default: OnDisconnect, secret: str | UnsetType = UNSET) -> KeyOut:
    """The key; `default` is what an unset `on_disconnect` means here."""
    policy, balance = key.policy, key.balance
    return KeyOut(
        id=key.id,
        object_="key",
        name=policy.name,
        secret=secret,
        prefix=key.prefix,
        scope=key.scope,
        mode=key.mode,
        max_spend_usd=None if policy.max_spend_micros is None else to_usd(policy.max_spend_micros),
        cap_period=policy.cap_period,
        cap_anchor_day=policy.cap_anchor_day,
        on_cap=policy.on_cap,
        on_disconnect=policy.on_disconnect or default,
        rpm_limit=policy.rpm_limit,
        max_parallel=policy.max_parallel,
        allowed_models=policy.allowed_models,
        expires_at=policy.expires_at,
        external_id=policy.external_id,
        metadata=None if policy.metadata is None else msgspec.Raw(policy.metadata.encode()),
        credit_micros=balance.credit_micros,
        spent_micros=balance.posted_micros,
        held_micros=balance.held_micros + balance.lost_micros,
        remaining_micros=key.remaining_micros,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        revoked=key.revoked_at is not None,
    )


def from_api_policy(fields: Fields, base: KeyPolicy) -> KeyPolicy:
    """`base` with the members that stand in the body; null sets the default. Raises BadRequest, InvalidAmount."""

    def given(name: str, read: Callable[[], T], before: T) -> T:
        return read() if name in fields else before

    policy = KeyPolicy(
        name=given("name", lambda: fields.text("name", limit=NAME_CHARACTERS) or "", base.name),
        max_spend_micros=given("max_spend_usd", lambda: fields.usd("max_spend_usd"), base.max_spend_micros),
        cap_period=given("cap_period", lambda: _cap_period(fields), base.cap_period),
        cap_anchor_day=given(
            "cap_anchor_day", lambda: fields.whole("cap_anchor_day", low=1, high=31) or 1, base.cap_anchor_day
        ),
        on_cap=given("on_cap", lambda: _on_cap(fields), base.on_cap),
        on_disconnect=given(
            "on_disconnect", lambda: fields.choice("on_disconnect", ON_DISCONNECTS), base.on_disconnect
        ),
        rpm_limit=given(
            "rpm_limit", lambda: fields.whole("rpm_limit", low=1, high=COUNT_LIMIT), base.rpm_limit
        ),
        max_parallel=given(
            "max_parallel", lambda: fields.whole("max_parallel", low=1, high=COUNT_LIMIT), base.max_parallel
        ),
        allowed_models=given("allowed_models", lambda: _models(fields), base.allowed_models),
        expires_at=given(
            "expires_at", lambda: fields.whole("expires_at", low=0, high=MS_LIMIT), base.expires_at
        ),
        external_id=given(
            "external_id", lambda: fields.text("external_id", limit=EXTERNAL_ID_CHARACTERS), base.external_id
        ),
        metadata=given(
            "metadata", lambda: fields.verbatim_object("metadata", limit_bytes=METADATA_BYTES), base.metadata
        ),
    )
    if not policy.name:
        raise BadRequest("`name` is required: a label for the key", param="name")
    return policy


def _cap_period(fields: Fields) -> CapPeriod:
    found: CapPeriod | None = fields.choice("cap_period", CAP_PERIODS)
    return found or "lifetime"


def _on_cap(fields: Fields) -> OnCap:
    found: OnCap | None = fields.choice("on_cap", ON_CAPS)
    return found or "clamp"


def _models(fields: Fields) -> tuple[str, ...] | None:
    models = fields.texts("allowed_models", items=MODELS, limit=MODEL_CHARACTERS)
    for model in models or ():
        if "*" in model[:-1]:
            raise BadRequest("`*` may only end an entry of `allowed_models`", param="allowed_models")
    return models
