"""Defects planted into a gateway in memory or into its database, one at a time, to see that the harness finds each.

They are the mistakes of real gateways. None of this is in the product; `launch` plants them in a child process.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from bench.prove.scenario import Shape
from bench.prove.scripts import Temper
from qlaud.core import pricing
from qlaud.core.demand import Demand, Worst
from qlaud.core.ledger import Charged, Hold, Settlement
from qlaud.core.money import Micros
from qlaud.core.usage import Nothing
from qlaud.flows import call_books, metered, pump
from qlaud.flows.settling import settlement_of
from qlaud.store import ledger


@dataclass(frozen=True, slots=True)
class Defect:
    """One mistake, and the kind of run in which it must show."""

    mistake: str
    shape: Shape
    plant: Callable[[], None] | None = None
    """Run in the gateway's process before it starts."""
    sql: str | None = None
    """Run in its database once it has started."""
    runs: int = 6
    kills: bool = False
    """It shows when a gateway is killed."""


def settlement_dropped_on_disconnect() -> None:
    """A caller that hangs up takes the call with it: hold given back, no event."""

    def client_left(self: pump.Pump) -> None:
        if not self._books.settled and self._task is not None:
            self._task.cancel()
            self._freed = asyncio.ensure_future(self._books.void())  # type: ignore[attr-defined]

    pump.Pump.client_left = client_left  # type: ignore[method-assign]


def billed_error_released() -> None:
    """An error status is taken for "nothing was billed", whatever its body says."""
    refused = pump.Pump._refused

    async def without_usage(self: pump.Pump, response: object, tap: object) -> None:
        self._outcome = lambda _: Nothing()  # type: ignore[method-assign, assignment]
        await refused(self, response, tap)  # type: ignore[arg-type]

    pump.Pump._refused = without_usage  # type: ignore[method-assign]


def base_rate_held() -> None:
    """The hold is taken at the plain rates: no cache writes, no long-context band, no dearer tier."""
    real = pricing.RateCard.worst

    def worst(
        self: pricing.RateCard, demand: Demand, *, context_window: int | None = None, markup_bp: int = 0
    ) -> Worst:
        real(self, demand, context_window=context_window, markup_bp=markup_bp)
        band = self.lines[pricing.STANDARD][0]
        base = demand.input_tokens * band.weight("input_tokens") // band.per
        slope = demand.candidates * band.weight("output_tokens") // band.per
        return Worst(base, slope, markup_bp)

    pricing.RateCard.worst = worst  # type: ignore[method-assign]


def settled_twice() -> None:
    """A settlement is sent again under a new id, as a retry that lost its identity."""
    real = ledger.Ledger.settle

    async def settle(self: ledger.Ledger, settlement: Settlement) -> Charged:
        charged = await real(self, settlement)
        again = replace(settlement, hold=replace(settlement.hold, id=uuid.uuid4()))  # type: ignore[arg-type]
        await real(self, again)
        return charged

    ledger.Ledger.settle = settle  # type: ignore[method-assign]


def increment_forgotten() -> None:
    """A stream that runs past its hold goes on without more being held."""

    async def extend(self: metered.Metered, hold: Hold, *, add_micros: Micros, add_output: int) -> bool:
        return True

    metered.Metered.extend = extend  # type: ignore[method-assign]


def estimates_free() -> None:
    """A stream that breaks before its usage costs nothing."""
    real = settlement_of

    def free(*args: object, **kwargs: object) -> Settlement:
        made = real(*args, **kwargs)  # type: ignore[arg-type]
        if made.estimated:
            return replace(made, cost_micros=Micros(0), provider_cost_micros=Micros(0))
        return made

    call_books.settlement_of = free  # type: ignore[assignment]


def lost_hold_released() -> None:
    """A hold nobody renews is given back, as a cache entry that expires."""

    async def sweep(self: ledger.Ledger, *, lost_after_ms: int, limit: int) -> list[object]:
        async with self._acquire() as connection:
            stale = await connection.fetch(
                "SELECT id FROM holds WHERE state = 'held' AND renewed_at < $1 LIMIT $2",
                self._now_ms() - lost_after_ms,
                limit,
            )
            await connection.execute(ledger.VOID, [row["id"] for row in stale])
        return []

    ledger.Ledger.sweep_lost = sweep  # type: ignore[method-assign, assignment]


