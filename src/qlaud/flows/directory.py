"""What can be called, where, and the ways there. Built by the composition root, swapped whole."""

from dataclasses import dataclass

from qlaud.core.catalog import Catalog
from qlaud.core.providers import Provider, Registry
from qlaud.ports import Upstream

SIMULATOR = "sim"
"""The provider that answers test keys."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """The ways out: over HTTP to providers, or to the simulator within the process."""

    http: Upstream
    simulator: Upstream

    def of(self, provider: Provider) -> Upstream:
        """The way to `provider`."""
        return self.http if provider.origin else self.simulator


@dataclass(frozen=True, slots=True)
class Directory:
    """What can be called, where, and the way there."""

    catalog: Catalog
    registry: Registry
    outlets: Outlets
