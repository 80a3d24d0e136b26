"""What README and docs print works as printed: their shell and Python blocks, run in order against a real gateway.

sh       run; a line `NAME=...` or `NAME=qlk_live_...` is filled in from the last answer that told it
python   run with the key of the last answer that had one
http     lines that the answer before has: its status, and headers
json     members that the answer before has, with these values; `…` stands for anything
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.gateway import Gateway, gateway_process

ORIGIN, KEY = "http://127.0.0.1:8787", "qlk_live_..."
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILL_IN = re.compile(r"^(\w+)=\S*\.\.\.", re.MULTILINE)
NO_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="the documents call with curl; install it")


class Reader:
    """Somebody who types what a document says."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self._folder = folder
        self._origin = gateway.origin
        self._told = {"MASTER": gateway.master_key}
        self._typed = ""
        self._answer = ""

    def follow(self, language: str, text: str) -> None:
        """Do, or compare, what one block says."""
        match language:
            case "sh":
                self._type(text)
            case "python":
                code = text.replace(ORIGIN, self._origin).replace(KEY, self._told["KEY"])
                assert ran([sys.executable, "-c", code], self._folder).strip() == "Hello"
            case "http":
                lines = {line.strip().lower() for line in self._answer.splitlines()}
                missing = [line for line in text.splitlines() if line.lower() not in lines]
                assert not missing, f"{missing} is not in\n{self._answer}"
            case "json":
                compare(json.loads(text), json.loads(self._answer), "")
            case _:
                pass

    def _type(self, text: str) -> None:
        def value(match: re.Match[str]) -> str:
            return f"{match[1]}={self._told[match[1]]}"

        self._typed += FILL_IN.sub(value, text).replace(ORIGIN, self._origin)
        if "curl" not in text:
            return
        self._answer = ran(["bash", "-euo", "pipefail", "-c", self._typed], self._folder)
        self._typed = "\n".join(line for line in self._typed.splitlines() if re.match(r"\w+=", line)) + "\n"
        found = re.search(r'"id":"([0-9a-f-]{36})"', self._answer)
        secret = re.search(r'"secret":"(\w+)"', self._answer)
        if found and secret:
            self._told |= {"ID": found[1], "KEY": secret[1]}
        if video := re.search(r'"id":"(sim-[^"]+)"', self._answer):
            self._told["VIDEO"] = video[1]
        if request := re.search(r"^request-id: (\S+)", self._answer, re.MULTILINE):
            self._told["REQUEST"] = request[1]


def ran(command: list[str], folder: Path) -> str:
    """What it printed; it must succeed."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}{done.stderr}"
    return done.stdout


def compare(shown: Any, real: Any, path: str) -> None:
    """Fails where the shown value is not that of the real one, which may have more members."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            assert name in real, f"{path}.{name} is shown, the answer is {real}"
            compare(value, real[name], f"{path}.{name}")
    elif isinstance(shown, list):
        assert len(shown) == len(real), f"{path}: {len(shown)} items are shown, the answer has {len(real)}"
        for number, value in enumerate(shown):
            compare(value, real[number], f"{path}[{number}]")
    elif isinstance(shown, str) and "…" in shown:
        begin, _, end = shown.partition("…")
        assert str(real).startswith(begin), f"{path} is {real}"
        assert str(real).endswith(end), f"{path} is {real}"
    else:
        assert shown == real, f"{path} is shown as {shown!r}, the answer has {real!r}"


@pytest.fixture
def gateway(database_url: str, tmp_path: Path) -> Iterator[Gateway]:
    with gateway_process(database_url, tmp_path / "gateway") as running:
        yield running


@NO_CURL
@pytest.mark.parametrize("document", ["README.md", "docs/api.md"])
def test_what_a_document_tells_its_reader_to_do_works_as_printed(
    document: str, gateway: Gateway, tmp_path: Path
) -> None:
    reader = Reader(gateway, tmp_path)
    text = Path(document).read_text("utf-8")
    begin = re.search(rf"^QLAUD={ORIGIN}$", text, re.MULTILINE)
    assert begin, f"{document} no longer says where the gateway is"
    followed = 0
    for language, block in BLOCK.findall(text[text.rindex("```sh", 0, begin.start()) :]):
        reader.follow(language, block)
        followed += language in ("sh", "python", "json", "http")
    assert followed > 5, f"only {followed} blocks of {document} were found"


def test_a_document_that_shows_another_answer_is_caught() -> None:
    real = {"id": "abc", "cost": 15, "rows": [{"a": 1}]}
    compare({"id": "a…", "rows": [{"a": 1}]}, real, "")
    for wrong in ({"cost": 16}, {"id": "b…"}, {"name": 1}, {"rows": []}, {"rows": [{"a": 2}]}):
        with pytest.raises(AssertionError):
            compare(wrong, real, "")
