"""Looks at the keys' rows while calls run: posted + held + lost may at no instant pass the allowance.

Where the allowance was lowered below what is taken, nothing may be taken on top until it is back (contract 6.1).
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

EVERY_S = 0.05
TOUCHED_S = 0.5
UNBOUNDED = 2**62
KEYS = """
SELECT id, posted_micros + held_micros + lost_micros AS taken, max_spend_micros + credit_micros AS allowance,
       lost_micros, period_start
  FROM keys WHERE id = ANY ($1::uuid[])
"""
WALLETS = (
    "SELECT posted_micros + held_micros + lost_micros AS taken, paid_in_micros AS allowance FROM wallets"
)
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclass(slots=True)
class Watch:
    """The sampled instants of one deployment."""

    pool: asyncpg.Pool
    prepaid: bool
    samples: int = 0
    findings: dict[UUID, str] = field(default_factory=dict[UUID, str])
    wallet_findings: list[str] = field(default_factory=list[str])
    _keys: dict[UUID, "_Known"] = field(default_factory=dict[UUID, "_Known"])

    def add(self, key: UUID, cap_micros: int | None) -> None:
        """Look at this key from now on."""
        allowance = UNBOUNDED if cap_micros is None else cap_micros
        self._keys[key] = _Known(allowance, allowance, 0, 0)

    def touch(self, key: UUID, allowance_micros: int) -> None:
        """Its allowance is being changed, and may be this much at most: samples may miss a step of it."""
        known = self._keys[key]
        known.most = max(known.most, allowance_micros)
        known.touched_s = time.monotonic()

    def any_lost(self, keys: Iterable[UUID]) -> bool:
        """Whether a hold of these keys was taken for lost at a sampled instant."""
        return any(self._keys[key].lost for key in keys)

    def drop(self, keys: Iterable[UUID]) -> list[str]:
        """Stop looking; what was found about them."""
        found: list[str] = []
        for key in keys:
            self._keys.pop(key, None)
            if key in self.findings:
                found.append(self.findings.pop(key))
        return found

    async def run(self) -> None:
        """Until cancelled. A database that is away is looked at again later."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except LOST:
                continue

    async def look(self) -> None:
        """One instant: one statement, so one snapshot."""
        if not self._keys:
            return
        for row in await self.pool.fetch(KEYS, list(self._keys), timeout=5):
            self.samples += 1
            if row["id"] in self._keys:
                self._keys[row["id"]].lost |= row["lost_micros"] > 0
                self._judge(row["id"], row["taken"], row["allowance"], row["period_start"])
        if self.prepaid:
            for row in await self.pool.fetch(WALLETS, timeout=5):
                self.samples += 1
                if row["taken"] > row["allowance"]:
                    self.wallet_findings.append(
                        f"the wallet had {row['taken']} of {row['allowance']} micros taken"
                    )

    def _judge(self, key: UUID, taken: int, allowed: int | None, period: int) -> None:
        known = self._keys[key]
        before, allowance = known.taken, UNBOUNDED if allowed is None else allowed
        most = before if before > known.allowance else known.allowance
        if period != known.period or time.monotonic() - known.touched_s < TOUCHED_S:
            most = known.most
        if taken > allowance and taken > most:
            self.findings[key] = (
                f"{taken} of {allowance} micros were taken at a sampled instant, {before} just before"
            )
        known.taken, known.allowance, known.period = taken, allowance, period
        known.most = max(known.most, 0 if allowance == UNBOUNDED else allowance)


@dataclass(slots=True)
class _Known:
    allowance: int
    most: int
    """The largest its allowance ever was."""
    taken: int
    period: int
    touched_s: float = -9.0
    lost: bool = False
    """A hold of it was taken for lost at a sampled instant."""
