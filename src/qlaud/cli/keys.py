"""`qlaud keys`: mint, list, show, cap, credit, rotate, revoke."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated

import typer

from qlaud.cli.desk import AccountOption, JsonOption, Seat, TestOption, at_desk, mode_of
from qlaud.cli.key_text import KeyAndShape, SecretAndShape, key_row, print_key, print_secret
from qlaud.cli.output import clean, print_json, print_table, tell
from qlaud.cli.reading import every_key, find_key, read_moment, read_usd, read_usd_above_zero
from qlaud.cli.shapes import Shape, key_shape
from qlaud.core.keys import CapPeriod, Key, KeyPolicy, OnCap, OnDisconnect, Scope
from qlaud.core.money import Micros
from qlaud.flows.keys import Secretive
from qlaud.ports_management import KeyFilter, Session

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
        int,
        typer.Option(
            "--anchor-day", min=1, max=31, help="When it starts: weekday (1 Monday) or day of month."
        ),
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
        typer.Option(
            "--model", help="A model it may use, or a prefix ending in `*`. Repeat for more. Default: all."
        ),
    ] = None,
    expires: Annotated[
        int | None,
        typer.Option("--expires", parser=read_moment, metavar="WHEN", help="When it ends: 2027-01-31."),
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

    def verb(session: Session, seat: Seat) -> Awaitable[Secretive]:
        scope: Scope = "admin" if admin else "standard"
        return seat.desk.keys.mint(session, seat.caller(), policy, scope=scope, mode=mode_of(test))

    print_secret(at_desk(lambda seat: _secretive(seat, verb), account), as_json)


@keys.command("list")
def listing(
    every: Annotated[bool, typer.Option("--all", help="Revoked keys too.")] = False,
    external_id: Annotated[
        str | None, typer.Option("--external-id", help="Only the keys of this customer of yours.")
    ] = None,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every key with its cap, what it has spent, holds and has left in the running period."""

    async def verb(seat: Seat) -> tuple[list[Key], list[Shape], int]:
        which = KeyFilter(
            seat.account_id, mode_of(test), external_id=external_id, revoked=None if every else False
        )
        found = await every_key(seat, which)
        return (
            found,
            [key_shape(key, seat.desk.settings.on_disconnect) for key in found],
            seat.desk.clock.now_ms(),
        )

    found, shapes, now_ms = at_desk(verb, account)
    if as_json:
        print_json({"keys": shapes, "has_more": False, "next_after": None})
    elif not found:
        tell("no keys; make one with: qlaud keys mint NAME --cap 5")
    else:
        print_table(
            ("name", "id", "scope", ">cap", ">spent", ">held", ">remaining", "state"),
            [key_row(key, now_ms) for key in found],
        )


@keys.command("show")
def show(key: KeyArgument, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """One key, with everything that is set on it."""
    print_key(at_desk(lambda seat: _found(seat, key), account), as_json)


@keys.command("cap")
def cap(
    key: KeyArgument,
    amount: Annotated[
        Micros | None, typer.Argument(parser=read_usd, metavar="[USD]", help="The new cap.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="No cap from now on.")] = False,
    period: Annotated[CapPeriod | None, typer.Option("--period", help="Change the period, too.")] = None,
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set another cap, or take it away. The next call obeys it."""
    if (amount is None) != none:
        raise typer.BadParameter("give either an amount or --none", param_hint="USD")

    async def verb(seat: Seat) -> KeyAndShape:
        found = await find_key(seat, key)

        def change(policy: KeyPolicy) -> KeyPolicy:
            return replace(policy, max_spend_micros=amount, cap_period=period or policy.cap_period)

        changed = await seat.desk.keys.change(seat.caller(), found.id, change)
        return changed, key_shape(changed, seat.desk.settings.on_disconnect)

    print_key(at_desk(verb, account), as_json)


@keys.command("credit")
def credit(
    key: KeyArgument,
    amount: Annotated[Micros, typer.Argument(parser=read_usd_above_zero, metavar="USD")],
    account: AccountOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a capped key spend more: for good, or in the running period if its cap has one."""

    async def verb(seat: Seat) -> KeyAndShape:
        found = await find_key(seat, key)
        async with seat.desk.books.transaction() as session:
            changed = await seat.desk.keys.credit(session, seat.caller(), found.id, amount)
        return changed, key_shape(changed, seat.desk.settings.on_disconnect)

    print_key(at_desk(verb, account), as_json)


@keys.command("rotate")
def rotate(key: KeyArgument, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """Give a key a new secret. The old one is dead at once; cap and usage stay."""

    async def verb(seat: Seat) -> SecretAndShape:
        found = await find_key(seat, key)
        return await _secretive(
            seat, lambda session, seat: seat.desk.keys.rotate(session, seat.caller(), found.id)
        )

    print_secret(at_desk(verb, account), as_json)


@keys.command("revoke")
def revoke(key: KeyArgument, account: AccountOption = None, as_json: JsonOption = False) -> None:
    """End a key for good. Its next call is refused."""

    async def verb(seat: Seat) -> Key:
        found = await find_key(seat, key)
        await seat.desk.keys.revoke(seat.caller(), found.id)
        return found

    found = at_desk(verb, account)
    if as_json:
        print_json({"ok": True, "id": found.id})
    else:
        typer.echo(f"revoked {clean(found.policy.name)} ({found.id})")


async def _secretive(seat: Seat, verb: Callable[[Session, Seat], Awaitable[Secretive]]) -> SecretAndShape:
    async with seat.desk.books.transaction() as session:
        made = await verb(session, seat)
    return made, key_shape(made.key, seat.desk.settings.on_disconnect, made.secret)


async def _found(seat: Seat, text: str) -> KeyAndShape:
    key = await find_key(seat, text)
    return key, key_shape(key, seat.desk.settings.on_disconnect)


def _models(models: list[str] | None) -> tuple[str, ...] | None:
    for model in models or ():
        if not model or "*" in model[:-1]:
            raise typer.BadParameter("`*` may only end a model's name", param_hint="--model")
    return tuple(models) if models else None


def _check_text(text: str, name: str, limit: int) -> None:
    if not 1 <= len(text) <= limit:
        raise typer.BadParameter(f"give 1 to {limit} characters", param_hint=name)
