"""The ledger's words: a call asks for a hold, gets it or is refused, and settles once.

Invariant, for each key and each prepaid wallet, at every instant: posted + held + lost <= allowance. A hold is a
row with identity, `held -> posted | released | lost`, and has the id of the usage event it ends in.
"""

from uuid import UUID

from msgspec import Struct

from qlaud.core.errors import (
    CapContended,
    ExpiredKey,
    Internal,
    InvalidKey,
    KeyCapExceeded,
    ModelNotAllowed,
    ModelNotPriced,
    ParallelLimited,
    ProviderToolNotMetered,
    QlaudError,
    RateLimited,
    RevokedKey,
    RouteNotMetered,
    WalletExhausted,
)
from qlaud.core.ids import AccountId, KeyId, RequestId
from qlaud.core.keys import Mode, OnDisconnect
from qlaud.core.money import Micros
from qlaud.core.usage import Usage

UNMETERED = "passthrough"
"""The surface of a path without a metering rule; its event names the path in place of a model."""


class CallFacts(Struct, frozen=True, gc=False):
    """What stays the same from the hold to the event: what was called, where, for whom."""

    model: str
    provider: str
    surface: str
    price_version: str
    end_user_id: str | None = None
    thread_id: UUID | None = None
    parent_id: UUID | None = None


class HoldAsk(Struct, frozen=True, gc=False):
    """A call that wants to leave, and the most it can cost (contract 6.2, 6.3)."""

    id: RequestId
    secret_sha256: bytes
    facts: CallFacts
    is_priced: bool
    unbounded_tool: str | None
    want_output: int | None
    """The caller's output limit, else the model's maximum; None where no limit applies."""
    want_micros: Micros
    floor_micros: Micros
    base_picos: int
    slope_picos: int
    no_limit: bool
    """The caller gave no output limit, so lowering it needs nobody's leave."""


class Hold(Struct, frozen=True, gc=False):
    """Money set aside. Whoever has it owns the call and must settle it."""

    id: RequestId
    key_id: KeyId
    account_id: AccountId
    mode: Mode
    on_wallet: bool
    amount_micros: Micros
    max_output: int | None
    """The output limit that was held, and so must be the one that is sent."""
    bounded: bool
    """Whether a cap or a wallet bounds this call."""
    on_disconnect: OnDisconnect | None
    created_at: int
    remaining_micros: Micros | None
    rpm_limit: int | None
    rpm_used: int | None


class Wait(Struct, frozen=True, gc=False):
    """The money is there but held by calls in flight: ask again when one has settled."""


class Refused(Struct, frozen=True, gc=False):
    """Not admitted; nothing was charged to any limit."""

    error: QlaudError


Admission = Hold | Wait | Refused


class Settlement(Struct, frozen=True, gc=False):
    """The end of a call: what it used and costs. Applied once per hold id, however often it is sent."""

    hold: Hold
    facts: CallFacts
    usage: Usage
    cost_micros: Micros
    provider_cost_micros: Micros
    latency_ms: int
    first_token_ms: int | None
    status: int
    stream: bool
    estimated: bool
    clamped: bool
    upstream_request_id: str | None = None


class Charged(Struct, frozen=True, gc=False):
    """What a settlement did: `cost_micros` is on key and wallet, `overage_micros` on the operator."""

    cost_micros: Micros
    overage_micros: Micros


class Limits(Struct, frozen=True, gc=False):
    """The facts behind a refusal, as the ledger answers them."""

    cap_micros: int = 0
    spent_micros: int = 0
    in_flight_micros: int = 0
    affordable_output: int | None = None
    rpm_limit: int | None = None
    retry_after_ms: int | None = None
    max_parallel: int | None = None


def refusal(outcome: str, ask: HoldAsk, limits: Limits) -> QlaudError:
    """The error for an outcome of the ledger that is neither a hold nor a wait."""
    match outcome:
        case "invalid_key":
            return InvalidKey()
        case "revoked_key":
            return RevokedKey()
        case "expired_key":
            return ExpiredKey()
        case "model_not_allowed":
            return ModelNotAllowed(ask.facts.model)
        case "model_not_priced" if ask.facts.surface == UNMETERED:
            return RouteNotMetered(ask.facts.model)
        case "model_not_priced":
            return ModelNotPriced(ask.facts.model)
        case "provider_tool_not_metered":
            return ProviderToolNotMetered(ask.unbounded_tool or "unknown")
        case "rate_limited":
            wait_s = max(1, -(-(limits.retry_after_ms or 1000) // 1000))
            return RateLimited(limit=limits.rpm_limit or 0, retry_after_s=wait_s)
        case "parallel_limited":
            return ParallelLimited(limit=limits.max_parallel or 0)
        case "cap_contended":
            return CapContended()
        case "wallet_exhausted":
            return WalletExhausted(affordable_max_tokens=limits.affordable_output)
        case "key_cap_exceeded":
            return KeyCapExceeded(
                cap_micros=limits.cap_micros,
                spent_micros=limits.spent_micros,
                held_micros=limits.in_flight_micros,
                asked_max_tokens=ask.want_output,
                affordable_max_tokens=limits.affordable_output,
            )
        case _:
            return Internal()
