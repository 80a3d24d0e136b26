"""`qlaud wallet`: the account's prepaid money, and moving it by hand."""

from typing import Annotated
from uuid import UUID

import typer

from qlaud.cli.desk import AccountOption, JsonOption, Seat, TestOption, at_desk, mode_of
from qlaud.cli.output import moment, money, print_json, print_table, tell
from qlaud.cli.reading import read_usd_above_zero
from qlaud.core.money import Micros
from qlaud.core.records import Wallet
from qlaud.flows.wallet import EntryPage

wallet = typer.Typer(no_args_is_help=True, help="Prepaid money of the account.")

ENTRY_ID_CHARACTERS = 200

AmountArgument = Annotated[Micros, typer.Argument(parser=read_usd_above_zero, metavar="USD")]
NoteOption = Annotated[str | None, typer.Option("--note", help="Why, for the record.")]
IdOption = Annotated[
    str | None, typer.Option("--id", help="Names the movement: the same id moves money once.")
]


@wallet.command("show")
def show(
    limit: Annotated[int, typer.Option("--limit", min=0, max=1000, help="How many movements to show.")] = 10,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """What is there, what calls in flight hold, and the last movements."""

    async def verb(seat: Seat) -> tuple[Wallet, EntryPage, str]:
        caller = seat.caller(mode_of(test))
        wallets = seat.desk.wallets
        found = await wallets.get(caller)
        page = await wallets.page(caller, limit=limit) if limit else EntryPage((), None)
        return found, page, wallets.mode

    found, page, setting = at_desk(verb, account)
    if as_json:
        print_json(_shape(found, page, setting))
        return
    if setting == "off":
        tell("QLAUD_WALLET is off: calls do not draw on this wallet")
    print_table(
        ("", ">"),
        [
            ("balance", money(found.balance_micros)),
            ("held", money(found.held_micros)),
            ("available", money(found.available_micros)),
        ],
    )
    if page.entries:
        print_table(
            ("when (UTC)", "what", ">amount", ">balance", "id"),
            [
                (moment(entry.created_at), entry.type, money(entry.amount_micros), money(balance), entry.id)
                for entry, balance in page.entries
            ],
        )


@wallet.command("credit")
def credit(
    amount: AmountArgument,
    note: NoteOption = None,
    entry_id: IdOption = None,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put money in."""
    _move(amount, note, entry_id, (test, account), as_json)


@wallet.command("debit")
def debit(
    amount: AmountArgument,
    note: NoteOption = None,
    entry_id: IdOption = None,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take money out. The balance may go below zero: then nothing is admitted until money comes in."""
    _move(Micros(-amount), note, entry_id, (test, account), as_json)


def _move(
    amount: Micros, note: str | None, entry_id: str | None, at: tuple[bool, UUID | None], as_json: bool
) -> None:
    test, account = at
    if entry_id is not None and not 1 <= len(entry_id) <= ENTRY_ID_CHARACTERS:
        raise typer.BadParameter(f"give 1 to {ENTRY_ID_CHARACTERS} characters", param_hint="--id")

    async def verb(seat: Seat) -> tuple[str, bool, Wallet]:
        desk = seat.desk
        name = entry_id or f"adj_{desk.ids.uuid(desk.clock.now_ms()).hex}"
        moved = await desk.wallets.credit(seat.account_id, mode_of(test), amount, note=note, entry_id=name)
        return name, moved, await desk.wallets.get(seat.caller(mode_of(test)))

    name, moved, found = at_desk(verb, account)
    if as_json:
        print_json({"id": name, "moved": moved, "amount_micros": amount if moved else 0, **_amounts(found)})
    elif moved:
        typer.echo(f"{name}: {money(amount)}; the balance is {money(found.balance_micros)}")
    else:
        typer.echo(
            f"{name} has moved its money before; nothing was done, the balance is {money(found.balance_micros)}"
        )


def _shape(found: Wallet, page: EntryPage, setting: str) -> dict[str, object]:
    return {
        "object": "wallet",
        "mode": found.mode,
        "setting": setting,
        **_amounts(found),
        "entries": [
            {
                "id": entry.id,
                "type": entry.type,
                "amount_micros": entry.amount_micros,
                "balance_after_micros": balance,
                "created_at": entry.created_at,
            }
            for entry, balance in page.entries
        ],
    }


def _amounts(found: Wallet) -> dict[str, object]:
    return {
        "balance_micros": found.balance_micros,
        "held_micros": found.held_micros,
        "available_micros": found.available_micros,
    }
