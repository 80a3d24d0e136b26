"""The `qlaud` program. Each noun has its file; this one joins them and turns errors into exit codes.

Exit codes: 0 done, 1 failed (the message says what to do), 2 wrong usage.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qlaud import __version__
from qlaud.cli.serving import CannotServe, serve, serve_as_worker
from qlaud.config import BadSetting, Settings, load_settings
from qlaud.core.errors import QlaudError
from qlaud.flows.accounts import MasterKeyRefused
from qlaud.store.embedded import EmbeddedPostgresFailed
from qlaud.store.migrate import MigrationRefused
from qlaud.store.pool import DatabaseUnusable

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

TOLD = (
    CannotServe,
    BadSetting,
    QlaudError,
    MasterKeyRefused,
    EmbeddedPostgresFailed,
    MigrationRefused,
    DatabaseUnusable,
)
"""What can go wrong and says itself what to do."""


def settings_here() -> Settings:
    """Settings of this call: `QLAUD_CONFIG` (default ./qlaud.toml) and the environment."""
    return load_settings(os.environ, Path(os.environ.get("QLAUD_CONFIG", "qlaud.toml")))


def say(text: str) -> None:
    """A line for the operator, at once."""
    typer.echo(text)
    sys.stdout.flush()


@app.command("serve")
def serve_command(
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Serve the gateway until Ctrl-C. Running calls may end within QLAUD_SHUTDOWN_GRACE_S."""
    serve(settings_here(), os.environ, workers=workers, say=say)


@app.command("worker", hidden=True)
def worker_command(listening_fd: int, life_fd: int, news_fd: int) -> None:
    """One worker of `serve --workers N`; started by it alone."""
    serve_as_worker(settings_here(), os.environ, (listening_fd, life_fd, news_fd))


@app.command("version")
def version_command() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the program."""
    try:
        app()
    except TOLD as problem:
        typer.echo(f"qlaud: {problem}", err=True)
        sys.exit(1)
