"""Sums and differences of what a live session used: quantity by quantity, words of the newer one."""

from msgspec.structs import replace

from qlaud.core.usage import QUANTITIES, Usage

ZERO = Usage()


def plus(one: Usage, other: Usage) -> Usage:
    """Both together."""
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in QUANTITIES})


def minus(total: Usage, part: Usage) -> Usage:
    """What `total` has beyond `part`, which it contains."""
    return replace(total, **{name: getattr(total, name) - getattr(part, name) for name in QUANTITIES})
