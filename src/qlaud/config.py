"""Settings: frozen, checked at start, from QLAUD_* variables and an optional qlaud.toml. Variables win.

A setting's variable is `QLAUD_` and its name in capitals. Providers' own variables (keys, base URLs) are read by
the provider registry from the same mapping. Secrets never show in a repr.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from qlaud.core.keys import OnDisconnect, is_secret

PREFIX = "QLAUD_"
WalletMode = Literal["off", "prepaid"]
LogFormat = Literal["text", "json"]

FROM_ELSEWHERE = frozenset({"CONFIG", "TEST_DATABASE_URL"})
"""QLAUD_ variables that are no settings."""


LEAST_LIVE_HOLD_S = 1.0
"""A shorter slice would be a settlement for every few messages."""


class BadSetting(Exception):
    """A setting that cannot be used; the message names it and says what it takes."""


def _setting(default: Any, text: str, *, secret: bool = False, lowest: int | None = None) -> Any:
    return field(default=default, repr=not secret, metadata={"doc": text, "lowest": lowest})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its default. `metadata["doc"]` of a field is its line in the README's table."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8787, "Port to listen on; 0 takes a free one.", lowest=0)
    data_dir: Path = _setting(Path("qlaud-data"), "Folder of the embedded database and caches.")
    database_url: str = _setting("", "Any PostgreSQL 15 or newer, instead of the embedded one.", secret=True)
    database_pool_size: int = _setting(10, "Most connections to the database per worker.", lowest=2)
    master_key: str = _setting(
        "", "A master key to install at start (`qlk_live_` and 64 hex digits).", secret=True
    )
    wallet: WalletMode = _setting(
        "off", "`off`, or `prepaid`: calls are also held against the account's wallet."
    )
    markup_bp: int = _setting(0, "Markup on the provider's price, in basis points (100 = 1 %).", lowest=0)
    hold_wait_s: float = _setting(
        5.0, "How long a call waits for money that is only tied up by calls in flight."
    )
    hold_lost_after_s: float = _setting(60.0, "A hold not renewed for this long is lost.")
    hold_renew_s: float = _setting(10.0, "How often a running call renews its hold.")
    live_hold_s: float = _setting(15.0, "How much of a live session is held at a time, in seconds of audio.")
    live_message_bytes: int = _setting(16_777_216, "Largest message of a live session.", lowest=1024)
    on_disconnect: OnDisconnect = _setting(
        "drain", "When the caller hangs up: `drain` reads to the provider's usage, `cancel` hangs up too."
    )
    drain_max_s: float = _setting(900.0, "Longest drain after the caller hung up.")
    client_stall_s: float = _setting(120.0, "A caller that reads nothing for this long is taken for gone.")
    max_body_bytes: int = _setting(33_554_432, "Largest request body.", lowest=1)
    audio_max_s: int = _setting(
        14_400,
        "How long audio may play that is held for unread: at an address, or in no common format.",
        lowest=1,
    )
    body_timeout_s: float = _setting(60.0, "Longest wait for the next part of a request.")
    answer_buffer_bytes: int = _setting(
        1_048_576, "Whole answers up to this size wait for their bill and carry its amount.", lowest=0
    )
    settle_patience_s: float = _setting(2.0, "How long an answer waits for a database that does not reply.")
    store_timeout_s: float = _setting(5.0, "How long a call waits for the database before it is refused.")
    connect_timeout_s: float = _setting(10.0, "Longest wait for a connection to a provider.")
    first_byte_timeout_s: float = _setting(600.0, "Longest wait for a provider's first byte.")
    idle_timeout_s: float = _setting(300.0, "Longest silence within a provider's answer.")
    provider_connections: int = _setting(1000, "Most connections to one provider per worker.", lowest=1)
    job_max_s: float = _setting(
        86_400.0, "How long a provider may say nothing of a job it began; then it costs what was asked for."
    )
    shutdown_grace_s: float = _setting(30.0, "How long running calls may go on after a stop signal.")
    max_connections: int = _setting(10_000, "Most client connections per worker; beyond: 503.", lowest=1)
    cors_origins: str = _setting("*", "Origins browsers may call from, separated by commas.")
    metrics_token: str = _setting("", "If set, `/metrics` needs it as a bearer token.", secret=True)
    prices_dir: Path | None = _setting(None, "Folder of price files that override the shipped ones.")
    providers_dir: Path | None = _setting(None, "Folder of providers' files that add to the shipped ones.")
    log_level: str = _setting("info", "`debug`, `info`, `warning` or `error`.")
    log_format: LogFormat = _setting("text", "`text` or `json` lines.")


def load_settings(environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """Settings from `config_file` (if it exists) and `environ`. Raises BadSetting."""
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    if config_file is not None and config_file.exists():
        for name, value in _toml(config_file).items():
            if name not in known:
                raise BadSetting(f"{config_file}: unknown setting `{name}`")
            values[name] = value
    for name in known:
        if (text := environ.get(PREFIX + name.upper())) is not None:
            values[name] = text
    return _checked(
        Settings(**{name: _read(name, known[name].type, value) for name, value in values.items()})
    )


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """QLAUD_ variables that no setting answers to: a misspelt one must not go unnoticed."""
    known = {PREFIX + f.name.upper() for f in fields(Settings)} | {PREFIX + name for name in FROM_ELSEWHERE}
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name not in known and not name.endswith("_BASE_URL")
    )


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as fault:
        raise BadSetting(f"{path}: {fault}") from fault


def _read(name: str, kind: Any, value: object) -> Any:
    variable = PREFIX + name.upper()
    text = str(value).strip()
    try:
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
    except ValueError:
        raise BadSetting(f"{variable} must be a number, not {text!r}") from None
    if kind is Path or kind == Path | None:
        return Path(text).expanduser() if text else None
    choices = get_args(kind)
    if choices and text not in choices:
        raise BadSetting(f"{variable} must be one of {', '.join(map(str, choices))}, not {text!r}")
    return text


def _checked(settings: Settings) -> Settings:
    for f in fields(settings):
        value: object = getattr(settings, f.name)
        lowest = f.metadata["lowest"]
        if isinstance(value, (int, float)) and value < (lowest if lowest is not None else 0):
            raise BadSetting(f"{PREFIX}{f.name.upper()} must be at least {lowest or 0}, not {value}")
    if settings.master_key and not is_secret(settings.master_key):
        raise BadSetting("QLAUD_MASTER_KEY must be qlk_live_ or qlk_test_ and 64 lower-case hex digits")
    if settings.port > 65535:
        raise BadSetting(f"QLAUD_PORT must be at most 65535, not {settings.port}")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        raise BadSetting(f"QLAUD_LOG_LEVEL must be debug, info, warning or error, not {settings.log_level!r}")
    if settings.hold_renew_s >= settings.hold_lost_after_s:
        raise BadSetting(
            "QLAUD_HOLD_RENEW_S must be below QLAUD_HOLD_LOST_AFTER_S, or running calls would be taken for lost"
        )
    if settings.live_hold_s < LEAST_LIVE_HOLD_S:
        raise BadSetting(
            f"QLAUD_LIVE_HOLD_S must be at least {LEAST_LIVE_HOLD_S}, not {settings.live_hold_s}"
        )
    return settings
