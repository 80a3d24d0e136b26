"""Fixtures of every suite. Nothing is started until a test asks for it, and no test reaches the network."""

import ipaddress
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.support.matrix import (
    pytest_collection_finish,
    pytest_configure,
    pytest_runtest_makereport,
    pytest_sessionfinish,
)
from tests.support.postgres import (
    Databases,
    fast_temp_dir,
    fresh_data_dir,
    kill_server,
    make_data_dir,
    serve_databases,
)

__all__ = [
    "pytest_collection_finish",
    "pytest_configure",
    "pytest_runtest_makereport",
    "pytest_sessionfinish",
]

# A busy machine makes any example slow now and then; what is too slow is measured by the bench, not here.
settings.register_profile("qlaud", deadline=None)
settings.load_profile("qlaud")


class RealNetworkUsed(BaseException):
    """A test tried to leave this machine. Not an OSError: a client must not take it for a failed connection."""


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The session's server, started when the first test asks for it."""
    with serve_databases() as served:
        yield served


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The DSN of a migrated, empty database of the test's own."""
    dsn = databases.clone()
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="session")
def made_data_dir() -> Iterator[Path]:
    """A data directory with a stopped database, to be copied and never used."""
    made = make_data_dir(fast_temp_dir())
    yield made
    shutil.rmtree(made)


@pytest.fixture
def data_dir(made_data_dir: Path) -> Iterator[Path]:
    """A data directory of the test's own, whose embedded PostgreSQL has the product's settings and is stopped."""
    with fresh_data_dir(made_data_dir) as copy:
        yield copy


@pytest.fixture
def empty_data_dir() -> Iterator[Path]:
    """A data directory nothing was made in yet; it does not exist."""
    parent = fast_temp_dir()
    yield parent / "data"
    kill_server(parent / "data")
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _stay_on_this_machine() -> Iterator[None]:
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: object) -> None:
        _check(self, address)
        connect(self, address)  # type: ignore[arg-type]

    def checked_connect_ex(self: socket.socket, address: object) -> int:
        _check(self, address)
        return connect_ex(self, address)  # type: ignore[arg-type]

    def local_getaddrinfo(host: object, *args: object, **options: object) -> object:
        if host is not None and not _is_literal(host) and host not in ("localhost", b"localhost", ""):
            raise socket.gaierror(socket.EAI_NONAME, "tests look up no names")
        return getaddrinfo(host, *args, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", local_getaddrinfo)
        yield


def _check(client: socket.socket, address: object) -> None:
    if client.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
        host = str(address[0])
        if host != "localhost" and not (_is_literal(host) and ipaddress.ip_address(host).is_loopback):
            raise RealNetworkUsed(f"a test connected to {address}")


def _is_literal(host: object) -> bool:
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True
