"""What one call owes: its hold as it grows, how it is metered, and the one settlement or job it ends in.

The pump relays and decides when a call is over; the books know what it has cost by then. Invariant: `settle` runs
once, and `void` only instead of it.
"""

from qlaud.core.demand import as_asked
from qlaud.core.ledger import Charged, Hold
from qlaud.core.usage import AtLeast, Begun, Metered, Nothing
from qlaud.flows.answers import is_clamped
from qlaud.flows.calls import Prepared, Route
from qlaud.flows.headers import upstream_request_id
from qlaud.flows.metered import Metered as Calls
from qlaud.flows.owned import may_keep
from qlaud.flows.settling import Ending, job_of, settlement_of
from qlaud.ports import Clock, Headers
from qlaud.wire.shelf import KEEPERS
from qlaud.wire.types import Tap


class CallBooks:
    """The money of one call under way."""

    def __init__(self, prepared: Prepared, hold: Hold, calls: Calls, clock: Clock, *, markup_bp: int) -> None:
        self._prepared, self._calls, self._clock = prepared, calls, clock
        self._markup_bp = markup_bp
        self.hold = hold
        """As it has grown."""
        self.route: Route = prepared.routes[0]
        """The host that serves the call, as far as is known."""
        self.settled = False
        self._settling_since: float | None = None
        self._began = clock.ticks_ms()
        self.first_token_ms: int | None = None
        self._upstream_request_id: str | None = None
        self.keeps = False
        """Whether the provider keeps the answer, and whose it is was not written down yet."""

    def settling_ms(self, now_ticks_ms: float) -> float:
        """How long the settlement under way has been waiting for the ledger, 0 if none is."""
        return 0.0 if self._settling_since is None else now_ticks_ms - self._settling_since

    def served(self, route: Route, headers: Headers) -> None:
        """`route` took the call and answers with `headers`."""
        self.route = route
        if upstream_id := upstream_request_id(headers):
            self._upstream_request_id = upstream_id.decode("latin-1")
        self.keeps = self._prepared.call.keeps and may_keep(route, self._prepared.incoming.wire_name)

    def note_first_token(self) -> None:
        """The first content came."""
        self.first_token_ms = self._elapsed_ms()

    async def note_owner(self, tap: Tap) -> None:
        """Write down whose the answer is, before its id is relayed."""
        if self.keeps and (kept := KEEPERS[self._prepared.incoming.wire_name](tap)):
            self.keeps = False
            await self._calls.owned.note(self.route.provider.slug, kept, self.hold)

    def outcome(self, tap: Tap, *, blind: bool) -> Metered:
        """What the call used, as `tap` read it; `blind` says that the answer could not be read."""
        outcome = tap.outcome(input_bound=self._prepared.input_bound)
        if blind and isinstance(outcome, Nothing):
            return self.as_asked()  # an answer nobody could read is not a free one
        return outcome

    def as_asked(self) -> AtLeast:
        """What the call asked for: the estimate where the provider told nothing."""
        call = self._prepared.call
        return AtLeast(call.expected or as_asked(call.demand, self._prepared.input_bound))

    async def settle(self, outcome: Metered, status: int) -> Charged | None:
        """End the call in the books; `status` is what its event says. None: it began a job, which has its hold now.

        Returns when that is durable.
        """
        assert not self.settled, "a call settles once"
        ending = Ending(
            metered=outcome,
            status=status,
            latency_ms=self._elapsed_ms(),
            first_token_ms=self.first_token_ms,
            upstream_request_id=self._upstream_request_id,
            clamped=is_clamped(self._prepared, self.hold),
        )
        settlement = settlement_of(self._prepared, self.route, self.hold, ending, self._markup_bp)
        job = (
            job_of(self._prepared, self.route, self.hold, outcome, ending, now_ms=self._clock.now_ms())
            if isinstance(outcome, Begun)
            else None
        )
        self.settled = True
        self._settling_since = self._clock.ticks_ms()
        charged = None
        if job is None or not await self._calls.hand_over(job):
            charged = await self._calls.settle(settlement)
        self._settling_since = None
        return charged

    async def void(self) -> None:
        """Give the hold back: nothing left this machine."""
        self.settled = True
        await self._calls.void(self.hold)

    def abandon(self) -> None:
        """The call's task ends. A hold that is not settled is renewed no more, so that it is found lost."""
        if not self.settled:
            self._calls.forget(self.hold)

    def _elapsed_ms(self) -> int:
        return int(self._clock.ticks_ms() - self._began)
