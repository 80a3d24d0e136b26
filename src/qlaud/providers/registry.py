"""The registry: providers' files joined with the environment, which gives keys and base URLs.

The environment is an argument, so that nothing here depends on the process. Keys are never shown: a complaint about
one names its variable.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from qlaud.core.paths import PathPattern
from qlaud.core.providers import (
    FreePath,
    JobPath,
    JobPaths,
    Provider,
    Registry,
    Secret,
    Wire,
)
from qlaud.providers.provider_files import (
    JobsFile,
    ProviderFile,
    WireFile,
    read_provider_files,
    split_base_url,
)

_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")


class BadSetting(Exception):
    """An environment variable of a provider cannot be used. Names the variable, never shows a key."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.variable, self.reason = variable, reason


def load_registry(env: Mapping[str, str], folder: Path | None = None) -> Registry:
    """Every provider, shipped or in an operator's folder, with the keys and base URLs of `env`.

    Raises BadFile, BadSetting.
    """
    return build_registry((row for _, row in read_provider_files(folder)), env)


def build_registry(rows: Iterable[ProviderFile], env: Mapping[str, str]) -> Registry:
    """These providers, with the keys and base URLs of `env`. Raises BadSetting."""
    return Registry({row.slug: _provider(row, env) for row in rows})


def base_url_variable(slug: str) -> str:
    """The variable that overrides a provider's base URL: `QLAUD_OPENAI_BASE_URL`."""
    return f"QLAUD_{slug.upper().replace('-', '_')}_BASE_URL"


def _provider(row: ProviderFile, env: Mapping[str, str]) -> Provider:
    origin, base_path = (
        ("", "") if row.in_process else split_base_url(row.base_url, plain_http=row.plain_http)
    )
    usual_base_path = base_path
    variable = base_url_variable(row.slug)
    override = env.get(variable, "").strip()
    if override and not row.in_process:
        try:
            origin, base_path = split_base_url(override, plain_http=row.plain_http)
        except ValueError as error:
            raise BadSetting(variable, str(error)) from None
    auth = row.auth
    return Provider(
        slug=row.slug,
        display_name=row.display_name or row.slug,
        origin=origin,
        base_path=base_path,
        wires={name: _wire(name, wire) for name, wire in row.wires.items()},
        usual_base_path=usual_base_path,
        error_shape=row.errors,
        free=(
            *(FreePath("GET", PathPattern(path), path in row.free.own) for path in row.free.get),
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
        is_bearer=row.bearer,
    )


def _jobs(row: JobsFile) -> JobPaths:
    others = (
        JobPath(method, PathPattern(path), verb) for (method, verb), paths in row.listed for path in paths
    )
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
