"""What can be called here, and at which price: the catalog as callers see it. Reads no database and takes no key."""

from dataclasses import dataclass

from qlaud.core.catalog import Host, Model
from qlaud.core.pricing import RateCard
from qlaud.flows.directory import Directory
from qlaud.ports import Clock


@dataclass(frozen=True, slots=True)
class OfferedHost:
    """A host with the price in force now; None where it has none."""

    host: Host
    card: RateCard | None


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model with its hosts, the cheapest first: those that are configured, or all of them if none is."""

    model: Model
    hosts: tuple[OfferedHost, ...]
    is_available: bool


@dataclass(frozen=True, slots=True)
class Offered:
    """The catalog at one instant."""

    models: tuple[OfferedModel, ...]
    providers: tuple[tuple[str, str], ...]
    """Slug and display name of every host's provider."""
    price_version: str
    at_ms: int


class Offer:
    """Lists what is offered."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    def now(self, *, include_unavailable: bool = False) -> Offered:
        """Models with a configured host, by slug; with `include_unavailable` the others too, marked."""
        at_ms = self._clock.now_ms()
        models = [self._offered(model, at_ms) for model in self._directory.catalog.models]
        shown = tuple(model for model in models if model.is_available or include_unavailable)
        slugs = sorted({offered.host.provider for model in shown for offered in model.hosts})
        named = tuple((slug, self._directory.registry.provider(slug).display_name) for slug in slugs)
        return Offered(shown, named, self._directory.catalog.price_version, at_ms)

    def _offered(self, model: Model, at_ms: int) -> OfferedModel:
        ready = [host for host in model.hosts if self._directory.registry.provider(host.provider).configured]
        hosts = tuple(OfferedHost(host, host.card_at(at_ms)) for host in ready or model.hosts)
        return OfferedModel(model, hosts, bool(ready))
