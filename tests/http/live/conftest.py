"""One gateway process whose providers' sockets are a fake on loopback, with slices of one second.

When the tests have run, no secret stands in its log, and every sum in its database is the sum of its rows.
"""

import asyncio
from collections.abc import Iterator

import pytest
from tests.http.conftest import differences
from tests.support.fake_live import FakeLive, serve_live
from tests.support.gateway import OPERATOR_KEYS, Gateway, gateway_process
from tests.support.postgres import Databases

TERMS = {
    "live_hold_s": "1",
    "hold_wait_s": "0.3",
    "connect_timeout_s": "2",
    "client_stall_s": "1",
    "live_message_bytes": "1048576",
    "log_level": "debug",
}


@pytest.fixture(scope="session")
def running_provider() -> Iterator[FakeLive]:
    with serve_live([("dg-request-id", "dg-1"), ("x-request-id", "up-1")]) as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, running_provider: FakeLive
) -> Iterator[Gateway]:
    """The process under test."""
    dsn = databases.clone()
    origin = running_provider.origin
    bases = {
        "openai": f"{origin}/v1",
        "xai": f"{origin}/grok/v1",
        "deepgram": origin,
        "elevenlabs": origin,
        "google": origin,
    }
    folder = tmp_path_factory.mktemp("live")
    with gateway_process(dsn, folder, providers=bases, settings=TERMS) as gateway:
        yield gateway
        log = gateway.log
    for secret in ("qlk_live_", "qlk_test_", *OPERATOR_KEYS.values(), "?model", "secret-of-a-frame"):
        assert secret not in log
    assert "Traceback" not in log
    assert asyncio.run(differences(dsn)) == []
    databases.drop(dsn)


@pytest.fixture
def provider(running_provider: FakeLive) -> Iterator[FakeLive]:
    """The provider without past."""
    running_provider.sessions.clear()
    running_provider.scripts.clear()
    running_provider.answer = lambda _: ()
    running_provider.reads = True
    yield running_provider
    assert not running_provider.scripts, "a socket was scripted that nobody opened"
