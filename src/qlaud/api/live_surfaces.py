"""Which sockets stand where: the live paths of the registry (`kind = "live"`), found as every other path is.

un-prefixed   `/v1/realtime`: the provider comes from the model
prefixed      `/<provider>/<rest>`
own           `/v1/listen`: a path that one provider alone has, without its prefix
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from qlaud.core.paths import MODEL, PathPattern
from qlaud.core.providers import Provider, Registry, Wire
from qlaud.wire.live_shelf import LIVE_WIRES, LiveWire

UNPREFIXED = ("/v1/realtime", "/v1/v1/realtime", "/realtime")
"""A base URL with a `/v1` too many or too few works as well."""
DOUBLED = "//"
REALTIME = ("openai_realtime", "xai_realtime")


class LiveSurface(Struct, frozen=True, gc=False):
    """One kind of live path."""

    wires: tuple[str, ...]
    """The wires it may speak, by their names in the registry."""
    name: str
    """In usage events."""
    provider: str = ""
    """The provider the path names; empty where the model decides."""
    pattern: PathPattern | None = None
    default_model: str = ""

    @property
    def wire(self) -> LiveWire:
        """What it speaks; where the model decides, how it sounds until then."""
        return LIVE_WIRES[self.wires[0]]


class FoundLive(Struct, frozen=True, gc=False):
    """The live surface of one handshake."""

    surface: LiveSurface
    values: Mapping[str, str]
    prefix: str = ""
    is_doubled: bool = False
    """The path was found with one of two slashes left out."""

    def target(self, raw: bytes) -> bytes:
        """A raw path without our prefix: as the vendor knows it."""
        path = raw[len(self.prefix) :]
        return path.replace(b"//", b"/", 1) if self.is_doubled else path

    @property
    def model(self) -> str:
        """The model as far as the path decides it."""
        return self.values.get(MODEL, "") or self.surface.default_model


class LiveWays:
    """Every live path of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._rows: list[tuple[str, PathPattern, LiveSurface]] = []
        """Prefix, pattern, surface; a provider's own paths once more without its prefix."""
        for provider in registry.providers.values():
            self._rows.extend(_rows(provider))

    def find(self, path: str) -> FoundLive | None:
        """The live surface of a decoded path, None where there is none.

        A base URL may end with a slash: google-genai 3 then dials `//ws/`, as it does to Google itself.
        """
        found = self._find(path)
        if found is None and DOUBLED in path:
            found = self._find(path.replace(DOUBLED, "/", 1))
            return None if found is None else replace(found, is_doubled=True)
        return found

    def _find(self, path: str) -> FoundLive | None:
        if path in UNPREFIXED:
            return FoundLive(LiveSurface(REALTIME, "realtime"), {})
        for prefix, pattern, surface in self._rows:
            if path.startswith(prefix) and (values := pattern.match(path[len(prefix) :])) is not None:
                return FoundLive(surface, values, prefix)
        return None


def _rows(provider: Provider) -> Iterator[tuple[str, PathPattern, LiveSurface]]:
    for wire in provider.wires.values():
        if wire.kind != "live":
            continue
        for path in wire.paths:
            pattern = PathPattern(provider.usual_base_path + path.text)
            surface = _surface(provider, wire, pattern)
            yield f"/{provider.slug}", pattern, surface
            if wire.is_own:
                yield "", pattern, surface


def _surface(provider: Provider, wire: Wire, pattern: PathPattern) -> LiveSurface:
    return LiveSurface((wire.name,), wire.surface, provider.slug, pattern, wire.default_model)
