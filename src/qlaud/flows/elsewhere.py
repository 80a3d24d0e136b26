"""Where a model can be called that was asked for on a path it is not served on: sentences for whoever is refused.

Never on the way of a call that is admitted.
"""

from collections.abc import Iterator

from qlaud.core.catalog import Model
from qlaud.core.errors import BadRequest, ModelNotFound, ModelNotPriced
from qlaud.core.paths import MODEL
from qlaud.flows.directory import Directory
from qlaud.wire.live_shelf import LIVE_WIRES
from qlaud.wire.shelf import COMMON_PATHS, VIDEOS

MOST = 3
"""Paths that a sentence names."""
COMMON = {wire: f"/v1{path}" for path, (wire, _) in COMMON_PATHS.items()} | dict.fromkeys(
    VIDEOS, "/v1/videos"
)
REALTIME = ("openai_realtime", "xai_realtime")


def places(model: Model, directory: Directory) -> str:
    """The paths that take the model, those that all providers share first; "another path" where none is known."""
    found = list(dict.fromkeys(path for _, path in sorted(_paths(model, directory), key=lambda row: row[0])))
    return " or ".join(found[:MOST]) or "another path"


def not_here(model: Model, directory: Directory) -> BadRequest:
    """That the model does not speak the API of the path."""
    return BadRequest(
        f'model "{model.slug}" does not speak the API of this path, and nothing is translated between APIs yet; '
        f"call it on {places(model, directory)}",
        param="model",
    )


def unpriced(error: ModelNotPriced, name: str, provider: str, directory: Directory) -> ModelNotPriced:
    """The same refusal, and why: on a provider's own path, where the catalog does not have the model of that name."""
    if not provider:
        return error
    shown = directory.registry.provider(provider).display_name
    try:
        model = directory.catalog.resolve(name)
    except ModelNotFound as missing:
        nearest = ", ".join(directory.catalog.nearest(missing.model, provider=provider))
        return ModelNotPriced(
            missing.model, f"the catalog does not know it; nearest at {shown}: {nearest or 'none'}"
        )
    if any(host.provider == provider for host in model.hosts):
        return error
    return ModelNotPriced(
        model.slug, f"the catalog does not have it at {shown}; call it on {places(model, directory)}"
    )


def _paths(model: Model, directory: Directory) -> Iterator[tuple[int, str]]:
    for host in model.hosts:
        provider = directory.registry.provider(host.provider)
        for wire in host.wires:
            spoken = provider.wires.get(wire)
            if (common := COMMON.get(wire)) is not None:
                yield 0, common
            elif wire in REALTIME:
                yield 2, "/v1/realtime (WebSocket)"
            elif spoken is not None and spoken.all_paths:
                path = provider.usual_base_path + spoken.all_paths[0].text.replace(f"{{{MODEL}}}", model.slug)
                prefix = "" if spoken.is_own else f"/{provider.slug}"
                live = wire in LIVE_WIRES
                yield 1 + live, f"{prefix}{path}{' (WebSocket)' if live else ''}"
