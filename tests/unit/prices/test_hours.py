"""Prices that count in some hours of the week only."""

from datetime import UTC, date, datetime

import pytest

from qlaud.core.hours import Hours
from qlaud.core.price_book import PriceBook, card_in_force
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate

PEAK = Hours(
    windows=((60, 240), (360, 600)),
    weekdays=frozenset(range(5)),
    not_on=frozenset({(date(2026, 11, 24) - date(1970, 1, 1)).days}),
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-23T00:59:59.999", False),  # a Monday
        ("2026-11-23T01:00:00", True),
        ("2026-11-23T02:00:00", True),
        ("2026-11-23T03:59:59.999", True),
        ("2026-11-23T04:00:00", False),
        ("2026-11-23T05:59:59.999", False),
        ("2026-11-23T06:00:00", True),
        ("2026-11-23T10:00:00", False),
        ("2026-11-22T02:00:00", False),  # a Sunday
        ("2026-11-21T02:00:00", False),  # a Saturday
        ("2026-11-27T02:00:00", True),  # a Friday
        ("2026-11-24T02:00:00", False),  # said to be a holiday
        ("1970-01-01T02:00:00", True),  # a Thursday
        ("1969-12-28T02:00:00", False),  # a Sunday before the epoch
    ],
)
def test_hours_hold_in_their_windows_on_their_days(moment: str, holds: bool) -> None:
    assert PEAK.hold_at(at(moment)) is holds


@pytest.mark.parametrize(
    ("windows", "weekdays"),
    [((), {0}), (((240, 60),), {0}), (((0, 1441),), {0}), (((60, 60),), {0}), (((0, 60),), {7})],
)
def test_hours_that_make_no_sense_are_refused(
    windows: tuple[tuple[int, int], ...], weekdays: set[int]
) -> None:
    with pytest.raises(ValueError, match="hours"):
        Hours(windows, frozenset(weekdays))


def test_the_card_of_the_hour_goes_before_the_one_of_all_hours_and_a_newer_one_before_both() -> None:
    def card(from_ms: int, hours: Hours | None) -> RateCard:
        lines = {STANDARD: (Band.of(0, {"input_tokens": Rate(1)}),)}
        return RateCard("acme", "m", "v", lines, from_ms=from_ms, hours=hours)

    old, flat, peak = (
        card(0, PEAK),
        card(at("2026-11-01T00:00:00"), None),
        card(at("2026-11-25T00:00:00"), PEAK),
    )
    newest = card(at("2026-11-25T00:00:00"), None)
    cards = PriceBook("v", {("acme", "m"): [old, flat, newest, peak]}).cards("acme", "m")
    assert cards == (peak, newest, flat, old)
    assert card_in_force(cards, at("2026-11-26T02:00:00")) is peak
    assert card_in_force(cards, at("2026-11-26T00:00:00")) is newest
    assert card_in_force(cards, at("2026-11-23T02:00:00")) is flat
    assert card_in_force(cards, at("2026-10-23T02:00:00")) is old
    assert card_in_force(cards, at("2026-10-23T05:00:00")) is None
