"""The ledger against a model of it that fits on a page. Real PostgreSQL, every transition, any order.

Invariant, after every step: for each key and the wallet, posted + held + lost <= allowance (or what it was when the
allowance was lowered); every projection is the sum of its rows; what the ledger answers is what the model says.
"""

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from qlaud.core.demand import Worst
from qlaud.core.ids import AccountId, KeyId, RequestId, uuid7
from qlaud.core.keys import KeyPolicy, Principal
from qlaud.core.ledger import Admission, CallFacts, Hold, HoldAsk, Refused, Settlement, Wait
from qlaud.core.money import Micros
from qlaud.core.usage import Usage
from qlaud.flows.doctor import Doctor
from qlaud.flows.keys import Keys
from qlaud.store.books import Books
from qlaud.store.ledger import Ledger, Terms
from qlaud.store.pool import Pool, PoolLimits

DAY_MS = 86_400_000
FACTS = CallFacts(model="m", provider="p", surface="messages", price_version="1")
BASE_PICOS, SLOPE_PICOS = 2_500_000_000, 5_000_000


ASKS = st.tuples(st.integers(0, 1), st.integers(1, 9000), st.booleans(), st.booleans())
"""Which key, output tokens wanted, no limit given, has waited."""


class FrozenClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.at_ms = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def ticks_ms(self) -> float:
        return float(self.at_ms)


class CountedIds:
    """Ids in a row, never the same in one process."""

    made = 0

    def uuid(self, at_ms: int) -> UUID:
        CountedIds.made += 1
        return uuid7(at_ms, CountedIds.made.to_bytes(10))


@dataclass
class ModelHold:
    amount: int
    key: int
    created_at: int
    on_wallet: bool
    state: str = "held"


@dataclass
class ModelKey:
    cap: int | None
    period: str
    on_cap: str
    start: int = 0
    credit: int = 0
    posted: int = 0
    lifetime: int = 0
    max_parallel: int | None = None
    revoked: bool = False


@dataclass
class Model:
    """What must be true, in plain arithmetic."""

    prepaid: bool
    markup_bp: int
    keys: list[ModelKey] = field(default_factory=list)
    holds: dict[UUID, ModelHold] = field(default_factory=dict)
    events: dict[UUID, int] = field(default_factory=dict)
    paid_in: int = 0
    wallet_posted: int = 0
    overage: int = 0

    def of_key(self, number: int, *states: str) -> int:
        key = self.keys[number]
        return sum(
            h.amount
            for h in self.holds.values()
            if h.key == number and h.state in states and h.created_at >= key.start
        )

    def on_wallet(self, *states: str) -> int:
        return sum(h.amount for h in self.holds.values() if h.on_wallet and h.state in states)

    def money(self, number: int, *, states: tuple[str, ...]) -> int | None:
        key = self.keys[number]
        bounds: list[int] = []
        if key.cap is not None:
            bounds.append(key.cap + key.credit - key.posted - self.of_key(number, *states))
        if self.prepaid:
            bounds.append(self.paid_in - self.wallet_posted - self.on_wallet(*states))
        return min(bounds) if bounds else None

    def roll(self, number: int, now: int) -> None:
        key = self.keys[number]
        start = now - now % DAY_MS if key.period == "day" else 0
        if start > key.start:
            key.start, key.credit, key.posted = start, 0, 0

    def expect(self, number: int, want: int, no_limit: bool, waited: bool) -> tuple[str, int, int]:
        """Contract 6.3, step by step: (outcome, amount, output)."""
        key, worst = self.keys[number], Worst(BASE_PICOS, SLOPE_PICOS, self.markup_bp)
        if key.revoked:
            return "revoked_key", 0, 0
        if (
            key.max_parallel is not None
            and sum(h.key == number and h.state == "held" for h in self.holds.values()) >= key.max_parallel
        ):
            return "parallel_limited", 0, 0
        free, reach = self.money(number, states=("held", "lost")), self.money(number, states=("lost",))
        w_want, w_floor = worst.micros(want), worst.micros(min(want, 256))
        if free is None or reach is None or w_want <= free:
            return "held", w_want, want
        if w_want <= reach and not waited:
            return "wait", 0, 0
        if not (no_limit or key.on_cap == "clamp"):
            return ("cap_contended" if w_want <= reach else "out_of_money"), 0, 0
        if w_floor <= free:
            output = worst.largest_limit(free)
            return "held", worst.micros(output), output
        if w_floor <= reach:
            return ("cap_contended" if waited else "wait"), 0, 0
        return "out_of_money", 0, 0


