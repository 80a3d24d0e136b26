"""Providers, read from data/providers and the environment. A new provider is a new file, no code.

The environment is an argument, so that nothing here depends on the process. Keys are never shown: a complaint about
one names its variable.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import msgspec

from qlaud.core.paths import PathPattern
from qlaud.core.providers import (
    FreePath,
    JobPath,
    JobPaths,
    JobVerb,
    Kind,
    Provider,
    Registry,
    Secret,
    UploadKind,
    Wire,
)
from qlaud.providers.toml_files import BadFile, read, shipped
from qlaud.wire.errors import SHAPES
from qlaud.wire.shelf import JOBS, WIRES

PATH_RULE = "a path that begins with a slash, placeholders in braces"
JOB = "{job}"
JOB_RULE = "a path with {job} in it"
RECORD_RULE = f'with kind = "job", where the record of a job is read; for {", ".join(JOBS)}'

QUIRKS: Mapping[str, str] = {
    "include_usage": "OpenAI Chat streams tell usage only when `stream_options.include_usage` is sent",
    "limit_required": "a call without an output limit is refused",
    "max_tokens": "OpenAI Chat knows `max_tokens` only, not `max_completion_tokens`",
}
"""Every switch a file may name, and what it says about a provider or model."""

_SLUG = re.compile(r"[a-z][a-z0-9_-]*\Z")
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+\Z")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")


class BadSetting(Exception):
    """An environment variable of a provider cannot be used. Names the variable, never shows a key."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable, self.reason = variable, reason


class AuthFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a provider is signed in to."""

    header: str
    variable: str
    format: str = "{key}"


class JobsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths about one job, below the base URL, each with {job} in it."""

    record: str
    get: list[str] = []
    post: list[str] = []
    delete: list[str] = []
    again: list[str] = []


class WireFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wire, by its paths below the base URL."""

    paths: list[str] = []
    stream_paths: list[str] = []
    kind: Kind = "call"
    surface: str = "passthrough"
    limit_field: str = ""
    default_model: str = ""
    own: bool = False
    upload: UploadKind = ""
    jobs: JobsFile | None = None


class FreeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths that cost nothing, by method, below the base URL."""

    get: list[str] = []
    post: list[str] = []


class ProviderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of data/providers."""

    slug: str
    display_name: str
    wires: dict[str, WireFile]
    base_url: str = ""
    in_process: bool = False
    errors: str = "openai"
    auth: AuthFile | None = None
    free: FreeFile = FreeFile()
    headers: dict[str, str] = {}
    quirks: list[str] = []


def load_registry(env: Mapping[str, str]) -> Registry:
    """Every shipped provider, with the keys and base URLs of `env`. Raises BadFile, BadSetting."""
    providers: dict[str, Provider] = {}
    for file in shipped("providers"):
        row = read(file, ProviderFile)
        _check(str(file), row)
        if row.slug in providers:
            raise BadFile(str(file), f"slug: {row.slug} is another file's")
        providers[row.slug] = _provider(row, env)
    return Registry(providers)


def base_url_variable(slug: str) -> str:
    """The variable that overrides a provider's base URL: `QLAUD_OPENAI_BASE_URL`."""
    return f"QLAUD_{slug.upper().replace('-', '_')}_BASE_URL"