KEY_CACHE = """
CREATE TABLE key_cache (key_id uuid PRIMARY KEY, revoked_at bigint, read_at bigint);
CREATE FUNCTION cached_revoked(p_key uuid, p_revoked bigint, p_now bigint) RETURNS boolean LANGUAGE sql AS $f$
    INSERT INTO key_cache VALUES (p_key, p_revoked, p_now)
        ON CONFLICT (key_id) DO UPDATE SET revoked_at = p_revoked, read_at = p_now
        WHERE key_cache.read_at < p_now - 2000;
    SELECT revoked_at IS NOT NULL FROM key_cache WHERE key_id = p_key
$f$;
"""


def altered(found: str, put: str, *, before: str = "", after: str = "") -> str:
    """SQL that puts other words into the function that admits; it fails where the words are not found."""
    return f"""{before}
DO $do$
DECLARE
    v_source text := pg_get_functiondef('ledger_hold'::regproc);
BEGIN
    ASSERT position('{found}' IN v_source) > 0;
    EXECUTE replace(v_source, '{found}', '{put}');
END $do$;
{after}"""


CALM = Temper(fault_pct=0, quirk_pct=0, slow_pct=100)
DEFECTS: Mapping[str, Defect] = {
    "dropped-on-disconnect": Defect(
        "a settlement is dropped when the caller disconnects",
        Shape(clients=(10,), hang_up_pct=90, temper=CALM, tightness=(1000,)),
        settlement_dropped_on_disconnect,
    ),
    "billed-error-released": Defect(
        "a hold is released on a 5xx that billed",
        Shape(clients=(10,), temper=Temper(100, 0, ("refused_billed",), 0), tightness=(1000,)),
        billed_error_released,
    ),
    "key-state-cached": Defect(
        "key state is read from a cache",
        Shape(clients=(10,), most_calls=6, acts_pct=100, hang_up_pct=0, temper=CALM, tightness=(1000,)),
        sql=altered(
            "a.revoked_at IS NOT NULL", "cached_revoked(a.key_id, a.revoked_at, p_now)", before=KEY_CACHE
        ),
    ),
    "base-rate-held": Defect(
        "the hold is taken at the base rate only",
        Shape(clients=(50,), acts_pct=0, temper=Temper(0, 0, (), 0, greedy=True), tightness=(1000,)),
        base_rate_held,
    ),
    "settled-twice": Defect(
        "a settlement is applied twice on a retry",
        Shape(clients=(10,), temper=CALM, tightness=(1000,)),
        settled_twice,
    ),
    "increment-forgotten": Defect(
        "the incremental hold is forgotten",
        Shape(clients=(20,), hang_up_pct=0, temper=Temper(100, 0, ("runs_on",), 100), tightness=(20, 60)),
        increment_forgotten,
        runs=12,
    ),
    "estimates-free": Defect(
        "a broken stream costs nothing",
        Shape(clients=(10,), hang_up_pct=0, temper=Temper(100, 0, ("cut", "stall"), 0), tightness=(1000,)),
        estimates_free,
    ),
    "holds-not-counted": Defect(
        "money in flight is not counted at admission",
        Shape(clients=(50,), hang_up_pct=0, temper=CALM, tightness=(20, 60)),
        sql=altered(
            "a.posted_micros + a.held_micros + a.lost_micros",
            "a.posted_micros",
            after="ALTER TABLE keys DROP CONSTRAINT key_never_above_its_ceiling",
        ),
    ),
    "lost-hold-released": Defect(
        "a hold nobody renews is given back",
        Shape(clients=(20,), most_calls=6, acts_pct=0, hang_up_pct=0, temper=CALM, tightness=(1000,)),
        lost_hold_released,
        kills=True,
    ),
}
