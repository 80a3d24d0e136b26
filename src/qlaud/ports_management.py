"""What the management flows need from the database, as Protocols. `store` implements them, `app` joins the two.

A flow opens one `Session` per verb: `transaction` to change things, `snapshot` to read several things that must
agree. Every method of a session runs inside it. Everything raises StoreUnavailable when the database is away.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.keys import Key, KeyPolicy, Mode, Principal
from qlaud.core.money import Micros
from qlaud.core.records import (
    Account,
    GroupBy,
    HoldRow,
    HoldTotals,
    ModelSum,
    UsageEvent,
    UsageFilter,
    UsageReport,
    Wallet,
    WalletEntry,
)

Dice = Callable[[int], bytes]
"""So many random bytes, fit for secrets. Seeded in tests."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key about to be stored."""

    key: Key
    secret_sha256: bytes


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys of an account to list. None means: all."""

    account_id: AccountId
    mode: Mode | None
    external_id: str | None = None
    revoked: bool | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A key looked up by the digest of its secret."""

    principal: Principal
    revoked_at: int | None
    expires_at: int | None
    allowed_models: tuple[str, ...] | None


class KeyRows(Protocol):
    """Keys. `at_ms` decides which cap period is the running one, whether or not a call has begun it yet."""

    async def find_credential(self, secret_sha256: bytes) -> Credential | None:
        """The key of this digest, revoked or not."""
        ...

    async def insert(self, new: NewKey) -> None:
        """Store it."""
        ...

    async def get(self, account_id: AccountId, key_id: KeyId, at_ms: int) -> Key | None:
        """The key, with the balance of the period that runs at `at_ms`."""
        ...

    async def lock(self, account_id: AccountId, key_id: KeyId, at_ms: int) -> Key | None:
        """As `get`, and nobody else changes or spends until the transaction ends."""
        ...

    async def listing(self, which: KeyFilter, at_ms: int, *, limit: int, after: KeyId | None) -> list[Key]:
        """Newest first, those older than `after`."""
        ...

    async def put_policy(self, key_id: KeyId, policy: KeyPolicy, at_ms: int, *, new_period: bool) -> None:
        """Set the whole policy of a locked key. `new_period`: its running period is counted anew from the rows."""
        ...

    async def add_credit(self, key_id: KeyId, credit_id: UUID, amount_micros: Micros, at_ms: int) -> None:
        """Raise the allowance of a locked key, in the period that runs at `at_ms`."""
        ...

    async def put_secret(self, key_id: KeyId, secret_sha256: bytes, prefix: str) -> None:
        """Another secret; the old one is unknown from here on."""
        ...

    async def revoke(self, key_id: KeyId, at_ms: int) -> None:
        """Revoke for good."""
        ...

    async def lock_admins(self, account_id: AccountId) -> None:
        """Nobody else revokes an admin key of the account until the transaction ends."""
        ...

    async def count_live_admins(self, account_id: AccountId, at_ms: int) -> int:
        """Live admin keys that are neither revoked nor expired."""
        ...


class UsageRows(Protocol):
    """Usage events, and holds as far as requests in flight are asked for."""

    async def report(self, which: UsageFilter, group_by: GroupBy | None) -> UsageReport:
        """The sums of a window, keys and models by falling cost."""
        ...

    async def models_of_key(self, key_id: KeyId, since_ms: int) -> list[ModelSum]:
        """What each model cost the key from `since_ms` on, by falling cost."""
        ...

    async def has_event(self, key_id: KeyId, event_id: UUID) -> bool:
        """Whether the key has this event."""
        ...

    async def events_of_key(self, key_id: KeyId, *, limit: int, before: UUID | None) -> list[UsageEvent]:
        """Newest first, those before the event `before`."""
        ...

    async def event(self, account_id: AccountId, mode: Mode, event_id: UUID) -> UsageEvent | None:
        """One event of the account."""
        ...

    async def calls_of(self, account_id: AccountId, event_id: UUID) -> list[tuple[UUID, Micros]]:
        """Id and cost of the calls made for this request, oldest first."""
        ...


