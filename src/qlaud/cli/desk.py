"""What every command of an operator needs: settings, the verbs over the database, and whom it acts for.

Commands work on the database itself, so they need no key and no running gateway; with the embedded database they
share the server of a gateway that runs, and start one for as long as they take when none does.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from qlaud.app import Desk, open_desk
from qlaud.app_database import database, require_database
from qlaud.cli.output import tell
from qlaud.config import BadSetting, Settings, load_settings
from qlaud.core.errors import QlaudError
from qlaud.core.ids import AccountId
from qlaud.core.keys import Mode, Principal, operator
from qlaud.flows.accounts import FirstStart

T = TypeVar("T")

CONFIG_VARIABLE, CONFIG_DEFAULT = "QLAUD_CONFIG", "qlaud.toml"

AccountOption = Annotated[
    UUID | None, typer.Option("--account", help="Id of the account; the owner's by default.")
]
TestOption = Annotated[bool, typer.Option("--test", help="Test keys and test money instead of live.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


class Failed(Exception):
    """The command did not do what it was asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A place at the desk, for one account."""

    desk: Desk
    account_id: AccountId

    def caller(self, mode: Mode = "live") -> Principal:
        """The operator, for live or for test money."""
        return operator(self.account_id, mode)


def mode_of(test: bool) -> Mode:
    """What `--test` means."""
    return "test" if test else "live"


def settings_here() -> Settings:
    """Settings of this call: `QLAUD_CONFIG` (default ./qlaud.toml) and the environment. Raises BadSetting."""
    named = os.environ.get(CONFIG_VARIABLE)
    file = Path(named or CONFIG_DEFAULT)
    if named and not file.exists():
        raise BadSetting(f"{CONFIG_VARIABLE} names {file}, which does not exist")
    return load_settings(os.environ, file)


def at_desk(verb: Callable[[Seat], Awaitable[T]], account: UUID | None = None) -> T:
    """What `verb` returns for the account, the owner's by default. Raises what went wrong, told in a sentence."""
    settings = settings_here()
    require_database(settings)
    with database(settings, tell) as dsn:
        return asyncio.run(_seated(settings, dsn, verb, account))


async def _seated(
    settings: Settings, dsn: str, verb: Callable[[Seat], Awaitable[T]], account: UUID | None
) -> T:
    async with open_desk(settings, say=tell, dsn=dsn) as desk:
        first = await desk.accounts.ensure_owner(settings.master_key or None)
        announce(first, tell)
        account_id = first.account_id if account is None else AccountId(account)
        seat = Seat(desk, account_id)
        try:
            await desk.accounts.get(seat.caller())
        except QlaudError:
            raise Failed(f"there is no account {account_id}") from None
        return await verb(seat)


def announce(first: FirstStart, say: Callable[[str], None]) -> None:
    """Tell what the first start made; the key is shown this once."""
    if first.step == "made" and first.secret is not None:
        say(f"master key (shown once, keep it): {first.secret}")
    elif first.step == "installed":
        say("QLAUD_MASTER_KEY was installed as a master key")
    elif first.step == "unusable":
        say("QLAUD_MASTER_KEY is known but revoked, expired or not a master key: it opens nothing")
