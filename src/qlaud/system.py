"""The machine's clock, ids and dice: the plugs behind `ports.Clock` and `ports.Ids`. The only place that reads them.

Also what the process does about its own garbage.
"""

import gc
import os
import time
from uuid import UUID

from qlaud.core.ids import uuid7


class SystemClock:
    """Implements `ports.Clock`."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def ticks_ms(self) -> float:
        """Monotonic milliseconds."""
        return time.monotonic() * 1000


class SystemIds:
    """Implements `ports.Ids`."""

    def uuid(self, at_ms: int) -> UUID:
        """A UUIDv7 with fresh random bits."""
        return uuid7(at_ms, os.urandom(10))


def dice(count: int) -> bytes:
    """Random bytes fit for secrets."""
    return os.urandom(count)


def spare_the_start() -> None:
    """Take everything made so far out of the cycle collector's rounds, and let it go round less often.

    Modules, prices and routes live as long as the process; calls leave no cycles behind. About a tenth of the CPU
    time of a call was spent on finding that out again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
