"""What must be done now and then, each bounded per tick: time limits, renewals, lost holds, orphans, jobs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from qlaud.core.errors import QlaudError, StoreUnavailable
from qlaud.flows.inference import Inference
from qlaud.flows.jobs import Jobs
from qlaud.flows.metered import Metered
from qlaud.ports import LedgerStore

logger = logging.getLogger("qlaud.chores")

TICK_S = 1.0
SWEEP_LIMIT = 500


@dataclass(frozen=True, slots=True)
class ChoreTerms:
    """How often and how late."""

    renew_every_ms: float
    lost_after_ms: int


class Chores:
    """Three loops per process. A database that is away is told once, and tried again at the next round."""

    def __init__(
        self, inference: Inference, calls: Metered, ledger: LedgerStore, jobs: Jobs, *, terms: ChoreTerms
    ) -> None:
        self._inference = inference
        self._calls = calls
        self._ledger = ledger
        self._jobs = jobs
        self._terms = terms
        self._troubled = False
        self.lost_found = 0

    async def run(self) -> None:
        """Until cancelled. Calls are looked after even while a database that hangs keeps the books waiting."""
        await asyncio.gather(
            self._repeat(self.look_after_calls),
            self._repeat(self.keep_books),
            self._repeat(self.follow_jobs),
        )

    async def _repeat(self, chore: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            round_ = asyncio.ensure_future(
                chore()
            )  # a task of its own: a defect in it must not end the rounds
            await asyncio.wait((round_,))
            if not round_.cancelled() and (defect := round_.exception()) is not None:
                logger.error("chores broke", exc_info=defect)

    async def look_after_calls(self) -> None:
        """The limits of calls under way that pass with time."""
        self._inference.tick()

    async def follow_jobs(self) -> None:
        """Jobs that are due. A database that is away is what `keep_books` tells."""
        with suppress(StoreUnavailable):
            await self._jobs.tick()

    async def keep_books(self) -> None:
        """Renewals, orphans and lost holds. Waits for the database."""
        try:
            await self._calls.renew(older_than_ms=self._terms.renew_every_ms)
            await self._ledger.void_orphans()
            for hold_id, amount in await self._ledger.sweep_lost(
                lost_after_ms=self._terms.lost_after_ms, limit=SWEEP_LIMIT
            ):
                self.lost_found += 1
                logger.warning(
                    "a hold is lost: its worker died; resolve it by hand",
                    extra={"hold_id": str(hold_id), "amount_micros": amount},
                )
            self._troubled = False
        except QlaudError as error:
            if not self._troubled:
                logger.error("chores cannot reach the ledger", extra={"reason": error.message})
            self._troubled = True
