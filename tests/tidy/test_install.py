"""requirements/install.py: quick when nothing changed, and a sentence when the machine lacks something."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tidy.sources import ROOT

SPEC = importlib.util.spec_from_file_location("install", ROOT / "requirements" / "install.py")
assert SPEC is not None
assert SPEC.loader is not None
install = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(install)


@pytest.fixture
def asked_of_pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pip was asked to do, instead of doing it."""
    asked: list[list[str]] = []

    def note(command: list[str]) -> int:
        asked.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", note)
    return asked


@pytest.fixture
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty folder that passes for a working environment."""
    monkeypatch.setattr(install, "is_usable", lambda python, chosen: True)
    return str(tmp_path)


def test_a_second_call_installs_nothing(venv: str, asked_of_pip: list[list[str]]) -> None:
    assert install.main(["--project", venv, "build", "runtime"]) == 0
    assert len(asked_of_pip) == 2
    assert install.main(["--project", venv, "build", "runtime"]) == 0
    assert len(asked_of_pip) == 2


def test_every_package_is_checked_and_none_is_built(venv: str, asked_of_pip: list[list[str]]) -> None:
    install.main(["--project", venv, "build", "runtime"])
    packages, project = asked_of_pip
    assert {"--require-hashes", "--only-binary"} <= set(packages)
    assert {"--no-deps", "--no-build-isolation"} <= set(project)


def test_a_changed_lock_file_is_installed_again(
    venv: str, asked_of_pip: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "x.txt"
    monkeypatch.setattr(install, "HERE", str(tmp_path))
    for text in ("a==1", "a==1", "a==2"):
        lock.write_text(text)
        assert install.main([venv, "x"]) == 0
    assert len(asked_of_pip) == 2


def test_a_failed_installation_is_tried_again(venv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "call", lambda command: 7)
    assert install.main([venv, "runtime"]) == 7
    assert install.main([venv, "runtime"]) == 7


def test_an_environment_that_is_missing_is_not_usable_and_this_one_is(tmp_path: Path) -> None:
    assert not install.is_usable(str(tmp_path / "bin" / "python"), False)
    assert install.is_usable(sys.executable, True)


def test_an_old_python_is_told_which_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert install.main([str(tmp_path / "venv"), "runtime"]) == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().err


def test_a_python_without_venv_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert install.main([str(tmp_path / "venv"), "runtime"]) == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err
