"""The local PostgreSQL is made, shared and killed: real processes, real signals, only a slow recovery is acted."""

import asyncio
import os
import signal
import stat
import subprocess
import threading
from pathlib import Path

import asyncpg
import pytest
from tests.support.embedded import (
    DEADLINE_S,
    IS_ROOT,
    holder,
    is_alive,
    kill,
    pid_told_by,
    quiet,
    run_sql,
    server_of,
    sharing,
    until,
)

from qlaud.store.embedded import EmbeddedPostgres, cluster, server
from qlaud.store.embedded.signs import Answer

# Making and sharing


def test_the_first_start_makes_a_durable_database_behind_a_private_socket(empty_data_dir: Path) -> None:
    with sharing(empty_data_dir) as share:
        assert run_sql(share.dsn, "SELECT current_database()") == "qlaud"
        assert (
            run_sql(share.dsn, "SELECT current_setting('server_version_num')::int / 10000") == cluster.MAJOR
        )
        for name, value in {"fsync": "on", "synchronous_commit": "on", "listen_addresses": ""}.items():
            assert run_sql(share.dsn, f"SELECT current_setting('{name}')") == value
        run_dir = (empty_data_dir / "pg" / "run").stat()
        assert stat.S_IMODE(run_dir.st_mode) == 0o700
        assert run_dir.st_uid != 0
    assert server_of(empty_data_dir) is None


def test_two_first_starts_at_once_make_one_database_and_share_one_server(empty_data_dir: Path) -> None:
    with holder(empty_data_dir) as one, holder(empty_data_dir) as other:
        assert pid_told_by(one) == pid_told_by(other) == server_of(empty_data_dir)


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


def test_a_path_too_long_for_a_socket_gets_a_private_short_one(empty_data_dir: Path) -> None:
    deep = empty_data_dir / ("deep" * 20) / ("deeper" * 10)
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


def test_a_pid_file_that_names_another_living_process_of_the_same_user_is_not_believed(
    data_dir: Path,
) -> None:
    pg = data_dir / "pg"
    owner = (pg / "cluster").stat().st_uid
    with subprocess.Popen(["sleep", "600"], user=owner if IS_ROOT else None) as other:
        said = f"{other.pid}\n{pg / 'cluster'}\n1\n5432\n{pg / 'run'}\n"
        (pg / "cluster" / "postmaster.pid").write_text(f"{said}\n1 1\nready\n")
        (pg / "run" / ".s.PGSQL.5432.lock").write_text(said)
        with sharing(data_dir) as share:
            assert share.pid not in (None, other.pid)
            assert run_sql(share.dsn, "SELECT 1") == 1
        other.kill()


def test_the_rest_of_a_first_start_that_was_killed_is_swept_away(empty_data_dir: Path) -> None:
    half = empty_data_dir / "pg" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with sharing(empty_data_dir) as share:
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
