"""Reading our own TOML files into typed rows. Every complaint names the file and the key.

Used for the providers, prices and models that ship with the package and for those an operator adds.
"""

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Row = TypeVar("Row", bound=msgspec.Struct)


class BadFile(Exception):
    """A file breaks its format: says which, where and how."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


def shipped(kind: str) -> list[Traversable]:
    """The package's own files of a kind (`providers`, `prices`, `models`), by name."""
    return _tomls((files("qlaud") / "data" / kind).iterdir())


def added(folder: Path) -> list[Traversable]:
    """An operator's files, by name. Raises BadFile when the folder cannot be read."""
    try:
        return _tomls(folder.iterdir())
    except OSError as error:
        raise BadFile(str(folder), f"cannot be read: {error.strerror}") from None


def read(file: Traversable, row: type[Row]) -> Row:
    """The file as a `row`. Raises BadFile for bad TOML, unknown or missing keys and values of a wrong type."""
    return convert(str(file), read_raw(file), row)


def read_raw(file: Traversable) -> dict[str, Any]:
    """The file as TOML gives it. Raises BadFile for what is no TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadFile(str(file), f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(str(file), str(error)) from None


def convert(name: str, raw: Mapping[str, Any], row: type[Row]) -> Row:
    """What was read from the file `name`, as a `row`. Raises BadFile naming the key."""
    try:
        return msgspec.convert(raw, row)
    except msgspec.ValidationError as error:
        raise BadFile(name, str(error).replace("`$.", "`")) from None


def _tomls(entries: Iterable[Traversable]) -> list[Traversable]:
    return sorted((entry for entry in entries if entry.name.endswith(".toml")), key=lambda entry: entry.name)
