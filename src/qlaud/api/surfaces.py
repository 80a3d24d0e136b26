"""Which way a request goes: the paths that do not belong to management, built from the registry once at start.

    un-prefixed   `/v1/chat/completions`: the wire is known, the provider comes from the model
    prefixed      `/<provider>/<rest>`: the provider is known, `<rest>` is its own path (contract, section 10)
    own           `/v1/text-to-speech/{voice}`: a path that one provider alone has, without its prefix

A path is matched decoded and sent on raw. What stands under a prefix without a wire has no metering rule, and so has
what stands without one in a family of paths that one provider alone has (`/v1beta/…`, `/v1/text-to-speech/…`).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from qlaud.core.ledger import UNMETERED
from qlaud.core.paths import MODEL, PathPattern
from qlaud.core.providers import JobVerb, Kind, Provider, Registry, UploadKind
from qlaud.core.providers import Wire as Spoken
from qlaud.wire.openai_video import OPENAI_VIDEO
from qlaud.wire.passthrough import PassthroughWire
from qlaud.wire.shelf import COMMON_PATHS, WIRES
from qlaud.wire.types import Wire

AboutJob = JobVerb
"""What is asked of `{job}`."""
VideoForm = Literal["", "openai", "small"]
"""On the common paths of videos: whose shape answers have. Empty on a provider's own paths."""


class Surface(Struct, frozen=True, gc=False):
    """One kind of path: what is read from it, what it is called, and whose it is."""

    wire: Wire
    wire_name: str
    """In the registry and the catalog."""
    name: str
    """In usage events."""
    error_shape: str
    """Whose errors are spoken here, of `wire.errors.SHAPES`."""
    kind: Kind = "call"
    method: str = "POST"
    provider: str = ""
    """The provider the path names; empty where the model decides."""
    pattern: PathPattern | None = None
    """The provider's own path, from its origin on."""
    is_stream: bool = False
    default_model: str = ""
    upload: UploadKind = ""
    is_metered: bool = True
    """False: no rule says what the path costs."""
    lists_models: bool = False
    """Of what is free: the provider's models, or one of them."""
    about_job: AboutJob | None = None
    """The path names a `{job}`, and this is what is asked of it."""
    video_form: VideoForm = ""
    tail: str = ""
    """On a common path: what follows the `{job}`."""


class Found(Struct, frozen=True, gc=False):
    """The surface of one request."""

    surface: Surface
    values: Mapping[str, str]
    """Of the placeholders of its path."""
    prefix: str = ""
    """What stands before the provider's own path: `/elevenlabs`."""

    @property
    def job(self) -> str:
        """The job that the path names."""
        return self.values.get("job", "")

    @property
    def model(self) -> str:
        """The model as far as the path decides it."""
        return self.values.get(MODEL, "") or self.surface.default_model

    @property
    def listed_model(self) -> str:
        """The one that is asked for, where the path `lists_models`; empty for all of them."""
        return self.values.get(MODEL, "") or self.values.get("name", "")


NO_VALUES: Mapping[str, str] = {}

VIDEOS: tuple[tuple[str, str, AboutJob | None, VideoForm], ...] = (
    ("POST", "/videos/generations", None, "small"),
    ("GET", "/videos/generations/{job}", "record", "small"),
    ("POST", "/videos", None, "openai"),
    ("GET", "/videos/{job}", "record", "openai"),
    ("GET", "/videos/{job}/content", "content", "openai"),
    ("POST", "/videos/{job}/remix", "again", "openai"),
    ("DELETE", "/videos/{job}", "other", "openai"),
)
"""The common paths of videos below `/v1`, for every model that makes some; both forms show the same jobs."""
RESPONSES: tuple[tuple[str, str, AboutJob], ...] = (
    ("GET", "", "record"),
    ("DELETE", "", "other"),
    ("POST", "/cancel", "other"),
    ("GET", "/input_items", "other"),
)
"""What may be asked of a kept response below `/v1/responses/{job}`: method, and what follows its id."""
USUAL_MODEL = "sora-2"
"""Of a video whose model is not said, as at OpenAI."""
BASES = ("/v1", "/v1/v1", "")
"""A base URL with a `/v1` too many (Anthropic's SDK) or too few (OpenAI's) works as well."""
COUNT_TOKENS = "count_tokens"
AUDIO = frozenset(("openai_transcription", "openai_translation"))
MODELS = frozenset(("/v1/models", "/v1beta/models", "/v1/v1/models", "/models"))
"""Our own lists, over all providers."""
_LISTS_MODELS = re.compile(r".*/([a-z]+-)?models(/\{(model|name)\})?")
REALTIME = ("/v1/realtime", "/realtime")
METRICS = "/metrics"
RULED = ("DELETE", "GET", "POST")
"""Methods that rules are made for."""
PASSED = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE"))
LONGEST_NAME = 200
"""Characters of an unmetered path that its event keeps, in place of a model."""


