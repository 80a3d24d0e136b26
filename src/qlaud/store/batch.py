"""Group commit: what waits for the ledger leaves as one batch, one round trip, one commit.

One batch is under way at a time, on a connection of its own; what arrives meanwhile forms the next. A lone item
leaves at once, there is no timer. When the connection breaks under a batch nobody knows whether it was committed:
its items are sent again, marked, and the ledger's functions answer by id. Settlements are kept until they are
committed, holds until `give_up_s`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import asyncpg

from qlaud.core.errors import Internal, StoreUnavailable

BATCH_LIMIT = 128
RETRY_PAUSE_S = 0.05
RETRY_PAUSE_MAX_S = 1.0
POISON = (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, TypeError, OverflowError)
"""What one bad item raises for its whole batch: the database refuses it, or it cannot be encoded."""

logger = logging.getLogger("qlaud.ledger")

Row = tuple[object, ...]
Answer = asyncpg.Record | None


@dataclass(slots=True, eq=False)
class Item:
    """One transition that waits: `kind` is `hold`, `settle` or `extend`."""

    kind: str
    row: Row
    """The composite the ledger's function takes; of a hold, its secret's digest stands at [1]."""
    key_id: object
    on_wallet: bool
    answer: "asyncio.Future[Answer]"
    is_retry: bool = False
    since: float = field(default=0.0)


Apply = Callable[[list[Item]], Awaitable[dict[object, asyncpg.Record]]]


class Batcher:
    """Feeds items to `apply` in batches. Owner: `store.ledger.Ledger`."""

    def __init__(self, apply: Apply, *, give_up_s: float) -> None:
        self._apply = apply
        self._give_up_s = give_up_s
        self._waiting: deque[Item] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._orphans: list[object] = []
        self._under_way: list[Item] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to feed. Needs the running loop."""
        self._task = asyncio.create_task(self._run(), name="ledger-batcher")
        self._task.add_done_callback(self._ended)

    def submit(self, item: Item) -> "asyncio.Future[Answer]":
        """Queue `item`; its future has the ledger's row, or None for a settlement that was applied before."""
        item.since = asyncio.get_running_loop().time()
        self._waiting.append(item)
        self._idle.clear()
        self._wake.set()
        return item.answer

    def abandon(self, item_id: object, answer: "asyncio.Future[Answer]") -> None:
        """Whoever waited for the hold `item_id` has left. Taken or not, nobody will use it."""
        if answer.done() and not answer.cancelled() and answer.exception() is None:
            row = answer.result()
            if row is not None and row["outcome"] == "held":
                self._orphans.append(item_id)

    def take_orphans(self) -> list[object]:
        """Ids of holds that were taken for a caller who had left meanwhile; whoever takes them must void them."""
        orphans, self._orphans = self._orphans, []
        return orphans

    def give_back(self, orphans: list[object]) -> None:
        """Leave orphans to whoever takes them next."""
        self._orphans.extend(orphans)

    async def close(self, timeout_s: float) -> int:
        """Wait until everything queued is committed, at most `timeout_s`; returns how many items were not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            logger.error(
                "ledger not reachable at shutdown; their holds stay visible as lost",
                extra={"count": len(self._waiting) + len(self._under_way)},
            )
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return len(self._waiting) + len(self._under_way)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause_s = RETRY_PAUSE_S
            while self._waiting:
                self._under_way = batch = self._next()
                undone = await self._attempt(batch) if batch else []
                if not undone:
                    pause_s = RETRY_PAUSE_S
                    continue
                self._under_way = []
                self._waiting = deque(self._keep((*undone, *self._waiting)))
                await asyncio.sleep(pause_s)
                pause_s = min(RETRY_PAUSE_MAX_S, pause_s * 2)
            self._under_way = []
            self._idle.set()

    def _next(self) -> list[Item]:
        """The next batch, without what nobody waits for any more and was never sent."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH_LIMIT, len(self._waiting)))]
        return [item for item in batch if item.is_retry or item.kind == "settle" or not item.answer.done()]

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A defect must not stop the ledger: what was under way fails, what waits goes on."""
        if task.cancelled() or (defect := task.exception()) is None:
            return
        logger.critical("the ledger broke", exc_info=defect)
        for item in self._under_way:
            if not item.answer.done():
                item.answer.set_exception(Internal())
        self.start()
        self._wake.set()

    async def _attempt(self, batch: list[Item]) -> list[Item]:
        """What could not be done now. An item the database refuses is found by sending each alone."""
        try:
            self._resolve(batch, await self._apply(batch))
        except StoreUnavailable:
            for item in batch:
                item.is_retry = True
            return batch
        except POISON as error:
            if len(batch) > 1:
                for position, item in enumerate(batch):
                    if await self._attempt([item]):
                        return batch[position:]
                return []
            logger.error(
                "the ledger refused a transition", extra={"kind": batch[0].kind, "reason": str(error)}
            )
            if not batch[0].answer.done():
                batch[0].answer.set_exception(Internal())
        return []

    def _resolve(self, batch: list[Item], answers: dict[object, asyncpg.Record]) -> None:
        for item in batch:
            answer = answers.get((item.kind, item.row[0]))
            if not item.answer.done():
                item.answer.set_result(answer)
            elif item.kind == "hold" and answer is not None and answer["outcome"] == "held":
                self._orphans.append(item.row[0])

    def _keep(self, items: Iterable[Item]) -> Iterator[Item]:
        """What is tried again: settlements always, the rest while its caller waits and has not waited too long."""
        now = asyncio.get_running_loop().time()
        for item in items:
            if item.kind == "settle" or not (item.answer.done() or now - item.since > self._give_up_s):
                yield item
                continue
            if item.kind == "hold" and item.is_retry:
                self._orphans.append(item.row[0])  # it may stand: void it when the ledger is back
            if not item.answer.done():
                item.answer.set_exception(StoreUnavailable())
