"""The local PostgreSQL against everything that happens to processes and directories. Nothing here is simulated
but a slow recovery: servers and gateways are real processes and die by real signals."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import fast_temp_dir, kill_server

import qlaud
from qlaud.store.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, cluster, server
from qlaud.store.embedded.signs import Answer, postmaster

DEADLINE_S = 20.0
STRANGER = 65534  # nobody
IS_ROOT = os.geteuid() == 0

HOLDER = """
import sys
from pathlib import Path
from qlaud.store.embedded import EmbeddedPostgres
share = EmbeddedPostgres.start(Path(sys.argv[1]), lambda line: None)
print(share.pid, flush=True)
sys.stdin.read()
share.release()
"""


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A data directory nothing was made in yet."""
    parent = fast_temp_dir()
    yield parent / "data"
    kill_server(parent / "data")
    subprocess.run(["rm", "-rf", str(parent)], check=True)


def quiet(_: str) -> None:
    pass


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: {what}"
        time.sleep(0.005)


def run_sql(dsn: str, statement: str) -> object:
    async def main() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(main())


def server_of(data_dir: Path) -> int | None:
    return postmaster(data_dir.resolve() / "pg" / "cluster")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid), f"process {pid} is dead")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def sharing(data_dir: Path, **settings: str) -> Iterator[EmbeddedPostgres]:
    share = EmbeddedPostgres.start(data_dir, quiet, settings=settings)
    try:
        yield share
    finally:
        share.release()


