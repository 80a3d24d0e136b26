"""What must be done now and then, each bounded per tick: time limits, renewals, lost holds, orphans."""

import asyncio
import logging
from dataclasses import dataclass

from qlaud.core.errors import QlaudError
from qlaud.flows.inference import Inference
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
    """One loop per process. A database that is away is told once, and tried again at the next tick."""

    def __init__(self, inference: Inference, calls: Metered, ledger: LedgerStore, terms: ChoreTerms) -> None:
        self._inference = inference
        self._calls = calls
        self._ledger = ledger
        self._terms = terms
        self._troubled = False
        self.lost_found = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            tick = asyncio.create_task(
                self.tick()
            )  # a task of its own: a defect in it must not end the renewals
            await asyncio.wait((tick,))
            if not tick.cancelled() and (defect := tick.exception()) is not None:
                logger.error("chores broke", exc_info=defect)

    async def tick(self) -> None:
        """One round of everything."""
        self._inference.tick()
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
