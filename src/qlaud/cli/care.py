"""`qlaud doctor`, `qlaud migrate` and `qlaud accounts`: the care of a database."""

import asyncio
from typing import Annotated

import typer

from qlaud.app_database import apply_migrations, database, missing_migrations
from qlaud.cli.desk import Failed, JsonOption, Seat, at_desk, settings_here
from qlaud.cli.output import money, print_json, print_table, tell
from qlaud.core.ids import AccountId
from qlaud.ports_management import Difference

accounts = typer.Typer(no_args_is_help=True, help="Accounts: each has its own keys, usage and wallet.")


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Put every wrong sum right; calls wait meanwhile.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute every stored sum from its rows and compare. Exit code 1: one is wrong, and was not mended."""

    async def verb(seat: Seat) -> list[Difference]:
        return await (seat.desk.doctor.mend() if mend else seat.desk.doctor.examine())

    wrong = at_desk(verb)
    if as_json:
        print_json(
            {"fine": not wrong, "mended": mend and bool(wrong), "differences": [_shape(one) for one in wrong]}
        )
    elif not wrong:
        typer.echo("every sum is the sum of its rows")
    else:
        print_table(
            ("table", "id", "column", ">stored", ">recomputed"),
            [(one.table, one.id, one.column, money(one.stored), money(one.actual)) for one in wrong],
        )
        if mend:
            tell(
                f"{len(wrong)} sums were wrong and are mended; keep this output, it tells of a defect or of damage"
            )
        else:
            tell(
                f"{len(wrong)} sums are wrong; `qlaud doctor --mend` writes the recomputed ones, calls wait meanwhile"
            )
    if wrong and not mend:
        raise typer.Exit(1)


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if something is to be applied.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the database's schema up to this program, making the embedded database if there is none."""
    settings = settings_here()
    with database(settings, tell) as dsn:
        if check:
            applied, pending = (), asyncio.run(missing_migrations(dsn))
        else:
            applied, pending = asyncio.run(apply_migrations(dsn, tell)), ()
    if as_json:
        print_json({"applied": applied, "pending": pending})
    elif pending:
        typer.echo(f"to be applied: {', '.join(pending)}")
    else:
        typer.echo("the schema is that of this program")
    if pending:
        raise typer.Exit(1)


@accounts.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose account it is.")],
    email: Annotated[str | None, typer.Option("--email")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a further account with a master key of its own, which is printed now and never again."""
    if not name.strip():
        raise Failed("an account needs a name")

    async def verb(seat: Seat) -> tuple[AccountId, str]:
        return await seat.desk.accounts.create(name, email)

    account_id, secret = at_desk(verb)
    if as_json:
        print_json({"id": account_id, "name": name, "email": email, "secret": secret})
        return
    typer.echo(f"{name}  {account_id}")
    typer.echo(secret)
    tell("this is its master key; it is shown once, keep it")


def _shape(one: Difference) -> dict[str, object]:
    return {
        "table": one.table,
        "id": one.id,
        "column": one.column,
        "stored_micros": one.stored,
        "actual_micros": one.actual,
    }
