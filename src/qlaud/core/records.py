"""What the books say about calls: usage events, holds, sums of them, wallet rows. Read by management.

Every sum is a sum of whole micros, so sums of sums are exact. `input_tokens` of a sum counts all three kinds
of input (uncached, cache read, cache write); on an event it excludes the two cache counts.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.keys import Mode
from qlaud.core.money import Micros

HoldState = Literal["held", "lost", "resolved"]
GroupBy = Literal["key", "model", "day", "end_user"]
EntryType = Literal["topup", "usage", "refund", "adjustment"]
WalletMode = Literal["off", "prepaid"]


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One model call that went upstream, as it was settled."""

    id: UUID
    parent_id: UUID | None
    key_id: KeyId
    end_user_id: str | None
    thread_id: UUID | None
    model: str
    provider: str
    surface: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_ms: int
    video_ms: int
    characters: int
    images: int
    cost_micros: Micros
    provider_cost_micros: Micros | None
    price_version: str
    latency_ms: int | None
    first_token_ms: int | None
    status: int
    stream: bool
    estimated: bool
    clamped: bool
    created_at: int


@dataclass(frozen=True, slots=True)
class Measures:
    """The five sums of a set of events. `avg_latency_ms` is None without a measured event."""

    cost_micros: Micros
    request_count: int
    input_tokens: int
    output_tokens: int
    avg_latency_ms: int | None


NO_USAGE = Measures(Micros(0), 0, 0, 0, None)


@dataclass(frozen=True, slots=True)
class ModelSum:
    """What one model cost."""

    model: str
    sums: Measures


@dataclass(frozen=True, slots=True)
class KeySum:
    """What one key cost, in all and by model; its name and marks are those of today."""

    key_id: KeyId
    name: str
    prefix: str
    external_id: str | None
    sums: Measures
    by_model: tuple[ModelSum, ...]


@dataclass(frozen=True, slots=True)
class DaySum:
    """What one UTC day cost; `day_ms` is its midnight."""

    day_ms: int
    sums: Measures


@dataclass(frozen=True, slots=True)
class EndUserSum:
    """What one end user cost; None stands for calls that named none."""

    end_user_id: str | None
    sums: Measures


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which events count: of one account and mode, `from_ms <= created_at < to_ms`."""

    account_id: AccountId
    mode: Mode
    from_ms: int
    to_ms: int
    key_id: KeyId | None = None
    end_user_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The sums of a window. `days` and `end_users` are filled only when they were asked for."""

    total: Measures
    by_key: tuple[KeySum, ...]
    by_model: tuple[ModelSum, ...]
    days: tuple[DaySum, ...] = ()
    end_users: tuple[EndUserSum, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as management shows it (`core.ledger.Hold` is the owner's side of it)."""

    id: UUID
    key_id: KeyId
    end_user_id: str | None
    thread_id: UUID | None
    model: str
    amount_micros: Micros
    state: HoldState
    created_at: int
    renewed_at: int
    lost_at: int | None


@dataclass(frozen=True, slots=True)
class HoldTotals:
    """What is tied up in a deployment, and what its operator paid beyond every hold."""

    held: int
    held_micros: int
    lost: int
    lost_micros: int
    overage_micros: int


@dataclass(frozen=True, slots=True)
class Wallet:
    """The prepaid money of an account in one mode. `held_micros` includes lost holds."""

    mode: Mode
    balance_micros: Micros
    """Paid in less posted: what calls in flight hold is still part of it."""
    held_micros: Micros

    @property
    def available_micros(self) -> Micros:
        """What a new call may hold; never below 0."""
        return Micros(max(0, self.balance_micros - self.held_micros))


@dataclass(frozen=True, slots=True)
class WalletEntry:
    """One movement of a wallet; `amount_micros` is negative when money left."""

    id: str
    type: EntryType
    amount_micros: Micros
    created_at: int


@dataclass(frozen=True, slots=True)
class Account:
    """Who owns keys and money."""

    id: AccountId
    name: str
    email: str | None
