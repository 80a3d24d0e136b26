"""Calls whose cost was worked out by hand, in tests/recorded/usage. The derivation stands beside each."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from qlaud.core.usage import Usage
from qlaud.providers.pricebook import Prices

FILES = sorted(Path("tests/recorded/usage").glob("*.toml"))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT_LEAST = 120


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    model: str
    usage: Usage
    cost_micros: int
    provider: str = ""
    at: datetime = NOW
    assumed: list[str] = []
    listed_micros: int | None = None


class Corpus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    call: list[Call]
    provider: str = ""


def calls(file: Path) -> list[tuple[str, Call]]:
    found = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Corpus)
    return [(call.provider or found.provider, call) for call in found.call]


ALL = [one for file in FILES for one in calls(file)]


@pytest.mark.parametrize(
    ("provider", "call"), ALL, ids=[f"{provider}: {call.name}" for provider, call in ALL]
)
def test_a_call_costs_what_was_worked_out_by_hand(prices: Prices, provider: str, call: Call) -> None:
    card = prices.book.card(provider, call.model, int(call.at.timestamp() * 1000))
    assert card is not None
    charge = card.charge(call.usage)
    assert charge.cost_micros == charge.provider_cost_micros == call.cost_micros
    assert charge.assumed == tuple(call.assumed)
    assert charge.listed_micros == call.listed_micros


def test_every_quantity_of_the_corpus_is_one_of_a_usage_record() -> None:
    for file in FILES:
        for call in tomllib.loads(file.read_text("utf-8"))["call"]:
            assert call["usage"].keys() <= set(Usage.__struct_fields__), f"{file.name}: {call['name']}"


def test_the_corpus_is_large_and_shows_its_sums() -> None:
    assert len(ALL) >= AT_LEAST
    for file in FILES:
        for block in file.read_text("utf-8").split("[[call]]")[1:]:
            assert re.search(r"^# \S", block, re.MULTILINE), f"{file.name}: no derivation in {block[:80]}"


def test_every_provider_but_the_simulator_is_in_the_corpus(prices: Prices) -> None:
    assert {provider for provider, _ in ALL} == {model.provider for model in prices.models} - {"sim"}
