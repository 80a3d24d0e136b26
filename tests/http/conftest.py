"""One gateway process with short time limits and two fake providers, for all tests of the hot path in this folder.

When they have run, no secret stands in its log, and every sum in its database is the sum of its rows.
"""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.fake_anthropic import serve_anthropic
from tests.support.fake_google import serve_google
from tests.support.fake_openai import serve_openai
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import OPERATOR_KEYS, Gateway, MintedKey, gateway_process
from tests.support.postgres import Databases

from qlaud.flows.doctor import Doctor
from qlaud.store.books import Books
from qlaud.store.pool import PoolLimits, open_pool

IMPATIENT = {
    "body_timeout_s": "1",
    "hold_wait_s": "0.5",
    "first_byte_timeout_s": "1.5",
    "idle_timeout_s": "1.5",
    "log_level": "debug",
}


@pytest.fixture(scope="session")
def running_anthropic() -> Iterator[FakeProvider]:
    with serve_anthropic() as provider:
        yield provider


@pytest.fixture(scope="session")
def running_openai() -> Iterator[FakeProvider]:
    with serve_openai() as provider:
        yield provider


@pytest.fixture(scope="session")
def running_google() -> Iterator[FakeProvider]:
    with serve_google() as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    running_anthropic: FakeProvider,
    running_openai: FakeProvider,
    running_google: FakeProvider,
) -> Iterator[Gateway]:
    """The process under test."""
    dsn = databases.clone()
    bases = {
        "anthropic": running_anthropic.origin,
        "openai": f"{running_openai.origin}/v1",
        "google": running_google.origin,
    }
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_process(dsn, folder, providers=bases, settings=IMPATIENT) as gateway:
        yield gateway
        log = gateway.log
    for secret in ("qlk_live_", "qlk_test_", *OPERATOR_KEYS.values(), "?secret="):
        assert secret not in log
    assert asyncio.run(differences(dsn)) == []
    databases.drop(dsn)


@pytest.fixture
def anthropic_provider(running_anthropic: FakeProvider) -> Iterator[FakeProvider]:
    """The provider without past; what is scripted must be asked for."""
    yield from fresh(running_anthropic)


@pytest.fixture
def openai_provider(running_openai: FakeProvider) -> Iterator[FakeProvider]:
    yield from fresh(running_openai)


@pytest.fixture
def google_provider(running_google: FakeProvider) -> Iterator[FakeProvider]:
    yield from fresh(running_google)


@pytest.fixture
def key(gateway: Gateway) -> MintedKey:
    """A live key with a cap of one dollar."""
    return gateway.mint(max_spend_usd=1)


@pytest.fixture
def sim_key(gateway: Gateway) -> MintedKey:
    """A key whose calls the simulator answers, with a cap of one dollar."""
    return gateway.mint(mode="test", max_spend_usd=1)


async def differences(dsn: str) -> list[object]:
    """What the doctor finds."""
    pool = await open_pool(dsn, PoolLimits(size=2))
    try:
        return [*await Doctor(Books(pool.acquire)).examine()]
    finally:
        await pool.aclose()


def fresh(provider: FakeProvider) -> Iterator[FakeProvider]:
    provider.calls.clear()
    provider.scripted.clear()
    yield provider
    assert not provider.scripted, "an answer was scripted that nobody asked for"
