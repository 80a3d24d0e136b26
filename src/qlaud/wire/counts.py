"""Reads counts out of usage objects, whatever spelling a provider gives them. Never raises. Used by the readings."""

import json
import math
import re
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import cast

import msgspec

from qlaud.core.rates import PICOS_PER_USD

Fields = dict[str, object]
"""A decoded JSON object."""

LARGEST = 2**53 - 1
LONGEST_S = 10**9
LARGEST_DOLLARS = 1_000_000
"""No single call costs more; a larger number is a mistake."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Everything the JSON reader raises on bytes of unknown origin."""
STATUS, WELL = b'"status_code":', (b"0", b" 0")
TRIES = 8
"""Places looked at from the end; a provider's own usage is at the first or second."""
HEAD_BYTES = 64 * 1024
"""An object that says what an answer costs is not longer."""
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_decoder = json.JSONDecoder()


def count(value: object) -> int | None:
    """A number >= 0, rounded up: from an int, a float, or a string of one. None for anything else."""
    if type(value) is int:
        return value if 0 <= value <= LARGEST else None
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 32 else None
        except ValueError:
            return None
    if isinstance(value, float) and math.isfinite(value) and 0 <= value <= LARGEST:
        return math.ceil(value)
    return None


def number(fields: Fields, name: str) -> int:
    """The count `name`, 0 if it is absent or makes no sense."""
    value = fields.get(name)
    return 0 if value is None else count(value) or 0


def millis(fields: Fields, name: str) -> int | None:
    """A number of seconds in whole milliseconds, rounded up; None if it is absent or makes no sense."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or not 0 <= value <= LONGEST_S:
        return None
    whole = round(value * 1000)
    if whole / 1000 == value:  # no more than three places, so these are the digits that were sent
        return whole
    return int((Decimal(str(value)) * 1000).to_integral_value(ROUND_CEILING))


def word(fields: Fields, name: str) -> str:
    """The string `name`, "" if it is absent or something else."""
    value = fields.get(name)
    return value[:128] if isinstance(value, str) else ""


def nested(fields: Fields, name: str) -> Fields:
    """The object `name`, empty if it is absent or something else."""
    value = fields.get(name)
    return cast("Fields", value) if isinstance(value, dict) else {}


def objects(fields: Fields, name: str) -> list[Fields]:
    """The objects in the array `name`, none if it is absent or something else."""
    value = fields.get(name)
    if not isinstance(value, list):
        return []
    return [cast("Fields", item) for item in cast("list[object]", value) if isinstance(item, dict)]


def read_fields(text: bytes | msgspec.Raw) -> Fields | None:
    """A JSON object decoded, None if it is none."""
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        return None
    return cast("Fields", value) if isinstance(value, dict) else None


def last_object(text: bytes, name: str) -> Fields | None:
    """The last object called `name` in the end of a JSON text too large to keep, None if there is none.

    The last one, because what a model wrote can hold an object of that name too, and stands before it.
    """
    key = b'"%s"' % name.encode()
    at = text.rfind(key)
    for _ in range(TRIES):
        if at < 0:
            break
        after = text[at + len(key) :].lstrip()
        if after[:1] == b":" and after[1:].lstrip()[:1] == b"{":
            try:
                value, _ = _decoder.raw_decode(after[1:].lstrip().decode("utf-8", "replace"))
            except (json.JSONDecodeError, RecursionError):
                value = None
            if isinstance(value, dict):
                return cast("Fields", value)
        at = text.rfind(key, 0, at)
    return None


def last_told(text: bytes, name: str) -> Fields | None:
    """The value of the last member `name` that is no string, None if it is no object.

    For formats in which only strings of the caller's can stand after the provider's own member of that name.
    """
    key = b'"%s":' % name.encode()
    at = text.rfind(key)
    for _ in range(TRIES):
        if at < 0:
            return None
        value = text[at + len(key) :].lstrip()
        if value[:1] != b'"':
            return last_object(text[at:], name) if value[:1] == b"{" else None
        at = text.rfind(key, 0, at)
    return None


def first_object(text: bytes, name: str) -> Fields | None:
    """The first object called `name` in a JSON text, None if there is none.

    No string can hold that name in quotes, so what is found is a member; the first, because what a model wrote
    stands behind it.
    """
    key = b'"%s"' % name.encode()
    at = text.find(key)
    while at >= 0:
        after = text[at + len(key) : at + len(key) + HEAD_BYTES].lstrip()
        if after[:1] == b":" and after[1:].lstrip()[:1] == b"{":
            try:
                value, _ = _decoder.raw_decode(after[1:].lstrip().decode("utf-8", "replace"))
            except (json.JSONDecodeError, RecursionError):
                return None
            return cast("Fields", value) if isinstance(value, dict) else None
        at = text.find(key, at + len(key))
    return None


def last_number(text: bytes, name: str) -> str:
    """The last number called `name` in a JSON text, as it stands there; "" if there is none."""
    found = re.findall(rb'"%s"\s*:\s*(\d+(?:\.\d+)?)' % re.escape(name.encode()), text)
    return found[-1].decode() if found else ""


def strings_after(text: bytes, key: bytes) -> tuple[int, int]:
    """How many JSON strings that are not empty follow `key` (which ends with their quote), and their bytes."""
    strings = total = 0
    size = len(key)
    at = text.rfind(key)
    while at >= 0:
        begin = at + size
        end = _end_of_string(text, begin)
        if end > begin:
            strings += 1
            total += end - begin
        at = text.rfind(key, 0, at)
    return strings, total


def strings_matching(text: bytes, key: re.Pattern[bytes]) -> tuple[int, int]:
    """The same for a pattern of keys."""
    strings = total = 0
    for opening in key.finditer(text):
        at = opening.end()
        end = _end_of_string(text, at)
        if end > at:
            strings += 1
            total += end - at
    return strings, total


def is_well(events: bytes) -> bool:
    """Whether MiniMax says of all these events that all is well: every `status_code` is 0."""
    at = events.rfind(STATUS)
    while at >= 0:
        if not events.startswith(WELL, at + len(STATUS)):
            return False
        at = events.rfind(STATUS, 0, at)
    return True


def _end_of_string(text: bytes, at: int) -> int:
    end = text.find(b'"', at)
    if end >= 0 and text.find(b"\\", at, end) < 0:
        return end
    found = _STRING.match(text, at)
    return found.end() if found else at


def picos(value: object) -> int:
    """Dollars as a provider spells them (an int, a float, a string of one), in picos, rounded up; 0 if no amount.

    A float is taken by its digits, which are those the provider sent.
    """
    if type(value) is not int and not isinstance(value, (float, str)):
        return 0
    try:
        dollars = Decimal(str(value)) if len(str(value)) <= 40 else Decimal(0)
    except InvalidOperation:
        return 0
    if not dollars.is_finite() or not 0 < dollars <= LARGEST_DOLLARS:
        return 0
    return math.ceil(dollars * PICOS_PER_USD)
