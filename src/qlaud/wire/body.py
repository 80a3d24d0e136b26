"""Reads a JSON request body into its top-level members, once, without looking into what does not matter.

Invariant: a member name stands in an object once. A body that names one twice is refused, because the gateway
and the provider might each read another one of the two, and then a hold would be made for the wrong call.
Nested objects that matter to money are read with the same function. Used by the wires only.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import cast

import msgspec
from msgspec import Raw

from qlaud.core.errors import BadRequest, InvalidJson
from qlaud.wire.counts import UNREADABLE

Members = Mapping[str, Raw]
"""The members of one JSON object, values unread."""

MAX_WHOLE = 2**31 - 1
"""The largest whole number taken for a limit: what a 32-bit reader behind us still understands."""

_BOM = b"\xef\xbb\xbf"
_BYTE = re.compile(r" ?\(byte (\d+)\)")
_ESCAPED = re.compile(rb"\\(?:u00([2-7][0-9A-Fa-f])|(/))")
_KEY = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_AFTER = re.compile(rb"[ \t\r\n]*([,}])")
_members = cast("Callable[[bytes], dict[str, Raw]]", msgspec.json.Decoder(dict[str, Raw]).decode)
_text = cast("Callable[[Raw], str]", msgspec.json.Decoder(str).decode)
_items = cast("Callable[[Raw], list[Raw]]", msgspec.json.Decoder(list[Raw]).decode)


def read_body(body: bytes) -> Members:
    """The members of a request body.

    Raises InvalidJson with the place of the fault, BadRequest if it is no object or names a member twice.
    """
    try:
        return read_members(body, "the body")
    except RecursionError:
        raise InvalidJson("nested too deeply", line=1, column=1, offset=0) from None
    except msgspec.ValidationError:
        raise BadRequest("the body must be a JSON object") from None
    except msgspec.DecodeError as fault:
        raise _invalid_json(body, fault) from None


def read_members(text: bytes, name: str) -> Members:
    """The members of the object `text`.

    Raises BadRequest if a member stands twice or its name is no text, msgspec's errors if `text` is no object.
    """
    try:
        members = _members(text)
    except UnicodeDecodeError:
        raise BadRequest(f"a member name in {name} is not valid UTF-8") from None
    # Compact JSON is exactly as long as its members; any other length is white space, an escaped name, or a
    # member that the mapping swallowed: only then is it worth walking the text.
    length = 1
    for key, value in members.items():
        length += len(key) + len(value) + 4
    if length != len(text) and members:
        member_spans(text, members, name)
    return members


def member_spans(
    text: bytes, members: Members, name: str = "the body"
) -> dict[str, tuple[int, int, int, int]]:
    """Where each member stands in `text`: start and end of its name, start and end of its value.

    `members` is what `read_members` found in the same text. Raises BadRequest for a member that stands twice.
    """
    spans: dict[str, tuple[int, int, int, int]] = {}
    at = text.index(b"{") + 1
    while key_match := _KEY.match(text, at):
        key = _text(Raw(key_match[1]))
        value = members[key]
        start = key_match.end()
        end = start + len(value)
        after = _AFTER.match(text, end) if text.startswith(bytes(value), start) else None
        if after is None or key in spans:
            raise BadRequest(f"`{key}` stands twice in {name}", param=key)
        spans[key] = (*key_match.span(1), start, end)
        if after[1] == b"}":
            break
        at = after.end()
    return spans


def item_spans(text: bytes) -> list[tuple[int, int]]:
    """Where each item stands in the array `text`."""
    spans: list[tuple[int, int]] = []
    at = text.index(b"[") + 1
    for item in _items(Raw(text)):
        start = at
        while text[start] in b" \t\r\n,":
            start += 1
        at = start + len(item)
        spans.append((start, at))
    return spans


def without_escapes(text: bytes) -> bytes:
    """JSON in which no visible ASCII character hides behind an escape, to look for words in; no longer JSON."""
    if b"\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: found[2] or bytes((int(found[1], 16),)), text)


def is_null(value: Raw | None) -> bool:
    """Whether a member is absent or null, which every provider reads alike."""
    return value is None or (len(value) == 4 and bytes(value) == b"null")


def read_text(members: Members, key: str) -> str | None:
    """A string member, None if absent or null. Raises BadRequest if it is something else, or cannot be stored."""
    value = members.get(key)
    if value is None or is_null(value):
        return None
    try:
        text = _text(value)
    except UNREADABLE:
        raise BadRequest(f"`{key}` must be a string", param=key) from None
    if "\0" in text:
        raise BadRequest(f"`{key}` holds a NUL character, which is not text", param=key)
    return text


def read_model(members: Members) -> str:
    """The model that a call names. Raises BadRequest if it names none."""
    model = read_text(members, "model")
    if not model:
        raise BadRequest("`model` is missing; name the model to call", param="model")
    return model


def read_flag(members: Members, key: str) -> bool:
    """A boolean member, False if absent or null. Raises BadRequest if it is something else."""
    value = members.get(key)
    if value is None:
        return False
    word = bytes(value)
    if word not in (b"true", b"false", b"null"):
        raise BadRequest(f"`{key}` must be true or false", param=key)
    return word == b"true"


def read_whole(members: Members, key: str, *, least: int, most: int = MAX_WHOLE) -> int | None:
    """A whole number from `least` to `most`, None if absent or null. Raises BadRequest otherwise."""
    value = members.get(key)
    if value is None:
        return None
    digits = bytes(value)
    if digits == b"null":
        return None
    if not digits.isdigit() or len(digits) > 10 or not least <= int(digits) <= most:
        raise BadRequest(f"`{key}` must be a whole number from {least} to {most}", param=key)
    return int(digits)


def read_object(members: Members, key: str) -> Members | None:
    """The members of an object member, None if absent or null. Raises BadRequest otherwise."""
    value = members.get(key)
    if value is None or is_null(value):
        return None
    try:
        return read_members(bytes(value), f"`{key}`")
    except UNREADABLE:
        raise BadRequest(f"`{key}` must be an object", param=key) from None


def read_items(members: Members, key: str) -> list[Raw]:
    """The items of an array member, none if absent or null. Raises BadRequest otherwise."""
    value = members.get(key)
    if value is None or is_null(value):
        return []
    try:
        return _items(value)
    except UNREADABLE:
        raise BadRequest(f"`{key}` must be an array", param=key) from None


def _invalid_json(body: bytes, fault: msgspec.DecodeError) -> InvalidJson:
    if body.startswith(_BOM):
        return InvalidJson("a byte order mark stands before it", line=1, column=1, offset=0)
    message = str(fault)
    place = _BYTE.search(message)
    offset = min(int(place[1]), len(body)) if place else len(body)
    reason = _BYTE.sub("", message).removeprefix("JSON is malformed: ").lower()
    if "trailing" in reason:  # counted from one, unlike every other fault
        offset = max(offset - 1, 0)
    if not place:
        reason = _reason_by_json(body) or reason
    line_start = body.rfind(b"\n", 0, offset) + 1
    column = len(body[line_start:offset].decode("utf-8", "replace")) + 1
    return InvalidJson(reason, line=body.count(b"\n", 0, offset) + 1, column=column, offset=offset)


def _reason_by_json(body: bytes) -> str:
    """What the standard library says about a body that ends too soon; "" if it has nothing to say."""
    try:
        json.loads(body)
    except json.JSONDecodeError:
        return "the body is empty" if not body.strip() else "it ends too soon"
    except (UnicodeDecodeError, RecursionError):
        return ""
    return ""
