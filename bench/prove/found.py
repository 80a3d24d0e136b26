"""The runs that found a defect of the product, kept: each is performed again by the tests.

Docs/proof.md lists them under "what this harness found". A seed alone replays only what is drawn the same way today,
so each entry has the shape that draws its trouble often, and says what the defect was.
"""

from dataclasses import dataclass

from bench.prove.scenario import Shape
from bench.prove.scripts import Temper


@dataclass(frozen=True, slots=True)
class Found:
    """One defect, and the runs in which it shows."""

    what: str
    seed: str
    shape: Shape
    kind: str = "one"
    runs: int = 3
    death: str | None = None


FOUND = (
    Found(
        "an answer that nobody could decode (broken gzip, an encoding not asked for) was free",
        "found:undecodable",
        Shape(
            clients=(10,),
            hang_up_pct=0,
            acts_pct=0,
            temper=Temper(100, 0, ("error_event", "cut"), 0, quirks=frozenset({"gzip"})),
            tightness=(1000,),
        ),
    ),
    Found(
        "a clock that stepped forward made every running call's hold lost for seconds, and callers got 402",
        "found:clock-step",
        Shape(
            clients=(10, 20),
            most_calls=4,
            clock=True,
            acts_pct=100,
            hang_up_pct=0,
            temper=Temper(0, 0, (), 100),
            tightness=(60, 100, 150),
        ),
        kind="clock",
        runs=6,
    ),
)
