"""Arguments that fit a tool's JSON schema, for a simulated tool call.

Free text becomes what the user said, so that a demo's search tool searches for something. Not followed:
`pattern` (a caller's regular expression could hang the process), `not`, `if`, `dependent*`, `contains`; such a
tool may get a bad call, as it may from a real model. Whatever the schema, the work is bounded.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import cast

import msgspec

MAX_DEPTH = 12
"""Deeper than this every value is null: a schema may refer to itself."""
MAX_STEPS = 1000
"""Parts of a schema that are looked at; after them every value is null."""
MAX_TEXT_CHARACTERS = 60
MAX_PADDED_CHARACTERS = 4096
MAX_NUMBER = 2**53
Schema = Mapping[str, object]

_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "P1D",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def arguments_for(schema: bytes, said: str) -> str:
    """The arguments as compact JSON text: an object that fits the schema, or `{}` if that is none."""
    try:
        root = msgspec.json.decode(schema)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "{}"
    fitted = _Fitting(_object(root), " ".join(said.split())[:MAX_TEXT_CHARACTERS]).fit(_object(root), 0)
    return msgspec.json.encode(fitted if isinstance(fitted, dict) else {}).decode()


class _Fitting:
    """Fits values to the parts of one schema."""

    def __init__(self, root: Schema, said: str) -> None:
        self.root, self.said = root, said
        self.steps_left = MAX_STEPS

    def fit(self, schema: Schema, depth: int, turn: int = 0) -> object:
        """A value that fits; another `turn` gives another value where that is easy."""
        schema = self._resolved(schema, depth)
        if depth > MAX_DEPTH or self.steps_left <= 0:
            return None
        if "const" in schema:
            return schema["const"]
        if options := _list(schema.get("enum")):
            return options[turn % len(options)]
        if "default" in schema:
            return schema["default"]
        if examples := _list(schema.get("examples")):
            return examples[0]
        match self._type(schema):
            case "object":
                return self._fields(schema, depth)
            case "array":
                return self._items(schema, depth)
            case "string":
                return self._text(schema, turn)
            case "integer":
                return int(_number(schema, turn, whole=True))
            case "number":
                number = _number(schema, turn, whole=False)
                return int(number) if number.denominator == 1 else float(number)
            case "boolean":
                return True
            case _:
                return None

    def _resolved(self, schema: Schema, depth: int) -> Schema:
        """The schema with its reference, `allOf` and the first arm of its alternatives drawn in."""
        self.steps_left -= 1
        for _ in range(MAX_DEPTH):
            if depth > MAX_DEPTH or self.steps_left <= 0:
                break
            if isinstance(reference := schema.get("$ref"), str):
                schema = {**self._referred(reference), **_without(schema, "$ref")}
            elif parts := _list(schema.get("allOf")):
                schema = _without(schema, "allOf")
                for part in parts:
                    schema = _merged(schema, self._resolved(_object(part), depth + 1))
            elif arms := _list(schema.get("anyOf") or schema.get("oneOf")):
                telling = [arm for arm in map(_object, arms) if arm.get("type") != "null"]
                schema = _merged(
                    _without(schema, "anyOf", "oneOf"), telling[0] if telling else {"type": "null"}
                )
            else:
                break
        return schema

    def _referred(self, reference: str) -> Schema:
        place: object = self.root
        for step in reference.removeprefix("#").split("/")[1:]:
            place = _object(place).get(step.replace("~1", "/").replace("~0", "~"))
        return _object(place)

    def _type(self, schema: Schema) -> object:
        kind = schema.get("type")
        if kinds := _list(kind):
            return next((k for k in kinds if k != "null"), "null")
        if kind is None:
            hints = {"properties": "object", "required": "object", "items": "array", "minimum": "number"}
            return next((guess for word, guess in hints.items() if word in schema), "string")
        return kind

    def _fields(self, schema: Schema, depth: int) -> dict[str, object]:
        """Every required property; of a schema that requires none, its first one."""
        properties = _object(schema.get("properties"))
        names = [name for name in _list(schema.get("required")) if isinstance(name, str)] or list(properties)[
            :1
        ]
        extra = _object(schema.get("additionalProperties"))
        return {name: self.fit(_object(properties.get(name, extra)), depth + 1) for name in names}

    def _items(self, schema: Schema, depth: int) -> list[object]:
        heads = _list(schema.get("prefixItems"))
        least = max(_whole(schema.get("minItems"), 0 if depth >= MAX_DEPTH else 1), len(heads))
        size = min(least, _whole(schema.get("maxItems"), least), max(1, self.steps_left))
        each = _object(schema.get("items"))
        return [self.fit(_object(heads[i]) if i < len(heads) else each, depth + 1, i) for i in range(size)]

    def _text(self, schema: Schema, turn: int) -> str:
        if isinstance(form := schema.get("format"), str) and form in _FORMATS:
            return _FORMATS[form]
        text = self.said or "example"
        if turn:
            text = f"{turn + 1} {text}"
        least = min(_whole(schema.get("minLength"), 0), MAX_PADDED_CHARACTERS)
        return text.ljust(least, ".")[: _whole(schema.get("maxLength"), max(least, len(text)))]


def _number(schema: Schema, turn: int, *, whole: bool) -> Fraction:
    """The number nearest to its lower bound that fits, and the `turn`-th after it; 1 when nothing is asked."""
    step = _fraction(schema.get("multipleOf")) or Fraction(1)
    if whole:
        step = Fraction(step.numerator)
    low, above = _fraction(schema.get("minimum")), _fraction(schema.get("exclusiveMinimum"))
    high, below = _fraction(schema.get("maximum")), _fraction(schema.get("exclusiveMaximum"))
    starts = [ceil(low / step)] if low is not None else []
    starts += [floor(above / step) + 1] if above is not None else []
    ends = [floor(high / step)] if high is not None else []
    ends += [ceil(below / step) - 1] if below is not None else []
    if starts:
        number = (max(starts) + turn) * step
    elif ends:
        number = (min([1, *ends]) - turn) * step
    else:
        number = (1 + turn) * step
    if starts and ends and number > min(ends) * step and "multipleOf" not in schema:
        # No whole step lies between the bounds: the middle does.
        bottom = max(bound for bound in (low, above) if bound is not None)
        number = (bottom + min(bound for bound in (high, below) if bound is not None)) / 2
    return min(max(number, Fraction(-MAX_NUMBER)), Fraction(MAX_NUMBER))


def _merged(one: Schema, other: Schema) -> dict[str, object]:
    """Both schemas at once: properties and required names of both."""
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = {**_object(one["properties"]), **_object(other["properties"])}
    if "required" in one and "required" in other:
        both["required"] = [*dict.fromkeys([*_list(one["required"]), *_list(other["required"])])]
    return both


def _without(schema: Schema, *names: str) -> dict[str, object]:
    return {name: value for name, value in schema.items() if name not in names}


def _object(value: object) -> Schema:
    return cast(Schema, value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return cast(Sequence[object], value) if isinstance(value, list) else ()


def _whole(value: object, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) else otherwise


def _fraction(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Fraction(str(value))
