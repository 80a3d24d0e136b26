"""As whom PostgreSQL runs. It refuses to run as root, so root lends it an account that can do nothing else.

Invariants: an ordinary user's server is that user's; a cluster that has an owner keeps it; a directory is never
opened to everybody, only the one account may pass through it (an ACL entry with `x` and nothing more).
"""

import errno
import os
import pwd
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SERVER_USER = "pgserver"

_ACL = "system.posix_acl_access"
_ACL_VERSION = struct.pack("<I", 2)
_ACL_ENTRY = struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _MASK, _OTHER, _NO_ID = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
_PASS = 0o1
"""The `x` of one permission triple: pass through a directory whose name is known."""


class EmbeddedPostgresFailed(Exception):
    """The local PostgreSQL cannot run. The message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user of the server's processes and files."""

    uid: int
    gid: int
    switch: bool
    """Whether that is another user than ours, so that children must change to it."""

    def own(self, path: Path, mode: int) -> None:
        """Give `path` to the account, with exactly `mode`."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        os.chmod(path, mode)

    def run(self, command: list[str], *, cwd: Path, stdin: str = "", keep: int | None = None) -> None:
        """Run a short command as the account; descriptor `keep` is inherited.

        The environment is emptied: it holds providers' keys, and PG* variables would change what is run.
        Raises EmbeddedPostgresFailed with the end of what the command wrote.
        """
        done = subprocess.run(
            command,
            cwd=cwd,
            input=stdin,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "PGDATA": str(cwd / "cluster")},
            pass_fds=() if keep is None else (keep,),
            start_new_session=True,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.strip().splitlines()[-12:])
            name = Path(command[0]).name
            raise EmbeddedPostgresFailed(f"{name} failed in {cwd} (exit {done.returncode}):\n{tail}")


def account_for(cluster: Path) -> Account:
    """The owner of an existing cluster, our own user, or for root the lent account (made when missing).

    Raises EmbeddedPostgresFailed if the cluster belongs to somebody else or no account can be made.
    """
    ours = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if ours != 0:
        if owner not in (None, ours):
            raise EmbeddedPostgresFailed(
                f"{cluster} belongs to the user {_name(owner)}, and PostgreSQL must own its files: start qlaud as "
                f"the user who started it first, or run `chown -R {ours} {cluster.parent}` as root"
            )
        return Account(ours, os.getegid(), switch=False)
    entry = _entry(owner) if owner else _lent_account()
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def let_pass(account: Account, path: Path, say: Callable[[str], None]) -> None:
    """Make sure that the account can reach `path`, whose parents may be closed (root's home usually is).

    Raises EmbeddedPostgresFailed with the way out if the file system has no ACLs.
    """
    if not account.switch:
        return
    for folder in [*reversed(path.resolve().parents), path.resolve()]:
        if not folder.is_dir() or _passes(account, folder):
            continue
        try:
            os.setxattr(folder, _ACL, _with_entry(folder, account.uid))
        except (OSError, AttributeError) as fault:
            user = _name(account.uid)
            raise EmbeddedPostgresFailed(
                f"PostgreSQL does not run as root, so it runs as the user {user}, who may not pass through {folder}: "
                f"run `chmod o+x {folder}`, or set QLAUD_DATA_DIR to a directory such as /var/lib/qlaud, "
                f"or start qlaud as an ordinary user"
            ) from fault
        say(f"the user {_name(account.uid)} (PostgreSQL) may now pass through {folder}")


def _lent_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        pass
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd:
        subprocess.run(
            [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/bin/false", SERVER_USER],
            capture_output=True,
            check=False,
        )
    try:
        return pwd.getpwnam(SERVER_USER)  # a concurrent start may have made it
    except KeyError:
        raise EmbeddedPostgresFailed(
            f"PostgreSQL does not run as root and the user {SERVER_USER} could not be made: "
            f"make it (`adduser --system {SERVER_USER}`), or start qlaud as an ordinary user"
        ) from None


def _entry(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresFailed(
            f"the database files belong to user number {uid}, who has no name on this system: "
            f"start qlaud as that user, or `chown -R` them to one that exists"
        ) from None


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)


def _passes(account: Account, folder: Path) -> bool:
    found = folder.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    entries = _acl(folder)
    own = next((perm for tag, perm, uid in entries if tag == _USER and uid == account.uid), None)
    if own is not None:
        # A chmod of the folder narrows the mask, and leaves the entry standing without effect.
        mask = next((perm for tag, perm, _ in entries if tag == _MASK), 0)
        return bool(own & mask & _PASS)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _acl(folder: Path) -> list[tuple[int, int, int]]:
    """(tag, permissions, id) of each entry; those of the mode alone where there is no ACL."""
    try:
        packed = os.getxattr(folder, _ACL)
    except AttributeError:
        return []
    except OSError as fault:
        if fault.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
            raise
        mode = folder.stat().st_mode
        triples = ((_USER_OBJ, mode >> 6 & 7), (_GROUP_OBJ, mode >> 3 & 7), (_OTHER, mode & 7))
        return [(tag, perm, _NO_ID) for tag, perm in triples]
    return [(tag, perm, uid) for tag, perm, uid in _ACL_ENTRY.iter_unpack(packed[len(_ACL_VERSION) :])]


def _with_entry(folder: Path, uid: int) -> bytes:
    entries = _acl(folder)
    mask = next((perm for tag, perm, _ in entries if tag == _MASK), None)
    if mask is None:
        mask = next((perm for tag, perm, _ in entries if tag == _GROUP_OBJ), 0)
    kept = [entry for entry in entries if entry[0] != _MASK and (entry[0], entry[2]) != (_USER, uid)]
    # The kernel wants them by tag, named users by id.
    wanted = sorted(
        [*kept, (_USER, _PASS, uid), (_MASK, mask | _PASS, _NO_ID)], key=lambda entry: (entry[0], entry[2])
    )
    return _ACL_VERSION + b"".join(_ACL_ENTRY.pack(*entry) for entry in wanted)
