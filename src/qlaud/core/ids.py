"""UUIDv7 ids (RFC 9562): a 48-bit millisecond time in front, so that ids sort by time."""

from typing import NewType
from uuid import UUID

RequestId = NewType("RequestId", UUID)
KeyId = NewType("KeyId", UUID)
AccountId = NewType("AccountId", UUID)


def uuid7(at_ms: int, dice: bytes) -> UUID:
    """The UUIDv7 of `at_ms` and ten random bytes."""
    bits = (at_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(dice[:10])
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=bits)
