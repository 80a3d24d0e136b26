"""Our engine against genai-prices, for every model both know."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from qlaud.core.usage import Usage
from qlaud.providers import price_oracle
from qlaud.providers.price_lines import read_overlay
from qlaud.providers.price_oracle import EXPECTED, SAMPLES, Difference, differences, oracle_picos, reason
from qlaud.providers.price_overlay import OverlayFile
from qlaud.providers.pricebook import Prices
from qlaud.providers.toml_files import shipped

DAYS = (
    "2025-06-09",
    "2025-06-10",
    "2026-03-12",
    "2026-03-13",
    "2026-07-30",
    "2026-10-12",
    "2026-10-14",
    "2026-11-21",
)


def at(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000


def overlay(provider: str) -> OverlayFile:
    return next(found for file in shipped("prices") if (found := read_overlay(file)).provider == provider)


SEEDED = [found.provider for file in shipped("prices") if (found := read_overlay(file)).seed]


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("provider", SEEDED)
def test_both_agree_but_for_the_reasons_we_know(prices: Prices, provider: str, day: str) -> None:
    found = list(differences(overlay(provider), prices, at_ms=at(day)))
    assert [difference for difference in found if reason(difference) is None] == []
    if provider == "anthropic":
        assert Counter(difference.sample for difference in found).keys() == {"web search"}


def test_every_expected_reason_is_needed(prices: Prices) -> None:
    found = [one for name in SEEDED for one in differences(overlay(name), prices, at_ms=at("2026-11-21"))]
    assert {reason(difference) for difference in found} == EXPECTED.keys()


def test_models_without_an_output_price_are_the_only_ones_we_refuse(prices: Prices) -> None:
    found = differences(overlay("openai"), prices, at_ms=at("2026-11-21"))
    assert {difference.model for difference in found if difference.ours is None} == {
        "gpt-live-1",
        "gpt-live-transcribe",
        "gpt-realtime-translate",
        "gpt-realtime-whisper",
        "gpt-transcribe",
        "text-embedding-3-large",
        "text-embedding-3-small",
        "text-embedding-ada-002",
        "tts-1",
        "tts-1-hd",
        "whisper-1",
    }


def test_the_comparison_sees_a_wrong_price(prices: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_oracle, "oracle_picos", lambda *_: 1)  # pyright: ignore[reportUnknownLambdaType]
    found = [
        d for d in differences(overlay("anthropic"), prices, at_ms=at("2026-11-21")) if reason(d) is None
    ]
    assert {difference.sample for difference in found} == SAMPLES.keys()


def test_what_genai_prices_gets_wrong_is_right_here(prices: Prices) -> None:
    # 12-hour writes: billed by it at the 30-minute rate.
    usage = Usage(
        input_tokens=500, cache_read_tokens=3000, cache_write_30m_tokens=500, cache_write_12h_tokens=1000
    )
    card = prices.book.card("openai", "gpt-6-sol", at("2026-11-21"))
    assert card is not None
    assert card.charge(usage).cost_micros == 7850
    assert oracle_picos("openai", "gpt-6-sol", usage, at("2026-11-21")) == 5_350_000_000
    # US inference: never applied by it.
    us = Usage(input_tokens=1_000_000, geo="us")
    claude = prices.book.card("anthropic", "claude-opus-5-5", at("2026-11-21"))
    assert claude is not None
    assert claude.charge(us).cost_micros == 4_400_000
    assert oracle_picos("anthropic", "claude-opus-5-5", us, at("2026-11-21")) == 4_000_000_000_000


def test_an_unexplained_difference_has_no_reason() -> None:
    assert reason(Difference("openai", "gpt-6-sol", "plain", 0, 2, 1)) is None
