"""What the OpenAPI document says of an endpoint. Schemas come from the types that the endpoints answer with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from qlaud.api.shapes import ErrorOut
from qlaud.wire.errors import anthropic_type

Access = Literal["admin", "any key", "public"]

ERROR_TEXTS: Mapping[int, str] = {
    400: "The input breaks a rule; `message` names the field.",
    401: "No usable key.",
    403: "The key may not do this.",
    404: "Unknown, or not the caller's.",
    409: "The state of the thing forbids it.",
    413: "The body is too large.",
    500: "A defect of the gateway.",
    503: "The database is away; nothing was done, retry.",
}
ERROR_CODES: Mapping[int, str] = {
    400: "invalid_request",
    401: "invalid_key",
    403: "scope_too_small",
    404: "not_found",
    409: "key_revoked",
    413: "body_too_large",
    500: "internal",
    503: "store_unavailable",
}
EXAMPLE_ID = "0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10"


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter."""

    name: str
    text: str
    type: str = "string"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """One endpoint as the document shows it."""

    tag: str
    summary: str
    answer: type
    example: Mapping[str, Any]
    access: Access = "admin"
    status: int = 200
    body: type | None = None
    body_example: Mapping[str, Any] | None = None
    query: tuple[Query, ...] = ()
    errors: tuple[int, ...] = ()
    others: tuple[tuple[int, type], ...] = ()


def openapi_extra(spec: Spec, method: str, path: str) -> dict[str, Any]:
    """The operation object of `spec`."""
    parameters = [_query(parameter) for parameter in spec.query]
    if "{id}" in path:
        schema = {"type": "string", "format": "uuid"}
        parameters.insert(0, {"name": "id", "in": "path", "required": True, "schema": schema})
    if method == "POST":
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key and body within 24 hours: the first answer again.",
                "schema": {"type": "string", "maxLength": 255},
            }
        )
    operation: dict[str, Any] = {
        "parameters": parameters,
        "security": [] if spec.access == "public" else [{"apiKey": []}, {"bearer": []}],
        "responses": _responses(spec, method),
    }
    if spec.body is not None:
        content: dict[str, Any] = {"schema": _ref(spec.body)}
        if spec.body_example is not None:
            content["example"] = dict(spec.body_example)
        operation["requestBody"] = {"content": {"application/json": content}}
    return operation


def components(specs: Iterable[Spec]) -> dict[str, Any]:
    """The schemas that `specs` name, and the two ways to send a key that every tool knows."""
    types: list[type] = [ErrorOut]
    for spec in specs:
        for kind in (spec.answer, spec.body, *(kind for _, kind in spec.others)):
            if kind is not None and kind not in types:
                types.append(kind)
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return {
        "schemas": {name: _plain(schema) for name, schema in sorted(schemas.items())},
        "securitySchemes": {
            "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        },
    }


def _responses(spec: Spec, method: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        str(spec.status): {
            "description": "Done.",
            "content": {"application/json": {"schema": _ref(spec.answer), "example": dict(spec.example)}},
        }
    }
    for status, kind in spec.others:
        found[str(status)] = {
            "description": (kind.__doc__ or "").strip(),
            "content": {"application/json": {"schema": _ref(kind)}},
        }
    always: tuple[int, ...] = () if spec.access == "public" else (401, 500, 503)
    if spec.access == "admin":
        always += (403,)
    if method in ("POST", "PATCH"):
        always += (400, 413)
    if method == "POST":
        always += (409,)
    for status in sorted({*spec.errors, *always}):
        found[str(status)] = {
            "description": ERROR_TEXTS[status],
            "content": {"application/json": {"schema": _ref(ErrorOut), "example": _error_example(status)}},
        }
    return found


def _error_example(status: int) -> dict[str, Any]:
    return {
        "type": "error",
        "error": {
            "type": anthropic_type(status),
            "message": ERROR_TEXTS[status],
            "code": ERROR_CODES[status],
        },
        "request_id": EXAMPLE_ID,
    }


def _query(parameter: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {"name": parameter.name, "in": "query", "description": parameter.text, "schema": schema}


def _ref(kind: type) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _plain(schema: Any) -> Any:
    """`schema` as it goes over the wire: a Decimal is written as a number, not as a string."""
    if isinstance(schema, dict):
        members: dict[str, Any] = {str(name): _plain(value) for name, value in schema.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if members.get("format") == "decimal":
            del members["format"]
            members["type"] = "number"
        return members
    if isinstance(schema, list):
        return [_plain(item) for item in schema]  # pyright: ignore[reportUnknownVariableType]
    return schema
