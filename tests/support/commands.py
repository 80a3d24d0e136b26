"""Runs commands of the `qlaud` program in this process, as `main` does: words in, exit code and two texts out."""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from qlaud.cli import main


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


class Commands:
    """Commands on one database, with nothing of the caller's settings."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._settings = {"QLAUD_DATABASE_URL": database_url, "QLAUD_DATA_DIR": str(folder)}

    def run(self, *words: str, **settings: str) -> Outcome:
        """How `qlaud *words` ended; `settings` are QLAUD_ variables in lower case."""
        given = {f"QLAUD_{name.upper()}": value for name, value in settings.items()}
        own = {name: value for name, value in os.environ.items() if not name.startswith("QLAUD_")}
        out, err, code = io.StringIO(), io.StringIO(), 0
        with (
            patch.object(sys, "argv", ["qlaud", *words]),
            patch.dict(os.environ, {**own, **self._settings, **given}, clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
        return Outcome(code, out.getvalue(), err.getvalue())

    def done(self, *words: str) -> Outcome:
        """As `run`, of a command that must succeed."""
        outcome = self.run(*words)
        assert outcome.code == 0, f"qlaud {' '.join(words)}: exit {outcome.code}\n{outcome.out}{outcome.err}"
        return outcome

    def json(self, *words: str) -> Any:
        """The document that `qlaud *words --json` prints."""
        return self.done(*words, "--json").json
