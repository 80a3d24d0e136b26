"""The ledger in plain arithmetic: what every transition must do, in a page of Python that knows no database.

Two keys (or more) of one account, which may share a prepaid wallet. The tests that compare the real ledger with it
are `properties/test_ledger.py` (long random histories) and `properties/test_explorer_ledger.py` (every short one).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from qlaud.core.demand import Worst

DAY_MS = 86_400_000
FLOOR_TOKENS = 256
BASE_PICOS, SLOPE_PICOS = 2_500_000_000, 5_000_000
"""What a call of the tests costs at most: 2500 micros for its input, 5 for each token of its output limit."""


@dataclass(frozen=True)
class Wanted:
    """A call that asks for its hold."""

    id: UUID
    key: int
    output: int
    no_limit: bool = False
    waited: bool = False


@dataclass(frozen=True)
class Said:
    """What the ledger must answer: `held`, `wait` or the code of a refusal."""

    outcome: str
    amount: int = 0
    output: int = 0
    remaining: int | None = None
    affordable: int | None = None


@dataclass(frozen=True)
class ModelHold:
    """Money set aside."""

    amount: int
    key: int
    created_at: int
    on_wallet: bool
    state: str = "held"


@dataclass
class ModelKey:
    """A key and its running period."""

    cap: int | None
    period: str = "lifetime"
    on_cap: str = "clamp"
    max_parallel: int | None = None
    start: int = 0
    credit: int = 0
    posted: int = 0
    lifetime: int = 0
    ceiling: int | None = None
    revoked: bool = False

    def __post_init__(self) -> None:
        self.ceiling = self.cap


@dataclass
class Model:
    """All of an account's money."""

    prepaid: bool
    markup_bp: int
    keys: list[ModelKey]
    paid_in: int = 0
    holds: dict[UUID, ModelHold] = field(default_factory=dict)
    first: dict[UUID, ModelHold] = field(default_factory=dict)
    """Every hold there ever was, as it was taken."""
    events: dict[UUID, int] = field(default_factory=dict)
    wallet_posted: int = 0
    overage: int = 0

    def worst(self, output: int) -> int:
        return Worst(BASE_PICOS, SLOPE_PICOS, self.markup_bp).micros(output)

    def largest(self, money: int) -> int:
        return Worst(BASE_PICOS, SLOPE_PICOS, self.markup_bp).largest_limit(money)

    def of_key(self, number: int, *states: str) -> int:
        """What holds of the running period of a key set aside."""
        start = self.keys[number].start
        return sum(
            hold.amount
            for hold in self.holds.values()
            if hold.key == number and hold.state in states and hold.created_at >= start
        )

    def on_wallet(self, *states: str) -> int:
        """What holds on the wallet set aside."""
        return sum(hold.amount for hold in self.holds.values() if hold.on_wallet and hold.state in states)

    def key_money(self, number: int, *states: str) -> int | None:
        """Allowance less what is posted and what holds of these states set aside; None without a cap."""
        key = self.keys[number]
        if key.cap is None:
            return None
        return key.cap + key.credit - key.posted - self.of_key(number, *states)

    def wallet_money(self, *states: str) -> int | None:
        """The same of the wallet; None where there is none."""
        return self.paid_in - self.wallet_posted - self.on_wallet(*states) if self.prepaid else None

    def money(self, number: int, *states: str) -> int | None:
        """What a call of the key may use: the smaller of both; None without any bound."""
        bounds = (self.key_money(number, *states), self.wallet_money(*states))
        return min((bound for bound in bounds if bound is not None), default=None)

    def roll(self, number: int, now: int) -> None:
        """A call or a credit in a new period begins it."""
        key = self.keys[number]
        start = now - now % DAY_MS if key.period == "day" else 0
        if start > key.start:
            key.start, key.credit, key.posted, key.ceiling = start, 0, 0, key.cap

    def hold(self, wanted: Sequence[Wanted], now: int) -> dict[UUID, Said]:
        """One batch: key by key, within a key in the order they came."""
        said: dict[UUID, Said] = {}
        for one in sorted(wanted, key=lambda one: one.key):
            self.roll(one.key, now)
            answer = said[one.id] = self._admission(one)
            if answer.outcome == "held":
                created_at = max(now, self.keys[one.key].start)
                hold = ModelHold(answer.amount, one.key, created_at, self.prepaid)
                self.holds[one.id] = self.first[one.id] = hold
                said[one.id] = replace(answer, remaining=self.key_money(one.key, "held", "lost"))
        return said

    def _admission(self, one: Wanted) -> Said:
        """The contract, section 6.3, step by step."""
        key = self.keys[one.key]
        if key.revoked:
            return Said("revoked_key")
        in_flight = sum(hold.key == one.key and hold.state == "held" for hold in self.holds.values())
        if key.max_parallel is not None and in_flight >= key.max_parallel:
            return Said("parallel_limited")
        free, reach = self.money(one.key, "held", "lost"), self.money(one.key, "lost")
        want, floor = self.worst(one.output), self.worst(min(one.output, FLOOR_TOKENS))
        if free is None or reach is None or want <= free:
            return Said("held", want, one.output)
        if want <= reach and not one.waited:
            return Said("wait")
        lower = one.no_limit or key.on_cap == "clamp"
        if not lower and want <= reach:
            return Said("cap_contended")
        if not lower:
            affordable = self.largest(reach) if self.worst(1) <= reach else None
            return Said(self._exhausted(one.key, want), affordable=affordable)
        if floor <= free:
            output = self.largest(free)
            return Said("held", self.worst(output), output)
        if floor <= reach:
            return Said("cap_contended" if one.waited else "wait")
        return Said(self._exhausted(one.key, floor))

    def _exhausted(self, number: int, amount: int) -> str:
        own = self.key_money(number, "lost")
        return "key_cap_exceeded" if own is not None and amount > own else "wallet_exhausted"

    def settle(self, ends: Iterable[tuple[UUID, int]]) -> dict[UUID, tuple[int, int]]:
        """One batch of (hold, cost): what was charged and what went to the operator; ended ones are left out.

        What is above a hold is taken first, as far as it is free, and before any of the holds is released.
        """
        new = [(hold_id, cost) for hold_id, cost in sorted(ends) if hold_id not in self.events]
        taken = {hold_id: self._take_excess(hold_id, cost) for hold_id, cost in new}
        charged: dict[UUID, tuple[int, int]] = {}
        for hold_id, cost in new:
            origin, hold = self.first[hold_id], self.holds.pop(hold_id, None)
            within = min(cost, hold.amount if hold else 0)
            self._post(origin, within)
            paid = within + taken[hold_id]
            self.events[hold_id] = paid
            self.overage += cost - paid
            charged[hold_id] = (paid, cost - paid)
        return charged

    def _take_excess(self, hold_id: UUID, cost: int) -> int:
        origin, hold = self.first[hold_id], self.holds.get(hold_id)
        excess = max(0, cost - (hold.amount if hold else 0))
        own = self.key_money(origin.key, "held", "lost")
        if own is not None and origin.created_at < self.keys[origin.key].start:
            own = 0  # the allowance of its period is closed
        wallet = self.wallet_money("held", "lost") if origin.on_wallet else None
        taken = min([excess, *(max(0, bound) for bound in (own, wallet) if bound is not None)])
        self._post(origin, taken)
        return taken

    def _post(self, origin: ModelHold, amount: int) -> None:
        key = self.keys[origin.key]
        key.lifetime += amount
        if origin.created_at >= key.start:
            key.posted += amount
        if origin.on_wallet:
            self.wallet_posted += amount

    def extend(self, hold_id: UUID, more: int) -> bool:
        """All of what is asked, or nothing."""
        hold = self.holds.get(hold_id)
        if hold is None or hold.state != "held":
            return False
        key = self.keys[hold.key]
        free = self.money(hold.key, "held", "lost")
        closed = key.cap is not None and hold.created_at < key.start
        if closed or (free is not None and more > free):
            return False
        self.holds[hold_id] = replace(hold, amount=hold.amount + more)
        return True

    def void(self, hold_id: UUID) -> None:
        """As if it had never been asked."""
        self.holds.pop(hold_id, None)

    def come_back(self, hold_id: UUID) -> None:
        """Its owner renews it."""
        if hold := self.holds.get(hold_id):
            self.holds[hold_id] = replace(hold, state="held")

    def lose(self) -> set[UUID]:
        """Every worker died: what is held is lost."""
        lost = {hold_id for hold_id, hold in self.holds.items() if hold.state == "held"}
        for hold_id in lost:
            self.holds[hold_id] = replace(self.holds[hold_id], state="lost")
        return lost

    def resolve(self, hold_id: UUID, cost: int) -> bool:
        """End a lost hold by hand."""
        hold = self.holds.get(hold_id)
        if hold is None or hold.state != "lost" or cost > hold.amount:
            return False
        self.settle([(hold_id, cost)])
        return True

    def change_cap(self, number: int, cap: int) -> None:
        """The operator raises or lowers the cap of a key that has one."""
        key = self.keys[number]
        key.cap = cap
        key.ceiling = max(cap + key.credit, key.posted + self.of_key(number, "held", "lost"))

    def credit(self, number: int, amount: int, now: int) -> None:
        """More allowance."""
        self.roll(number, now)
        key = self.keys[number]
        assert key.cap is not None
        key.credit += amount
        key.ceiling = max(key.cap + key.credit, key.posted + self.of_key(number, "held", "lost"))

    def state(self) -> tuple[object, ...]:
        """Everything the future depends on, to tell states apart by."""
        keys = tuple(tuple(vars(key).values()) for key in self.keys)
        return (
            keys,
            frozenset(self.holds.items()),
            frozenset(self.first.items()),
            frozenset(self.events.items()),
            (self.paid_in, self.wallet_posted, self.overage),
        )