_VERSION = re.compile(r"v[0-9]+")


def is_models(path: str) -> bool:
    """Whether this is the list of models, or one of them."""
    collection, _, name = path.partition("/models/")
    return path in MODELS or (name != "" and collection + "/models" in MODELS)


def family_of(path: str) -> str:
    """The beginning of a path that says whose it is: `/v1/audio` of `/v1/audio/speech`, `/v1beta` of all below it."""
    first, _, rest = path[1:].partition("/")
    if _VERSION.fullmatch(first) is None:
        return f"/{first}"
    return f"/{first}/{rest.partition('/')[0]}"


class Ways:
    """Every path of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._providers = registry.providers
        self.fixed: dict[tuple[str, str], Found] = {}
        """By method and path. The hot path reads it directly."""
        self._own: list[tuple[str, PathPattern, Surface]] = []
        self._prefixed: dict[str, list[tuple[str, PathPattern, Surface]]] = {}
        self._shapes: dict[str, str] = {family_of(path): "openai" for path in REALTIME}
        """The error shape of each family of common paths."""
        self._native: dict[str, set[str]] = {}
        """Who has own paths in a family."""
        for base in BASES:
            for path, (wire, name) in COMMON_PATHS.items():
                if wire in WIRES:
                    upload: UploadKind = "audio" if wire in AUDIO else ""
                    shape = WIRES[wire].error_shape
                    surface = Surface(WIRES[wire], wire, name, shape, upload=upload)
                    self.fixed["POST", base + path] = Found(surface, NO_VALUES)
                    self._shapes[family_of(base + path)] = shape
            for surface, path in (*_videos_of_anybody(), *_kept_responses()):
                self._put(self._own, "", surface, PathPattern(base + path))
                self._shapes[family_of(base + path)] = surface.error_shape
            counting = Surface(WIRES[COUNT_TOKENS], COUNT_TOKENS, COUNT_TOKENS, "anthropic", "free")
            self.fixed["POST", f"{base}/messages/count_tokens"] = Found(counting, NO_VALUES)
        for provider in registry.providers.values():
            if provider.origin:
                self._add(provider)

    def find(self, method: str, path: str) -> Found | None:
        """The surface of a request, None where no provider has this path."""
        found = self.fixed.get((method, path))
        if found is not None:
            return found
        if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
            return None  # the provider would read another path than the one that was metered
        slug, _, _ = path[1:].partition("/")
        rows = self._prefixed.get(slug)
        if rows is None:
            return _first(self._own, method, path, "") or self._without_rule(
                self._family_owner(path), method, path, ""
            )
        rest, prefix = path[len(slug) + 1 :], f"/{slug}"
        return _first(rows, method, rest, prefix) or self._without_rule(
            self._providers[slug], method, rest, prefix
        )

    def shape(self, path: str) -> str | None:
        """Whose errors a path speaks that no surface serves by this method (contract 4.1); None for management."""
        for method in RULED:
            if (found := self.find(method, path)) is not None:
                return found.surface.error_shape
        provider = self._providers.get(path[1:].partition("/")[0]) or self._family_owner(path)
        if provider is not None and provider.origin:
            return provider.error_shape
        if (common := self._shapes.get(family_of(path))) is not None:
            return common
        below = next((row for method in RULED for row in self.below_a_name(method, path)), None)
        return self.shape(below) if below is not None else None

    def methods(self, path: str) -> list[str]:
        """The methods of a path that stands here; empty for any other."""
        found = [method for method in RULED if self.find(method, path) is not None]
        if found:
            return sorted((*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"))
        return ["GET", "HEAD", "OPTIONS"] if path == METRICS or is_models(path) else []

    def below_a_name(self, method: str, path: str) -> list[str]:
        """Where the same path stands below the names of providers."""
        return [
            f"/{slug}{path}"
            for slug, rows in self._prefixed.items()
            if (method, f"/{slug}{path}") in self.fixed or _first(rows, method, path, "") is not None
        ]

    def _without_rule(self, provider: Provider | None, method: str, rest: str, prefix: str) -> Found | None:
        """A path of a provider's that no rule says the cost of; None where there is no such path here."""
        path = prefix + rest
        if provider is None or method not in PASSED or not rest:
            return None
        if is_models(path) and (method == "GET" or ":" not in path):
            return None  # ours; but Google's verbs stand behind a model's name
        rows = self._prefixed[provider.slug] if prefix else self._own
        if any((other, path) in self.fixed or _first(rows, other, rest, prefix) for other in RULED):
            return None
        return _unmetered(provider, method, rest, prefix)

    def _family_owner(self, path: str) -> Provider | None:
        """The provider who alone has the un-prefixed paths that begin as this one does."""
        family = family_of(path)
        owners = self._native.get(family, ())
        return (
            self._providers[next(iter(owners))] if len(owners) == 1 and family not in self._shapes else None
        )

    def _add(self, provider: Provider) -> None:
        prefixed = self._prefixed.setdefault(provider.slug, [])
        for free in provider.free:
            pattern = PathPattern(provider.usual_base_path + free.path.text)
            surface = Surface(
                PassthroughWire(provider.error_shape),
                UNMETERED,
                UNMETERED,
                provider.error_shape,
                kind="free",
                method=free.method,
                provider=provider.slug,
                pattern=pattern,
                lists_models=free.method == "GET" and _LISTS_MODELS.fullmatch(free.path.text) is not None,
            )
            self._put(prefixed, f"/{provider.slug}", surface, pattern)
            if free.is_own:
                self._put(self._own, "", surface, pattern)
        for wire in provider.wires.values():
            if wire.is_own:
                for pattern, _ in _patterns(provider, wire):
                    self._native.setdefault(family_of(pattern.text), set()).add(provider.slug)
            if wire.kind == "live":  # `live_surfaces` has those
                continue
            for pattern, is_stream in _patterns(provider, wire):
                surface = _surface(provider, wire, pattern, is_stream)
                self._put(prefixed, f"/{provider.slug}", surface, pattern)
                if wire.is_own:
                    self._put(self._own, "", surface, pattern)
            for surface, pattern in _about_jobs(provider, wire):
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


