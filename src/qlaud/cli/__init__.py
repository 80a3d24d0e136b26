"""The `qlaud` program: each noun has its file, this one joins them.

Commands work on the database, through the verbs of `flows` and as the operator. What they were asked for goes to
standard output, everything else to standard error.
"""

import importlib.util
import os
from dataclasses import replace
from typing import Annotated, Any

import typer

from qlaud import __version__
from qlaud.app import SHELF_FAILED
from qlaud.cli.care import accounts, doctor, migrate
from qlaud.cli.desk import Failed, JsonOption, settings_here
from qlaud.cli.holds import holds
from qlaud.cli.keys import keys
from qlaud.cli.output import print_json
from qlaud.cli.running import become, run_program
from qlaud.cli.serving import CannotServe, end_with, serve, serve_as_worker
from qlaud.cli.usage import usage
from qlaud.cli.wallet import wallet

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A gateway for AI apps: a key per end user, with a spending cap that holds.",
)

PASSED_ON: dict[str, Any] = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}
DEMO_SDKS = ("anthropic", "openai")


@app.command("serve")
def serve_command(
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 1,
    host: Annotated[str | None, typer.Option("--host", help="Instead of QLAUD_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Instead of QLAUD_PORT; 0 takes a free one."),
    ] = None,
    life_fd: Annotated[int | None, typer.Option("--life-fd", hidden=True)] = None,
) -> None:
    """Serve the gateway until Ctrl-C. Running calls may end within QLAUD_SHUTDOWN_GRACE_S."""
    settings = settings_here()
    if host is not None:
        settings = replace(settings, host=host)
    if port is not None:
        settings = replace(settings, port=port)
    if life_fd is not None:
        end_with(life_fd)
    serve(settings, os.environ, workers=workers, say=say)


@app.command("worker", hidden=True)
def worker_command(listening_fd: int, life_fd: int, news_fd: int) -> None:
    """One worker of `serve --workers N`; started by it alone."""
    serve_as_worker(settings_here(), os.environ, (listening_fd, life_fd, news_fd))


@app.command("demo", context_settings=PASSED_ON)
def demo_command(context: typer.Context) -> None:
    """A gateway with a simulated provider, and a tour of it with the vendors' own SDKs."""
    missing = [name for name in DEMO_SDKS if importlib.util.find_spec(name) is None]
    if missing:
        raise Failed(f"the tour calls with the vendors' own SDKs; run: pip install {' '.join(missing)}")
    become("qlaud.demo", context.args)


@app.command("prices", context_settings=PASSED_ON)
def prices_command(context: typer.Context) -> None:
    """Prices of models: `show MODEL`, and `check` for age, gaps and disagreement."""
    become("qlaud.cli.prices", context.args)


app.command("usage")(usage)
app.command("doctor")(doctor)
app.command("migrate")(migrate)
app.add_typer(keys, name="keys")
app.add_typer(holds, name="holds")
app.add_typer(wallet, name="wallet")
app.add_typer(accounts, name="accounts")


@app.command("version")
def version_command(as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        typer.echo(__version__)


def say(text: str) -> None:
    """A line for whoever watches the server, at once."""
    print(text, flush=True)


def main() -> None:
    """Run the program."""
    run_program(app, "qlaud", (CannotServe, *SHELF_FAILED))
