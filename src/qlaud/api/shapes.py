"""What the JSON of every management answer is made of. The answers themselves stand beside their endpoints, as types.

Amounts in dollars are Decimals written as plain JSON numbers, so that no float stands between a micro and the wire.
The OpenAPI document is made from these types.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from qlaud.core.money import MICROS_PER_USD

Usd = Annotated[Decimal, Meta(description="Dollars, an exact number.")]
UsdIn = Annotated[
    Any,
    Meta(
        description="Dollars with at most 6 decimals, read exactly.",
        extra_json_schema={"type": ["number", "string", "null"]},
    ),
]
Seconds = Annotated[Decimal, Meta(description="Seconds, an exact number.")]
Micros = Annotated[int, Meta(description="Micro-dollars: 1 is 0.000001 USD.")]
Millis = Annotated[int, Meta(description="UTC epoch milliseconds.")]
Verbatim = Annotated[Any, Meta(extra_json_schema={"type": ["object", "null"]})]

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class OkOut(Struct):
    """It is done."""

    ok: bool


class ErrorInner(Struct):
    """What went wrong. `code` is for programs, `message` says what to do."""

    type: str
    message: str
    code: str
    details: Verbatim | UnsetType = UNSET


class ErrorOut(Struct):
    """Every error."""

    type: Literal["error"]
    error: ErrorInner
    request_id: str


def to_json(shape: object) -> bytes:
    """`shape` as JSON text in UTF-8."""
    return _ENCODER.encode(shape)


def to_usd(micros: int) -> Decimal:
    """The exact number of dollars, without trailing zeros: 5, 0.05, 0.000001."""
    whole, rest = divmod(abs(micros), MICROS_PER_USD)
    text = f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
    return Decimal(f"-{text}" if micros < 0 else text)


def to_seconds(millis: int) -> Decimal:
    """The exact number of seconds."""
    return to_usd(millis * 1000)