def split_base_url(text: str) -> tuple[str, str]:
    """Origin and base path of a base URL; slashes at its end do not count.

    Raises ValueError saying what is wrong. Plain http is for loopback only, where a key cannot be overheard.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if not _PRINTABLE.match(text) or url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be an absolute http or https URL")
    if url.username is not None or url.query or url.fragment:
        raise ValueError("must have no user name, query or fragment")
    if url.scheme == "http" and not _is_loopback(url):
        raise ValueError("plain http is allowed for this machine only; use https")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}{f':{port}' if port is not None else ''}", url.path.rstrip("/")


def _provider(row: ProviderFile, env: Mapping[str, str]) -> Provider:
    origin, base_path = ("", "") if row.in_process else split_base_url(row.base_url)
    usual_base_path = base_path
    variable = base_url_variable(row.slug)
    override = env.get(variable, "").strip()
    if override and not row.in_process:
        try:
            origin, base_path = split_base_url(override)
        except ValueError as error:
            raise BadSetting(variable, str(error)) from None
    auth = row.auth
    return Provider(
        slug=row.slug,
        display_name=row.display_name,
        origin=origin,
        base_path=base_path,
        wires={name: _wire(name, wire) for name, wire in row.wires.items()},
        usual_base_path=usual_base_path,
        error_shape=row.errors,
        free=(
            *(FreePath("GET", PathPattern(path)) for path in row.free.get),
            *(FreePath("POST", PathPattern(path)) for path in row.free.post),
        ),
        auth_header=auth.header if auth else "",
        auth_format=auth.format if auth else "",
        key_variable=auth.variable if auth else "",
        api_keys=_keys(auth.variable, env) if auth else (),
        extra_headers=tuple(
            (name.encode("ascii"), value.encode("ascii")) for name, value in row.headers.items()
        ),
        quirks=frozenset(row.quirks),
    )


def _wire(name: str, row: WireFile) -> Wire:
    return Wire(
        name,
        tuple(map(PathPattern, row.paths)),
        tuple(map(PathPattern, row.stream_paths)),
        kind=row.kind,
        surface=row.surface,
        limit_field=row.limit_field,
        default_model=row.default_model,
        is_own=row.own,
        upload=row.upload,
        jobs=_jobs(row.jobs) if row.jobs else None,
    )


def _jobs(row: JobsFile) -> JobPaths:
    listed: tuple[tuple[str, JobVerb, list[str]], ...] = (
        ("GET", "other", row.get),
        ("POST", "other", row.post),
        ("DELETE", "other", row.delete),
        ("POST", "again", row.again),
    )
    others = (JobPath(method, PathPattern(path), verb) for method, verb, paths in listed for path in paths)
    return JobPaths(PathPattern(row.record), tuple(others))


def _keys(variable: str, env: Mapping[str, str]) -> tuple[Secret, ...]:
    """The keys in a variable, or in the file that `<variable>_FILE` names, parted by commas or (there) lines."""
    text, file_variable = env.get(variable, ""), f"{variable}_FILE"
    path = env.get(file_variable, "").strip()
    if path and text.strip():
        raise BadSetting(file_variable, f"{variable} is set too; use one of the two")
    if path:
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(file_variable, f"{path} cannot be read: {error}") from None
        text = ",".join(text.splitlines())
    keys = [key for part in text.split(",") if (key := part.strip())]
    if any(not _PRINTABLE.match(key) for key in keys):
        raise BadSetting(variable, "a key has no spaces, line breaks or characters beyond ASCII")
    if path and not keys:
        raise BadSetting(file_variable, f"{path} is empty")
    return tuple(Secret(key) for key in dict.fromkeys(keys))


def _check(name: str, row: ProviderFile) -> None:
    """Raises BadFile for what the types cannot say."""
    rules: list[tuple[str, object, str]] = [
        ("slug", _SLUG.match(row.slug), "lower-case letters, digits, - and _"),
        ("wires", row.wires, "at least one"),
        ("quirks", not set(row.quirks) - QUIRKS.keys(), f"only {', '.join(QUIRKS)}"),
        ("errors", row.errors in SHAPES, f"one of {', '.join(SHAPES)}"),
        ("in_process", row.in_process != bool(row.base_url), "either base_url or in_process = true"),
    ]
    if auth := row.auth:
        rules += [
            ("auth.header", _TOKEN.match(auth.header), "a header name in lower case"),
            ("auth.variable", _VARIABLE.match(auth.variable), "an environment variable in upper case"),
            ("auth.format", auth.format.count("{key}") == 1, "text with {key} in it once"),
        ]
    for header, value in row.headers.items():
        fine = _TOKEN.match(header) and value.isascii() and value.isprintable()
        rules.append((f"headers.{header}", fine, "a name in lower case, a printable value"))
    for wire, at in row.wires.items():
        rules.append((f"wires.{wire}", wire in WIRES or at.kind == "live", f"one of {', '.join(WIRES)}"))
        rules.append((f"wires.{wire}.paths", at.paths or at.stream_paths, "at least one"))
        rules += [
            (f"wires.{wire}.paths", _is_path(path), PATH_RULE) for path in (*at.paths, *at.stream_paths)
        ]
        jobs = at.jobs
        of_job = [jobs.record, *jobs.get, *jobs.post, *jobs.delete, *jobs.again] if jobs else []
        rules += [(f"wires.{wire}.jobs", _is_path(path) and JOB in path, JOB_RULE) for path in of_job]
        followed = jobs is not None and wire in JOBS
        rules.append((f"wires.{wire}.jobs", followed or (jobs is None and at.kind != "job"), RECORD_RULE))
    rules += [("free", _is_path(path), PATH_RULE) for path in (*row.free.get, *row.free.post)]
    for key, holds, rule in rules:
        if not holds:
            raise BadFile(name, f"{key}: expected {rule}")
    if not row.in_process:
        try:
            split_base_url(row.base_url)
        except ValueError as error:
            raise BadFile(name, f"base_url: {error}") from None


def _is_path(text: str) -> bool:
    try:
        PathPattern(text)
    except ValueError:
        return False
    return True


def _is_loopback(url: SplitResult) -> bool:
    host = url.hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
