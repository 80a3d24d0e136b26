"""Runs a program of commands and turns what went wrong into a line and an exit code.

Exit codes: 0 done, 1 failed (the line says what to do), 2 wrong usage, 130 interrupted.
"""

import os
import sys

import typer

from qlaud.app_database import OPENING_FAILED, NoDatabase
from qlaud.cli.desk import Failed
from qlaud.cli.output import tell
from qlaud.config import BadSetting
from qlaud.core.errors import QlaudError
from qlaud.flows.accounts import MasterKeyRefused

TOLD: tuple[type[Exception], ...] = (
    Failed,
    BadSetting,
    QlaudError,
    MasterKeyRefused,
    NoDatabase,
    *OPENING_FAILED,
)
"""What can go wrong and says itself what to do."""


def run_program(app: typer.Typer, name: str, more: tuple[type[Exception], ...] = ()) -> None:
    """Run the commands; `more` are further failures that say themselves what to do."""
    try:
        app(prog_name=name)
    except (*TOLD, *more) as problem:
        tell(f"qlaud: {problem}")
        sys.exit(1)


def become(module: str, arguments: list[str]) -> None:
    """Go on as `python -m module` in this very process; nothing of this program is left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
