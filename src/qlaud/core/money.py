"""Money is an integer number of micro-dollars. Nothing here knows a float.

`Micros` (0.000001 USD) is what is held, posted and billed. `Picos` (a millionth of a micro) is what one
unit costs: a price of $3 per million tokens is 3_000_000 picos a token. Costs are summed in picos, and
rounded up to `Micros` once per usage event, so every total is a sum of whole micros.
"""

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from typing import NewType

from qlaud.core.errors import InvalidAmount

Micros = NewType("Micros", int)
Picos = NewType("Picos", int)

MICROS_PER_USD = 1_000_000
PICOS_PER_MICRO = 1_000_000
MARKUP_BASE_BP = 10_000
MAX_MICROS = 2**53 - 1
"""The largest amount taken as input: exact in every JSON reader, nine billion dollars."""

_EXACT = Context(prec=64, traps=[InvalidOperation, Inexact, Overflow])
"""Never rounds: what does not fit is refused."""


def micros_from_usd(value: Decimal | int | str, *, field: str) -> Micros:
    """The exact amount of `value` dollars. Raises InvalidAmount beyond six decimals, negative or absurd."""
    try:
        dollars = value if isinstance(value, Decimal) else Decimal(value)
        if not dollars.is_finite():
            raise InvalidAmount(field, "is not a finite number")
        scaled = _EXACT.scaleb(_EXACT.create_decimal(dollars), 6)
    except DecimalException:
        raise InvalidAmount(field, "is not a number") from None
    if scaled != scaled.to_integral_value():
        raise InvalidAmount(field, "has more than 6 decimals")
    if scaled < 0:
        raise InvalidAmount(field, "is negative")
    if scaled > MAX_MICROS:
        raise InvalidAmount(field, f"is above the largest amount, {MAX_MICROS // MICROS_PER_USD} USD")
    return Micros(int(scaled))


def with_markup(picos: int, markup_bp: int) -> Micros:
    """`picos` with `markup_bp` basis points on top, rounded up once to a whole micro."""
    return Micros(-(-picos * (MARKUP_BASE_BP + markup_bp) // (MARKUP_BASE_BP * PICOS_PER_MICRO)))
