"""The runner of migrations, over small files of its own."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from qlaud import __version__
from qlaud.store.migrate import MigrationRefused, migrate, packaged, pending, read_migrations

T = TypeVar("T")

FIRST = "CREATE TABLE notes (id integer PRIMARY KEY);"
SECOND = "ALTER TABLE notes ADD COLUMN text text; INSERT INTO notes VALUES (1, 'one');"


@pytest.fixture
def empty_url(database_url: str) -> str:
    """A database without any table."""
    on(database_url, lambda owner: owner.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    return database_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    (tmp_path / "README.md").write_text("not a migration")
    return tmp_path


def on(dsn: str, work: Callable[[asyncpg.Connection], Coroutine[object, object, T]]) -> T:
    async def main() -> T:
        connection = await asyncpg.connect(dsn)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(main())


def run(dsn: str, folder: Path) -> list[str]:
    applied = on(dsn, lambda owner: migrate(owner, read_migrations(folder), lambda _: None))
    return [migration.name for migration in applied]


def test_files_are_applied_in_order_and_only_once(empty_url: str, folder: Path) -> None:
    assert run(empty_url, folder) == ["0001_first", "0002_second"]
    assert run(empty_url, folder) == []
    assert on(empty_url, lambda owner: owner.fetchval("SELECT count(*) FROM notes")) == 1


def test_a_new_file_is_pending_until_it_is_applied(empty_url: str, folder: Path) -> None:
    run(empty_url, folder)
    (folder / "0003_third.sql").write_text("CREATE TABLE more ()")
    waiting = on(empty_url, lambda owner: pending(owner, read_migrations(folder)))
    assert [migration.name for migration in waiting] == ["0003_third"]
    assert run(empty_url, folder) == ["0003_third"]
    assert on(empty_url, lambda owner: pending(owner, read_migrations(folder))) == ()


def test_an_empty_database_has_everything_pending_and_is_not_touched(empty_url: str, folder: Path) -> None:
    assert len(on(empty_url, lambda owner: pending(owner, read_migrations(folder)))) == 2
    assert on(empty_url, lambda owner: owner.fetchval("SELECT to_regclass('schema_migrations')")) is None


def test_a_file_that_fails_is_rolled_back_whole_and_those_before_it_stay(
    empty_url: str, folder: Path
) -> None:
    (folder / "0002_second.sql").write_text("CREATE TABLE half (); SELECT no_such_function();")
    with pytest.raises(MigrationRefused, match=r"0002_second failed and was rolled back: .*no_such_function"):
        run(empty_url, folder)
    assert on(empty_url, lambda owner: owner.fetchval("SELECT to_regclass('half')")) is None
    assert on(empty_url, lambda owner: owner.fetchval("SELECT max(number) FROM schema_migrations")) == 1


def test_a_file_changed_after_it_was_applied_is_refused_by_name(empty_url: str, folder: Path) -> None:
    run(empty_url, folder)
    (folder / "0001_first.sql").write_text(FIRST + " ")
    with pytest.raises(MigrationRefused, match=r"0001_first was changed after"):
        run(empty_url, folder)
    with pytest.raises(MigrationRefused, match=r"0001_first was changed after"):
        on(empty_url, lambda owner: pending(owner, read_migrations(folder)))


def test_a_schema_newer_than_the_program_is_refused_with_the_version_it_needs(
    empty_url: str, folder: Path
) -> None:
    run(empty_url, folder)
    on(
        empty_url,
        lambda owner: owner.execute("UPDATE schema_migrations SET program = '9.8.7' WHERE number = 2"),
    )
    (folder / "0002_second.sql").unlink()
    with pytest.raises(
        MigrationRefused, match=rf"0002_second.*9\.8\.7.*this is qlaud {__version__}.*run 9\.8\.7"
    ):
        run(empty_url, folder)


def test_a_database_of_another_program_is_refused(empty_url: str, folder: Path) -> None:
    run(empty_url, folder)
    (folder / "0002_second.sql").rename(folder / "0002_other.sql")
    with pytest.raises(MigrationRefused, match=r"has 0002_second where this qlaud has 0002_other"):
        run(empty_url, folder)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("0004_gap.sql", "migration 0003 should come next, but 0004_gap does"),
        ("0002_twin.sql", "migration 0003 should come next, but 0002_twin does"),
        ("0000_zero.sql", "migration 0001 should come next, but 0000_zero does"),
        ("3_short.sql", "3_short.sql is not named like"),
    ],
)
def test_gaps_twins_and_strange_names_are_refused(folder: Path, name: str, complaint: str) -> None:
    (folder / name).write_text("SELECT 1")
    with pytest.raises(MigrationRefused, match=complaint):
        read_migrations(folder)


def test_two_gateways_at_once_apply_each_file_once(empty_url: str, folder: Path) -> None:
    # Whoever comes second would fail here, were it not for the lock.
    (folder / "0002_second.sql").write_text("CREATE TABLE slow AS SELECT pg_sleep(0.1)::text;")

    async def main() -> list[int]:
        owners = [await asyncpg.connect(empty_url) for _ in range(4)]
        runs = [migrate(owner, read_migrations(folder), lambda _: None) for owner in owners]
        try:
            return [len(applied) for applied in await asyncio.gather(*runs)]
        finally:
            for owner in owners:
                await owner.close()

    assert sum(asyncio.run(main())) == 2


@pytest.mark.parametrize("right", ["USAGE", "nothing"])
def test_a_user_without_rights_is_told_what_to_grant(empty_url: str, folder: Path, right: str) -> None:
    role = "qlaud_reader_" + urlsplit(empty_url).path[1:]
    on(empty_url, lambda owner: owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'"))
    try:
        if right != "nothing":
            on(empty_url, lambda owner: owner.execute(f"GRANT {right} ON SCHEMA public TO {role}"))
        parts = urlsplit(empty_url)
        poor = urlunsplit(parts._replace(netloc=f"{quote(role)}:x@{parts.netloc.rpartition('@')[2]}"))
        with pytest.raises(MigrationRefused, match=r"may not apply 0001_first .*GRANT CREATE"):
            run(poor, folder)
    finally:
        on(empty_url, lambda owner: owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}"))


def test_the_packaged_migrations_are_what_a_fresh_database_has(database_url: str) -> None:
    assert packaged()
    assert on(database_url, lambda owner: pending(owner, packaged())) == ()
