"""How long a piece of audio plays, from its bytes: exactly for raw samples, at most for everything else.

Raw encodings have a byte rate. A compressed or contained one has none that stands outside it, so until the provider
has told how far it is, its bytes count as the slowest speech codec plays them; from then on as twice what the
provider found so far. That bound is held, never billed: billed is what the provider tells, or the usual rate.
"""

from typing import Protocol

from qlaud.wire.live_gauge import Gauge

SAMPLE_BYTES = {"linear16": 2, "linear32": 4, "mulaw": 1, "alaw": 1}
SLOWEST_BYTES_PER_S = 750
"""6 kbit/s, the lower end of Opus for speech (RFC 6716, section 2)."""
USUAL_BYTES_PER_S = 4000
"""32 kbit/s, what browsers record speech at."""
MARGIN = 2


class AudioCount(Protocol):
    """Counts audio into a gauge, in milliseconds."""

    gauge: Gauge
    is_exact: bool

    def offer(self, size: int) -> None:
        """So many bytes are about to be sent."""
        ...

    def go(self) -> None:
        """They are sent."""
        ...

    def withdraw(self) -> None:
        """They are not sent."""
        ...

    def tell(self, total_ms: int) -> None:
        """The provider has got so far."""
        ...

    def counted_ms(self) -> int:
        """How long all that was sent plays, as well as it can be said here."""
        ...


class RawAudio:
    """Samples without a container."""

    is_exact = True

    def __init__(self, bytes_per_s: int, factor: int = 1) -> None:
        self.gauge = Gauge()
        self._bytes_per_s = bytes_per_s
        self._factor = factor
        """Channels that are billed one by one."""
        self._size = self._offered = 0

    def offer(self, size: int) -> None:
        """So many bytes are about to be sent."""
        before = self._plays_ms(self._size)
        self._size += size
        self._offered = size
        self.gauge.offer(self._plays_ms(self._size) - before)

    def go(self) -> None:
        """They are sent."""
        self._offered = 0
        self.gauge.go()

    def withdraw(self) -> None:
        """They are not sent."""
        self._size -= self._offered
        self._offered = 0
        self.gauge.withdraw()

    def tell(self, total_ms: int) -> None:
        """The provider has got so far."""
        self.gauge.tell(total_ms)

    def counted_ms(self) -> int:
        """How long all that was sent plays."""
        return self._plays_ms(self._size - self._offered)

    def _plays_ms(self, size: int) -> int:
        return -(-size * 1000 * self._factor // self._bytes_per_s)


class ContainedAudio:
    """Audio whose byte rate stands inside it."""

    is_exact = False

    def __init__(self, lag_ms: int, factor: int = 1) -> None:
        self.gauge = Gauge()
        self._lag_ms = lag_ms
        """How far behind the provider may be with its telling."""
        self._factor = factor
        self._size = self._offered = self._told_size = self._waiting_since = 0

    def offer(self, size: int) -> None:
        """So many bytes are about to be sent."""
        before = self._most_ms()
        self._size += size
        self._offered = size
        self.gauge.offer(max(0, self._most_ms() - before))

    def go(self) -> None:
        """They are sent."""
        self._offered = 0
        self.gauge.go()

    def withdraw(self) -> None:
        """They are not sent."""
        self._size -= self._offered
        self._offered = 0
        self.gauge.withdraw()

    def tell(self, total_ms: int) -> None:
        """The provider has got so far; what was sent since it told that last may still be on its way."""
        self._waiting_since, self._told_size = self._told_size, self._size - self._offered
        self.gauge.tell(total_ms)
        self.gauge.bound = max(total_ms, self._most_ms())

    def counted_ms(self) -> int:
        """How long all that was sent plays, at the usual rate; at least what the provider told."""
        size = self._size - self._offered
        return max(self.gauge.told or 0, -(-size * 1000 * self._factor // USUAL_BYTES_PER_S))

    def _most_ms(self) -> int:
        told = self.gauge.told
        slowest = -(-self._size * 1000 * self._factor // SLOWEST_BYTES_PER_S)
        if not told or not self._told_size:
            return slowest
        waiting = self._size - self._waiting_since
        return min(slowest, told + self._lag_ms + -(-waiting * MARGIN * told // self._told_size))
