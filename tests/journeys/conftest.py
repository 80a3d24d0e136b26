"""Journeys: months of business in a gateway within the test's own process."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def house_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the gateways of all journeys share: compiled prices."""
    return tmp_path_factory.mktemp("house")
