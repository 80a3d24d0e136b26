"""The real ledger beside its model: every transition is done on both, and their answers and books must agree."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
from tests.support.ledger_model import BASE_PICOS, DAY_MS, FLOOR_TOKENS, SLOPE_PICOS, Model, Said, Wanted

from qlaud.core.errors import KeyCapExceeded, QlaudError, WalletExhausted
from qlaud.core.ids import AccountId, KeyId, RequestId, uuid7
from qlaud.core.keys import operator
from qlaud.core.ledger import Admission, CallFacts, Hold, HoldAsk, Refused, Settlement, Wait
from qlaud.core.money import Micros
from qlaud.core.usage import Usage
from qlaud.flows.keys import Keys
from qlaud.flows.wallet import Wallets
from qlaud.store.batch import Item
from qlaud.store.books import Books
from qlaud.store.ledger import Connect, Ledger, Terms

FACTS = CallFacts(model="m", provider="p", surface="messages", price_version="1")
START_MS = 1_790_000_000_000

BOOKS = """
SELECT (SELECT array_agg((k.period_start, k.credit_micros, k.posted_micros, k.held_micros, k.lost_micros,
                          k.lifetime_micros, k.max_spend_micros, k.ceiling_micros, k.revoked_at IS NOT NULL)
                         ORDER BY k.id)
          FROM keys k WHERE k.account_id = a.id) AS keys,
       (SELECT (w.paid_in_micros, w.posted_micros, w.held_micros, w.lost_micros)
          FROM wallets w WHERE w.account_id = a.id) AS wallet,
       (SELECT array_agg((h.id, h.amount_micros, h.state, h.created_at) ORDER BY h.id)
          FROM holds h WHERE h.account_id = a.id) AS holds,
       (SELECT array_agg((e.id, e.cost_micros) ORDER BY e.id)
          FROM usage_events e WHERE e.account_id = a.id) AS events,
       (SELECT COALESCE(sum(e.overage_micros), 0)::bigint
          FROM usage_events e WHERE e.account_id = a.id) AS event_overage,
       a.overage_micros AS overage
  FROM accounts a WHERE a.id = $1
"""


@dataclass
class FrozenClock:
    """Moves when told."""

    at_ms: int = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def ticks_ms(self) -> float:
        return float(self.at_ms)


class CountedIds:
    """Ids in rising order, never the same in one process."""

    made = 0

    def uuid(self, at_ms: int) -> UUID:
        CountedIds.made += 1
        return uuid7(at_ms, CountedIds.made.to_bytes(10))


class StrictLedger(Ledger):
    """Remembers what the database itself had to refuse: the rules must refuse first, the constraints are the net."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.caught_by_the_net: list[str] = []

    async def _apply(self, batch: list[Item]) -> dict[object, asyncpg.Record]:
        try:
            return await super()._apply(batch)
        except asyncpg.PostgresError as refusal:
            self.caught_by_the_net.append(str(refusal))
            raise


