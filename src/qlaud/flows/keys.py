"""The life of an API key: mint, list, change, credit, rotate, revoke.

Every verb is one transaction in which the key's row is locked before it is changed, the same lock under which the
ledger admits calls: a change acts on the next call, everywhere. `mint`, `credit` and `rotate` run inside the
transaction of the caller, so that a repeated request finds the first answer (`flows.idempotency`).

A test key sees and makes test keys only.
"""

from collections.abc import Callable
from dataclasses import dataclass

from qlaud.core.errors import BadRequest, KeyNotCapped, KeyRevoked, LastAdminKey, NotFound
from qlaud.core.ids import KeyId
from qlaud.core.keys import (
    SECRET_DICE_BYTES,
    Key,
    KeyBalance,
    KeyPolicy,
    Mode,
    Principal,
    Scope,
    display_prefix,
    make_secret,
    secret_digest,
)
from qlaud.core.money import Micros
from qlaud.ports import Clock, Ids
from qlaud.ports_management import Books, Dice, KeyFilter, NewKey, Session

LAST_WEEKDAY = 7
EMPTY_BALANCE = KeyBalance(Micros(0), Micros(0), Micros(0), Micros(0), Micros(0), 0, None)

Change = Callable[[KeyPolicy], KeyPolicy]


@dataclass(frozen=True, slots=True)
class Secretive:
    """A key and the secret it was just given; the secret is not kept anywhere."""

    key: Key
    secret: str


@dataclass(frozen=True, slots=True)
class KeyPage:
    """A part of a list; `after` is where the next part begins, None at the end."""

    keys: tuple[Key, ...]
    after: KeyId | None


class Keys:
    """The verbs."""

    def __init__(self, books: Books, clock: Clock, ids: Ids, dice: Dice) -> None:
        self._books, self._clock, self._ids, self._dice = books, clock, ids, dice

    async def mint(
        self, session: Session, caller: Principal, policy: KeyPolicy, *, scope: Scope, mode: Mode | None
    ) -> Secretive:
        """A new key of the caller's account, in the caller's mode unless `mode` says otherwise. Raises BadRequest."""
        mode = mode or caller.mode
        if caller.mode == "test" and mode != "test":
            raise BadRequest("a test key can mint test keys only", param="mode")
        check_policy(policy)
        at_ms = self._clock.now_ms()
        secret = make_secret(mode, self._dice(SECRET_DICE_BYTES))
        key = Key(
            id=KeyId(self._ids.uuid(at_ms)),
            account_id=caller.account_id,
            prefix=display_prefix(secret),
            scope=scope,
            mode=mode,
            policy=policy,
            balance=EMPTY_BALANCE,
            created_at=at_ms,
            last_used_at=None,
            revoked_at=None,
        )
        await session.keys.insert(NewKey(key, secret_digest(secret)))
        return Secretive(await self._reread(session, key, at_ms), secret)

    async def get(self, caller: Principal, key_id: KeyId) -> Key:
        """The key with its running balance. Raises NotFound."""
        async with self._books.lookup() as session:
            return visible(caller, await session.keys.get(caller.account_id, key_id, self._clock.now_ms()))

    async def page(
        self, caller: Principal, which: KeyFilter, *, limit: int, after: KeyId | None = None
    ) -> KeyPage:
        """Newest first. Raises BadRequest when a test key asks for other than test keys."""
        if caller.mode == "test" and which.mode != "test":
            raise BadRequest("a test key sees test keys only", param="mode")
        async with self._books.lookup() as session:
            keys = await session.keys.listing(which, self._clock.now_ms(), limit=limit + 1, after=after)
        more = len(keys) > limit
        return KeyPage(tuple(keys[:limit]), keys[limit - 1].id if more else None)

    async def change(self, caller: Principal, key_id: KeyId, change: Change) -> Key:
        """The key under the policy that `change` makes of its present one.

        A change of the period counts the balance of the new period from the rows. Raises NotFound, KeyRevoked.
        """
        at_ms = self._clock.now_ms()
        async with self._books.transaction() as session:
            key = await self._locked(session, caller, key_id, at_ms)
            policy = change(key.policy)
            check_policy(policy)
            new_period = (policy.cap_period, policy.cap_anchor_day) != (
                key.policy.cap_period,
                key.policy.cap_anchor_day,
            )
            await session.keys.put_policy(key.id, policy, at_ms, new_period=new_period)
            return await self._reread(session, key, at_ms)

    async def credit(self, session: Session, caller: Principal, key_id: KeyId, amount_micros: Micros) -> Key:
        """The key with `amount_micros` more allowance: for good, or in the running period if the cap has one.

        Raises NotFound, KeyRevoked, KeyNotCapped.
        """
        at_ms = self._clock.now_ms()
        key = await self._locked(session, caller, key_id, at_ms)
        if key.policy.max_spend_micros is None:
            raise KeyNotCapped
        await session.keys.add_credit(key.id, self._ids.uuid(at_ms), amount_micros, at_ms)
        return await self._reread(session, key, at_ms)

    async def rotate(self, session: Session, caller: Principal, key_id: KeyId) -> Secretive:
        """The key with a new secret; the old one is unknown from now on. Raises NotFound, KeyRevoked."""
        at_ms = self._clock.now_ms()
        key = await self._locked(session, caller, key_id, at_ms)
        secret = make_secret(key.mode, self._dice(SECRET_DICE_BYTES))
        await session.keys.put_secret(key.id, secret_digest(secret), display_prefix(secret))
        return Secretive(await self._reread(session, key, at_ms), secret)

    async def revoke(self, caller: Principal, key_id: KeyId) -> None:
        """The key is revoked, whether or not it was before. Raises NotFound, LastAdminKey."""
        at_ms = self._clock.now_ms()
        async with self._books.transaction() as session:
            await session.keys.lock_admins(caller.account_id)
            key = visible(caller, await session.keys.lock(caller.account_id, key_id, at_ms))
            if key.revoked_at is not None:
                return
            if key.scope == "admin" and key.mode == "live":
                others = await session.keys.count_live_admins(caller.account_id, at_ms)
                if others - _is_live(key, at_ms) < 1:
                    raise LastAdminKey
            await session.keys.revoke(key.id, at_ms)

    async def _locked(self, session: Session, caller: Principal, key_id: KeyId, at_ms: int) -> Key:
        key = visible(caller, await session.keys.lock(caller.account_id, key_id, at_ms))
        if key.revoked_at is not None:
            raise KeyRevoked
        return key

    async def _reread(self, session: Session, key: Key, at_ms: int) -> Key:
        found = await session.keys.get(key.account_id, key.id, at_ms)
        if found is None:
            raise NotFound("this key is gone")  # nothing deletes keys
        return found


def visible(caller: Principal, key: Key | None) -> Key:
    """The key if the caller may see it. Raises NotFound: a live key does not exist for a test key."""
    if key is None or (caller.mode == "test" and key.mode != "test"):
        raise NotFound("no such key")
    return key


def check_policy(policy: KeyPolicy) -> None:
    """Raises BadRequest where two fields do not fit together."""
    if policy.cap_period == "week" and policy.cap_anchor_day > LAST_WEEKDAY:
        raise BadRequest(
            "cap_anchor_day is a weekday for cap_period `week`: 1 (Monday) to 7", param="cap_anchor_day"
        )


def _is_live(key: Key, at_ms: int) -> bool:
    return key.policy.expires_at is None or key.policy.expires_at > at_ms
