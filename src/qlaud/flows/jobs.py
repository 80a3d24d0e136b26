"""Follows jobs to their end and settles each once, from its own record, whether or not anybody asks for it.

    tick   takes jobs that are due, a bounded number at a time, and looks at each in a task of its own
    look   asks the provider for the record; when it says how the job ended, the hold is settled and the job ends

Any worker may look at any job, two may look at one at the same time, and a caller who asks for the record causes the
same look: the ledger settles a hold once. A job whose provider does not know it any more, or has said nothing of it for
`silence_ms`, or says for seven times as long that it still runs, is settled by what it asked for, as an estimate.
"""

import asyncio
import logging
from dataclasses import dataclass

from qlaud.core.errors import QlaudError
from qlaud.core.jobs import Job, pause_ms
from qlaud.flows.billing import Bill, Bills
from qlaud.flows.metered import Metered
from qlaud.flows.records import Looked, Records
from qlaud.ports import Clock, Headers, JobStore, UpstreamFault
from qlaud.wire.jobs import Elsewhere, Ended, Gone, Progress, Unreadable, Waiting

logger = logging.getLogger("qlaud.jobs")

AT_ONCE = 16
"""Jobs looked at by one worker at the same time."""
LOOK_S = 20.0
"""The longest wait for a record."""
LEASE_MS = 60_000
"""Longer than any look: only the jobs of a worker that died are taken over."""
LINES_LEASE_MS = 600_000
"""The same, for results of many lines."""
LEAST_ATTEMPTS = 8
"""No job is given up after fewer looks (a minute and a half), however new it is, whatever a clock says that stepped."""
LONGEST_SILENCES = 7
"""A job that runs for so many times `silence_ms` is not waited for."""
KEPT_MS = 30 * 86_400_000
"""How long it is remembered whose a job was that ended, and whose an object is."""
FORGET_LIMIT = 500
FORGET_EVERY_MS = 3_600_000.0


@dataclass(frozen=True, slots=True)
class JobRules:
    """What the deployment says about jobs."""

    silence_ms: int
    """How long a provider may say nothing of a job."""


class Jobs:
    """Looks at jobs and settles them."""

    def __init__(
        self,
        records: Records,
        bills: Bills,
        calls: Metered,
        store: JobStore,
        *,
        clock: Clock,
        rules: JobRules,
    ) -> None:
        self._records, self._bills = records, bills
        self._calls, self._store = calls, store
        self._clock, self._rules = clock, rules
        self._looking: set[asyncio.Task[None]] = set()
        self._forgot_ticks_ms: float | None = None

    async def tick(self) -> None:
        """Begin to look at jobs that are due, as far as this worker is free to. Raises StoreUnavailable."""
        now = self._clock.now_ms()
        free = AT_ONCE - len(self._looking)
        if free > 0:
            for job in await self._store.claim(now_ms=now, until_ms=now + LEASE_MS, limit=free):
                task = asyncio.create_task(self._follow(job), name=f"job {job.id}")
                self._looking.add(task)
                task.add_done_callback(self._looked)
        ticks = self._clock.ticks_ms()
        is_due = self._forgot_ticks_ms is None or ticks - self._forgot_ticks_ms > FORGET_EVERY_MS
        if is_due and await self._store.forget(before_ms=now - KEPT_MS, limit=FORGET_LIMIT):
            self._forgot_ticks_ms = ticks

    async def settled(self) -> None:
        """Wait until no look is under way."""
        while self._looking:
            await asyncio.wait(tuple(self._looking))

    async def close(self) -> None:
        """Break off the looks; other workers, or the next start, go on with these jobs."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)

    async def look(self, job: Job, *, headers: Headers = ()) -> Looked:
        """The job's record as its provider gives it now. If it says what the job cost, that is settled on return.

        Raises UpstreamFault when the provider gives no answer, StoreUnavailable.
        """
        looked = await self._records.ask(job, headers=headers)
        if not job.ended and isinstance(looked.progress, Ended):
            await self._end(job, self._bills.of(job, looked.progress.metered))
        return looked

    async def close_books(self, job: Job) -> bool:
        """Whether nothing is lost if the provider forgets the job now: it runs, or is settled with all its results.

        Raises as `look`.
        """
        progress = (await self.look(job)).progress
        if job.ended or not isinstance(progress, Elsewhere):
            return True
        if (bill := await self._bill(job, progress)) is None:
            return False
        await self._end(job, bill)
        return True

    def _looked(self, task: "asyncio.Task[None]") -> None:
        self._looking.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            logger.error("following a job broke", exc_info=defect)

    async def _follow(self, job: Job) -> None:
        """One look at a job that was claimed here. Where the database is away, the job is due again with its lease."""
        try:
            progress = await self._progress(job)
            if isinstance(progress, Ended | Elsewhere):
                if (bill := await self._bill(job, progress)) is not None:
                    await self._end(job, bill)
                    return
                progress = Unreadable()
            if self._is_given_up(job, progress):
                logger.warning(
                    "a job is settled by what it asked for: its provider does not say what became of it",
                    extra={"job": str(job.id), "provider": job.provider, "upstream_id": job.upstream_id},
                )
                await self._end(job, self._bills.estimate(job))
                return
            now = self._clock.now_ms()
            knew = now if isinstance(progress, Waiting) else None
            await self._store.put_off(job, due_ms=now + pause_ms(job.attempts), answered_ms=knew)
        except QlaudError as trouble:
            logger.warning("a job could not be followed", extra={"job": str(job.id), "reason": str(trouble)})

    async def _progress(self, job: Job) -> Progress:
        try:
            async with asyncio.timeout(LOOK_S):
                return (await self._records.ask(job)).progress
        except (UpstreamFault, TimeoutError):
            return Unreadable()

    def _is_given_up(self, job: Job, progress: Progress) -> bool:
        """Whether nobody will say any more what the job cost."""
        if job.attempts < LEAST_ATTEMPTS:
            return False
        if isinstance(progress, Gone):
            return True
        now = self._clock.now_ms()
        silent_ms = 0 if isinstance(progress, Waiting) else now - job.answered_at
        age_ms = now - job.created_at
        return silent_ms > self._rules.silence_ms or age_ms > self._rules.silence_ms * LONGEST_SILENCES

    async def _bill(self, job: Job, progress: Ended | Elsewhere) -> Bill | None:
        """What the job cost; None where its results do not come whole."""
        if isinstance(progress, Ended):
            return self._bills.of(job, progress.metered)
        await self._store.put_off(job, due_ms=self._clock.now_ms() + LINES_LEASE_MS, answered_ms=None)
        try:
            lines = self._records.lines(job, progress.path)
            return await self._bills.of_lines(job, lines, least=progress.least_lines)
        except UpstreamFault:
            return None

    async def _end(self, job: Job, bill: Bill) -> None:
        """Settle, then end: should the process die between the two, the job is looked at and settled once more."""
        now = self._clock.now_ms()
        await self._calls.settle(self._bills.settlement(job, bill, now_ms=now))
        await self._store.end(job, now_ms=now)
