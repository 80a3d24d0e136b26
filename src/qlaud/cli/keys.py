"""`qlaud keys`: mint, list, show, cap, credit, rotate, revoke."""

from dataclasses import replace
from typing import Annotated

import typer

from qlaud.cli.desk import AccountOption, Failed, JsonOption, Seat, TestOption, at_desk, mode_of
from qlaud.cli.output import clean, money, moment, print_json, print_table, tell
from qlaud.cli.reading import every_key, find_key, read_moment, read_usd, read_usd_above_zero
from qlaud.cli.shapes import Shape, key_shape
from qlaud.core.keys import CapPeriod, Key, KeyPolicy, OnCap, OnDisconnect
from qlaud.core.money import Micros
from qlaud.flows.keys import Secretive

keys = typer.Typer(no_args_is_help=True, help="API keys: one per end user, with its own cap.")

COUNT_LIMIT = 2**31 - 1
NAME_CHARACTERS, EXTERNAL_ID_CHARACTERS = 200, 256

KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="Id, unique name, or the beginning or end of the id.")
]


@keys.command("mint")
def mint(
    name: Annotated[str, typer.Argument(help="A label, such as your user's id.")],
    cap: Annotated[
        Micros | None, typer.Option("--cap", parser=read_usd, metavar="USD", help="Most it may spend.")
    ] = None,
    period: Annotated[
        CapPeriod, typer.Option("--period", help="The cap is for good, or starts anew each period (UTC).")
    ] = "lifetime",
    anchor_day: Annotated[
        int, typer.Option("--anchor-day", min=1, max=31, help="When it starts: weekday (1 Monday) or day of month.")
    ] = 1,
    on_cap: Annotated[
        OnCap, typer.Option("--on-cap", help="Shorten a call that may not fit, or refuse it.")
    ] = "clamp",
    on_disconnect: Annotated[
        OnDisconnect | None, typer.Option("--on-disconnect", help="When the caller hangs up.")
    ] = None,
    rpm: Annotated[
        int | None, typer.Option("--rpm", min=1, max=COUNT_LIMIT, help="Most model calls a minute.")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", min=1, max=COUNT_LIMIT, help="Most model calls at once.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A model it may use, or a prefix ending in `*`. Repeat for more. Default: all."),
    ] = None,
    expires: Annotated[
        int | None, typer.Option("--expires", parser=read_moment, metavar="WHEN", help="When it ends, such as 2027-01-31.")
    ] = None,
    external_id: Annotated[
        str | None, typer.Option("--external-id", help="Your own id of the customer.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="A master key instead of a user's key.")] = False,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. Its secret is printed now and never again."""
    _check_text(name, "NAME", NAME_CHARACTERS)
    if external_id is not None:
        _check_text(external_id, "--external-id", EXTERNAL_ID_CHARACTERS)
    policy = KeyPolicy(
        name=name,
        max_spend_micros=cap,
        cap_period=period,
        cap_anchor_day=anchor_day,
        on_cap=on_cap,
        on_disconnect=on_disconnect,
        rpm_limit=rpm,
        max_parallel=parallel,
        allowed_models=_models(model),
        expires_at=expires,
        external_id=external_id,
    )

    async def verb(seat: Seat) -> tuple[Secretive, Shape]:
        desk = seat.desk
        async with desk.once.transaction() as session:
            made = await desk.keys.mint(
                session,
                seat.caller(),
                policy,
                scope="admin" if admin else "standard",
                mode=mode_of(test),
            )
        return made, key_shape(made.key, desk.settings.on_disconnect, made.secret)

    _print_secret(*at_desk(verb, account), as_json=as_json)
