"""Simulated arguments fit the schema; pydantic is the judge."""

import json
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from qlaud.providers.simulator.arguments import arguments_for


class Unit(Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


class Place(BaseModel):
    city: str = Field(min_length=3, max_length=10)
    zip: int | None
    near: list["Place"]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(gt=3, le=9, multiple_of=3)]


class Dog(BaseModel):
    kind: Literal["dog"]


class Everything(BaseModel):
    place: Place
    unit: Unit
    day: date
    id: UUID
    pet: Cat | Dog
    share: Annotated[float, Field(gt=0, lt=1)]
    below: Annotated[int, Field(lt=-5)]
    many: Annotated[list[int], Field(min_length=3, max_length=4)]
    pair: tuple[str, int]
    long: Annotated[str, Field(min_length=200)]
    sure: bool
    nothing: None
    free: dict[str, int]
    kept: int = 3


def fitted(schema: Any, said: str = "Weather in Rome") -> Any:
    return json.loads(arguments_for(json.dumps(schema).encode(), said))


@pytest.mark.parametrize(
    "said", ["", "Hi", "A question that is much longer than sixty characters, as questions often are."]
)
def test_arguments_fit_a_schema_of_every_kind(said: str) -> None:
    Everything.model_validate_json(arguments_for(json.dumps(Everything.model_json_schema()).encode(), said))


def test_free_text_is_what_the_user_said() -> None:
    schema = {
        "type": "object",
        "properties": {"q": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["q"],
    }
    assert fitted(schema) == {"q": "Weather in Rome"}


def test_a_schema_that_requires_nothing_gets_its_first_property() -> None:
    assert fitted({"properties": {"a": {"enum": [2, 3]}, "b": {}}}) == {"a": 2}


def test_all_of_is_met_at_once() -> None:
    one = {"properties": {"a": {"const": 1}}, "required": ["a"]}
    other = {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}
    assert fitted({"allOf": [one, other]}) == {"a": 1, "b": True}


def test_repeated_items_differ() -> None:
    schema = {
        "properties": {
            "a": {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "string"}}
        }
    }
    items = fitted(schema)["a"]
    assert len(set(items)) == 2


@pytest.mark.parametrize("schema", [b"", b"3", b'"x"', b"{}", b"[" * 100_000, b'{"type":"string"}', b"\xff"])
def test_what_is_no_object_schema_gets_an_empty_object(schema: bytes) -> None:
    assert arguments_for(schema, "x") == "{}"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}] * 9},
        {"anyOf": [{"$ref": "#"}] * 9},
        {"properties": {c: {"$ref": "#"} for c in "abcdefghi"}, "required": list("abcdefghi")},
        {"properties": {"a": {"type": "array", "minItems": 10**12, "items": {"$ref": "#"}}}},
        {"properties": {"a": {"type": "string", "minLength": 10**12}}},
        {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
        {"properties": {"a": {"type": "integer", "minimum": 1e300}}},
        {"properties": {"a": {"type": "number", "multipleOf": 1e-308}}},
        {"properties": {"a": {"type": "integer", "multipleOf": 0}}},
    ],
)
def test_a_hostile_schema_costs_little(schema: Any) -> None:
    assert len(arguments_for(json.dumps(schema).encode(), "a" * 60)) < 100_000
