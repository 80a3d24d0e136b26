"""How far a stream may run: the output that was held, and what can be held on top while it runs."""

from msgspec.structs import replace

from qlaud.core.ledger import Hold
from qlaud.core.money import Micros
from qlaud.flows.calls import Prepared
from qlaud.flows.metered import Metered

SLACK_TOKENS = 16
"""Content events are counted as tokens; a few more events than tokens are no sign of a provider that runs on."""

GROWTH_TOKENS = 256


class OutputLimit:
    """The running bound of one stream, in output tokens over all candidates."""

    def __init__(self, hold: Hold, prepared: Prepared) -> None:
        self.hold = hold
        """As it has grown; its `max_output` stays what was sent."""
        self._worst = prepared.worst
        self._candidates = max(1, prepared.call.demand.candidates)
        self._beyond = prepared.beyond_tokens
        self._output = hold.max_output
        if not hold.bounded or hold.max_output is None:
            self.tokens = float("inf")
        else:
            self.tokens = self._with_slack(hold.max_output)

    async def grow(self, calls: Metered, seen_tokens: int) -> bool:
        """Whether more could be held for a stream that has `seen_tokens`, beyond its limit."""
        if self._output is None or self._worst is None:
            return True
        wanted = max(seen_tokens // self._candidates - self._beyond, self._output) + GROWTH_TOKENS
        more = Micros(self._worst.micros(wanted) - self._worst.micros(self._output))
        if not await calls.extend(self.hold, add_micros=more, add_output=wanted - self._output):
            return False
        self.hold = replace(self.hold, amount_micros=Micros(self.hold.amount_micros + more))
        self._output = wanted
        self.tokens = self._with_slack(wanted)
        return True

    def _with_slack(self, output: int) -> int:
        total = (output + self._beyond) * self._candidates
        return total + max(SLACK_TOKENS, total // 32)
