"""The pool: nobody waits for ever, and every way to lose the database is the same condition."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from qlaud.core.errors import StoreUnavailable
from qlaud.store.pool import DatabaseUnusable, Pool, PoolLimits, open_pool, public_dsn, unavailable_when_lost

NOBODY_LISTENS = "postgresql://qlaud:s3cret@127.0.0.1:1/qlaud"


@asynccontextmanager
async def opened(dsn: str, limits: PoolLimits | None = None) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, limits)
    try:
        yield pool
    finally:
        await pool.aclose()


def test_work_is_done_on_a_connection_that_says_who_it_is(database_url: str) -> None:
    async def main() -> object:
        async with opened(database_url) as pool, pool.acquire() as connection:
            return await connection.fetchval("SELECT current_setting('application_name')")

    assert asyncio.run(main()) == "qlaud"


def test_a_full_pool_sheds_and_serves_again_when_a_place_is_free(database_url: str) -> None:
    async def main() -> None:
        async with opened(database_url, PoolLimits(size=1, acquire_timeout_s=0.05)) as pool:
            async with pool.acquire():
                with pytest.raises(StoreUnavailable):
                    async with pool.acquire():
                        pass
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 1") == 1

    asyncio.run(main())


def test_a_connection_of_ones_own_does_not_take_a_place(database_url: str) -> None:
    async def main() -> None:
        async with opened(database_url, PoolLimits(size=1, acquire_timeout_s=1)) as pool:
            own = await pool.connect()
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 1") == 1
            await own.close()

    asyncio.run(main())


def test_a_query_that_takes_too_long_is_given_up(database_url: str) -> None:
    async def main() -> None:
        async with opened(database_url, PoolLimits(size=1, command_timeout_s=0.1)) as pool:
            with pytest.raises(StoreUnavailable):
                async with pool.acquire() as connection:
                    await connection.execute("SELECT pg_sleep(60)")
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 1") == 1

    asyncio.run(main())


def test_a_connection_that_was_cut_is_unavailable_once_and_then_replaced(database_url: str) -> None:
    async def main() -> None:
        async with opened(database_url, PoolLimits(size=1)) as pool:
            other = await pool.connect()

            async def work() -> None:
                async with pool.acquire() as connection:
                    pid = await connection.fetchval("SELECT pg_backend_pid()")
                    await other.execute("SELECT pg_terminate_backend($1, 5000)", pid)
                    await connection.fetchval("SELECT 1")

            with pytest.raises(StoreUnavailable):
                await work()
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT 1") == 1
            await other.close()

    asyncio.run(main())


def test_a_transaction_left_open_is_rolled_back_before_the_next_use(database_url: str) -> None:
    async def main() -> None:
        async with opened(database_url, PoolLimits(size=1)) as pool:
            async with pool.acquire() as connection:
                await connection.execute("CREATE TABLE kept (id integer)")

            async def leave_it_open() -> None:
                async with pool.acquire() as connection:
                    await connection.execute("BEGIN; INSERT INTO kept VALUES (1)")

            asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # asyncpg reports it there
            await leave_it_open()
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT count(*) FROM kept") == 0

    asyncio.run(main())


def test_what_the_database_says_no_to_keeps_its_own_class(database_url: str) -> None:
    async def main() -> None:
        async with opened(database_url) as pool, pool.acquire() as connection:
            with pytest.raises(asyncpg.UndefinedTableError), unavailable_when_lost():
                await connection.fetchval("SELECT * FROM nothing_of_the_kind")
            with pytest.raises(asyncpg.InterfaceError), unavailable_when_lost():
                await connection.fetchval("SELECT $1::int")

    asyncio.run(main())


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.AdminShutdownError("terminating connection"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.DiskFullError("could not extend file"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_every_way_to_lose_the_database_is_store_unavailable_with_its_cause(fault: Exception) -> None:
    with pytest.raises(StoreUnavailable) as caught, unavailable_when_lost():
        raise fault
    assert caught.value.__cause__ is fault


def test_a_database_nobody_serves_is_refused_at_start_without_its_password() -> None:
    with pytest.raises(DatabaseUnusable, match=r"127\.0\.0\.1:1/qlaud.*QLAUD_DATABASE_URL") as caught:
        asyncio.run(open_pool(NOBODY_LISTENS, PoolLimits(first_connect_timeout_s=0)))
    assert "s3cret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_refused_without_waiting(database_url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="does not exist"):
        asyncio.run(open_pool(database_url.replace("qlaud_test_", "qlaud_missing_")))


def test_a_start_waits_for_a_database_that_is_not_up_yet() -> None:
    async def main() -> None:
        knocks: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            knocks.append(await starting_up(reader, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DatabaseUnusable, match="starting up"):
            await open_pool(
                f"postgresql://a@127.0.0.1:{port}/a?sslmode=disable", PoolLimits(first_connect_timeout_s=0.6)
            )
        server.close()
        await server.wait_closed()
        assert len(knocks) >= 2

    asyncio.run(main())


def test_a_server_older_than_15_is_refused() -> None:
    async def main() -> None:
        async with fake_server("14.9") as port:
            await open_pool(plain(port))

    with pytest.raises(DatabaseUnusable, match=r"is PostgreSQL 14; qlaud needs 15 or newer"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        (
            "postgresql://user:pass@db.example:5432/qlaud?sslmode=require&password=x",
            "postgresql://db.example:5432/qlaud",
        ),
        ("postgresql://qlaud@/qlaud?host=/run/pg", "postgresql:///qlaud"),
        ("postgresql://[half", "(unreadable URL)"),
    ],
)
def test_a_dsn_is_shown_without_what_is_secret(dsn: str, shown: str) -> None:
    assert public_dsn(dsn) == shown


def plain(port: int) -> str:
    return f"postgresql://a@127.0.0.1:{port}/a?sslmode=disable"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


async def startup_packet(reader: asyncio.StreamReader) -> None:
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    await reader.readexactly(length - 4)


async def starting_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    await startup_packet(reader)
    writer.write(message(b"E", b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"))
    writer.close()
    return 1


@asynccontextmanager
async def fake_server(version: str) -> AsyncIterator[int]:
    """Just enough of a PostgreSQL to be asked for its version."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await startup_packet(reader)
        settings = {"server_version": version, "client_encoding": "UTF8"}
        writer.write(message(b"R", struct.pack("!I", 0)))
        for name, value in settings.items():
            writer.write(message(b"S", f"{name}\0{value}\0".encode()))
        writer.write(message(b"K", struct.pack("!II", 1, 1)) + message(b"Z", b"I"))
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
