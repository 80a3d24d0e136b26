"""One gateway process, fake providers and SDKs for all tests of this folder; a key for each test."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.e2e.sdk.sdks import FIRST, Name, Sdk, running_sdk
from tests.support.fake_anthropic import serve_anthropic
from tests.support.fake_cartesia import serve_cartesia
from tests.support.fake_cerebras import serve_cerebras
from tests.support.fake_deepgram import serve_deepgram
from tests.support.fake_deepseek import serve_deepseek
from tests.support.fake_elevenlabs import serve_elevenlabs
from tests.support.fake_google import serve_google
from tests.support.fake_groq import serve_groq
from tests.support.fake_minimax import serve_minimax
from tests.support.fake_mistral import serve_mistral
from tests.support.fake_moonshot import serve_moonshot
from tests.support.fake_openai import serve_openai
from tests.support.fake_openrouter import serve_openrouter
from tests.support.fake_perplexity import serve_perplexity
from tests.support.fake_provider import FakeProvider
from tests.support.fake_qwen import serve_qwen
from tests.support.fake_xai import serve_xai
from tests.support.gateway import (
    OPERATOR_KEYS,
    REGISTRY,
    Gateway,
    MintedKey,
    base_url_at,
    gateway_process,
)
from tests.support.postgres import Databases

SERVED: Mapping[str, Callable[[], AbstractContextManager[FakeProvider]]] = {
    "google": serve_google,
    "elevenlabs": serve_elevenlabs,
    "deepgram": serve_deepgram,
    "xai": serve_xai,
    "qwen": serve_qwen,
    "moonshot": serve_moonshot,
    "minimax": serve_minimax,
    "deepseek": serve_deepseek,
    "mistral": serve_mistral,
    "cerebras": serve_cerebras,
    "groq": serve_groq,
    "perplexity": serve_perplexity,
    "openrouter": serve_openrouter,
    "cartesia": serve_cartesia,
}
"""Beside Anthropic and OpenAI."""


@pytest.fixture(scope="session")
def gateway_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What gateways may share: compiled prices, logs."""
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="session")
def running_anthropic() -> Iterator[FakeProvider]:
    with serve_anthropic() as provider:
        yield provider


@pytest.fixture(scope="session")
def running_openai() -> Iterator[FakeProvider]:
    with serve_openai() as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(databases: Databases, gateway_folder: Path, fakes: "Fakes") -> Iterator[Gateway]:
    """The process under test."""
    dsn = databases.clone()
    bases = {slug: base_url_at(fake.origin, slug) for slug, fake in fakes.running.items() if slug in REGISTRY}
    talkative = {"log_level": "debug"}
    with gateway_process(dsn, gateway_folder, providers=bases, settings=talkative) as gateway:
        yield gateway
    log = gateway.log
    assert "qlk_" not in log
    assert not [secret for secret in OPERATOR_KEYS.values() if secret in log]
    databases.drop(dsn)


def fresh(provider: FakeProvider) -> Iterator[FakeProvider]:
    """The provider without past. At the end: it saw the operator's credential, and no key of ours, in every call."""
    provider.calls.clear()
    provider.scripted.clear()
    yield provider
    assert not provider.scripted, "an answer was scripted that nobody asked for"
    for call in provider.calls:
        everything = repr((call.target, call.headers)).encode() + call.body
        assert b"qlk_" not in everything


@dataclass(frozen=True, slots=True)
class Fakes:
    """Every provider, running."""

    running: Mapping[str, FakeProvider]

    def fresh(self, slug: str) -> Iterator[FakeProvider]:
        """One of them, for one test."""
        yield from fresh(self.running[slug])


@pytest.fixture(scope="session")
def fakes(running_anthropic: FakeProvider, running_openai: FakeProvider) -> Iterator[Fakes]:
    """Each as its module serves it."""
    with ExitStack() as stack:
        running = {slug: stack.enter_context(serve()) for slug, serve in SERVED.items()}
        yield Fakes({"anthropic": running_anthropic, "openai": running_openai, **running})


@pytest.fixture
def anthropic_provider(running_anthropic: FakeProvider) -> Iterator[FakeProvider]:
    yield from fresh(running_anthropic)


@pytest.fixture
def openai_provider(running_openai: FakeProvider) -> Iterator[FakeProvider]:
    yield from fresh(running_openai)


@pytest.fixture
def key(gateway: Gateway) -> MintedKey:
    """A key without a cap, so that nothing is changed on the way."""
    return gateway.mint()


@dataclass(slots=True)
class Sdks:
    """Every SDK that was asked for, kept running."""

    stack: ExitStack
    running: dict[Name, Sdk] = field(default_factory=dict[Name, Sdk])

    def __getitem__(self, name: Name) -> Sdk:
        if name not in self.running or self.running[name].process.poll() is not None:
            self.running[name] = self.stack.enter_context(running_sdk(*name))
        return self.running[name]


@pytest.fixture(scope="session")
def running_sdks() -> Iterator[Sdks]:
    with ExitStack() as stack:
        yield Sdks(stack)


LANGUAGES = ("python", "previous python", "node")


@pytest.fixture(params=LANGUAGES)
def anthropic_sdk(request: pytest.FixtureRequest, running_sdks: Sdks) -> Sdk:
    """Anthropic's SDK: current for Python, the generation before, current for Node."""
    return running_sdks["anthropic", request.param]


@pytest.fixture(params=LANGUAGES)
def openai_sdk(request: pytest.FixtureRequest, running_sdks: Sdks) -> Sdk:
    """OpenAI's SDK, likewise."""
    return running_sdks["openai", request.param]


@pytest.fixture(params=FIRST, ids=" ".join)
def sdk(request: pytest.FixtureRequest, running_sdks: Sdks) -> Sdk:
    """Each of the six."""
    return running_sdks[request.param]


@pytest.fixture
def provider(sdk: Sdk, anthropic_provider: FakeProvider, openai_provider: FakeProvider) -> FakeProvider:
    """The provider that `sdk` is made for."""
    return anthropic_provider if sdk.vendor == "anthropic" else openai_provider
