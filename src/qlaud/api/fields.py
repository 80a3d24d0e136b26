"""The JSON object in a management request's body, member by member.

Bodies are JSON whatever the content type says. Numbers are never read as floats: money is Decimal from the
first byte on. A name nobody knows is refused, with the nearest known one, where money is decided; a name that
stands twice is refused everywhere.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import TypeVar, cast

import msgspec

from qlaud.core.errors import BadRequest, InvalidAmount, InvalidJson, UnknownField
from qlaud.core.money import Micros, micros_from_usd

AMOUNT_CHARACTERS = 40

Choice = TypeVar("Choice", bound=str)

_AMOUNT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_BYTE = re.compile(r"\(byte (\d+)\)")


class Fields:
    """The members of a JSON object, read one by one. An absent member reads like null: as None."""

    def __init__(self, members: Mapping[str, object], body: bytes) -> None:
        self._members, self._body = members, body

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def refuse_unknown(self, known: Iterable[str]) -> None:
        """Raises UnknownField for the first member that is not in `known`."""
        names = tuple(known)
        for name in self._members:
            if name not in names:
                near = get_close_matches(name, names, n=1, cutoff=0.5)
                raise UnknownField(name[:100], near[0] if near else None)

    def text(self, name: str, *, limit: int) -> str | None:
        """A string of 1 to `limit` characters."""
        value = self._members.get(name)
        if value is None:
            return None
        return _text(value, name, limit)

    def texts(self, name: str, *, items: int, limit: int) -> tuple[str, ...] | None:
        """A list of at most `items` strings of 1 to `limit` characters."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise BadRequest(f"`{name}` must be a list of strings", param=name)
        members = cast(list[object], value)
        if len(members) > items:
            raise BadRequest(f"`{name}` may have {items} items", param=name)
        return tuple(_text(member, name, limit) for member in members)

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice | None:
        """One of `choices`."""
        value = self._members.get(name)
        if value is None:
            return None
        for choice in choices:
            if value == choice:
                return choice
        raise BadRequest(f"`{name}` must be one of: {', '.join(choices)}", param=name)

    def whole(self, name: str, *, low: int, high: int) -> int | None:
        """An integer of `low` to `high`."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BadRequest(f"`{name}` must be an integer from {low} to {high}", param=name)
        return value

    def usd(self, name: str) -> Micros | None:
        """Dollars as a number or a string, exact. Raises InvalidAmount."""
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            raise InvalidAmount(name, "is not a number")
        text = str(value)
        if len(text) > AMOUNT_CHARACTERS or not _AMOUNT.fullmatch(text):
            raise InvalidAmount(name, "is not a plain number")
        return micros_from_usd(Decimal(text), field=name)

    def verbatim_object(self, name: str, *, limit_bytes: int) -> str | None:
        """A JSON object as it stands in the body."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise BadRequest(f"`{name}` must be a JSON object", param=name)
        try:
            raw = bytes(msgspec.json.decode(self._body, type=dict[str, msgspec.Raw])[name])
            msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest(f"`{name}` is not JSON that every reader takes", param=name) from None
        if len(raw) > limit_bytes:
            raise BadRequest(f"`{name}` may have {limit_bytes} bytes as JSON", param=name)
        return raw.decode()


def read_fields(body: bytes) -> Fields:
    """The members of the JSON object in `body`; none if it is empty. Raises InvalidJson, BadRequest."""
    if not body.strip():
        return Fields({}, b"{}")
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        raise _invalid("not UTF-8", body[: fault.start].decode()) from None
    try:
        value = json.loads(
            text,
            parse_float=Decimal,
            parse_int=_whole,
            parse_constant=_refuse_constant,
            object_pairs_hook=_members,
        )
    except json.JSONDecodeError as fault:
        raise _invalid(fault.msg[:1].lower() + fault.msg[1:], text[: fault.pos]) from None
    except _NotJson as fault:
        raise _invalid(str(fault), body[: _strict_offset(body)].decode(errors="ignore")) from None
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return Fields(cast(dict[str, object], value), body)


def check_text(text: str, name: str, limit: int) -> str:
    """`text` if it has 1 to `limit` characters that can be stored. Raises BadRequest."""
    if not 1 <= len(text) <= limit or not text.strip():
        raise BadRequest(f"`{name}` must have 1 to {limit} characters", param=name)
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRequest(f"`{name}` holds a character that is not text", param=name)
    return text


class _NotJson(ValueError):
    """Something the standard library reads, and JSON does not have."""


def _refuse_constant(name: str) -> object:
    raise _NotJson(f"{name} is not a JSON value")


def _whole(text: str) -> int | Decimal:
    """An absurdly long integer stays a Decimal, which no integer field takes."""
    return int(text) if len(text) <= AMOUNT_CHARACTERS else Decimal(text)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The pairs of one object. A name that stands twice is refused: nobody could say which one was meant."""
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise BadRequest(f"the name `{name[:100]}` stands twice in one object", param=name[:100])
            seen.add(name)
    return members


def _strict_offset(body: bytes) -> int:
    """The offset, in bytes, of what a strict reader refuses first."""
    try:
        msgspec.json.decode(body)
    except msgspec.DecodeError as fault:
        found = _BYTE.search(str(fault))
        return int(found[1]) if found else 0
    return 0


def _invalid(reason: str, before: str) -> InvalidJson:
    """The error at the place that follows the text `before`."""
    line = before.count("\n") + 1
    return InvalidJson(
        reason, line=line, column=len(before) - before.rfind("\n"), offset=len(before.encode())
    )


def _text(value: object, name: str, limit: int) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"`{name}` must be text", param=name)
    return check_text(value, name, limit)
