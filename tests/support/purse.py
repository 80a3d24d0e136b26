"""One capped key as a ledger in memory: what the real one promises, in forty lines. Implements `ports.LedgerStore`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from qlaud.core.errors import KeyCapExceeded, QlaudError
from qlaud.core.ids import AccountId, KeyId, RequestId
from qlaud.core.ledger import Admission, Charged, Hold, HoldAsk, Refused, Settlement
from qlaud.core.money import Micros


@dataclass
class Purse:
    """Raises AssertionError where posted and held pass the cap, or a hold ends twice."""

    cap: int
    posted: int = 0
    overage: int = 0
    refuses: QlaudError | None = None
    """What the next hold is refused with."""
    held: dict[UUID, int] = field(default_factory=dict[UUID, int])
    ended: list[Settlement] = field(default_factory=list[Settlement])
    asks: list[HoldAsk] = field(default_factory=list[HoldAsk])

    @property
    def free(self) -> int:
        return self.cap - self.posted - sum(self.held.values())

    async def hold(self, ask: HoldAsk, *, has_waited: bool) -> Admission:
        self.asks.append(ask)
        if self.refuses is not None:
            return Refused(self.refuses)
        if ask.want_micros > self.free:
            return Refused(KeyCapExceeded(cap_micros=self.cap, spent_micros=self.posted, held_micros=0))
        assert ask.id not in self.held
        self.held[ask.id] = ask.want_micros
        key = KeyId(UUID(int=1))
        return Hold(
            id=ask.id,
            key_id=key,
            account_id=AccountId(UUID(int=2)),
            mode="live",
            on_wallet=False,
            amount_micros=ask.want_micros,
            max_output=None,
            bounded=True,
            on_disconnect=None,
            created_at=0,
            remaining_micros=Micros(self.free),
            rpm_limit=None,
            rpm_used=None,
        )

    async def settle(self, settlement: Settlement) -> Charged:
        assert all(settlement.hold.id != other.hold.id for other in self.ended), "a hold ends once"
        amount = self.held.pop(settlement.hold.id, 0)
        excess = min(max(0, settlement.cost_micros - amount), max(0, self.free))
        charged = min(settlement.cost_micros, amount) + excess
        self.posted += charged
        self.overage += settlement.cost_micros - charged
        self.ended.append(settlement)
        assert self.free >= 0, "posted and held pass the cap"
        return Charged(Micros(charged), Micros(settlement.cost_micros - charged))

    async def extend(self, hold: Hold, *, add_micros: Micros, add_output: int) -> bool:
        if add_micros > self.free:
            return False
        self.held[hold.id] += add_micros
        return True

    async def void(self, hold: Hold) -> None:
        del self.held[hold.id]

    async def renew(self, ids: Sequence[RequestId]) -> None:
        """Nothing gets lost here."""

    async def sweep_lost(self, *, lost_after_ms: int, limit: int) -> list[tuple[UUID, Micros]]:
        return []

    async def void_orphans(self) -> int:
        return 0
