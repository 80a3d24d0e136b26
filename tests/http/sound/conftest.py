"""One gateway process with fakes of those who speak and write down, where unread audio may play for ten minutes.

When the tests have run, no secret stands in its log, and every sum in its database is the sum of its rows.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.http.conftest import differences, fresh
from tests.support.fake_cartesia import serve_cartesia
from tests.support.fake_deepgram import serve_deepgram
from tests.support.fake_elevenlabs import serve_elevenlabs
from tests.support.fake_minimax import serve_minimax
from tests.support.fake_mistral import serve_mistral
from tests.support.fake_openai import serve_openai
from tests.support.fake_provider import FakeProvider
from tests.support.fake_qwen import serve_qwen
from tests.support.gateway import OPERATOR_KEYS, Gateway, base_url_at, gateway_process
from tests.support.postgres import Databases

SERVED = {
    "openai": serve_openai,
    "elevenlabs": serve_elevenlabs,
    "deepgram": serve_deepgram,
    "cartesia": serve_cartesia,
    "minimax": serve_minimax,
    "mistral": serve_mistral,
    "qwen": serve_qwen,
}
UNREAD_S = 600
TERMS = {"audio_max_s": str(UNREAD_S), "hold_wait_s": "0.3", "log_level": "debug"}


@pytest.fixture(scope="session")
def running() -> Iterator[dict[str, FakeProvider]]:
    with ExitStack() as stack:
        yield {slug: stack.enter_context(serve()) for slug, serve in SERVED.items()}


@pytest.fixture(scope="session")
def gateway(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, running: dict[str, FakeProvider]
) -> Iterator[Gateway]:
    """The process under test."""
    dsn = databases.clone()
    bases = {slug: base_url_at(provider.origin, slug) for slug, provider in running.items()}
    with gateway_process(dsn, tmp_path_factory.mktemp("sound"), providers=bases, settings=TERMS) as gateway:
        yield gateway
        log = gateway.log
    for secret in ("qlk_live_", *OPERATOR_KEYS.values()):
        assert secret not in log
    assert "Traceback" not in log
    assert "usage without a price" not in log
    assert asyncio.run(differences(dsn)) == []
    databases.drop(dsn)


@pytest.fixture
def elevenlabs(running: dict[str, FakeProvider]) -> Iterator[FakeProvider]:
    yield from fresh(running["elevenlabs"])


@pytest.fixture
def deepgram(running: dict[str, FakeProvider]) -> Iterator[FakeProvider]:
    yield from fresh(running["deepgram"])


@pytest.fixture
def openai(running: dict[str, FakeProvider]) -> Iterator[FakeProvider]:
    yield from fresh(running["openai"])


@pytest.fixture
def minimax(running: dict[str, FakeProvider]) -> Iterator[FakeProvider]:
    yield from fresh(running["minimax"])


@pytest.fixture
def mistral(running: dict[str, FakeProvider]) -> Iterator[FakeProvider]:
    yield from fresh(running["mistral"])


@pytest.fixture
def qwen(running: dict[str, FakeProvider]) -> Iterator[FakeProvider]:
    yield from fresh(running["qwen"])
