"""How words of the command line are read: amounts, moments, counts, and the key that is meant."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from uuid import UUID

import typer

from qlaud.cli.desk import Failed, Seat
from qlaud.core.clock import MS_PER_S
from qlaud.core.errors import InvalidAmount
from qlaud.core.ids import KeyId
from qlaud.core.keys import Key
from qlaud.core.money import Micros, micros_from_usd
from qlaud.ports_management import KeyFilter

PAGE = 1000
SHORTEST_PART = 4
"""Characters of an id that may stand for it."""


def read_usd(text: str) -> Micros:
    """Dollars, exact: `5`, `0.05`, `$5`. Raises BadParameter."""
    try:
        return micros_from_usd(Decimal(text.removeprefix("$")), field=text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not an amount in dollars, such as 5 or 0.05") from None
    except InvalidAmount as refusal:
        raise typer.BadParameter(refusal.message) from None


def read_usd_above_zero(text: str) -> Micros:
    """As `read_usd`; nothing is not enough."""
    amount = read_usd(text)
    if amount == 0:
        raise typer.BadParameter("the amount must be above 0")
    return amount


def read_moment(text: str) -> int:
    """Epoch milliseconds of `2026-05-04`, `2026-05-04T13:00` (UTC unless it says otherwise), or of themselves."""
    if text.isascii() and text.isdigit() and len(text) > len("20260504"):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; write 2026-05-04 or 2026-05-04T13:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * MS_PER_S


async def find_key(seat: Seat, text: str) -> Key:
    """The key with this id, name, external id or prefix, or whose id begins or ends so.

    Revoked keys are found by their full id, or when no living one is meant. Raises Failed, NotFound.
    """
    caller = seat.caller()
    key_id = _whole_id(text)
    if key_id is not None:
        return await seat.desk.keys.get(caller, key_id)
    found = [key for key in await every_key(seat, KeyFilter(seat.account_id, None)) if _is_meant(key, text)]
    found = [key for key in found if key.revoked_at is None] or found
    if not found:
        raise Failed(f"no key is called {text!r}; `qlaud keys list` shows them")
    if len(found) > 1:
        ids = ", ".join(str(key.id) for key in found[:5])
        raise Failed(f"{len(found)} keys are called {text!r}; give the id of one: {ids}")
    return found[0]


async def every_key(seat: Seat, which: KeyFilter) -> list[Key]:
    """Every key that is asked for, newest first."""
    keys: list[Key] = []
    after: KeyId | None = None
    while True:
        page = await seat.desk.keys.page(seat.caller(), which, limit=PAGE, after=after)
        keys += page.keys
        if page.after is None:
            return keys
        after = page.after


def _whole_id(text: str) -> KeyId | None:
    try:
        return KeyId(UUID(text))
    except ValueError:
        return None


def _is_meant(key: Key, text: str) -> bool:
    if text in (key.policy.name, key.policy.external_id, key.prefix):
        return True
    own = str(key.id)
    return len(text) >= SHORTEST_PART and (own.startswith(text) or own.endswith(text))
