"""The composition root's part about the database: where it is, and whether its schema is the program's.

`app` builds the gateway on it, `cli` asks it for the commands that need no gateway.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from qlaud.config import Settings
from qlaud.store.embedded import EmbeddedPostgres, EmbeddedPostgresFailed
from qlaud.store.migrate import MigrationRefused, migrate, packaged, pending
from qlaud.store.pool import DatabaseUnusable, open_pool

OPENING_FAILED = (EmbeddedPostgresFailed, MigrationRefused, DatabaseUnusable)
"""What opening the database raises; each message says what to do."""
WATCH_EVERY_S = 1.0

Say = Callable[[str], None]


class NoDatabase(Exception):
    """There is no database where the settings point, and this command is not the one to make it."""


@contextmanager
def database(settings: Settings, say: Say) -> Generator[str]:
    """Where the database is, kept running while the block lasts: the operator's own, or a share of the embedded one.

    Blocks for seconds at a start. Raises EmbeddedPostgresFailed.
    """
    if settings.database_url:
        yield settings.database_url
        return
    share = EmbeddedPostgres.start(settings.data_dir, say)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(WATCH_EVERY_S):
            try:
                share.ensure_running()
            except EmbeddedPostgresFailed as failure:
                say(str(failure))

    watcher = threading.Thread(target=watch, name="postgres-watch", daemon=True)
    watcher.start()
    try:
        yield share.dsn
    finally:
        stop.set()
        watcher.join()
        share.release()


def require_database(settings: Settings) -> None:
    """Raises NoDatabase where an embedded database would have to be made: usually the wrong folder."""
    if not settings.database_url and not EmbeddedPostgres.exists(settings.data_dir):
        raise NoDatabase(
            f"there is no database in {settings.data_dir.resolve()}; run this where `qlaud serve` runs, set "
            "QLAUD_DATA_DIR or QLAUD_DATABASE_URL, or make an empty one with `qlaud migrate`"
        )


async def missing_migrations(dsn: str) -> tuple[str, ...]:
    """The names of the migrations that the database lacks. Raises what OPENING_FAILED lists."""
    pool = await open_pool(dsn)
    try:
        async with pool.acquire() as connection:
            return tuple(one.name for one in await pending(connection, packaged()))
    finally:
        await pool.aclose()


async def apply_migrations(dsn: str, say: Say) -> tuple[str, ...]:
    """Bring the schema up to the program; the names of what was applied. Raises what OPENING_FAILED lists."""
    pool = await open_pool(dsn)
    try:
        async with pool.acquire() as connection:
            return tuple(one.name for one in await migrate(connection, packaged(), say))
    finally:
        await pool.aclose()
