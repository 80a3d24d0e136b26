"""What the local PostgreSQL cannot or must not do, for its files and for its users, and what it says then."""

import os
import stat
from pathlib import Path

import pytest
from tests.support.embedded import (
    IS_ROOT,
    STRANGER,
    as_stranger,
    quiet,
    run_sql,
    server_of,
    sharing,
    until,
)

from qlaud.store.embedded import EmbeddedPostgres, EmbeddedPostgresFailed, cluster

# What cannot be started


def test_a_database_of_another_major_version_is_refused_with_the_way_to_upgrade(data_dir: Path) -> None:
    (data_dir / "pg" / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        EmbeddedPostgresFailed, match=r"made by PostgreSQL 16, this qlaud runs PostgreSQL 18"
    ) as caught:
        EmbeddedPostgres.start(data_dir, quiet)
    assert f"pg_upgrade -b {cluster.binaries(16)} -B {cluster.binaries(18)}" in str(caught.value)
    assert server_of(data_dir) is None


def test_a_directory_that_is_not_a_database_is_not_overwritten(empty_data_dir: Path) -> None:
    precious = empty_data_dir / "pg" / "cluster" / "precious"
    precious.mkdir(parents=True)
    if IS_ROOT:
        os.chown(precious.parent, STRANGER, STRANGER)
    with pytest.raises(EmbeddedPostgresFailed, match="exists but is not a PostgreSQL database"):
        EmbeddedPostgres.start(empty_data_dir, quiet)
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
def strangers_dir(empty_data_dir: Path) -> Path:
    """A data directory that belongs to an ordinary user (to ourselves, if we are one)."""
    if IS_ROOT:
        tools_open = as_stranger(lambda: str(os.access(cluster.binaries() / "postgres", os.X_OK)))
        if tools_open != "True":
            pytest.skip("the environment's files cannot be read by an ordinary user")
    empty_data_dir.mkdir()
    empty_data_dir.parent.chmod(0o711)
    if IS_ROOT:
        os.chown(empty_data_dir, STRANGER, STRANGER)
    return empty_data_dir


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
def test_a_directory_that_cannot_be_written_is_named(empty_data_dir: Path) -> None:
    empty_data_dir.mkdir()
    empty_data_dir.parent.chmod(0o711)

    def work() -> str:
        EmbeddedPostgres.start(empty_data_dir, quiet).release()
        return "started"

    told = as_stranger(work)
    assert told.startswith(
        f"EmbeddedPostgresFailed: the local PostgreSQL cannot use {empty_data_dir / 'pg'}: Permission denied"
    )
    assert "QLAUD_DATA_DIR" in told


@pytest.mark.skipif(not IS_ROOT, reason="only root lends an account")
def test_root_opens_a_closed_directory_to_the_server_and_to_nobody_else(empty_data_dir: Path) -> None:
    closed = empty_data_dir / "closed"
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
