"""Providers as facts: where one is, how it is signed in to, which wires it speaks on which paths.

Pure values that flows and plugs share. They are read from the shipped TOML files and the environment by
`providers.registry`, once at start. A key is a `Secret`: it never shows in a repr, a log line or an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from qlaud.core.paths import PathPattern


class Secret:
    """A credential that prints as stars; `reveal()` gives it away, at the one place that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        """The credential itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


Kind = Literal["call", "job", "live", "free"]
"""What a path is for: a model call that ends with its answer, one that begins a job, a WebSocket, or a free answer."""

UploadKind = Literal["", "audio", "any"]
"""What a body that is no JSON holds: `audio`, whose playing time is read before money is held for it, or `any`thing."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format at one provider, and the paths it is spoken on. A path without a wire has no metering rule."""

    name: str
    """As hosts of the catalog name it: `messages`, `openai_chat`, `deepgram_listen`, …"""
    paths: tuple[PathPattern, ...]
    """Below the provider's base path. The first is where a call goes that did not name its provider."""
    stream_paths: tuple[PathPattern, ...] = ()
    """Paths on which the answer streams because of the path."""
    kind: Kind = "call"
    surface: str = "passthrough"
    """What usage events call it."""
    limit_field: str = ""
    """Where the output limit is written; empty where the wire has none."""
    default_model: str = ""
    """Asked for by a call that names none."""
    upload: UploadKind = ""
    is_own: bool = False
    """Its paths belong to this provider alone, so they are served without the prefix too."""
    jobs: "JobPaths | None" = None
    """Where jobs that its calls begin are asked for."""
    is_bearer: bool = False
    """Its paths take the key as `Authorization: Bearer`, whatever the provider's others take."""

    @property
    def all_paths(self) -> tuple[PathPattern, ...]:
        """Every path it is spoken on."""
        return (*self.paths, *self.stream_paths)


JobVerb = Literal["record", "content", "again", "other"]
"""Reads the job's record; fetches what it made, wherever that is; begins another job like it; anything else about it,
which costs nothing."""


@dataclass(frozen=True, slots=True)
class JobPath:
    """A path about one `{job}`, for those whose it is."""

    method: str
    path: PathPattern
    verb: JobVerb


@dataclass(frozen=True, slots=True)
class JobPaths:
    """What may be asked of a job."""

    record: PathPattern
    """Where what it costs is read, and whether it has ended. May name the job's `{model}` too."""
    others: tuple[JobPath, ...] = ()

    @property
    def all(self) -> tuple[JobPath, ...]:
        """Every path."""
        return (JobPath("GET", self.record, "record"), *self.others)


@dataclass(frozen=True, slots=True)
class FreePath:
    """A path that costs nothing and may be asked with any key."""

    method: str
    path: PathPattern
    is_own: bool = False
    """Nobody else has it: it is served without the provider's prefix too."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, configured or not."""

    slug: str
    display_name: str
    origin: str
    """`https://host[:port]`, no slash at the end; empty for a provider inside the process."""
    base_path: str
    """What stands between the origin and a wire's path, such as `/v1`; empty or beginning with a slash."""
    wires: Mapping[str, Wire]
    usual_base_path: str = ""
    """The base path of the vendor itself, which callers of `/<slug>/…` write, wherever the provider is."""
    error_shape: str = "openai"
    """Whose errors it looks like (`wire.errors.SHAPES`)."""
    free: tuple[FreePath, ...] = ()
    auth_header: str = ""
    """Lower case."""
    auth_format: str = "{key}"
    key_variable: str = ""
    """The environment variable that holds the key, for messages to the operator; empty when none is needed."""
    api_keys: tuple[Secret, ...] = field(default=(), repr=False)
    """The first is used as long as the provider takes it."""
    extra_headers: tuple[tuple[bytes, bytes], ...] = ()
    """Sent with every call unless the caller's own are forwarded."""
    quirks: frozenset[str] = frozenset()
    _auth: tuple[tuple[tuple[bytes, bytes], ...], ...] = field(init=False, repr=False, compare=False)
    _bearer: tuple[tuple[tuple[bytes, bytes], ...], ...] = field(init=False, repr=False, compare=False)
    _targets: Mapping[tuple[str, bool], bytes] = field(init=False, repr=False, compare=False)

    @property
    def configured(self) -> bool:
        """Whether calls can be made: a key is set, or none is needed."""
        return bool(self.api_keys) or not self.key_variable

    def __post_init__(self) -> None:
        auth: list[tuple[tuple[bytes, bytes], ...]] = [()]
        if self.api_keys and self.auth_header:
            name = self.auth_header.encode("ascii")
            values = (self.auth_format.format(key=key.reveal()).encode("latin-1") for key in self.api_keys)
            auth = [((name, value),) for value in values]
        object.__setattr__(self, "_auth", tuple(auth))
        bearer = [((b"authorization", b"Bearer " + key.reveal().encode("latin-1")),) for key in self.api_keys]
        object.__setattr__(self, "_bearer", tuple(bearer) or ((),))
        targets = {
            (name, is_stream): (self.base_path + paths[0].text).encode("ascii")
            for name, wire in self.wires.items()
            for is_stream, paths in ((False, wire.paths), (True, wire.stream_paths or wire.paths))
            if paths
        }
        object.__setattr__(self, "_targets", targets)

    def auth_headers(self, number: int = 0, *, wire: str = "") -> tuple[tuple[bytes, bytes], ...]:
        """One of the keys as header pairs, as the paths of `wire` take it; empty when there is none."""
        spoken = self.wires.get(wire)
        return (self._bearer if spoken is not None and spoken.is_bearer else self._auth)[number]

    def target(self, wire: str, *, stream: bool = False) -> bytes:
        """The raw first path of a wire, or its first that streams. Raises KeyError for a wire it does not speak."""
        return self._targets[wire, stream]

    def moved(self, raw: bytes) -> bytes:
        """A raw path as the vendor knows it, where this deployment has the provider (another base URL may be set)."""
        usual, own = self.usual_base_path.encode(), self.base_path.encode()
        if usual == own:
            return raw
        if raw.startswith(usual + b"/"):
            return own + raw[len(usual) :]
        return own.removesuffix(usual) + raw


@dataclass(frozen=True, slots=True)
class Registry:
    """Every provider by slug."""

    providers: Mapping[str, Provider]

    def provider(self, slug: str) -> Provider:
        """The provider called `slug`. Raises KeyError: slugs come from our own files, not from callers."""
        return self.providers[slug]
