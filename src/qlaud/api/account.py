"""The endpoints of account, balance and wallet (contract, section 19)."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from qlaud.api.answers import answer, respond
from qlaud.api.cursors import Amount, Moment, Name, read_cursor, write_cursor
from qlaud.api.principal import Door
from qlaud.api.requests import query_limit
from qlaud.api.shapes import Micros, Millis, Usd, to_usd
from qlaud.flows.accounts import Accounts
from qlaud.flows.wallet import EntryPlace, Wallets

LIST_DEFAULT = 100
LIST_LIMIT = 1000
EntryCursor = tuple[Moment, Name, Amount]


class AccountOut(Struct):
    """Whose key this is. The last three are null for standard keys."""

    user_id: UUID
    email: str | None
    first_name: str | None
    last_name: str | None


class BalanceOut(Struct):
    """What can be spent; null where nothing bounds it."""

    balance_usd: Usd | None
    balance_micros: Micros | None
    held_micros: Micros | None
    available_micros: Micros | None
    wallet: Literal["off", "prepaid"]
    scope: Literal["account", "key"]


class WalletOut(Struct, rename={"object_": "object"}):
    """The account's prepaid money in one mode."""

    object_: Literal["wallet"]
    mode: Literal["live", "test"]
    balance_micros: Micros
    held_micros: Micros
    available_micros: Micros
    low_balance_micros: Micros


class EntryOut(Struct):
    """One movement of a wallet."""

    id: str
    type: Literal["topup", "usage", "refund", "adjustment"]
    amount_micros: Micros
    balance_after_micros: Micros
    created_at: Millis


class EntryListOut(Struct, rename={"object_": "object"}):
    """A page of movements, newest first."""

    object_: Literal["list"]
    data: list[EntryOut]
    has_more: bool
    next_before: str | None


class AccountEndpoints:
    """`low_balance_micros` is the setting that warns."""

    def __init__(self, door: Door, accounts: Accounts, wallets: Wallets, *, low_balance_micros: int) -> None:
        self._door, self._accounts, self._wallets = door, accounts, wallets
        self._low_balance_micros = low_balance_micros

    async def account(self, request: Request) -> Response:
        """GET /v1/account"""
        caller = await self._door.anyone(request)
        if caller.scope != "admin":
            return respond(answer(AccountOut(caller.account_id, None, None, None)))
        account = await self._accounts.get(caller)
        first, _, last = account.name.partition(" ")
        return respond(answer(AccountOut(account.id, account.email, first or None, last or None)))

    async def balance(self, request: Request) -> Response:
        """GET /v1/billing/balance"""
        caller = await self._door.anyone(request)
        found = await self._wallets.balance(caller)
        shape = BalanceOut(
            None if found.balance_micros is None else to_usd(found.balance_micros),
            found.balance_micros,
            found.held_micros,
            found.available_micros,
            self._wallets.mode,
            "account" if caller.scope == "admin" else "key",
        )
        return respond(answer(shape))

    async def wallet(self, request: Request) -> Response:
        """GET /v1/wallet"""
        found = await self._wallets.get(await self._door.admin(request))
        shape = WalletOut(
            "wallet",
            found.mode,
            found.balance_micros,
            found.held_micros,
            found.available_micros,
            self._low_balance_micros,
        )
        return respond(answer(shape))

    async def entries(self, request: Request) -> Response:
        """GET /v1/wallet/entries"""
        caller = await self._door.admin(request)
        limit = query_limit(request, default=LIST_DEFAULT, maximum=LIST_LIMIT)
        place = read_cursor(request, "before", EntryCursor)
        found = await self._wallets.page(
            caller, limit=limit, before=None if place is None else EntryPlace(*place)
        )
        after = found.before
        before = None if after is None else write_cursor((after.created_at, after.id, after.balance_micros))
        data = [
            EntryOut(entry.id, entry.type, entry.amount_micros, balance, entry.created_at)
            for entry, balance in found.entries
        ]
        return respond(answer(EntryListOut("list", data, before is not None, before)))
