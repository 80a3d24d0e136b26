"""One quantity of a live session that only grows: what may be billed, what the provider says, what was settled."""


class Gauge:
    """Cumulative counts in whole units. `told` is the provider's own, None while it has said nothing."""

    __slots__ = ("_offered", "bound", "settled", "told")

    def __init__(self) -> None:
        self.bound = 0
        """The most that may be billed for what was sent, and for what is offered."""
        self.told: int | None = None
        self.settled = 0
        self._offered = 0

    @property
    def outstanding(self) -> int:
        """What may still be billed and is not settled."""
        return max(0, self.bound - self.settled)

    @property
    def sent(self) -> int:
        """The same without what is offered."""
        return self.bound - self._offered

    def offer(self, units: int) -> None:
        """Units about to be sent."""
        self._offered = units
        self.bound += units

    def go(self) -> None:
        """They are sent."""
        self._offered = 0

    def withdraw(self) -> None:
        """They are not sent."""
        self.bound -= self._offered
        self._offered = 0

    def tell(self, total: int) -> None:
        """The provider's cumulative count; one that falls back is old news."""
        self.told = total if self.told is None else max(self.told, total)
        self.bound = max(self.bound, self.told)

    def correct(self, total: int) -> None:
        """The provider's last word, also where it is less than it said before."""
        self.told = total

    def take(self, total: int) -> int:
        """What `total` has beyond what was settled; it counts as settled from now on."""
        more = max(0, total - self.settled)
        self.settled += more
        return more
