"""Hold before a call leaves, settle when it has ended: the only way to spend money.

    admit   one guarded statement on key and wallet; waits up to `hold_wait_s` while the money is only tied up
    settle  posts the cost, releases the rest and writes the usage event, once per hold, durably
    renew   says every few seconds that the calls in flight are still owned here
    hand_over   the hold is a job's from here on (`flows.jobs`), of no process

Whoever gets a `Hold` owns the call: it must end in `settle`, in `hand_over`, or in `void` if nothing left this machine.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from qlaud.core.errors import QlaudError
from qlaud.core.ids import RequestId
from qlaud.core.jobs import FIRST_LOOK_MS, Job
from qlaud.core.ledger import Admission, Charged, Hold, HoldAsk, Refused, Settlement, Wait
from qlaud.core.money import Micros
from qlaud.flows.meters import Meters
from qlaud.flows.owned import Owned
from qlaud.ports import Clock, JobStore, LedgerStore

UNPRICED = "unpriced"
"""The price version of a call whose model has no price."""

LOOK_AGAIN_S = 0.1
"""Money may also be freed by another process, which wakes nobody here."""
HAND_OVER_PAUSES_S = (0.1, 0.5, 2.0)
"""A database that is away for a moment must not cost a job its exact bill."""


@dataclass(slots=True)
class InFlight:
    """One hold owned by this process."""

    hold: Hold
    secret_sha256: bytes
    renewed_ticks_ms: float


class Metered:
    """The holds this process owns, and the ledger behind them."""

    def __init__(
        self,
        ledger: LedgerStore,
        clock: Clock,
        meters: Meters,
        *,
        hold_wait_s: float,
        jobs: JobStore | None = None,
    ) -> None:
        """Without `jobs` a call that begins one is settled by what it asked for."""
        self._ledger = ledger
        self._jobs = jobs
        self.owned = Owned(jobs)
        self._clock = clock
        self._meters = meters
        self._hold_wait_s = hold_wait_s
        self._in_flight: dict[RequestId, InFlight] = {}
        self._waiting: dict[bytes, dict[asyncio.Event, None]] = {}
        """By key, in the order they came: whoever waits longest asks first."""

    async def admit(self, ask: HoldAsk, *, since_ticks_ms: float) -> Hold:
        """The hold for a call that came at `since_ticks_ms`.

        Raises the QlaudError that refuses it; then nothing was charged to any limit.
        """
        admission = await self._ledger.hold(ask, has_waited=False)
        if isinstance(admission, Wait):
            admission = await self._wait(ask)
        match admission:
            case Hold():
                now = self._clock.ticks_ms()
                self._in_flight[ask.id] = InFlight(admission, ask.secret_sha256, now)
                self._meters.overhead((now - since_ticks_ms) / 1000)
                return admission
            case Refused(error):
                raise error
            case Wait():
                raise AssertionError("a caller who has waited is not told to wait")

    async def settle(self, settlement: Settlement) -> Charged:
        """End a call. Returns when it is durable; is tried until it is."""
        try:
            charged = await self._ledger.settle(settlement)
        finally:
            self._leave(settlement.hold.id)
        self._meters.settled(
            estimated=settlement.estimated,
            clamped=settlement.clamped,
            unpriced=settlement.facts.price_version == UNPRICED,
        )
        return charged

    async def hand_over(self, job: Job) -> bool:
        """Whether the hold is the job's now, durably. False: it is still the caller's to settle."""
        if self._jobs is None:
            return False
        for pause_s in (*HAND_OVER_PAUSES_S, None):
            now = self._clock.now_ms()
            try:
                taken = await self._jobs.begin(job, now_ms=now, due_ms=now + FIRST_LOOK_MS)
            except QlaudError:
                if pause_s is None:
                    return False
                await asyncio.sleep(pause_s)
                continue
            if taken:
                self._leave(job.id)
            return taken
        return False

    async def void(self, hold: Hold) -> None:
        """Give the hold back: the call never left this machine."""
        try:
            await self._ledger.void(hold)
        finally:
            self._leave(hold.id)

    def forget(self, hold: Hold) -> None:
        """Renew this hold no more: its call broke and cannot be settled, so that it must be found lost."""
        self._leave(hold.id)

    async def extend(self, hold: Hold, *, add_micros: Micros, add_output: int) -> bool:
        """Whether the hold could grow while its call runs."""
        try:
            return await self._ledger.extend(hold, add_micros=add_micros, add_output=add_output)
        except QlaudError:
            return False

    async def renew(self, *, older_than_ms: float) -> int:
        """Renew the holds that were not renewed for that long; returns how many."""
        now = self._clock.ticks_ms()
        due = [entry for entry in self._in_flight.values() if now - entry.renewed_ticks_ms >= older_than_ms]
        if due:
            await self._ledger.renew([entry.hold.id for entry in due])
            for entry in due:
                entry.renewed_ticks_ms = now
        return len(due)

    def in_flight(self) -> int:
        """How many calls this process owns."""
        return len(self._in_flight)

    def held(self) -> Iterator[Hold]:
        """Their holds."""
        return (entry.hold for entry in self._in_flight.values())

    async def _wait(self, ask: HoldAsk) -> Admission:
        deadline = self._clock.ticks_ms() + self._hold_wait_s * 1000
        freed = asyncio.Event()
        waiters = self._waiting.setdefault(ask.secret_sha256, {})
        waiters[freed] = None
        try:
            while (left_ms := deadline - self._clock.ticks_ms()) > 0:
                try:
                    async with asyncio.timeout(min(LOOK_AGAIN_S, left_ms / 1000)):
                        await freed.wait()
                except TimeoutError:
                    pass
                freed.clear()
                admission = await self._ledger.hold(ask, has_waited=False)
                if not isinstance(admission, Wait):
                    return admission
            return await self._ledger.hold(ask, has_waited=True)
        finally:
            del waiters[freed]
            if not waiters:
                self._waiting.pop(ask.secret_sha256, None)

    def _leave(self, hold_id: RequestId) -> None:
        entry = self._in_flight.pop(hold_id, None)
        if entry is not None:
            for freed in self._waiting.get(entry.secret_sha256, ()):
                freed.set()
