"""Bytes that only the holder of an API key's secret can read again. Pure: the nonce is an argument.

AES-256-GCM under a key derived from the secret by HKDF-SHA256. The secret has 256 random bits and is not
stored anywhere, so neither is the means to read what was sealed.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
_PURPOSE = b"qlaud idempotency v1"


class SealBroken(Exception):
    """The bytes were sealed under another secret, for another place, or were changed."""


def seal(plain: bytes, *, secret: str, place: bytes, nonce: bytes) -> bytes:
    """`plain` encrypted; it can be opened with the same secret and place only. The nonce leads the result."""
    return nonce + AESGCM(_key(secret)).encrypt(nonce, plain, place)


def unseal(sealed: bytes, *, secret: str, place: bytes) -> bytes:
    """What was sealed. Raises SealBroken."""
    try:
        return AESGCM(_key(secret)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
    except InvalidTag:
        raise SealBroken from None


def _key(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
