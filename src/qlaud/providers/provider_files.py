"""Providers' files: the shipped ones, and an operator's that add providers, extend or override them. No code needed.

    a slug of our own    its file is laid over ours, member by member: what it does not name stays
    a slug nobody has    a provider of its own; `like` takes wires and paths from a preset (`openai`, `anthropic`)
    [[model]]            what an operator's provider serves, with its price beside it

Every complaint names the file and the key.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.resources.abc import Traversable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

import msgspec

from qlaud.core.paths import MODEL, PathPattern
from qlaud.core.providers import JobVerb, Kind, UploadKind
from qlaud.providers.model_files import ModelFile, ModelsFile, TraitsFile
from qlaud.providers.served_files import ServedFile, check_served
from qlaud.providers.toml_files import BadFile, added, convert, read_raw, shipped
from qlaud.wire.errors import SHAPES
from qlaud.wire.live_shelf import LIVE_WIRES
from qlaud.wire.shelf import JOBS, WIRES

PATH_RULE = "a path that begins with a slash, placeholders in braces"
JOB = "{job}"
JOB_RULE = "a path with {job} in it"
RECORD_PATH_RULE = "a path with {job} in it, and {model} at most"
RECORD_RULE = f'with kind = "job", where the record of a job is read; for {", ".join(JOBS)}'

QUIRKS: Mapping[str, str] = {
    "include_usage": "OpenAI Chat streams tell usage only when `stream_options.include_usage` is sent",
    "limit_required": "a call without an output limit is refused",
    "loose_limit": "output limits leave thoughts out, but for `max_completion_tokens` of OpenAI Chat",
    "max_tokens": "OpenAI Chat knows `max_tokens` only, not `max_completion_tokens`",
    "max_tool_calls": "`max_tool_calls` of OpenAI Responses bounds how often its own tools run",
    "tight_limit": "of a model: output limits bound thoughts too, though the provider has `loose_limit`",
    "background": "responses may be made in the background, as jobs",
    "url_pictures": "pictures to edit are objects with a `url`, and those made are addresses unless asked otherwise",
}
"""Every switch a file may name, and what it says about a provider or model."""

_SLUG = re.compile(r"[a-z][a-z0-9_-]*\Z")
_RESERVED = re.compile(
    r"(v\d.*|api|upload|docs|health|healthz|readyz|metrics|connect|webhooks|dashboard|chat|messages|models|responses"
    r"|embeddings|images|audio|videos|realtime)\Z"
)
"""First segments of paths that are no provider's prefix."""
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+\Z")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")

Raw = dict[str, Any]
"""A file as TOML gives it."""


class AuthFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a provider is signed in to; the usual way unless it says otherwise."""

    variable: str
    header: str = "authorization"
    format: str = "Bearer {key}"


class JobsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths about one job, below the base URL, each with {job} in it."""

    record: str
    also: list[str] = []
    """Where the record is read too: the same path of other versions."""
    content: list[str] = []
    """Where what it made is fetched. Not known to the provider: its record says where that is."""
    get: list[str] = []
    post: list[str] = []
    delete: list[str] = []
    again: list[str] = []

    @property
    def listed(self) -> tuple[tuple[tuple[str, JobVerb], list[str]], ...]:
        """Every path but the first of the record, by its method and what it is for."""
        return (
            (("GET", "record"), self.also),
            (("GET", "content"), self.content),
            (("GET", "other"), self.get),
            (("POST", "other"), self.post),
            (("DELETE", "other"), self.delete),
            (("POST", "again"), self.again),
        )


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
    bearer: bool = False


class FreeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths that cost nothing, by method, below the base URL."""

    get: list[str] = []
    post: list[str] = []
    own: list[str] = []
    """Those of `get` that nobody else has, served without the provider's prefix too."""


class ProviderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider."""

    slug: str
    wires: dict[str, WireFile]
    like: str = ""
    """The preset it is built on; the rest is laid over it."""
    display_name: str = ""
    base_url: str = ""
    plain_http: bool = False
    """An address of plain http beyond this machine is meant: a network of one's own, where nobody listens."""
    in_process: bool = False
    errors: str = "openai"
    auth: AuthFile | None = None
    free: FreeFile = FreeFile()
    headers: dict[str, str] = {}
    quirks: list[str] = []
    model: list[ServedFile] = []


def read_provider_files(folder: Path | None = None) -> list[tuple[str, ProviderFile]]:
    """Every provider with the name of its last file, those of `folder` over ours. Raises BadFile."""
    raws: dict[str, tuple[str, Raw]] = {}
    for file in shipped("providers"):
        raw = read_raw(file)
        slug = str(raw.get("slug"))
        if slug in raws:
            raise BadFile(str(file), f"slug: {slug} is another file's")
        raws[slug] = (str(file), raw)
    own: dict[str, str] = {}
    for file in added(folder) if folder else ():
        raw = read_raw(file)
        slug = str(raw.get("slug"))
        if slug in own:
            raise BadFile(
                str(file), f'slug: "{slug}" stands in {own[slug]} too; make one file of both, or rename one'
            )
        own[slug] = str(file)
        below = raws[slug][1] if slug in raws else _preset(file, raw)
        raws[slug] = (str(file), laid_over(below, raw))
    rows = [(name, convert(name, raw, ProviderFile)) for name, raw in raws.values()]
    for name, row in rows:
        _check(name, row)
        check_served(name, row.model, row.wires, QUIRKS)
    return rows


