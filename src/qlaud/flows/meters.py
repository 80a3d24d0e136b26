"""What the flows report of their calls, for the metrics page. `telemetry.Metrics` counts it; `app` joins the two."""

from typing import Protocol


class Meters(Protocol):
    """Counts. Never raises, never waits."""

    def overhead(self, seconds: float) -> None:
        """The time the gateway itself took from a request to its admission, waits for money included."""
        ...

    def settled(self, *, estimated: bool, clamped: bool, unpriced: bool) -> None:
        """One call has ended, and its settlement is durable."""
        ...
