"""Reading our own TOML files into typed rows. Every complaint names the file and the key.

Used for the providers, prices and models that ship with the package and for those an operator adds.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

Row = TypeVar("Row", bound=msgspec.Struct)

PLAIN = {
    "str": "text in quotes",
    "float": "a number",
    "int": "a whole number",
    "array": "a list",
    "object": "a table",
}
"""What msgspec calls a type, and what it is in TOML."""
MISSING = {"wires": '; say like = "openai" or like = "anthropic", or name the wires and their paths'}
"""What to do about a key that is missing, where that is not plain."""
_TYPE = re.compile(r"`([a-z]+)(?: \| null)?`")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.+)`")


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
        raise BadFile(str(file), f"is not TOML: {error}") from None


def convert(name: str, raw: Mapping[str, Any], row: type[Row]) -> Row:
    """What was read from the file `name`, as a `row`. Raises BadFile naming the key and what it should be."""
    try:
        return msgspec.convert(raw, row)
    except msgspec.ValidationError as error:
        raise BadFile(name, _told(str(error), row)) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where one of `known` is like `name`, else nothing."""
    found = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _told(message: str, row: type[msgspec.Struct]) -> str:
    """What msgspec says, in the words of whoever wrote the file."""
    said, _, at = message.partition(" - at ")
    place = at.strip("`").removeprefix("$").removeprefix(".")
    if (found := _FIELD.fullmatch(said)) is not None:
        key = f"{place}.{found[2]}".removeprefix(".")
        if found[1] == "missing required":
            return f"{key}: is missing{MISSING.get(found[2], '')}"
        return f"{key}: is no key of this file{nearest(found[2], _keys(row))}"
    said = _TYPE.sub(lambda found: PLAIN.get(found[1], found[0]), said)
    return f"{place}: {said[:1].lower()}{said[1:]}" if place else said


def _keys(row: type[msgspec.Struct]) -> set[str]:
    """Every key that may stand in a file, in whatever table."""
    found: set[str] = set()
    waiting: list[msgspec.inspect.Type] = [msgspec.inspect.type_info(row)]
    while waiting:
        match waiting.pop():
            case msgspec.inspect.StructType(fields=fields):
                found |= {field.encode_name for field in fields}
                waiting += [field.type for field in fields]
            case msgspec.inspect.ListType(item_type=inner) | msgspec.inspect.DictType(value_type=inner):
                waiting.append(inner)
            case msgspec.inspect.UnionType(types=types):
                waiting += types
            case _:
                pass
    return found


def _tomls(entries: Iterable[Traversable]) -> list[Traversable]:
    return sorted((entry for entry in entries if entry.name.endswith(".toml")), key=lambda entry: entry.name)
