"""Brings the schema up to the program: numbered SQL files, forward only, each applied once and whole.

Invariants: the files are 1, 2, 3 … without gaps; what was applied is recorded with its SHA-256 in the transaction
that applied it, and may not change afterwards; the schema is never newer than the program. Concurrent gateways take
turns under an advisory lock of the transaction, which PgBouncer's transaction mode keeps too. Called by `app`, `cli`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

from qlaud import __version__
from qlaud.store.pool import LOST, unavailable_when_lost

LOCK_KEY = 0x716C617564  # "qlaud"
MIGRATION_TIMEOUT_S = 3600.0
"""For one file, and for waiting until another gateway has applied one."""

LOCK = "SELECT pg_advisory_xact_lock($1)"
NO_LIMIT = "SET LOCAL statement_timeout = 0"
# Not to_regclass(): a session that looked before may go on not seeing a table that another one made since.
HAS_TABLE = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_tables
     WHERE tablename = 'schema_migrations' AND schemaname = ANY (current_schemas(false))
)
"""
APPLIED = "SELECT number, name, checksum, program FROM schema_migrations ORDER BY number"
MAKE_TABLE = """
CREATE TABLE schema_migrations (
    number     integer PRIMARY KEY CHECK (number > 0),
    name       text    NOT NULL,
    checksum   text    NOT NULL,
    program    text    NOT NULL, -- the version that applied it, for those that are too old
    applied_at bigint  NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
)
"""
RECORD = "INSERT INTO schema_migrations (number, name, checksum, program) VALUES ($1, $2, $3, $4)"

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationRefused(Exception):
    """The schema and the program do not fit together. The message says what to do; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    """With the number: `0001_base`."""
    sql: str
    checksum: str


def packaged() -> tuple[Migration, ...]:
    """The migrations of this program, in order."""
    return read_migrations(files("qlaud.store") / "migrations")


def read_migrations(folder: Traversable) -> tuple[Migration, ...]:
    """The `NNNN_name.sql` files of `folder`, in order. Raises MigrationRefused at a gap, a twin or a strange name."""
    found: list[Migration] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise MigrationRefused(f"{file.name} is not named like 0001_base.sql")
        text = file.read_bytes()
        found.append(Migration(int(match[1]), file.name[:-4], text.decode(), sha256(text).hexdigest()))
    for wanted, migration in enumerate(found, 1):
        if migration.number != wanted:
            raise MigrationRefused(f"migration {wanted:04d} should come next, but {migration.name} does")
    return tuple(found)


async def pending(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> tuple[Migration, ...]:
    """What is still to be applied, in order; empty when the schema is that of the program.

    Raises MigrationRefused if the schema was made by other files or by a newer program, StoreUnavailable.
    """
    with unavailable_when_lost():
        if not await connection.fetchval(HAS_TABLE):
            return tuple(migrations)
        rows = await connection.fetch(APPLIED)
    if len(rows) > len(migrations):
        newest = rows[-1]
        raise MigrationRefused(
            f"the database has {newest['name']}, applied by qlaud {newest['program']}, and this is qlaud "
            f"{__version__}: run {newest['program']} or newer (a schema never goes back)"
        )
    for row, migration in zip(rows, migrations, strict=False):
        if (row["number"], row["name"]) != (migration.number, migration.name):
            raise MigrationRefused(
                f"the database has {row['name']} where this qlaud has {migration.name}: it belongs to another program"
            )
        if row["checksum"] != migration.checksum:
            raise MigrationRefused(
                f"{migration.name} was changed after it had been applied (by qlaud {row['program']}): "
                f"put the file back and write the change as a new migration"
            )
    return tuple(migrations[len(rows) :])


async def migrate(
    connection: asyncpg.Connection, migrations: Sequence[Migration], say: Callable[[str], None]
) -> tuple[Migration, ...]:
    """Apply what is pending; returns what this call applied. Needs a connection outside of a transaction.

    Raises MigrationRefused (the file that failed is rolled back, those before it stay), StoreUnavailable.
    """
    applied: list[Migration] = []
    with unavailable_when_lost():
        # One look without the lock: the usual start has nothing to do and needs no right to write.
        while await pending(connection, migrations):
            async with connection.transaction():
                await connection.execute(NO_LIMIT)
                await connection.execute(LOCK, LOCK_KEY, timeout=MIGRATION_TIMEOUT_S)
                todo = await pending(connection, migrations)
                if todo:
                    say(f"applying migration {todo[0].name}")
                    await _apply(connection, todo[0])
                    applied.append(todo[0])
    return tuple(applied)


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        if not await connection.fetchval(HAS_TABLE):
            await connection.execute(MAKE_TABLE)
        await connection.execute(migration.sql, timeout=MIGRATION_TIMEOUT_S)
        await connection.execute(RECORD, migration.number, migration.name, migration.checksum, __version__)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidSchemaNameError) as fault:
        raise MigrationRefused(
            f"the database user may not apply {migration.name} ({fault}): let its owner run `qlaud migrate`, "
            f"or `GRANT CREATE, USAGE ON SCHEMA public TO <that user>`"
        ) from fault
    except asyncpg.PostgresError as fault:
        if isinstance(fault, LOST):
            raise
        raise MigrationRefused(f"{migration.name} failed and was rolled back: {fault}") from fault