class HoldRows(Protocol):
    """Holds that are not settled."""

    async def get(self, account_id: AccountId, mode: Mode, hold_id: UUID) -> HoldRow | None:
        """The hold, while it lives."""
        ...

    async def listing(
        self,
        account_id: AccountId,
        mode: Mode,
        *,
        state: str | None,
        key_id: KeyId | None,
        limit: int,
        after: tuple[int, UUID] | None,
    ) -> list[HoldRow]:
        """Oldest first, those behind the place `after`: (created_at, id) of a hold, which may be gone by now."""
        ...

    async def totals(self) -> HoldTotals:
        """Over all accounts: what is tied up, and what no key could pay."""
        ...

    async def resolve(self, hold_id: UUID, cost_micros: Micros, at_ms: int) -> bool:
        """Post `cost_micros` of a lost hold and end it. False: it is not lost (any more)."""
        ...


class AccountRows(Protocol):
    """Accounts."""

    async def lock_first_start(self) -> None:
        """No other gateway makes the first account until the transaction ends."""
        ...

    async def get(self, account_id: AccountId) -> Account | None:
        """The account."""
        ...

    async def owner(self) -> Account | None:
        """The oldest account, None before the first start."""
        ...

    async def insert(self, account: Account, at_ms: int) -> None:
        """Store it, with an empty wallet of each mode."""
        ...


class WalletRows(Protocol):
    """Wallets and what moved them."""

    async def get(self, account_id: AccountId, mode: Mode) -> Wallet:
        """The wallet; an account that never had one has an empty one."""
        ...

    async def entries(
        self, account_id: AccountId, mode: Mode, *, limit: int, before: tuple[int, str] | None
    ) -> list[WalletEntry]:
        """Newest first: top-ups, refunds, adjustments, and one `usage` entry per call that cost something.

        `before` is (created_at, id) of an entry.
        """
        ...

    async def credit(self, account_id: AccountId, mode: Mode, entry: WalletEntry, note: str | None) -> bool:
        """Move money in or out and write the entry. False: an entry of this id exists, nothing was done."""
        ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first answer to an Idempotency-Key. `sealed` is encrypted under the caller's secret."""

    body_sha256: bytes
    status: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a first answer is kept."""

    key_id: KeyId
    path: str
    idem_key: str


class IdempotencyRows(Protocol):
    """First answers of management POSTs."""

    async def claim(self, slot: Slot) -> bool:
        """Whether this transaction has the slot to itself until it ends; False: another request runs in it."""
        ...

    async def recall(self, slot: Slot, since_ms: int) -> Remembered | None:
        """The answer kept in the slot, if it is younger than `since_ms`."""
        ...

    async def remember(self, slot: Slot, answer: Remembered, at_ms: int) -> None:
        """Keep the answer, in place of an expired one."""
        ...

    async def erase(self, before_ms: int, limit: int) -> int:
        """Erase at most `limit` answers that are not younger than `before_ms`; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """A projection that is not what its rows say."""

    table: str
    id: str
    column: str
    stored: int
    actual: int


class DoctorRows(Protocol):
    """Every projection, recomputed from the rows."""

    async def differences(self) -> list[Difference]:
        """Where a stored sum is not the sum."""
        ...

    async def lock_all(self) -> None:
        """Stop every ledger movement until the transaction ends."""
        ...

    async def mend(self) -> None:
        """Write the recomputed sums. Needs `lock_all`."""
        ...


class Session(Protocol):
    """One transaction."""

    @property
    def keys(self) -> KeyRows: ...
    @property
    def usage(self) -> UsageRows: ...
    @property
    def holds(self) -> HoldRows: ...
    @property
    def accounts(self) -> AccountRows: ...
    @property
    def wallets(self) -> WalletRows: ...
    @property
    def idempotency(self) -> IdempotencyRows: ...
    @property
    def doctor(self) -> DoctorRows: ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """What happens inside is undone if it raises; the transaction goes on."""
        ...


class Books(Protocol):
    """Opens sessions."""

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        """Commits when its block ends, rolls back when it raises."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Session]:
        """Reads that all see the same moment."""
        ...

    def lookup(self) -> AbstractAsyncContextManager[Session]:
        """Single statements, each by itself: cheaper than a snapshot."""
        ...
