"""`qlaud holds`: what calls in flight have set aside, and the end of those that were lost."""

from typing import Annotated
from uuid import UUID

import typer

from qlaud.cli.desk import AccountOption, JsonOption, Seat, TestOption, at_desk, mode_of
from qlaud.cli.output import moment, money, print_json, print_table, tell
from qlaud.cli.reading import find_key, read_usd
from qlaud.cli.shapes import hold_shape
from qlaud.core.money import Micros
from qlaud.core.records import HoldRow
from qlaud.flows.holds import HoldFilter

holds = typer.Typer(no_args_is_help=True, help="Money set aside for calls in flight, and for lost ones.")

PAGE = 1000


@holds.command("list")
def listing(
    state: Annotated[str | None, typer.Option("--state", help="`held` or `lost`. Default: both.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="Only this key: id or unique name.")] = None,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every hold that is not settled, oldest first."""
    if state not in (None, "held", "lost"):
        raise typer.BadParameter("it is `held` or `lost`", param_hint="--state")

    async def verb(seat: Seat) -> list[HoldRow]:
        which = HoldFilter(state, None if key is None else (await find_key(seat, key)).id)
        return await _every(seat, test, which)

    found = at_desk(verb, account)
    if as_json:
        shapes = [hold_shape(hold) for hold in found]
        print_json({"object": "list", "data": shapes, "has_more": False, "next_after": None})
    elif not found:
        tell("no holds: nothing is in flight and nothing was lost")
    else:
        print_table(
            ("id", "key", "model", ">amount", "state", "since (UTC)", "renewed", "lost"),
            [_row(hold) for hold in found],
        )
        if any(hold.state == "lost" for hold in found):
            tell("a lost hold counts against its key until you end it: qlaud holds resolve ID USD")


@holds.command("resolve")
def resolve(
    hold_id: Annotated[UUID, typer.Argument(metavar="ID")],
    cost: Annotated[
        Micros,
        typer.Argument(parser=read_usd, metavar="USD", help="What the call cost, from 0 to the amount held."),
    ],
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a lost hold with what its call cost. It is billed as an estimate."""

    async def verb(seat: Seat) -> HoldRow:
        async with seat.desk.books.transaction() as session:
            return await seat.desk.holds.resolve(session, seat.caller(mode_of(test)), hold_id, cost)

    done = at_desk(verb, account)
    if as_json:
        print_json(hold_shape(done, cost))
    else:
        typer.echo(f"resolved {done.id}: {money(cost)} of {money(done.amount_micros)} held")


async def _every(seat: Seat, test: bool, which: HoldFilter) -> list[HoldRow]:
    found: list[HoldRow] = []
    after: tuple[int, UUID] | None = None
    while True:
        page = await seat.desk.holds.page(seat.caller(mode_of(test)), which, limit=PAGE, after=after)
        found += page.holds
        if page.after is None:
            return found
        after = page.after


def _row(hold: HoldRow) -> tuple[str, ...]:
    return (
        str(hold.id),
        str(hold.key_id),
        hold.model,
        money(hold.amount_micros),
        hold.state,
        moment(hold.created_at),
        moment(hold.renewed_at),
        moment(hold.lost_at),
    )
