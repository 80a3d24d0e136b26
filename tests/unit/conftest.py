"""One price sheet for all unit tests, compiled in this process."""

import pytest

from qlaud.providers.model_files import known_ids
from qlaud.providers.price_compile import compile_sheet, price_files
from qlaud.providers.price_rows import Sheet
from qlaud.providers.pricebook import Prices, prices_of


@pytest.fixture(scope="session")
def sheet() -> Sheet:
    return compile_sheet(price_files(None), known=known_ids())


@pytest.fixture(scope="session")
def prices(sheet: Sheet) -> Prices:
    return prices_of(sheet)