@contextmanager
def holder(data_dir: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process with a share; it releases when its input ends."""
    source = str(Path(qlaud.__file__).parents[1])
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source, "QLAUD_SECRET_MARK": "s3cret"},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def pid_told_by(child: "subprocess.Popen[str]") -> int:
    assert child.stdout is not None
    return int(child.stdout.readline())


def as_stranger(work: Callable[[], str]) -> str:
    """What `work` returns in a process of an ordinary user, or the failure it ended with."""
    if not IS_ROOT:
        return _outcome(work)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            os.write(writer, _outcome(work).encode())
        finally:
            os._exit(0)  # the rest of the test is the parent's
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


def _outcome(work: Callable[[], str]) -> str:
    try:
        return work()
    except (EmbeddedPostgresFailed, OSError, AssertionError) as fault:
        return f"{type(fault).__name__}: {fault}"


# Making and sharing


def test_the_first_start_makes_a_durable_database_behind_a_private_socket(empty_dir: Path) -> None:
    with sharing(empty_dir) as share:
        assert run_sql(share.dsn, "SELECT current_database()") == "qlaud"
        assert (
            run_sql(share.dsn, "SELECT current_setting('server_version_num')::int / 10000") == cluster.MAJOR
        )
        for name, value in {"fsync": "on", "synchronous_commit": "on", "listen_addresses": ""}.items():
            assert run_sql(share.dsn, f"SELECT current_setting('{name}')") == value
        run_dir = (empty_dir / "pg" / "run").stat()
        assert stat.S_IMODE(run_dir.st_mode) == 0o700
        assert run_dir.st_uid != 0
    assert server_of(empty_dir) is None


def test_two_first_starts_at_once_make_one_database_and_share_one_server(empty_dir: Path) -> None:
    with holder(empty_dir) as one, holder(empty_dir) as other:
        assert pid_told_by(one) == pid_told_by(other) == server_of(empty_dir)


def test_the_last_one_out_stops_the_server(data_dir: Path) -> None:
    with sharing(data_dir) as share:
        pid = share.pid
        with holder(data_dir) as other:
            assert pid_told_by(other) == pid
            other.communicate()
            assert other.returncode == 0
        assert share.pid == pid
        assert run_sql(share.dsn, "SELECT 1") == 1
    assert server_of(data_dir) is None


def test_the_first_one_out_leaves_the_server_to_the_other(data_dir: Path) -> None:
    first = EmbeddedPostgres.start(data_dir, quiet)
    with sharing(data_dir) as second:
        first.release()
        first.release()
        assert run_sql(second.dsn, "SELECT 1") == 1
    assert server_of(data_dir) is None


def test_what_was_written_is_there_after_a_stop(data_dir: Path) -> None:
    with sharing(data_dir) as share:
        run_sql(share.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
    with sharing(data_dir) as share:
        assert run_sql(share.dsn, "SELECT number FROM kept") == 7


def test_the_server_is_out_of_reach_of_ctrl_c_and_knows_no_secrets_of_the_gateway(data_dir: Path) -> None:
    with holder(data_dir) as other:
        pid = pid_told_by(other)
        assert os.getsid(pid) == os.getpgid(pid) != os.getsid(other.pid)
        assert b"s3cret" in Path(f"/proc/{other.pid}/environ").read_bytes()
        assert b"s3cret" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_path_too_long_for_a_socket_gets_a_private_short_one(empty_dir: Path) -> None:
    deep = empty_dir / ("deep" * 20) / ("deeper" * 10)
    with sharing(deep) as share:
        assert "host=/tmp/qlaud-" in share.dsn
        assert run_sql(share.dsn, "SELECT 1") == 1
        short = Path(share.dsn.partition("host=")[2].partition("&")[0])
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        with sharing(deep) as again:
            assert again.pid == share.pid
    short.rmdir()


# Unclean stops


def test_a_gateway_that_was_killed_is_not_counted_and_its_server_is_joined(data_dir: Path) -> None:
    with holder(data_dir) as other:
        pid = pid_told_by(other)
        kill(other.pid)
        with sharing(data_dir) as share:
            assert share.pid == pid
            assert run_sql(share.dsn, "SELECT 1") == 1
        assert server_of(data_dir) is None


def test_a_server_that_was_killed_is_brought_back_with_what_was_committed(data_dir: Path) -> None:
    with sharing(data_dir) as share:
        run_sql(share.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        killed = share.pid
        assert killed is not None
        kill(killed)
        share.ensure_running()
        assert share.pid not in (None, killed)
        assert run_sql(share.dsn, "SELECT number FROM kept") == 7


def test_a_gateway_and_its_server_may_be_killed_together(data_dir: Path) -> None:
    with holder(data_dir) as other:
        pid = pid_told_by(other)
        kill(other.pid)
        kill(pid)
        with sharing(data_dir) as share:
            assert run_sql(share.dsn, "SELECT 1") == 1


def test_the_watch_brings_a_killed_server_back_by_itself(data_dir: Path) -> None:
    async def main(share: EmbeddedPostgres, killed: int) -> None:
        watching = asyncio.create_task(share.watch())
        os.kill(killed, signal.SIGKILL)
        await asyncio.to_thread(until, lambda: share.pid not in (None, killed), "another server runs")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    with sharing(data_dir) as share:
        assert share.pid is not None
        asyncio.run(main(share, share.pid))
        share.ensure_running()
        assert run_sql(share.dsn, "SELECT 1") == 1


def test_a_new_server_waits_until_the_last_backend_of_a_killed_one_is_gone(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SAY_FIRST_S", 0.0)
    said: list[str] = []
    with sharing(data_dir) as share:
        share._say = said.append

        async def leave_an_orphan() -> int:
            connection = await asyncpg.connect(share.dsn)
            backend = await connection.fetchval("SELECT pg_backend_pid()")
            os.kill(backend, signal.SIGSTOP)
            connection.terminate()
            return backend

        orphan, killed = asyncio.run(leave_an_orphan()), share.pid
        assert killed is not None
        kill(killed)
        restart = threading.Thread(target=share.ensure_running)
        restart.start()
        until(lambda: said, "the wait is told")
        assert "the processes of the last PostgreSQL are ending" in said[0]
        assert server_of(data_dir) is None
        assert is_alive(orphan)
        os.kill(orphan, signal.SIGCONT)
        restart.join(DEADLINE_S)
        assert not is_alive(orphan)
        assert run_sql(share.dsn, "SELECT 1") == 1


def test_a_pid_file_that_names_a_living_stranger_is_not_believed(data_dir: Path) -> None:
    pg = data_dir / "pg"
    (pg / "cluster" / "postmaster.pid").write_text(
        f"{os.getpid()}\n{pg / 'cluster'}\n1\n5432\n{pg / 'run'}\n\n1 1\nready\n"
    )
    (pg / "run" / ".s.PGSQL.5432.lock").write_text(
        f"{os.getpid()}\n{pg / 'cluster'}\n1\n5432\n{pg / 'run'}\n"
    )
    with sharing(data_dir) as share:
        assert share.pid != os.getpid()
        assert run_sql(share.dsn, "SELECT 1") == 1


def test_the_rest_of_a_first_start_that_was_killed_is_swept_away(empty_dir: Path) -> None:
    half = empty_dir / "pg" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with sharing(empty_dir) as share:
        assert run_sql(share.dsn, "SELECT 1") == 1
    assert not half.exists()


def test_a_long_recovery_is_waited_for_and_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    answers = iter([Answer.NOT_YET] * 3)
    real = server.ask
    with sharing(data_dir) as share:
        monkeypatch.setattr(server, "SAY_FIRST_S", 0.0)
        monkeypatch.setattr(server, "ask", lambda path: next(answers, None) or real(path))
        EmbeddedPostgres.start(data_dir, said.append).release()
        assert said == ["PostgreSQL is recovering from an unclean stop, waiting (0 s)"]
        assert share.pid is not None


def test_a_released_share_restarts_nothing(data_dir: Path) -> None:
    share = EmbeddedPostgres.start(data_dir, quiet)
    share.release()
    share.ensure_running()
    assert server_of(data_dir) is None


# What cannot be started


def test_a_database_of_another_major_version_is_refused_with_the_way_to_upgrade(data_dir: Path) -> None:
    (data_dir / "pg" / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        EmbeddedPostgresFailed, match=r"made by PostgreSQL 16, this qlaud runs PostgreSQL 18"
    ) as caught:
        EmbeddedPostgres.start(data_dir, quiet)
    assert f"pg_upgrade -b {cluster.binaries(16)} -B {cluster.binaries(18)}" in str(caught.value)
    assert server_of(data_dir) is None


def test_a_directory_that_is_not_a_database_is_not_overwritten(empty_dir: Path) -> None:
    precious = empty_dir / "pg" / "cluster" / "precious"
    precious.mkdir(parents=True)
    if IS_ROOT:
        os.chown(precious.parent, STRANGER, STRANGER)
    with pytest.raises(EmbeddedPostgresFailed, match="exists but is not a PostgreSQL database"):
        EmbeddedPostgres.start(empty_dir, quiet)
    assert precious.exists()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"shared_buffers": "plenty"}, "invalid value for parameter"),
        ({"shared_buffers": "4000GB", "huge_pages": "off"}, "could not map anonymous shared memory"),
    ],
)
def test_a_start_that_fails_ends_with_postgresqls_own_words_and_leaves_no_share(
    data_dir: Path, settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(EmbeddedPostgresFailed, match=rf"(?s){reason}.*full disk.*postgres\.log"):
        EmbeddedPostgres.start(data_dir, quiet, settings=settings)
    with sharing(data_dir) as share:
        assert run_sql(share.dsn, "SELECT 1") == 1
    assert server_of(data_dir) is None


def test_rights_that_a_volume_gave_to_the_group_are_taken_back(data_dir: Path) -> None:
    (data_dir / "pg" / "cluster").chmod(0o775)
    with sharing(data_dir) as share:
        assert run_sql(share.dsn, "SELECT 1") == 1


def test_the_log_stays_bounded_while_the_server_writes_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "LOG_LIMIT_BYTES", 1000)
    monkeypatch.setattr(cluster, "LOG_KEPT_BYTES", 100)
    log = data_dir / "pg" / "postgres.log"
    with sharing(data_dir) as share:
        with log.open("a") as long:
            long.write("old line\n" * 1000)
        share.ensure_running()
        assert log.stat().st_size == 100
        run_sql(share.dsn, "SELECT pg_reload_conf()")
        until(lambda: "SIGHUP" in log.read_text(), "the server writes on")
        assert "\0" not in log.read_text()


# Users


@pytest.fixture
def strangers_dir(empty_dir: Path) -> Path:
    """A data directory that belongs to an ordinary user (to ourselves, if we are one)."""
    if IS_ROOT:
        tools_open = as_stranger(lambda: str(os.access(cluster.binaries() / "postgres", os.X_OK)))
        if tools_open != "True":
            pytest.skip("the environment's files cannot be read by an ordinary user")
    empty_dir.mkdir()
    empty_dir.parent.chmod(0o711)
    if IS_ROOT:
        os.chown(empty_dir, STRANGER, STRANGER)
    return empty_dir


def test_an_ordinary_user_runs_the_server_as_itself(strangers_dir: Path) -> None:
    def work() -> str:
        with sharing(strangers_dir) as share:
            assert share.pid is not None
            owner = os.stat(f"/proc/{share.pid}").st_uid
            return f"{run_sql(share.dsn, 'SELECT 6 * 7')} {owner == os.geteuid()}"

    assert as_stranger(work) == "42 True"
    assert server_of(strangers_dir) is None


@pytest.mark.skipif(not IS_ROOT, reason="needs two users")
def test_root_joins_the_database_of_an_ordinary_user_and_leaves_it_usable_by_them(
    strangers_dir: Path,
) -> None:
    def work() -> str:
        with sharing(strangers_dir) as share:
            return str(run_sql(share.dsn, "SELECT 6 * 7"))

    assert as_stranger(work) == "42"
    with sharing(strangers_dir) as share:
        assert share.pid is not None
        assert os.stat(f"/proc/{share.pid}").st_uid == STRANGER
    assert as_stranger(work) == "42"


@pytest.mark.skipif(not IS_ROOT, reason="needs two users")
def test_an_ordinary_user_is_told_whose_database_it_is(data_dir: Path) -> None:
    for folder in (data_dir.parent, data_dir, data_dir / "pg"):
        folder.chmod(0o755)

    def work() -> str:
        EmbeddedPostgres.start(data_dir, quiet).release()
        return "started"

    assert "belongs to the user pgserver" in as_stranger(work)


@pytest.mark.skipif(not IS_ROOT, reason="root may write everywhere, so two users are needed")
def test_a_directory_that_cannot_be_written_is_named(empty_dir: Path) -> None:
    empty_dir.mkdir()
    empty_dir.parent.chmod(0o711)

    def work() -> str:
        EmbeddedPostgres.start(empty_dir, quiet).release()
        return "started"

    told = as_stranger(work)
    assert told.startswith(
        f"EmbeddedPostgresFailed: the local PostgreSQL cannot use {empty_dir / 'pg'}: Permission denied"
    )
    assert "QLAUD_DATA_DIR" in told


@pytest.mark.skipif(not IS_ROOT, reason="only root lends an account")
def test_root_opens_a_closed_directory_to_the_server_and_to_nobody_else(empty_dir: Path) -> None:
    closed = empty_dir / "closed"
    closed.mkdir(parents=True, mode=0o700)
    said: list[str] = []
    share = EmbeddedPostgres.start(closed / "data", said.append)
    share.release()
    assert f"the user pgserver (PostgreSQL) may now pass through {closed}" in said
    assert not closed.stat().st_mode & stat.S_IRWXO
    assert "PermissionError" in as_stranger(lambda: str(list((closed / "data").iterdir())))
    said.clear()
    EmbeddedPostgres.start(closed / "data", said.append).release()
    assert said == []
