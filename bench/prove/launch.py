"""`python -m bench.prove.launch '{"dial": …, "defect": …}' serve …`: the product's program, changed in memory.

`dial` names a file whose eight bytes are added to the machine's time. `defect` names one of `defects`, planted
before the program starts. Nothing here is part of the product, and the product knows nothing of it.
"""

import json
import mmap
import struct
import sys
import time

from bench.prove import defects
from qlaud.cli import main
from qlaud.system import SystemClock


def step_clock(path: str) -> None:
    """Let the product's clock read the offset on every look."""
    with open(path, "r+b") as file:
        cells = mmap.mmap(file.fileno(), 8)

    def now_ms(_: SystemClock) -> int:
        return time.time_ns() // 1_000_000 + int(struct.unpack("<q", cells[:8])[0])

    SystemClock.now_ms = now_ms  # type: ignore[method-assign]


def run() -> None:
    """Change what was asked for, then run the program with the words that are left."""
    told = json.loads(sys.argv.pop(1))
    if told.get("dial"):
        step_clock(told["dial"])
    if told.get("defect"):
        plant = defects.DEFECTS[told["defect"]].plant
        if plant is not None:
            plant()
    main()


if __name__ == "__main__":
    run()
