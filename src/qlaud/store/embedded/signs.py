"""Signs of life: the locks that tell who is alive, the socket that tells who answers, the pid to signal.

A lock is true by construction (the kernel drops it with its last holder); a pid file is only a rumour, so a pid
is used after /proc confirmed it. Called by `server` only.
"""

import fcntl
import os
import socket
import struct
from enum import Enum, auto
from pathlib import Path

from qlaud.store.embedded.account import Account
from qlaud.store.embedded.cluster import DATABASE, USER, Cluster

PROBE_TIMEOUT_S = 2.0

_PARAMETERS = f"user\0{USER}\0database\0{DATABASE}\0application_name\0qlaud probe\0\0".encode()
_STARTUP = struct.pack("!II", 8 + len(_PARAMETERS), 3 << 16) + _PARAMETERS
_TERMINATE = b"X\0\0\0\4"
_CANNOT_CONNECT_NOW = b"\0C57P03\0"


class Answer(Enum):
    """What the socket says."""

    READY = auto()
    NOT_YET = auto()
    """Starting, recovering or shutting down."""
    SILENT = auto()


def open_lock(path: Path, account: Account) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if account.switch and os.fstat(lock).st_uid != account.uid:
        os.fchown(lock, account.uid, account.gid)
    return lock


def try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ask(path: Path) -> Answer:
    """Knock with a startup packet, as a client would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PROBE_TIMEOUT_S)
        try:
            client.connect(str(path))
            client.sendall(_STARTUP)
            reply = client.recv(1024)
            if reply.startswith(b"R"):
                client.sendall(_TERMINATE)
        except TimeoutError:
            return Answer.NOT_YET
        except OSError:
            return Answer.SILENT
    if not reply:
        return Answer.NOT_YET  # it died or was killed between accepting and answering
    return Answer.NOT_YET if _CANNOT_CONNECT_NOW in reply else Answer.READY


def postmaster(path: Path) -> int | None:
    """The pid in postmaster.pid if a postmaster of the cluster at `path` has it now; numbers are reused."""
    try:
        pid = int((path / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
        return pid if _is_postmaster(pid, path) else None
    except (OSError, ValueError):
        return None


def _is_postmaster(pid: int, path: Path) -> bool:
    """Whether the living process `pid` works in the cluster. Raises OSError if it is a zombie or just ended."""
    if not Path("/proc/self/stat").exists():
        return True  # not Linux: nothing better to ask
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(path)
    except PermissionError:
        # Root without CAP_SYS_PTRACE, as in a container, may not look into another user's process.
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        return name.endswith("(postgres") and not rest.startswith(" Z")


def forget_dead_pid(cluster: Cluster) -> None:
    """Remove the files that name a dead postmaster; call it only with `alive` locked.

    PostgreSQL believes them while any process has that number: another one after the restart of a container, or
    the dead one itself where nobody reaps it. A server that was started by hand is left to PostgreSQL to refuse.
    """
    if postmaster(cluster.path) is None:
        (cluster.path / "postmaster.pid").unlink(missing_ok=True)
        cluster.socket.with_name(f"{cluster.socket.name}.lock").unlink(missing_ok=True)
