"""API keys: the material, the policy, and what a key may still spend.

A secret is `qlk_live_` or `qlk_test_` and 64 lower-case hex digits. It is shown once; only its SHA-256 is kept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal
from uuid import UUID

from qlaud.core.ids import AccountId, KeyId
from qlaud.core.money import Micros

Mode = Literal["live", "test"]
Scope = Literal["standard", "admin"]
CapPeriod = Literal["lifetime", "day", "week", "month"]
OnCap = Literal["clamp", "refuse"]
OnDisconnect = Literal["drain", "cancel"]

SECRET_DICE_BYTES = 32
SECRET_PATTERN = re.compile(r"qlk_(live|test)_[0-9a-f]{64}")


def make_secret(mode: Mode, dice: bytes) -> str:
    """A new secret from 32 random bytes."""
    return f"qlk_{mode}_{dice[:SECRET_DICE_BYTES].hex()}"


def is_secret(text: str) -> bool:
    """Whether `text` has the form of a secret."""
    return SECRET_PATTERN.fullmatch(text) is not None


def secret_digest(secret: str | bytes) -> bytes:
    """What is stored of a secret: its SHA-256."""
    return sha256(secret if isinstance(secret, bytes) else secret.encode()).digest()


def display_prefix(secret: str) -> str:
    """`qlk_live_9f3c…02ab`: enough to recognise a key, useless to a thief."""
    return f"{secret[:13]}…{secret[-4:]}"


def mode_of(secret: str) -> Mode:
    """The mode a secret was minted in; it is part of the secret, so no look-up is needed."""
    return "test" if secret.startswith("qlk_test_") else "live"


def allows(allowed: Sequence[str] | None, model: str) -> bool:
    """Whether a key with these `allowed_models` may use a model: by its slug, or by a beginning with `*`."""
    if allowed is None:
        return True
    return any(model == name or (name.endswith("*") and model.startswith(name[:-1])) for name in allowed)


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What an operator sets on a key. None means: no such limit."""

    name: str
    max_spend_micros: Micros | None = None
    cap_period: CapPeriod = "lifetime"
    cap_anchor_day: int = 1
    on_cap: OnCap = "clamp"
    on_disconnect: OnDisconnect | None = None
    rpm_limit: int | None = None
    max_parallel: int | None = None
    allowed_models: tuple[str, ...] | None = None
    expires_at: int | None = None
    external_id: str | None = None
    metadata: str | None = None
    """A JSON object, as text, kept verbatim."""


@dataclass(frozen=True, slots=True)
class KeyBalance:
    """The running period of a key. `period_start` and `period_end` are 0 and None for a lifetime cap."""

    credit_micros: Micros
    posted_micros: Micros
    held_micros: Micros
    lost_micros: Micros
    lifetime_micros: Micros
    period_start: int
    period_end: int | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its account sees it; the secret is not part of it."""

    id: KeyId
    account_id: AccountId
    prefix: str
    scope: Scope
    mode: Mode
    policy: KeyPolicy
    balance: KeyBalance
    created_at: int
    last_used_at: int | None
    revoked_at: int | None

    @property
    def allowance_micros(self) -> Micros | None:
        """Cap plus credit, or None without a cap."""
        if self.policy.max_spend_micros is None:
            return None
        return Micros(self.policy.max_spend_micros + self.balance.credit_micros)

    @property
    def remaining_micros(self) -> Micros | None:
        """What no call holds and nothing has spent; never below 0; None without a cap."""
        allowance = self.allowance_micros
        if allowance is None:
            return None
        taken = self.balance.posted_micros + self.balance.held_micros + self.balance.lost_micros
        return Micros(max(0, allowance - taken))


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: read from the database for this very request, never from a cache."""

    key_id: KeyId
    account_id: AccountId
    scope: Scope
    mode: Mode


NO_KEY = KeyId(UUID(int=0))
"""Stands where an operator acts, who needs no key."""


def operator(account_id: AccountId, mode: Mode) -> Principal:
    """Whoever can reach the database: an admin of the account."""
    return Principal(NO_KEY, account_id, "admin", mode)
