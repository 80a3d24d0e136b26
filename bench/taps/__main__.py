"""`python -m bench.taps ROUNDS`: measures every tap and prints one line of JSON. The bench runs it on its core."""

import sys

from bench.taps.chat import TEXT
from bench.taps.live import LIVE
from bench.taps.measure import measure, to_json
from bench.taps.sound import SOUND


def main() -> None:
    """Everything there is to measure."""
    print(to_json(*measure((*TEXT, *SOUND), LIVE, rounds=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
