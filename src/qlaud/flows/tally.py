"""The bill of a job of many calls: each priced by its own model, all of it rounded once (design decision 2)."""

from collections.abc import Callable
from fractions import Fraction

from qlaud.core.pricing import Charge, NotPriced, RateCard, charge_of
from qlaud.core.usage import Usage
from qlaud.wire.jobs import Line
from qlaud.wire.live_sums import plus


class Tally:
    """What the lines read so far used and cost."""

    def __init__(self, card_of: Callable[[str], RateCard | None]) -> None:
        self._card_of = card_of
        self._cards: dict[str, RateCard | None] = {}
        self._picos = Fraction(0)
        self._usage: Usage | None = None
        self.is_priced = True
        """Whether all that was used has a price."""
        self.lines = 0
        """How many calls there were."""

    def add(self, line: Line) -> None:
        """One call."""
        self.lines += 1
        if line.usage is None:
            self.is_priced = False
            return
        if line.model not in self._cards:
            self._cards[line.model] = self._card_of(line.model)
        card = self._cards[line.model]
        self._usage = line.usage if self._usage is None else plus(self._usage, line.usage)
        try:
            if card is None:
                self.is_priced = False
            else:
                self._picos += card.exact_picos(line.usage)
        except NotPriced:
            self.is_priced = False

    @property
    def usage(self) -> Usage:
        """All calls together."""
        return self._usage or Usage()

    def charge(self, markup_bp: int) -> Charge:
        """What all calls together cost."""
        return charge_of(self._picos, markup_bp)