class LedgerMachine(RuleBasedStateMachine):
    """Random transitions on two keys of one account."""

    holds = Bundle("holds")
    dsn = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock, self.ids = FrozenClock(), CountedIds()

    @initialize(
        prepaid=st.booleans(),
        markup_bp=st.sampled_from((0, 700, 333)),
        caps=st.lists(st.one_of(st.none(), st.integers(0, 60_000)), min_size=2, max_size=2),
        periods=st.lists(st.sampled_from(("lifetime", "day")), min_size=2, max_size=2),
        on_caps=st.lists(st.sampled_from(("clamp", "refuse")), min_size=2, max_size=2),
        paid_in=st.integers(0, 90_000),
    )
    def begin(
        self,
        prepaid: bool,
        markup_bp: int,
        caps: list[int | None],
        periods: list[str],
        on_caps: list[str],
        paid_in: int,
    ) -> None:
        self.model = Model(prepaid, markup_bp)
        self.secrets: list[bytes] = []
        self.key_ids: list[UUID] = []
        self.account = AccountId(self.ids.uuid(1))
        self.runner.run(self._open(markup_bp, prepaid, caps, periods, on_caps, paid_in))

    async def _open(
        self,
        markup_bp: int,
        prepaid: bool,
        caps: list[int | None],
        periods: list[str],
        on_caps: list[str],
        paid_in: int,
    ) -> None:
        self.pool = Pool(self.dsn, PoolLimits(size=3))
        await self.pool.server_major()
        self.ledger = Ledger(
            self.pool.connect, self.pool.acquire, self.clock.now_ms, Terms(markup_bp, prepaid, 5.0)
        )
        self.ledger.start()
        books = Books(self.pool.acquire)
        self.keys, self.doctor = Keys(books, self.clock, self.ids, lambda count: bytes(count)), Doctor(books)
        self.model.paid_in = paid_in if prepaid else 0
        async with self.pool.acquire() as connection:
            await connection.execute("INSERT INTO accounts VALUES ($1, 'a', NULL, 0, 0)", self.account)
            if prepaid:
                await connection.execute(
                    "INSERT INTO wallets (account_id, mode, paid_in_micros, ceiling_micros) VALUES ($1, 'live', $2, $2)",
                    self.account,
                    paid_in,
                )
                await connection.execute(
                    "INSERT INTO wallet_entries VALUES ($1, $2, 'live', 'topup', $3, $3, NULL, 0)",
                    str(self.account),
                    self.account,
                    paid_in,
                )
            for cap, period, on_cap in zip(caps, periods, on_caps, strict=True):
                key_id = self.ids.uuid(1)
                secret = sha256(key_id.bytes).digest()
                await connection.execute(
                    "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros, ceiling_micros, cap_period, on_cap, created_at)"
                    " VALUES ($1, $2, $3, '', 'k', 'standard', 'live', $4, $4, $5, $6, 0)",
                    key_id,
                    self.account,
                    secret,
                    cap,
                    period,
                    on_cap,
                )
                self.secrets.append(secret)
                self.key_ids.append(key_id)
                self.model.keys.append(ModelKey(cap, period, on_cap))

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.runner.run(self._close())
        self.runner.close()

    async def _close(self) -> None:
        await self.ledger.close(5.0)
        await self.pool.aclose()

    @rule(target=holds, asked=st.lists(ASKS, min_size=1, max_size=5))
    def hold(self, asked: list[tuple[int, int, bool, bool]]) -> object:
        """Several at once share a batch; the ledger takes them key by key, in the order they came."""
        asked = sorted(asked, key=lambda one: one[0])
        answers = self.runner.run(self._hold_all(asked))
        admitted = [self._judge(answer, *one) for one, answer in zip(asked, answers, strict=True)]
        return multiple(*(hold for hold in admitted if hold is not None))

    async def _hold_all(self, asked: list[tuple[int, int, bool, bool]]) -> list[Admission]:
        return await asyncio.gather(
            *(
                self.ledger.hold(self._ask(n, want, no_limit), has_waited=waited)
                for n, want, no_limit, waited in asked
            )
        )

    def _ask(self, number: int, want: int, no_limit: bool) -> HoldAsk:
        worst = Worst(BASE_PICOS, SLOPE_PICOS, self.model.markup_bp)
        return HoldAsk(
            id=RequestId(self.ids.uuid(self.clock.at_ms)), secret_sha256=self.secrets[number], facts=FACTS, is_priced=True, unbounded_tool=None,
            want_output=want, want_micros=worst.micros(want), floor_micros=worst.micros(min(want, 256)), base_picos=BASE_PICOS,
            slope_picos=SLOPE_PICOS, no_limit=no_limit,
        )  # fmt: skip

    def _judge(self, answer: Admission, number: int, want: int, no_limit: bool, waited: bool) -> Hold | None:
        self.model.roll(number, self.clock.at_ms)
        outcome, amount, output = self.model.expect(number, want, no_limit, waited)
        match answer:
            case Hold():
                assert ("held", amount, output) == (outcome, answer.amount_micros, answer.max_output)
                self.model.holds[answer.id] = ModelHold(amount, number, answer.created_at, answer.on_wallet)
                return answer
            case Wait():
                assert outcome == "wait"
            case Refused(error):
                assert outcome == ("out_of_money" if error.status == 402 else error.code)
        return None

    @rule(hold=holds, cost=st.integers(0, 60_000))
    def settle(self, hold: Hold, cost: int) -> None:
        """First or again, held or lost, above or below the hold."""
        settlement = Settlement(
            hold=hold, facts=FACTS, usage=Usage(), cost_micros=Micros(cost), provider_cost_micros=Micros(cost), latency_ms=1,
            first_token_ms=None, status=200, stream=False, estimated=False, clamped=False,
        )  # fmt: skip
        charged = self.runner.run(self.ledger.settle(settlement))
        known = self.model.holds.get(hold.id)
        if hold.id in self.model.events:
            return
        held = known.amount if known else 0
        number = known.key if known else self.secrets.index(self._secret_of(hold))
        key = self.model.keys[number]
        created_at = known.created_at if known else hold.created_at
        on_wallet = known.on_wallet if known else hold.on_wallet
        excess = max(0, cost - held)
        bounds = []
        if key.cap is not None:
            key_free = key.cap + key.credit - key.posted - self.model.of_key(number, "held", "lost")
            bounds.append(key_free if created_at >= key.start else 0)
        if on_wallet:
            bounds.append(
                self.model.paid_in - self.model.wallet_posted - self.model.on_wallet("held", "lost")
            )
        taken = min([excess, *(max(0, bound) for bound in bounds)])
        self.model.holds.pop(hold.id, None)
        paid = min(cost, held) + taken
        self.model.events[hold.id] = paid
        self.model.overage += cost - paid
        key.lifetime += paid
        if created_at >= key.start:
            key.posted += paid
        if on_wallet:
            self.model.wallet_posted += paid
        assert (charged.cost_micros, charged.overage_micros) == (paid, cost - paid)

    @rule(hold=holds)
    def void(self, hold: Hold) -> None:
        self.runner.run(self.ledger.void(hold))
        if (known := self.model.holds.get(hold.id)) and known.state == "held":
            del self.model.holds[hold.id]

    @rule(hold=holds, more=st.integers(0, 20_000))
    def extend(self, hold: Hold, more: int) -> None:
        grew = self.runner.run(self.ledger.extend(hold, add_micros=Micros(more), add_output=1))
        known = self.model.holds.get(hold.id)
        possible = False
        if known is not None and known.state == "held":
            key = self.model.keys[known.key]
            free = self.model.money(known.key, states=("held", "lost"))
            old = key.cap is not None and known.created_at < key.start
            possible = not old and (free is None or more <= free)
            if possible:
                known.amount += more
        assert grew == possible

    @rule(hold=holds)
    def come_back(self, hold: Hold) -> None:
        self.runner.run(self.ledger.renew([hold.id]))
        if known := self.model.holds.get(hold.id):
            known.state = "held"

    @rule()
    def lose(self) -> None:
        """Every worker died: what is held and old enough is lost."""
        self.clock.at_ms += 60_001
        lost = self.runner.run(self.ledger.sweep_lost(lost_after_ms=60_000, limit=1000))
        mine = {h_id for h_id, _ in lost} & self.model.holds.keys()
        assert mine == {h_id for h_id, h in self.model.holds.items() if h.state == "held"}
        for hold_id in mine:
            self.model.holds[hold_id].state = "lost"

    @rule(hold=holds, share=st.floats(0, 1))
    def resolve(self, hold: Hold, share: float) -> None:
        known = self.model.holds.get(hold.id)
        cost = int((known.amount if known else 0) * share)
        done = self.runner.run(
            self._fetchval("SELECT ledger_resolve($1, $2, $3)", hold.id, cost, self.clock.at_ms)
        )
        assert done == (known is not None and known.state == "lost")
        if known is not None and done:
            key = self.model.keys[known.key]
            del self.model.holds[hold.id]
            self.model.events[hold.id] = cost
            key.lifetime += cost
            key.posted += cost if known.created_at >= key.start else 0
            self.model.wallet_posted += cost if known.on_wallet else 0

    @rule(number=st.integers(0, 1), days=st.integers(0, 2), step=st.integers(-3_600_000, 3_600_000))
    def time_passes(self, number: int, days: int, step: int) -> None:
        """Also backwards: a stepped clock cannot bring a period back."""
        self.clock.at_ms += days * DAY_MS + step

    @rule(number=st.integers(0, 1), cap=st.integers(0, 60_000))
    def change_cap(self, number: int, cap: int) -> None:
        key = self.model.keys[number]
        if key.revoked or key.cap is None:
            return
        caller = Principal(KeyId(self.key_ids[number]), self.account, "admin", "live")
        change = lambda policy: KeyPolicy(**{**_as_dict(policy), "max_spend_micros": Micros(cap)})  # noqa: E731
        self.runner.run(self.keys.change(caller, KeyId(self.key_ids[number]), change))
        self.model.roll(number, self.clock.at_ms)
        key.cap = cap

    @rule(number=st.integers(0, 1))
    def revoke(self, number: int) -> None:
        caller = Principal(KeyId(self.key_ids[number]), self.account, "admin", "live")
        self.runner.run(self.keys.revoke(caller, KeyId(self.key_ids[number])))
        self.model.keys[number].revoked = True

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self.runner.run(self._compare())

    async def _compare(self) -> None:
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT * FROM keys WHERE account_id = $1 ORDER BY id", self.account
            )
            for number, row in enumerate(rows):
                key = self.model.keys[number]
                if row["period_start"] == key.start:  # else: the period began, no call has rolled the row yet
                    assert row["posted_micros"] == key.posted
                    assert row["held_micros"] == self.model.of_key(number, "held")
                    assert row["lost_micros"] == self.model.of_key(number, "lost")
                assert row["lifetime_micros"] == key.lifetime
            if self.model.prepaid:
                wallet = await connection.fetchrow(
                    "SELECT * FROM wallets WHERE account_id = $1", self.account
                )
                assert wallet["posted_micros"] == self.model.wallet_posted
                assert wallet["held_micros"] == self.model.on_wallet("held")
                assert wallet["lost_micros"] == self.model.on_wallet("lost")
                assert (
                    wallet["posted_micros"] + wallet["held_micros"] + wallet["lost_micros"]
                    <= self.model.paid_in
                )
            overage = await connection.fetchval(
                "SELECT overage_micros FROM accounts WHERE id = $1", self.account
            )
            assert overage == self.model.overage
        assert await self.doctor.examine() == []

    async def _fetchval(self, query: str, *args: object) -> object:
        async with self.pool.acquire() as connection:
            return await connection.fetchval(query, *args)

    def _secret_of(self, hold: Hold) -> bytes:
        return self.secrets[self.key_ids.index(hold.key_id)]


def _as_dict(policy: KeyPolicy) -> dict[str, object]:
    return {name: getattr(policy, name) for name in policy.__slots__}


def test_the_ledger_does_what_its_model_says_in_any_order(database_url: str) -> None:
    LedgerMachine.dsn = database_url
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )


def test_no_statement_can_pass_the_ceiling_of_a_key(database_url: str) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(database_url)
        account, key = uuid7(1, bytes(10)), uuid7(2, bytes(10))
        await connection.execute("INSERT INTO accounts VALUES ($1, 'a', NULL, 0, 0)", account)
        await connection.execute(
            "INSERT INTO keys (id, account_id, secret_sha256, prefix, name, scope, mode, max_spend_micros, ceiling_micros, created_at)"
            " VALUES ($1, $2, $3, '', 'k', 'standard', 'live', 100, 100, 0)",
            key, account, bytes(32),
        )  # fmt: skip
        with pytest.raises(asyncpg.CheckViolationError, match="key_never_above_its_ceiling"):
            await connection.execute("UPDATE keys SET held_micros = 101")
        await connection.close()

    asyncio.run(main())
