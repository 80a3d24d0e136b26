"""From what a call used to what it costs."""

import asyncio
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.support.pump_stage import HOLD_MICROS, INPUT_BOUND, ScriptedUpstream, hold, prepared

from qlaud.core.ledger import Settlement
from qlaud.core.price_book import PriceBook
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.rates import Band, Rate
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.flows.settling import Ending, settlement_of


def settled(metered: Metered, *, markup_bp: int = 0, priced: bool = True, host: int = 0) -> Settlement:
    async def main() -> Settlement:
        call = prepared([ScriptedUpstream(), ScriptedUpstream()])
        route = call.routes[host]
        if not priced:
            route = replace(route, card=None)
        return settlement_of(call, route, hold(), Ending(metered, 200, 12), markup_bp)

    return asyncio.run(main())


def test_exact_usage_costs_what_the_card_says_even_beyond_the_hold() -> None:
    settlement = settled(Exact(Usage(input_tokens=INPUT_BOUND, output_tokens=2_000)))
    assert settlement.cost_micros == INPUT_BOUND + 10_000 > HOLD_MICROS
    assert not settlement.estimated


def test_an_estimate_never_costs_more_than_its_hold() -> None:
    settlement = settled(AtLeast(Usage(input_tokens=INPUT_BOUND, output_tokens=2_000)))
    assert (settlement.cost_micros, settlement.estimated) == (HOLD_MICROS, True)
    assert settlement.provider_cost_micros <= HOLD_MICROS


def test_nothing_costs_nothing() -> None:
    settlement = settled(Nothing())
    assert (settlement.cost_micros, settlement.provider_cost_micros, settlement.estimated) == (0, 0, False)


def test_usage_of_a_kind_without_a_price_costs_the_whole_hold_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settlement = settled(Exact(Usage(input_tokens=1, web_searches=1)))
    assert (settlement.cost_micros, settlement.estimated) == (HOLD_MICROS, True)
    assert "usage without a price" in caplog.text


def test_a_model_without_a_price_is_recorded_at_zero() -> None:
    settlement = settled(Exact(Usage(input_tokens=10)), priced=False)
    assert settlement.cost_micros == 0
    assert settlement.usage.input_tokens == 10


def test_markup_is_in_the_cost_and_not_in_the_providers_cost() -> None:
    settlement = settled(Exact(Usage(input_tokens=100)), markup_bp=700)
    assert (settlement.cost_micros, settlement.provider_cost_micros) == (107, 100)


def test_the_event_names_the_host_that_served_the_call() -> None:
    settlement = settled(Exact(Usage(input_tokens=1)), host=1)
    assert settlement.facts.provider == "second"
    assert settlement.hold.id == UUID(int=1)


@pytest.mark.parametrize(
    ("served", "cost"), [("", 100), ("m-1", 100), ("m-2", 300), ("m-2-20261101", 300), ("unknown", 100)]
)
def test_the_price_is_that_of_the_model_that_answered_if_it_has_one(served: str, cost: int) -> None:
    other = RateCard("anthropic", "m-2", "7", {STANDARD: (Band.of(0, {"input_tokens": Rate(3_000_000)}),)})

    async def main() -> Settlement:
        call = prepared([ScriptedUpstream()])
        route = replace(call.routes[0], book=PriceBook("7", {("anthropic", "m-2"): [other]}))
        usage = Usage(input_tokens=100, served_model=served)
        return settlement_of(call, route, hold(), Ending(Exact(usage), 200, 12), 0)

    settlement = asyncio.run(main())
    assert (settlement.cost_micros, settlement.facts.model) == (cost, "m-1")


def test_usage_in_a_unit_without_a_price_is_billed_in_the_other_unit_and_called_an_estimate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = Usage(input_tokens=10, output_tokens=3)
    settlement = settled(Exact(Usage(characters=900, instead=other)))
    assert (settlement.cost_micros, settlement.usage, settlement.estimated) == (25, other, True)
    assert caplog.text == ""


def test_usage_with_a_price_is_billed_as_it_was_told() -> None:
    told = Usage(input_tokens=10, output_tokens=3, instead=Usage(characters=900))
    settlement = settled(Exact(told))
    assert (settlement.cost_micros, settlement.usage, settlement.estimated) == (25, told, False)


def test_usage_without_a_price_in_either_unit_costs_the_whole_hold() -> None:
    settlement = settled(Exact(Usage(characters=900, instead=Usage(audio_ms=5))))
    assert (settlement.cost_micros, settlement.estimated) == (HOLD_MICROS, True)
