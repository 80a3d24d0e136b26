"""`qlaud usage`: the bill of a window, as a table, JSON or CSV."""

from typing import Annotated, Any

import typer

from qlaud.cli.desk import AccountOption, JsonOption, Seat, TestOption, at_desk, mode_of
from qlaud.cli.output import NOTHING, count, day, moment, money, print_csv, print_json, print_table, tell, usd
from qlaud.cli.reading import find_key, read_moment
from qlaud.cli.shapes import Shape, group_shapes, measures, usage_shape
from qlaud.core.records import GroupBy, UsageFilter, UsageReport
from qlaud.flows.usage import Window

MEASURES = ("request_count", "input_tokens", "output_tokens", "avg_latency_ms", "cost_micros")
IDENTITIES: dict[GroupBy, tuple[str, ...]] = {
    "key": ("key_id", "key_name", "key_prefix"),
    "model": ("model_slug",),
    "day": ("day_ms",),
    "end_user": ("end_user_id",),
}
TITLES: dict[GroupBy, str] = {"key": "key", "model": "model", "day": "day (UTC)", "end_user": "end user"}


def usage(
    since: Annotated[
        int | None,
        typer.Option(
            "--from", parser=read_moment, metavar="WHEN", help="Default: the start of the month (UTC)."
        ),
    ] = None,
    until: Annotated[
        int | None,
        typer.Option("--to", parser=read_moment, metavar="WHEN", help="Exclusive. Default: now."),
    ] = None,
    by: Annotated[GroupBy, typer.Option("--by", help="What a line stands for.")] = "key",
    key: Annotated[str | None, typer.Option("--key", help="Only this key: id or unique name.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only this model.")] = None,
    end_user: Annotated[str | None, typer.Option("--end-user", help="Only this end user.")] = None,
    test: TestOption = False,
    account: AccountOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header line.")] = False,
) -> None:
    """What was used and what it cost. Dollars are micros / 1,000,000; every total is exact."""
    if as_json and as_csv:
        raise typer.BadParameter("give one of --json and --csv", param_hint="--csv")

    async def verb(seat: Seat) -> tuple[UsageFilter, UsageReport]:
        key_id = None if key is None else (await find_key(seat, key)).id
        window = Window(since, until, key_id=key_id, end_user_id=end_user, model=model)
        return await seat.desk.usage.report(seat.caller(mode_of(test)), window, by)

    which, report = at_desk(verb, account)
    groups = group_shapes(report, by)
    if as_json:
        print_json(usage_shape(which, report, by))
    elif as_csv:
        names = (*IDENTITIES[by], *MEASURES)
        print_csv(
            (*names, "cost_usd"),
            ([*(one[name] for name in names), usd(one["cost_micros"])] for one in groups),
        )
    else:
        tell(f"{moment(which.from_ms)} to {moment(which.to_ms)} (UTC)")
        print_table(
            (TITLES[by], ">requests", ">input tokens", ">output tokens", ">avg ms", ">cost"),
            [_row(_label(one, by), one) for one in groups],
            footer=_row("total", measures(report.total)),
        )


def _label(one: Shape, by: GroupBy) -> str:
    match by:
        case "key":
            return f"{one['key_name']}  {one['key_prefix']}"
        case "model":
            return one["model_slug"]
        case "day":
            return day(one["day_ms"])
        case "end_user":
            return one["end_user_id"] or NOTHING


def _row(label: str, sums: dict[str, Any]) -> tuple[str, ...]:
    return (
        label,
        count(sums["request_count"]),
        count(sums["input_tokens"]),
        count(sums["output_tokens"]),
        count(sums["avg_latency_ms"]),
        money(sums["cost_micros"]),
    )