def served_models(name: str, row: ProviderFile) -> ModelsFile:
    """The models of an operator's provider in the form of a model file; those without wires take all of it."""
    wires = [wire for wire, at in row.wires.items() if at.kind != "free"]
    models = [
        ModelFile(
            slug=one.slug,
            aliases=one.aliases,
            upstream=one.upstream,
            display_name=one.display_name,
            traits=one.traits,
        )
        for one in row.model
    ]
    return ModelsFile(
        provider=row.slug,
        author=row.display_name or row.slug,
        source=name,
        verified=day_of(name),
        defaults=TraitsFile(wires=wires),
        model=models,
    )


def day_of(name: str) -> date:
    """The day an operator's file was last written, which stands for the day its prices were looked at."""
    return datetime.fromtimestamp(Path(name).stat().st_mtime, UTC).date()


def laid_over(below: Raw, above: Raw) -> Raw:
    """`below` with the members of `above` put over it; tables are joined, everything else is replaced."""
    joined = dict(below)
    for name, value in above.items():
        old = joined.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            value = laid_over(cast("Raw", old), cast("Raw", value))
        joined[name] = value
    return joined


def split_base_url(text: str, *, plain_http: bool = False) -> tuple[str, str]:
    """Origin and base path of a base URL; slashes at its end do not count.

    Raises ValueError saying what is wrong. Plain http is for loopback only, where a key cannot be overheard,
    unless `plain_http` says that it is meant.
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
    if url.scheme == "http" and not plain_http and not _is_loopback(url):
        raise ValueError(
            "plain http is for this machine only; use https, or say `plain_http = true` in its file"
        )
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}{f':{port}' if port is not None else ''}", url.path.rstrip("/")


def _preset(file: Traversable, raw: Raw) -> Raw:
    """What a new provider is built on: the preset it names, or nothing."""
    like = raw.get("like")
    if like is None:
        return {}
    found = {preset.name.removesuffix(".toml"): preset for preset in shipped("presets")}
    if like not in found:
        raise BadFile(str(file), f"like: expected one of {', '.join(found)}")
    return read_raw(found[like])


def _check(name: str, row: ProviderFile) -> None:
    """Raises BadFile for what the types cannot say."""
    rules: list[tuple[str, object, str]] = [
        ("slug", _SLUG.match(row.slug), "lower-case letters, digits, - and _"),
        ("wires", row.wires, "at least one"),
        ("quirks", not set(row.quirks) - QUIRKS.keys(), f"only {', '.join(QUIRKS)}"),
        ("errors", row.errors in SHAPES, f"one of {', '.join(SHAPES)}"),
        (
            "slug",
            not _RESERVED.match(row.slug),
            "another name; the gateway has paths of its own below this one",
        ),
        (
            "base_url",
            row.in_process != bool(row.base_url),
            "the address of the server, once (or in_process = true)",
        ),
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
        known = LIVE_WIRES if at.kind == "live" else WIRES
        rules.append((f"wires.{wire}", wire in known, f"one of {', '.join(known)}"))
        rules.append((f"wires.{wire}.paths", at.paths or at.stream_paths, "at least one"))
        rules += [
            (f"wires.{wire}.paths", _is_path(path), PATH_RULE) for path in (*at.paths, *at.stream_paths)
        ]
        jobs = at.jobs
        of_job = [jobs.record, *(path for _, paths in jobs.listed for path in paths)] if jobs else []
        rules += [(f"wires.{wire}.jobs", _is_path(path) and JOB in path, JOB_RULE) for path in of_job]
        if jobs is not None and _is_path(jobs.record):
            filled = PathPattern(jobs.record).names <= {"job", MODEL}
            rules.append((f"wires.{wire}.jobs.record", filled, RECORD_PATH_RULE))
        followed = jobs is not None and wire in JOBS
        rules.append((f"wires.{wire}.jobs", followed or (jobs is None and at.kind != "job"), RECORD_RULE))
    rules += [("free", _is_path(path), PATH_RULE) for path in (*row.free.get, *row.free.post)]
    rules.append(("free.own", not set(row.free.own) - set(row.free.get), "paths that stand under free.get"))
    for key, holds, rule in rules:
        if not holds:
            raise BadFile(name, f"{key}: expected {rule}")
    if not row.in_process:
        try:
            split_base_url(row.base_url, plain_http=row.plain_http)
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
