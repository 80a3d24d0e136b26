"""Prices by size, quality and resolution, and what a provider itself says a call costs."""

import pytest

from qlaud.core.demand import Demand
from qlaud.core.pricing import Axis, NotPriced, RateCard, Terms
from qlaud.core.rates import Band, Rate
from qlaud.core.usage import Usage

FILM = {"": 10, "720p": 10, "1080p": 30, "4k": 70}
"""Micros a second."""
WORDS = Terms(
    tier=Axis({"": "", "batch": "batch"}, {"": ("",), "batch": ("batch",)}, frozenset({"batch"})),
    grade=Axis({"": "", "1280x720": "720p", "1920x1080": "1080p"}, {"": ("",), "auto": ("720p", "1080p")}),
)


def film(vendor_cost: bool = False) -> RateCard:
    def line(micros: int) -> tuple[Band, ...]:
        return (Band.of(0, {"video_ms": Rate(micros * 1000), "images_in": Rate(1_000_000)}),)

    lines = {("", "", "", grade): line(micros) for grade, micros in FILM.items()}
    lines["batch", "", "", "1080p"] = line(15)
    return RateCard("acme", "m", "v1", lines, WORDS, vendor_cost=vendor_cost)


@pytest.mark.parametrize(
    ("grade", "micros", "assumed"),
    [
        ("", 10, ()),
        ("720p", 10, ()),
        ("1280x720", 10, ()),
        ("1920x1080", 30, ()),
        ("4k", 70, ()),
        ("8k", 70, ("8k",)),
        ("1080P", 70, ("1080P",)),
    ],
)
def test_a_grade_has_its_price_and_an_unknown_one_the_dearest(
    grade: str, micros: int, assumed: tuple[str, ...]
) -> None:
    charge = film().charge(Usage(video_ms=1000, grade=grade))
    assert (charge.provider_cost_micros, charge.assumed) == (micros, assumed)


def test_the_dearest_is_found_for_what_was_used() -> None:
    lines = {
        ("", "", "", "wide"): (Band.of(0, {"images": Rate(9_000_000), "characters": Rate(1_000_000)}),),
        ("", "", "", "tall"): (Band.of(0, {"images": Rate(1_000_000), "characters": Rate(5_000_000, 3)}),),
        ("", "", "", ""): (Band.of(0, {"images": Rate(1_000_000), "characters": Rate(1_000_000)}),),
    }
    card = RateCard("acme", "m", "v1", lines)
    assert card.charge(Usage(images=1, grade="?")).cost_micros == 9
    assert card.charge(Usage(characters=3, grade="?")).cost_micros == 5


def test_what_is_billed_at_least_is_held_and_charged_and_nothing_unused_is() -> None:
    lines = {("", "", "", ""): (Band.of(0, {"audio_ms": Rate(1_000_000), "calls": Rate(1_000_000)}),)}
    card = RateCard("acme", "m", "v1", lines, least={"audio_ms": 10})
    for used, billed in ((0, 0), (1, 10), (10, 10), (11, 11)):
        assert card.charge(Usage(audio_ms=used)).cost_micros == billed
        assert card.exact_picos(Usage(audio_ms=used)) == billed * 1_000_000
        assert card.worst(Demand(0, max_output=0, most={"audio_ms": used})).micros(0) == billed + 1


def test_a_card_without_grades_takes_no_notice_of_them() -> None:
    card = RateCard("acme", "m", "v1", {("", "", "", ""): (Band.of(0, {"images": Rate(1_000_000)}),)})
    charge = card.charge(Usage(images=2, grade="8k"))
    assert (charge.cost_micros, charge.assumed) == (2, ())
    assert card.worst(Demand(input_tokens=0, grade="8k", most={"images": 2})).base_picos == 2_000_000


@pytest.mark.parametrize(
    ("grade", "micros"),
    [("", 10), ("720p", 10), ("1280x720", 10), ("1920x1080", 30), ("auto", 30), ("8k", 70), ("4k", 70)],
)
def test_an_unknown_grade_is_held_at_the_dearest(grade: str, micros: int) -> None:
    worst = film().worst(Demand(input_tokens=0, grade=grade, most={"video_ms": 1000, "images_in": 0}))
    assert worst.base_picos == micros * 1_000_000


def test_a_discount_on_one_grade_is_none_on_another() -> None:
    def micros(grade: str) -> int:
        return film().charge(Usage(video_ms=1000, grade=grade, tier="batch")).cost_micros

    assert [micros(grade) for grade in ("720p", "1080p", "4k", "8k")] == [10, 15, 70, 70]
    demand = Demand(input_tokens=0, tier="batch", grade="4k", most={"video_ms": 1000})
    assert film().worst(demand).base_picos == 70_000_000


def test_every_grade_has_a_standard_line() -> None:
    band = (Band.of(0, {"images": Rate(1)}),)
    with pytest.raises(ValueError, match="no standard line"):
        RateCard("acme", "m", "v1", {("", "", "", ""): band, ("batch", "", "", "4k"): band})


def test_what_the_provider_says_is_charged_and_the_list_is_kept_beside_it() -> None:
    usage = Usage(video_ms=1000, vendor_cost_picos=12_345_678)
    charge = film(vendor_cost=True).charge(usage, 700)
    assert (charge.provider_cost_micros, charge.cost_micros) == (13, 14)  # 12.345678 and 13.20987546
    assert charge.listed_micros == 10
    ours = film().charge(usage)
    assert (ours.provider_cost_micros, ours.listed_micros) == (10, None)


def test_a_provider_that_says_nothing_or_zero_is_not_free() -> None:
    charge = film(vendor_cost=True).charge(Usage(video_ms=1000, vendor_cost_picos=0))
    assert (charge.provider_cost_micros, charge.listed_micros) == (10, None)


def test_the_providers_word_needs_no_price_of_ours_but_the_hold_does() -> None:
    card = film(vendor_cost=True)
    charge = card.charge(Usage(web_searches=1, vendor_cost_picos=5_000_000))
    assert (charge.provider_cost_micros, charge.listed_micros) == (5, None)
    with pytest.raises(NotPriced):
        card.charge(Usage(web_searches=1))
    with pytest.raises(NotPriced):
        card.worst(Demand(input_tokens=0, most={"web_searches": 1}))
    assert card.worst(Demand(input_tokens=0, most={"video_ms": 1000})).base_picos == 10_000_000
