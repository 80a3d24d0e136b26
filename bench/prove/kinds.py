"""The deployments a campaign runs on: how many gateways and workers, with which settings, and what they are put to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.prove import deaths
from bench.prove.scenario import Shape


@dataclass(frozen=True, slots=True)
class Kind:
    """One deployment and its share of the runs."""

    title: str
    workers: tuple[int, ...]
    shape: Shape
    share: int
    at_once: int = 1
    """Runs beside each other on one deployment, on keys of their own."""
    copies: int = 1
    """Deployments of this kind beside each other."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    has_dial: bool = False
    dies: bool = False


KINDS: Mapping[str, Kind] = {
    "one": Kind("one gateway, one worker", (1,), Shape(), 29, 6),
    "workers": Kind(
        "one gateway, two workers, 7 % markup",
        (2,),
        Shape(markup_bp=700),
        29,
        6,
        settings={"MARKUP_BP": "700"},
    ),
    "pair": Kind("two gateways on one PostgreSQL", (1, 1), Shape(), 30, 6),
    "wallet": Kind(
        "two gateways, a prepaid wallet over all keys",
        (1, 1),
        Shape(clients=(1, 1, 10, 10, 50), wallet=True, acts_pct=20),
        5,
        copies=2,
        settings={"WALLET": "prepaid"},
    ),
    "clock": Kind(
        "two gateways, caps by day, week and month, a clock that is stepped",
        (1, 1),
        Shape(clients=(1, 10, 10, 50), clock=True, acts_pct=100),
        5,
        copies=2,
        settings={"HOLD_LOST_AFTER_S": "9"},
        has_dial=True,
    ),
    "deaths": Kind(
        "three processes and a PostgreSQL that are killed, stopped, cut off and crowded out",
        deaths.WORKERS,
        deaths.SHAPE,
        2,
        settings=deaths.SETTINGS,
        dies=True,
    ),
}


def kind_of(number: int) -> str:
    """The kind of the run with this number: shares in turn, so that every long stretch has them all."""
    place = number * 37 % 100
    for name, kind in KINDS.items():
        place -= kind.share
        if place < 0:
            return name
    raise AssertionError("shares are percent")
