"""What can be called, where, and the ways there. Built by the composition root, swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qlaud.core.catalog import Catalog, Host
from qlaud.core.price_book import PriceBook
from qlaud.core.providers import Provider, Registry
from qlaud.flows.calls import Route
from qlaud.flows.keyring import KeyRing
from qlaud.ports import Upstream

SIMULATOR = "sim"
"""The provider that answers test keys."""
NOT_SIMULATED = "test keys are answered by the simulator, which does not have this path; use a live key"


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
    rings: Mapping[str, KeyRing] = field(default_factory=dict[str, KeyRing])
    """Of providers with several keys."""
    book: PriceBook | None = None

    def route(self, host: Host, at_ms: int) -> Route:
        """The way to a host, at the price in force at `at_ms`."""
        provider = self.registry.provider(host.provider)
        outlet = self.outlets.of(provider)
        ring = self.rings.get(provider.slug)
        return Route(host, provider, outlet, host.card_at(at_ms), ring, self.book)