def _videos_of_anybody() -> Iterator[tuple[Surface, str]]:
    for method, path, about_job, form in VIDEOS:
        surface = Surface(
            OPENAI_VIDEO,
            "openai_video",
            "videos",
            OPENAI_VIDEO.error_shape,
            kind="job",
            method=method,
            default_model=USUAL_MODEL,
            about_job=about_job,
            video_form=form,
        )
        yield surface, path


def _kept_responses() -> Iterator[tuple[Surface, str]]:
    wire = WIRES["openai_responses"]
    for method, tail, about_job in RESPONSES:
        surface = Surface(
            wire,
            "openai_responses",
            "responses",
            wire.error_shape,
            kind="job",
            method=method,
            about_job=about_job,
            tail=tail,
        )
        yield surface, f"/responses/{{job}}{tail}"


def _unmetered(provider: Provider, method: str, rest: str, prefix: str) -> Found:
    surface = Surface(
        PassthroughWire(provider.error_shape),
        UNMETERED,
        UNMETERED,
        provider.error_shape,
        method=method,
        provider=provider.slug,
        default_model=f"{method} {rest}"[:LONGEST_NAME],
        upload="any",
        is_metered=False,
    )
    return Found(surface, NO_VALUES, prefix)


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
        error_shape=WIRES[wire.name].error_shape,
        kind=wire.kind,
        provider=provider.slug,
        pattern=pattern,
        is_stream=is_stream,
        default_model=wire.default_model,
        upload=wire.upload,
    )


def _about_jobs(provider: Provider, wire: Spoken) -> Iterator[tuple[Surface, PathPattern]]:
    for path in wire.jobs.all if wire.jobs is not None else ():
        pattern = PathPattern(provider.usual_base_path + path.path.text)
        surface = Surface(
            wire=WIRES[wire.name],
            wire_name=wire.name,
            name=wire.surface,
            error_shape=WIRES[wire.name].error_shape,
            kind="job",
            method=path.method,
            provider=provider.slug,
            pattern=pattern,
            about_job=path.verb,
        )
        yield surface, pattern