class LedgerDesk:
    """One account with keys, in the database and in the model."""

    def __init__(
        self, connect: Connect, acquire: Callable[[], AbstractAsyncContextManager[Any]], model: Model
    ) -> None:
        self.model, self.clock, self.ids = model, FrozenClock(), CountedIds()
        self._acquire = acquire
        self.ledger = StrictLedger(
            connect, acquire, self.clock.now_ms, Terms(model.markup_bp, model.prepaid, 5.0)
        )
        self.books = Books(acquire)
        self.keys = Keys(self.books, self.clock, self.ids, lambda count: bytes(count))
        self.wallets = Wallets(self.books, self.clock, "prepaid" if model.prepaid else "off")
        self.account = AccountId(self.ids.uuid(1))
        self.key_ids = [KeyId(self.ids.uuid(1)) for _ in model.keys]
        self.taken: dict[UUID, Hold] = {}

    def by(self, connect: Connect, acquire: Callable[[], AbstractAsyncContextManager[Any]]) -> "LedgerDesk":
        """The same account and the same model, through other connections."""
        other = LedgerDesk(connect, acquire, self.model)
        other.clock.at_ms = self.clock.at_ms
        other.account, other.key_ids, other.taken = self.account, self.key_ids, self.taken
        other.ledger.start()
        return other

    async def leave(self) -> None:
        """Stop serving; the connection stays open, it is the test's."""
        self.ledger._connection = None
        await self.ledger.close(1.0)

    async def open(self) -> None:
        """Write the account, its keys and its wallet; begin to serve."""
        async with self._acquire() as connection:
            await connection.execute("INSERT INTO accounts VALUES ($1, 'a', NULL, 0, 0)", self.account)
            for key_id, key in zip(self.key_ids, self.model.keys, strict=True):
                await connection.execute(
                    "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros,"
                    " ceiling_micros, cap_period, on_cap, max_parallel, created_at)"
                    " VALUES ($1, $2, $3, '', 'k', 'standard', 'live', $4, $4, $5, $6, $7, 0)",
                    key_id, self.account, secret(key_id), key.cap, key.period, key.on_cap, key.max_parallel,
                )  # fmt: skip
        self.ledger.start()
        if self.model.prepaid:
            paid_in, self.model.paid_in = self.model.paid_in, 0
            await self.pay(paid_in)

    def want(
        self,
        key: int,
        output: int,
        *,
        no_limit: bool = False,
        waited: bool = False,
        hold_id: UUID | None = None,
    ) -> Wanted:
        """A call with an id of its own."""
        return Wanted(hold_id or self.ids.uuid(self.clock.at_ms), key, output, no_limit, waited)

    async def hold(self, *wanted: Wanted) -> None:
        """Ask for several holds at once: one batch."""
        answers = await asyncio.gather(
            *(self.ledger.hold(self.ask(one), has_waited=one.waited) for one in wanted)
        )
        said = self.model.hold(wanted, self.clock.at_ms)
        for one, answer in zip(wanted, answers, strict=True):
            assert _said(answer) == said[one.id], one
            if isinstance(answer, Hold):
                self.taken[one.id] = answer

    async def settle(self, *ends: tuple[UUID, int]) -> None:
        """End several calls at once: one batch. First or again, held or lost or void, above or below the hold."""
        charged = await asyncio.gather(
            *(self.ledger.settle(self.settlement(hold_id, cost)) for hold_id, cost in ends)
        )
        expected = self.model.settle(ends)
        for (hold_id, _), one in zip(ends, charged, strict=True):
            if hold_id in expected:
                assert (one.cost_micros, one.overage_micros) == expected[hold_id]

    async def extend(self, hold_id: UUID, more: int) -> None:
        """A call runs on."""
        grew = await self.ledger.extend(self.taken[hold_id], add_micros=Micros(more), add_output=1)
        assert grew == self.model.extend(hold_id, more)

    async def void(self, hold_id: UUID) -> None:
        """A call never left."""
        await self.ledger.void(self.taken[hold_id])
        self.model.void(hold_id)

    async def come_back(self, hold_id: UUID) -> None:
        """The owner of a hold renews it, whatever became of it."""
        await self.ledger.renew([RequestId(hold_id)])
        self.model.come_back(hold_id)

    async def lose(self) -> None:
        """No worker has renewed its holds for long enough."""
        lost = await self.ledger.sweep_lost(lost_after_ms=-30 * DAY_MS, limit=1000)
        assert {hold_id for hold_id, _ in lost} & self.model.first.keys() == self.model.lose()

    async def resolve(self, hold_id: UUID, cost: int) -> None:
        """The operator ends a lost hold."""
        async with self.books.transaction() as session:
            done = await session.holds.resolve(hold_id, Micros(cost), self.clock.at_ms)
        assert done == self.model.resolve(hold_id, cost)

    async def change_cap(self, number: int, cap: int) -> None:
        """The operator changes a cap."""
        await self.keys.change(
            operator(self.account, "live"),
            self.key_ids[number],
            lambda policy: replace(policy, max_spend_micros=Micros(cap)),
        )
        self.model.change_cap(number, cap)

    async def credit(self, number: int, amount: int) -> None:
        """The operator grants credit."""
        async with self.books.transaction() as session:
            caller = operator(self.account, "live")
            await self.keys.credit(session, caller, self.key_ids[number], Micros(amount))
        self.model.credit(number, amount, self.clock.at_ms)

    async def revoke(self, number: int) -> None:
        """The operator revokes a key."""
        await self.keys.revoke(operator(self.account, "live"), self.key_ids[number])
        self.model.keys[number].revoked = True

    async def pay(self, amount: int) -> None:
        """Money comes into the wallet, or leaves it."""
        entry = str(self.ids.uuid(1))
        assert await self.wallets.credit(self.account, "live", Micros(amount), note=None, entry_id=entry)
        self.model.paid_in += amount

    async def assert_books(self) -> None:
        """Every number the database keeps about this account is the model's."""
        async with self._acquire() as connection:
            row = await connection.fetchrow(BOOKS, self.account)
        model = self.model
        assert row["keys"] == [
            (
                key.start, key.credit, key.posted, model.of_key(number, "held"), model.of_key(number, "lost"),
                key.lifetime, key.cap, key.ceiling, key.revoked,
            )
            for number, key in enumerate(model.keys)
        ]  # fmt: skip
        if model.prepaid:
            held, lost = model.on_wallet("held"), model.on_wallet("lost")
            assert row["wallet"] == (model.paid_in, model.wallet_posted, held, lost)
        assert [hold[:4] for hold in row["holds"] or ()] == [
            (hold_id, hold.amount, hold.state, hold.created_at)
            for hold_id, hold in sorted(model.holds.items())
        ]
        assert [tuple(event) for event in row["events"] or ()] == sorted(model.events.items())
        assert (row["overage"], row["event_overage"]) == (model.overage, model.overage)
        assert self.ledger.caught_by_the_net == []

    def ask(self, one: Wanted) -> HoldAsk:
        """The same call in the ledger's words."""
        return HoldAsk(
            id=RequestId(one.id),
            secret_sha256=secret(self.key_ids[one.key]),
            facts=FACTS,
            is_priced=True,
            unbounded_tool=None,
            want_output=one.output,
            want_micros=Micros(self.model.worst(one.output)),
            floor_micros=Micros(self.model.worst(min(one.output, FLOOR_TOKENS))),
            base_picos=BASE_PICOS,
            slope_picos=SLOPE_PICOS,
            no_limit=one.no_limit,
        )

    def settlement(self, hold_id: UUID, cost: int) -> Settlement:
        """The end of a call that cost this much."""
        return Settlement(
            hold=self.taken[hold_id], facts=FACTS, usage=Usage(), cost_micros=Micros(cost),
            provider_cost_micros=Micros(cost), latency_ms=1, first_token_ms=None, status=200, stream=False,
            estimated=False, clamped=False,
        )  # fmt: skip


def secret(key_id: UUID) -> bytes:
    """The digest of a key's secret."""
    return sha256(key_id.bytes).digest()


def _said(answer: Admission) -> Said:
    match answer:
        case Hold():
            return Said("held", answer.amount_micros, answer.max_output or 0, answer.remaining_micros)
        case Wait():
            return Said("wait")
        case Refused(error):
            return Said(error.code, affordable=_affordable(error))


def _affordable(error: QlaudError) -> int | None:
    return error.affordable_max_tokens if isinstance(error, (KeyCapExceeded, WalletExhausted)) else None
