"""Long random histories of the ledger against its model (`tests/support/ledger_model.py`), on real PostgreSQL.

Invariant, after every step: for each key and the wallet, posted + held + lost <= allowance (or what it was when the
allowance was lowered); every projection is the sum of its rows; what the ledger answers is what the model says.
Every *short* history is walked by `test_explorer_ledger.py`, which also shows a defect in the fewest steps, so
nothing is shrunk here. Amounts are aimed at the edges: of a hold, of what is free, of what is within reach.
"""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.ledger_desk import LedgerDesk
from tests.support.ledger_model import BASE_PICOS, DAY_MS, SLOPE_PICOS, Model, ModelKey

from qlaud.core.ids import uuid7
from qlaud.flows.doctor import Doctor
from qlaud.store.pool import Pool, PoolLimits

KEYS = st.builds(
    ModelKey,
    cap=st.one_of(st.none(), st.integers(0, 60_000), st.integers(60_000, 200_000)),
    period=st.sampled_from(("lifetime", "day")),
    on_cap=st.sampled_from(("clamp", "refuse")),
    max_parallel=st.one_of(st.none(), st.none(), st.integers(1, 3)),
)
ASKS = st.tuples(st.integers(0, 1), st.integers(1, 9000), st.booleans(), st.booleans())
"""Which key, output tokens wanted, no limit given, has waited."""
EDGES = st.tuples(
    st.sampled_from(("hold", "key", "wallet", "nothing")), st.integers(-2, 2), st.integers(0, 9_000)
)
"""An amount near one of these, or a plain one."""


