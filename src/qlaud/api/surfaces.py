"""Which way a request goes: the paths that do not belong to management, built from the registry once at start.

    un-prefixed   `/v1/chat/completions`: the wire is known, the provider comes from the model
    prefixed      `/<provider>/<rest>`: the provider is known, `<rest>` is its own path (contract, section 10)
    own           `/v1/text-to-speech/{voice}`: a path that one provider alone has, without its prefix

A path is matched decoded and sent on raw. What stands under a prefix without a wire has no metering rule.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from qlaud.core.paths import MODEL, PathPattern
from qlaud.core.providers import Kind, Provider, Registry, UploadKind
from qlaud.core.providers import Wire as Spoken
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import Wire


class Surface(Struct, frozen=True, gc=False):
    """One kind of path: what is read from it, what it is called, and whose it is."""

    wire: Wire
    wire_name: str
    """In the registry and the catalog."""
    name: str
    """In usage events."""
    kind: Kind = "call"
    method: str = "POST"
    provider: str = ""
    """The provider the path names; empty where the model decides."""
    pattern: PathPattern | None = None
    """The provider's own path, from its origin on."""
    is_stream: bool = False
    default_model: str = ""
    upload: UploadKind = ""

    @property
    def error_shape(self) -> str:
        """Whose errors are spoken here."""
        return self.wire.error_shape


class Found(Struct, frozen=True, gc=False):
    """The surface of one request."""

    surface: Surface
    values: Mapping[str, str]
    """Of the placeholders of its path."""
    prefix: str = ""
    """What stands before the provider's own path: `/elevenlabs`."""

    @property
    def model(self) -> str:
        """The model as far as the path decides it."""
        return self.values.get(MODEL, "") or self.surface.default_model


NO_VALUES: Mapping[str, str] = {}

UNPREFIXED: Mapping[str, tuple[str, str]] = {
    "/messages": ("messages", "messages"),
    "/chat/completions": ("openai_chat", "chat_completions"),
    "/responses": ("openai_responses", "responses"),
    "/embeddings": ("openai_embeddings", "embeddings"),
    "/images/generations": ("openai_images", "images"),
    "/images/edits": ("openai_image_edits", "images"),
    "/audio/speech": ("openai_speech", "audio_speech"),
    "/audio/transcriptions": ("openai_transcription", "audio_transcription"),
    "/audio/translations": ("openai_translation", "audio_transcription"),
}
"""Model calls below `/v1` (POST): wire and surface."""
BASES = ("/v1", "/v1/v1", "")
"""A base URL with a `/v1` too many (Anthropic's SDK) or too few (OpenAI's) works as well."""
COUNTING = frozenset(f"{base}/messages/count_tokens" for base in BASES)
AUDIO = frozenset(("openai_transcription", "openai_translation"))
MODELS = frozenset(("/v1/models", "/anthropic/v1/models", "/openai/v1/models", "/v1/v1/models", "/models"))
METRICS = "/metrics"


def is_models(path: str) -> bool:
    """Whether this is the list of models, or one of them."""
    collection, _, name = path.partition("/models/")
    return path in MODELS or (name != "" and collection + "/models" in MODELS)


def shape_of(path: str) -> str:
    """Whose error shape a path has that no surface serves (contract 4.1)."""
    return "openai" if path.startswith(("/openai/", "/v1/realtime")) else "anthropic"


class Ways:
    """Every path of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._providers = registry.providers
        self.fixed: dict[tuple[str, str], Found] = {}
        """By method and path. The hot path reads it directly."""
        self._own: list[tuple[str, PathPattern, Surface]] = []
        self._prefixed: dict[str, list[tuple[str, PathPattern, Surface]]] = {}
        for base in BASES:
            for path, (wire, name) in UNPREFIXED.items():
                if wire in WIRES:
                    upload: UploadKind = "audio" if wire in AUDIO else ""
                    surface = Surface(WIRES[wire], wire, name, upload=upload)
                    self.fixed["POST", base + path] = Found(surface, NO_VALUES)
            counting = Surface(WIRES["count_tokens"], "count_tokens", "count_tokens", "free")
            self.fixed["POST", f"{base}/messages/count_tokens"] = Found(counting, NO_VALUES)
        for provider in registry.providers.values():
            if provider.origin:
                self._add(provider)

    def find(self, method: str, path: str) -> Found | None:
        """The surface of a request, None where no provider has this path."""
        found = self.fixed.get((method, path))
        if found is not None:
            return found
        slug, _, _ = path[1:].partition("/")
        if slug in self._prefixed:
            rest = path[len(slug) + 1 :]
            return _first(self._prefixed[slug], method, rest, f"/{slug}")
        return _first(self._own, method, path, "")

    def provider_of(self, path: str) -> Provider | None:
        """The provider whose prefix a path has."""
        slug, slash, _ = path[1:].partition("/")
        return self._providers.get(slug) if slash and slug in self._prefixed else None

    def methods(self, path: str) -> list[str]:
        """The methods of a path that stands here; empty for any other."""
        if path == METRICS or is_models(path):
            return ["GET", "HEAD", "OPTIONS"]
        found = [method for method in ("DELETE", "GET", "POST") if self.find(method, path) is not None]
        return sorted((*found, "OPTIONS")) if found else []

    def _add(self, provider: Provider) -> None:
        prefixed = self._prefixed.setdefault(provider.slug, [])
        for wire in provider.wires.values():
            for pattern, is_stream in _patterns(provider, wire):
                surface = _surface(provider, wire, pattern, is_stream)
                self._put(prefixed, f"/{provider.slug}", surface, pattern)
                if wire.is_own:
                    self._put(self._own, "", surface, pattern)

    def _put(
        self,
        rows: list[tuple[str, PathPattern, Surface]],
        prefix: str,
        surface: Surface,
        pattern: PathPattern,
    ) -> None:
        if pattern.is_fixed:
            found = Found(surface, NO_VALUES, prefix)
            self.fixed.setdefault((surface.method, prefix + pattern.text), found)
        else:
            rows.append((surface.method, pattern, surface))


def _first(rows: list[tuple[str, PathPattern, Surface]], method: str, path: str, prefix: str) -> Found | None:
    for own_method, pattern, surface in rows:
        if own_method == method and (values := pattern.match(path)) is not None:
            return Found(surface, values, prefix)
    return None


def _patterns(provider: Provider, wire: Spoken) -> Iterator[tuple[PathPattern, bool]]:
    base = provider.usual_base_path
    for path in wire.paths:
        yield PathPattern(base + path.text), False
    for path in wire.stream_paths:
        yield PathPattern(base + path.text), True


def _surface(provider: Provider, wire: Spoken, pattern: PathPattern, is_stream: bool) -> Surface:
    return Surface(
        wire=WIRES[wire.name],
        wire_name=wire.name,
        name=wire.surface,
        kind=wire.kind,
        method="GET" if wire.kind == "live" else "POST",
        provider=provider.slug,
        pattern=pattern,
        is_stream=is_stream,
        default_model=wire.default_model,
        upload=wire.upload,
    )
