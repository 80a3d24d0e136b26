"""A POST that is sent twice does its work once (contract, section 2).

The work and the record of its answer are one transaction. So a crash leaves neither, and whoever repeats the
request finds either the first answer or a free slot. Refusals are kept as well, with their effects undone;
answers of 500 and above are not. Answers may hold a secret: they are sealed under the caller's own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from qlaud.core.errors import IdempotencyInProgress, IdempotencyMismatch, QlaudError
from qlaud.core.ids import KeyId
from qlaud.core.sealing import NONCE_BYTES, SealBroken, seal, unseal
from qlaud.ports import Clock
from qlaud.ports_management import Books, Dice, Remembered, Session, Slot

KEPT_MS = 24 * 3_600_000
FIRST_ERROR_NOT_KEPT = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a POST answers."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    replayed: bool = False
    """Whether this is the first answer again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One POST as far as repeating it matters."""

    key_id: KeyId
    secret: str
    path: str
    body: bytes
    idem_key: str | None


class Sealed(msgspec.Struct, array_like=True, frozen=True):
    """What is kept of an answer."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


Verb = Callable[[Session], Awaitable[Answer]]


class Idempotency:
    """Runs verbs in a transaction, at most once per slot."""

    def __init__(self, books: Books, clock: Clock, dice: Dice) -> None:
        self._books, self._clock, self._dice = books, clock, dice

    async def run(self, asked: Asked, verb: Verb, refuse: Callable[[QlaudError], Answer]) -> Answer:
        """The answer of `verb`, or the kept one. `refuse` makes the answer of a refusal that is kept.

        Raises IdempotencyInProgress, IdempotencyMismatch, and what `verb` raises if that is not kept.
        """
        if asked.idem_key is None:
            async with self._books.transaction() as session:
                return await verb(session)
        slot = Slot(asked.key_id, asked.path, asked.idem_key)
        digest = sha256(asked.body).digest()
        async with self._books.transaction() as session:
            if not await session.idempotency.claim(slot):
                raise IdempotencyInProgress
            kept = await session.idempotency.recall(slot, self._clock.now_ms() - KEPT_MS)
            if kept is not None:
                if kept.body_sha256 != digest:
                    raise IdempotencyMismatch
                return _opened(kept, asked.secret, slot)
            answer = await _attempt(session, verb, refuse)
            sealed = self._sealed(answer, asked.secret, slot)
            await session.idempotency.remember(
                slot, Remembered(digest, answer.status, sealed), self._clock.now_ms()
            )
            return answer

    async def erase(self, limit: int) -> int:
        """Erase at most `limit` answers that are past their time; how many. A chore."""
        async with self._books.transaction() as session:
            return await session.idempotency.erase(self._clock.now_ms() - KEPT_MS, limit)

    def _sealed(self, answer: Answer, secret: str, slot: Slot) -> bytes:
        plain = msgspec.msgpack.encode(Sealed(answer.body, answer.headers))
        return seal(plain, secret=secret, place=_place(slot), nonce=self._dice(NONCE_BYTES))


async def _attempt(session: Session, verb: Verb, refuse: Callable[[QlaudError], Answer]) -> Answer:
    """The answer of `verb`; what a refused one did is undone."""
    try:
        async with session.savepoint():
            return await verb(session)
    except QlaudError as error:
        if error.status >= FIRST_ERROR_NOT_KEPT:
            raise
        return refuse(error)


def _opened(kept: Remembered, secret: str, slot: Slot) -> Answer:
    try:
        plain = unseal(kept.sealed, secret=secret, place=_place(slot))
    except SealBroken:
        # The caller's key was rotated since: the answer is not readable any more, and must not be made twice.
        raise IdempotencyMismatch from None
    sealed = msgspec.msgpack.decode(plain, type=Sealed)
    return Answer(kept.status, sealed.body, sealed.headers, replayed=True)


def _place(slot: Slot) -> bytes:
    return b"\x1f".join((slot.key_id.bytes, slot.path.encode(), slot.idem_key.encode()))