class LedgerMachine(RuleBasedStateMachine):
    """Random transitions on two keys of one account."""

    holds = Bundle("holds")
    dsn = ""
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.desk: LedgerDesk | None = None

    @initialize(
        prepaid=st.sampled_from((True, True, False)),
        markup_bp=st.sampled_from((0, 700, 333)),
        keys=st.lists(KEYS, min_size=2, max_size=2),
        paid_in=st.integers(10_000, 120_000),
    )
    def begin(self, prepaid: bool, markup_bp: int, keys: list[ModelKey], paid_in: int) -> None:
        self.runner.run(self._open(Model(prepaid, markup_bp, keys, paid_in if prepaid else 0)))

    async def _open(self, model: Model) -> None:
        self.pool = Pool(self.dsn, PoolLimits(size=3))
        await self.pool.server_major()
        self.desk = LedgerDesk(self.pool.connect, self.pool.acquire, model)
        self.doctor = Doctor(self.desk.books)
        await self.desk.open()

    def teardown(self) -> None:
        if self.desk is not None:
            self.runner.run(self._close(self.desk))
        self.runner.close()

    async def _close(self, desk: LedgerDesk) -> None:
        assert await self.doctor.examine() == []
        await desk.ledger.close(5.0)
        await self.pool.aclose()

    @property
    def on(self) -> LedgerDesk:
        assert self.desk is not None
        return self.desk

    def near(self, hold_id: UUID, edge: tuple[str, int, int]) -> int:
        """The amount that an edge stands for."""
        name, off, plain = edge
        model = self.on.model
        hold = model.holds.get(hold_id)
        if hold is None or name == "nothing":
            return plain
        bounds = {
            "hold": hold.amount,
            "key": model.key_money(hold.key, "held", "lost"),
            "wallet": model.wallet_money("held", "lost"),
        }
        return max(0, (bounds[name] or plain) + off)

    @rule(target=holds, asked=st.lists(ASKS, min_size=1, max_size=5))
    def hold(self, asked: list[tuple[int, int, bool, bool]]) -> object:
        """Several at once are one batch."""
        wanted = [
            self.on.want(key, output, no_limit=no_limit, waited=waited)
            for key, output, no_limit, waited in asked
        ]
        self.runner.run(self.on.hold(*wanted))
        return multiple(*(one.id for one in wanted if one.id in self.on.taken))

    @rule(target=holds, key=st.integers(0, 1), off=st.integers(-1, 1), count=st.integers(1, 3))
    def hold_what_is_free(self, key: int, off: int, count: int) -> object:
        """A batch whose first call takes the free money to the last token, or one more."""
        free = self.on.model.money(key, "held", "lost")
        output = max(1, self.on.model.largest(free) + off) if free is not None else 500
        return self.hold([(key, output, False, True)] + [(key, 1, False, True)] * (count - 1))

    @rule(
        target=holds,
        key=st.integers(0, 1),
        off=st.integers(0, 1),
        dies=st.sampled_from((False, False, True)),
        waited=st.booleans(),
    )
    def hold_what_is_within_reach(self, key: int, off: int, dies: bool, waited: bool) -> object:
        """What there would be if every call in flight cost nothing, lost ones aside; or one token more."""
        if dies:
            self.lose()
        reach = self.on.model.money(key, "lost")
        output = max(1, self.on.model.largest(reach) + off) if reach is not None else 500
        return self.hold([(key, output, False, waited)])

    @precondition(lambda self: self.desk is not None and self.desk.model.holds)
    @rule(pick=st.integers(0, 9), off=st.integers(0, 1))
    def extend_by_what_is_free(self, pick: int, off: int) -> None:
        """Or by one micro more."""
        living = sorted(self.on.model.holds)
        hold_id = living[pick % len(living)]
        free = self.on.model.money(self.on.model.holds[hold_id].key, "held", "lost")
        self.runner.run(self.on.extend(hold_id, max(0, free + off) if free is not None else 1_000))

    @rule(ended=st.lists(holds, min_size=1, max_size=3, unique=True), edge=EDGES, beyond=st.booleans())
    def settle(self, ended: list[UUID], edge: tuple[str, int, int], beyond: bool) -> None:
        """First or again; held, lost or void; below, at or above the hold, and what is free on top of it."""
        ends: list[tuple[UUID, int]] = []
        for hold_id in ended:
            hold = self.on.model.holds.get(hold_id)
            ends.append((hold_id, self.near(hold_id, edge) + (hold.amount if hold and beyond else 0)))
        self.runner.run(self.on.settle(*ends))

    @rule(hold=holds)
    def void(self, hold: UUID) -> None:
        self.runner.run(self.on.void(hold))

    @rule(hold=holds, edge=EDGES)
    def extend(self, hold: UUID, edge: tuple[str, int, int]) -> None:
        self.runner.run(self.on.extend(hold, self.near(hold, edge)))

    @rule(hold=holds)
    def come_back(self, hold: UUID) -> None:
        self.runner.run(self.on.come_back(hold))

    @precondition(lambda self: self.desk is not None and self.desk.model.holds)
    @rule()
    def lose(self) -> None:
        self.runner.run(self.on.lose())

    @rule(hold=holds, share=st.integers(0, 101))
    def resolve(self, hold: UUID, share: int) -> None:
        known = self.on.model.holds.get(hold)
        self.runner.run(self.on.resolve(hold, (known.amount if known else 0) * share // 100))

    @rule(days=st.integers(0, 1), step_ms=st.integers(-3_600_000, 3_600_000))
    def time_passes(self, days: int, step_ms: int) -> None:
        """Also backwards: a stepped clock cannot bring a period back."""
        self.on.clock.at_ms += days * DAY_MS + step_ms

    @rule(target=holds, hold=holds, edge=EDGES)
    def settle_a_call_of_yesterday(self, hold: UUID, edge: tuple[str, int, int]) -> object:
        """The day turns while a call runs, and another call of its key begins the new period."""
        self.on.clock.at_ms += DAY_MS
        begun = self.hold([(self.on.model.first[hold].key, 300, True, True)])
        self.settle([hold], edge, beyond=False)
        return begun

    @rule(number=st.integers(0, 1), cap=st.integers(0, 60_000))
    def change_cap(self, number: int, cap: int) -> None:
        key = self.on.model.keys[number]
        if not key.revoked and key.cap is not None:
            self.runner.run(self.on.change_cap(number, cap))

    @rule(number=st.integers(0, 1), amount=st.integers(1, 20_000))
    def credit(self, number: int, amount: int) -> None:
        key = self.on.model.keys[number]
        if not key.revoked and key.cap is not None:
            self.runner.run(self.on.credit(number, amount))

    @precondition(lambda self: self.desk is not None and self.desk.model.prepaid)
    @rule(amount=st.integers(-30_000, 30_000).filter(bool))
    def pay(self, amount: int) -> None:
        self.runner.run(self.on.pay(amount))

    @precondition(lambda self: self.desk is not None and len(self.desk.model.first) > 8)
    @rule(number=st.integers(0, 1))
    def revoke(self, number: int) -> None:
        self.runner.run(self.on.revoke(number))

    @invariant()
    def books_agree(self) -> None:
        if self.desk is not None:
            LedgerMachine.steps += 1
            self.runner.run(self.desk.assert_books())


def test_the_ledger_does_what_its_model_says_in_any_order(database_url: str) -> None:
    LedgerMachine.dsn, LedgerMachine.steps = database_url, 0
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
            derandomize=True,
        ),
    )
    assert LedgerMachine.steps > 1000, "the histories have become too few to mean anything"


def test_no_statement_can_pass_the_ceiling_of_a_key(database_url: str) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(database_url)
        account, key = uuid7(1, bytes(10)), uuid7(2, bytes(10))
        await connection.execute("INSERT INTO accounts VALUES ($1, 'a', NULL, 0, 0)", account)
        await connection.execute(
            "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros,"
            " ceiling_micros, created_at) VALUES ($1, $2, $3, '', 'k', 'standard', 'live', 100, 100, 0)",
            key, account, bytes(32),
        )  # fmt: skip
        with pytest.raises(asyncpg.CheckViolationError, match="key_never_above_its_ceiling"):
            await connection.execute("UPDATE keys SET held_micros = 101")
        await connection.close()

    asyncio.run(main())


def test_the_database_and_the_gateway_bound_a_call_alike(database_url: str) -> None:
    """Two implementations of W(x) and its inverse: `core.demand` and SQL."""
    model = Model(False, 333, [])

    async def main() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(database_url)
        rows = await connection.fetch(
            "SELECT x, worst_micros(x, $1, $2, 333) AS w, largest_output(x, $1, $2, 333) AS inverse"
            " FROM generate_series(0, 60000, 37) AS x",
            BASE_PICOS,
            SLOPE_PICOS,
        )
        await connection.close()
        return rows

    for row in asyncio.run(main()):
        assert row["w"] == model.worst(row["x"])
        assert row["inverse"] == max(0, model.largest(row["x"]))
