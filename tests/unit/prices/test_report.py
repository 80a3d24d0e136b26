"""What `qlaud prices show` and `qlaud prices check` say."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from qlaud.core.catalog import Catalog
from qlaud.core.errors import ModelNotFound
from qlaud.providers import price_oracle
from qlaud.providers.model_files import read_model_files
from qlaud.providers.models import build_catalog
from qlaud.providers.price_report import ShownBand, check, show
from qlaud.providers.pricebook import Prices

NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * 1000
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def catalog(prices: Prices) -> Catalog:
    return build_catalog(read_model_files(), prices, at_ms=NOW)


def usd(band: ShownBand) -> dict[str, tuple[Decimal, str]]:
    return {rate.quantity: (rate.usd, rate.unit) for rate in band.rates if not rate.inherited}


def test_show_tells_every_date_context_and_band(catalog: Catalog) -> None:
    later, now = show(catalog, "gpt-6.2-sol", at_ms=NOW)
    assert (later.from_day, later.until_day, later.in_force) == (date(2027, 3, 1), None, False)
    assert (now.from_day, now.until_day, now.in_force) == (None, date(2027, 3, 1), True)
    assert [(band.tier, band.from_tokens) for band in now.bands] == [
        (tier, start) for tier in ("", "batch", "flex", "priority", "ultrafast") for start in (0, 272_001)
    ]
    assert usd(now.bands[0]) == {
        "input_tokens": (Decimal(2), "million"),
        "cache_read_tokens": (Decimal("0.1"), "million"),
        "cache_write_30m_tokens": (Decimal("2.5"), "million"),
        "cache_write_12h_tokens": (Decimal(5), "million"),
        "output_tokens": (Decimal(10), "million"),
        "web_searches": (Decimal(10), "thousand"),
        "tool_calls": (Decimal("2.5"), "thousand"),
    }
    assert now.source.startswith("https://")


def test_show_tells_hours_and_grades(catalog: Catalog) -> None:
    peak, always = show(catalog, "deepseek-flash", at_ms=NOW)
    assert peak.hours == "mon tue wed thu fri 01:00-04:00 06:00-10:00, not on 13 holidays"
    assert (always.hours, always.in_force, peak.in_force) == ("", True, False)
    assert usd(peak.bands[0])["input_tokens"] == (Decimal("0.3"), "million")
    monday_ms = int(datetime(2026, 11, 23, 2, tzinfo=UTC).timestamp()) * 1000
    assert [card.in_force for card in show(catalog, "deepseek-flash", at_ms=monday_ms)] == [True, False]
    (sora,) = show(catalog, "sora-2-pro", at_ms=NOW)
    assert [(band.grade, usd(band)["video_ms"]) for band in sora.bands] == [
        ("", (Decimal(18), "minute")),
        ("1024p", (Decimal(30), "minute")),
    ]


def test_until_is_the_day_of_the_next_price_not_of_the_same_one(catalog: Catalog) -> None:
    cards = show(catalog, "deepseek-v4-pro", at_ms=NOW)
    assert [(card.hours != "", card.from_day, card.until_day) for card in cards] == [
        (True, date(2026, 8, 17), None),
        (False, date(2026, 8, 17), None),
        (False, None, date(2026, 8, 17)),
    ]


def test_show_takes_aliases_and_refuses_the_unknown(catalog: Catalog) -> None:
    assert show(catalog, "Claude-Haiku-4-5-20251001", at_ms=NOW)[0].model == "claude-haiku-4-5"
    assert usd(show(catalog, "whisper-1", at_ms=NOW)[0].bands[0])["audio_ms"] == (Decimal("0.006"), "minute")
    with pytest.raises(ModelNotFound):
        show(catalog, "claude-haiku-45", at_ms=NOW)


def test_check_is_fine_today_and_says_what_it_knows(catalog: Catalog, prices: Prices) -> None:
    found = check(catalog, prices, at_ms=NOW)
    assert found.fine
    assert (found.oldest_verified, found.age_days) == (date(2026, 10, 12), 40)
    assert found.unpriced == ()
    assert found.left_out == ()
    assert found.explained.keys() == price_oracle.EXPECTED.keys()


def test_check_raises_the_alarm_when_prices_grow_old(catalog: Catalog, prices: Prices) -> None:
    found = check(catalog, prices, at_ms=NOW + 6 * DAY_MS)
    assert not found.fine
    assert "openai gpt-6-sol (2026-10-12)" in found.stale
    assert not any(line.startswith(("anthropic ", "sim ")) for line in found.stale)
    assert check(catalog, prices, at_ms=NOW + 6 * DAY_MS, max_age_days=60).fine


def test_check_names_what_the_sources_disagree_on(
    catalog: Catalog, prices: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = price_oracle.oracle_picos

    def wrong(provider: str, model: str, usage: object, at_ms: int) -> int | None:
        found = theirs(provider, model, usage, at_ms)  # pyright: ignore[reportArgumentType]
        return found + 1 if found and model == "gpt-6-sol" else found

    monkeypatch.setattr(price_oracle, "oracle_picos", wrong)
    found = check(catalog, prices, at_ms=NOW)
    assert not found.fine
    assert {difference.model for difference in found.disagreements} == {"gpt-6-sol"}


def test_a_catalog_without_prices_is_all_gaps(catalog: Catalog, prices: Prices) -> None:
    bare = Catalog(
        tuple(replace(m, hosts=tuple(replace(h, cards=()) for h in m.hosts)) for m in catalog.models), "v"
    )
    assert len(check(bare, prices, at_ms=NOW).unpriced) == len(catalog.models)
