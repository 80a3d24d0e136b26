"""The composition root's part about prices, for `qlaud prices` alone.

It stands apart from `app` because it loads the price source itself (40 MB), which no serving process does.
"""

from qlaud.app import SHELF_FAILED
from qlaud.config import Settings
from qlaud.core.catalog import Catalog
from qlaud.providers.model_files import read_model_files
from qlaud.providers.models import build_catalog
from qlaud.providers.price_oracle import Difference
from qlaud.providers.price_report import MAX_AGE_DAYS, Check, ShownBand, ShownCard, check, show
from qlaud.providers.pricebook import Prices, load_prices
from qlaud.providers.provider_files import read_provider_files, served_models
from qlaud.system import SystemClock

__all__ = [
    "MAX_AGE_DAYS",
    "SHELF_FAILED",
    "Check",
    "Difference",
    "ShownBand",
    "ShownCard",
    "check_prices",
    "show_prices",
]


def _prices(settings: Settings) -> Prices:
    return load_prices(cache_dir=None, prices_dir=settings.prices_dir, providers_dir=settings.providers_dir)


def _catalog(settings: Settings, prices: Prices, at_ms: int) -> Catalog:
    rows = read_provider_files(settings.providers_dir)
    served = [served_models(name, row) for name, row in rows if row.model]
    return build_catalog(read_model_files(), prices, at_ms=at_ms, served=served)


def show_prices(settings: Settings, model: str) -> tuple[ShownCard, ...]:
    """Every dated price of a model at every host, newest first. Raises ModelNotFound and what SHELF_FAILED lists."""
    at_ms = SystemClock().now_ms()
    prices = _prices(settings)
    return show(_catalog(settings, prices, at_ms), model, at_ms=at_ms)


def check_prices(settings: Settings, *, max_age_days: int) -> Check:
    """Age, gaps and disagreements of the price book as of now. Raises what SHELF_FAILED lists."""
    at_ms = SystemClock().now_ms()
    prices = _prices(settings)
    return check(
        _catalog(settings, prices, at_ms),
        prices,
        at_ms=at_ms,
        prices_dir=settings.prices_dir,
        max_age_days=max_age_days,
    )
