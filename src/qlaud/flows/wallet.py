"""Prepaid money: what is there, what moved it, and movements by hand.

A movement is named by its id: the same id moves money once.
"""

from dataclasses import dataclass

from qlaud.core.errors import NotFound
from qlaud.core.ids import AccountId
from qlaud.core.keys import Mode, Principal
from qlaud.core.money import Micros
from qlaud.core.records import Wallet, WalletEntry, WalletMode
from qlaud.ports import Clock
from qlaud.ports_management import Books


@dataclass(frozen=True, slots=True)
class EntryPlace:
    """Where a page of entries ended, and the balance before the entry there."""

    created_at: int
    id: str
    balance_micros: int


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries, newest first, each with the balance after it; `before` leads to older ones."""

    entries: tuple[tuple[WalletEntry, int], ...]
    before: EntryPlace | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What can be spent. The amounts are None where nothing bounds it."""

    balance_micros: int | None
    held_micros: int | None
    available_micros: int | None


UNBOUNDED = Balance(None, None, None)


class Wallets:
    """The verbs. `mode` says whether calls of this deployment draw on wallets."""

    def __init__(self, books: Books, clock: Clock, mode: WalletMode) -> None:
        self._books, self._clock = books, clock
        self.mode: WalletMode = mode

    async def get(self, caller: Principal) -> Wallet:
        """The caller's wallet."""
        async with self._books.lookup() as session:
            return await session.wallets.get(caller.account_id, caller.mode)

    async def balance(self, caller: Principal) -> Balance:
        """An admin key: the wallet. A standard key: what it can still spend, by its cap and by the wallet."""
        async with self._books.snapshot() as session:
            wallet = (
                await session.wallets.get(caller.account_id, caller.mode) if self.mode == "prepaid" else None
            )
            if caller.scope == "admin":
                if wallet is None:
                    return UNBOUNDED
                return Balance(wallet.balance_micros, wallet.held_micros, wallet.available_micros)
            key = await session.keys.get(caller.account_id, caller.key_id, self._clock.now_ms())
        if key is None:
            raise NotFound("this key is gone")  # nothing deletes keys
        bounds = [
            bound
            for bound in (key.remaining_micros, None if wallet is None else wallet.available_micros)
            if bound is not None
        ]
        if not bounds:
            return UNBOUNDED
        return Balance(min(bounds), key.balance.held_micros + key.balance.lost_micros, min(bounds))

    async def page(self, caller: Principal, *, limit: int, before: EntryPlace | None = None) -> EntryPage:
        """A page of entries. The balance is walked back from today's, so every page fits the next."""
        async with self._books.snapshot() as session:
            place = None if before is None else (before.created_at, before.id)
            rows = await session.wallets.entries(
                caller.account_id, caller.mode, limit=limit + 1, before=place
            )
            if before is None:
                balance: int = (await session.wallets.get(caller.account_id, caller.mode)).balance_micros
            else:
                balance = before.balance_micros
        entries: list[tuple[WalletEntry, int]] = []
        for entry in rows[:limit]:
            entries.append((entry, balance))
            balance -= entry.amount_micros
        last = rows[limit - 1] if len(rows) > limit else None
        return EntryPage(
            tuple(entries), None if last is None else EntryPlace(last.created_at, last.id, balance)
        )

    async def credit(
        self, account_id: AccountId, mode: Mode, amount_micros: Micros, *, note: str | None, entry_id: str
    ) -> bool:
        """Move money by hand; a negative amount takes it out. False: this `entry_id` has moved its money before.

        Raises NotFound for an unknown account.
        """
        entry = WalletEntry(entry_id, "adjustment", amount_micros, self._clock.now_ms())
        async with self._books.transaction() as session:
            if await session.accounts.get(account_id) is None:
                raise NotFound("no such account")
            return await session.wallets.credit(account_id, mode, entry, note)
