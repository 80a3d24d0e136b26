"""Accounts: the owner's at the first start, more of them by hand.

Any number of gateways may start at once on an empty database: one of them makes the owner, the others find it.
"""

from dataclasses import dataclass
from typing import Literal

from qlaud.core.errors import NotFound
from qlaud.core.ids import AccountId, KeyId
from qlaud.core.keys import (
    SECRET_DICE_BYTES,
    Key,
    KeyPolicy,
    Principal,
    display_prefix,
    is_secret,
    make_secret,
    mode_of,
    secret_digest,
)
from qlaud.core.records import Account
from qlaud.flows.keys import EMPTY_BALANCE
from qlaud.ports import Clock, Ids
from qlaud.ports_management import Books, Dice, NewKey, Session

OWNER_NAME = "owner"
MASTER_NAME = "master"
INSTALLED_NAME = "master (QLAUD_MASTER_KEY)"

Step = Literal["made", "found", "installed", "unusable"]


class MasterKeyRefused(Exception):
    """QLAUD_MASTER_KEY does not have the form of a live key. The message does not hold it."""

    def __init__(self) -> None:
        super().__init__(
            "QLAUD_MASTER_KEY must be `qlk_live_` and 64 lower-case hex digits; "
            "make one with: echo qlk_live_$(openssl rand -hex 32)"
        )


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What `ensure_owner` did.

    `made`: the owner account and its master key. `found`: nothing, all was there. `installed`: the given key as a
    further master key. `unusable`: nothing, but the given key is known and revoked, expired or not a master key.
    """

    account_id: AccountId
    step: Step
    secret: str | None = None
    """Of a key that was rolled here; shown once. None for a key the operator gave."""


class Accounts:
    """The verbs."""

    def __init__(self, books: Books, clock: Clock, ids: Ids, dice: Dice) -> None:
        self._books, self._clock, self._ids, self._dice = books, clock, ids, dice

    async def ensure_owner(self, master_key: str | None = None) -> FirstStart:
        """There is an owner account, and `master_key`, if given, is one of its master keys. Safe to repeat.

        Raises MasterKeyRefused, StoreUnavailable.
        """
        if master_key is not None and not (is_secret(master_key) and mode_of(master_key) == "live"):
            raise MasterKeyRefused
        async with self._books.transaction() as session:
            await session.accounts.lock_first_start()
            owner = await session.accounts.owner()
            if owner is None:
                account_id, secret = await self._make(session, OWNER_NAME, None, master_key)
                return FirstStart(account_id, "made", None if master_key else secret)
            if master_key is None:
                return FirstStart(owner.id, "found")
            return FirstStart(owner.id, await self._install(session, owner.id, master_key))

    async def create(self, name: str, email: str | None) -> tuple[AccountId, str]:
        """A further account; its id and the secret of its first master key, which is shown once."""
        async with self._books.transaction() as session:
            return await self._make(session, name, email, None)

    async def get(self, caller: Principal) -> Account:
        """The caller's account."""
        async with self._books.lookup() as session:
            account = await session.accounts.get(caller.account_id)
        if account is None:
            raise NotFound("this account is gone")  # nothing deletes accounts
        return account

    async def _make(
        self, session: Session, name: str, email: str | None, secret: str | None
    ) -> tuple[AccountId, str]:
        at_ms = self._clock.now_ms()
        account = Account(AccountId(self._ids.uuid(at_ms)), name, email)
        secret = secret or make_secret("live", self._dice(SECRET_DICE_BYTES))
        await session.accounts.insert(account, at_ms)
        await session.keys.insert(self._master(account.id, MASTER_NAME, secret))
        return account.id, secret

    async def _install(self, session: Session, account_id: AccountId, secret: str) -> Step:
        known = await session.keys.find_credential(secret_digest(secret))
        if known is None:
            await session.keys.insert(self._master(account_id, INSTALLED_NAME, secret))
            return "installed"
        dead = known.revoked_at is not None or (
            known.expires_at is not None and known.expires_at <= self._clock.now_ms()
        )
        return "unusable" if dead or known.principal.scope != "admin" else "found"

    def _master(self, account_id: AccountId, name: str, secret: str) -> NewKey:
        at_ms = self._clock.now_ms()
        key = Key(
            id=KeyId(self._ids.uuid(at_ms)),
            account_id=account_id,
            prefix=display_prefix(secret),
            scope="admin",
            mode="live",
            policy=KeyPolicy(name=name),
            balance=EMPTY_BALANCE,
            created_at=at_ms,
            last_used_at=None,
            revoked_at=None,
        )
        return NewKey(key, secret_digest(secret))
