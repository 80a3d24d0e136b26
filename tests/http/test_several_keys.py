"""Two keys for each provider, of which the first is not taken: every kind of call goes on to the second."""

from collections.abc import Iterator

import httpx
import pytest
from tests.support import fake_anthropic, fake_google
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import OPERATOR_KEYS, Gateway, gateway_process
from tests.support.postgres import Databases

PARTS = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
GENERATE = PARTS | {"generationConfig": {"maxOutputTokens": 20}}
MESSAGES = [{"role": "user", "content": "hi"}]
AT_GOOGLE = f"/v1beta/models/{fake_google.MODEL}"


@pytest.fixture(scope="module")
def gateway(
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    running_anthropic: FakeProvider,
    running_google: FakeProvider,
) -> Iterator[Gateway]:
    dsn = databases.clone()
    providers = {"anthropic": running_anthropic.origin, "google": running_google.origin}
    keys = {slug: f"sk-withdrawn-{slug},{OPERATOR_KEYS[slug]}" for slug in providers}
    with gateway_process(
        dsn, tmp_path_factory.mktemp("keys"), providers=providers, operator_keys=keys
    ) as gateway:
        yield gateway
    databases.drop(dsn)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{AT_GOOGLE}:generateContent", GENERATE),
        (f"{AT_GOOGLE}:countTokens", PARTS),
        ("/v1/messages", {"model": fake_anthropic.MODEL, "max_tokens": 20, "messages": MESSAGES}),
        ("/v1/messages/count_tokens", {"model": fake_anthropic.MODEL, "messages": MESSAGES}),
    ],
)
def test_a_withdrawn_key_gives_way_to_the_next(
    gateway: Gateway,
    anthropic_provider: FakeProvider,
    google_provider: FakeProvider,
    path: str,
    body: dict[str, object],
) -> None:
    key = gateway.mint(max_spend_usd=1)
    answer = httpx.post(
        gateway.origin + path, json=body, headers={"x-api-key": key.secret}, trust_env=False, timeout=20
    )
    assert answer.status_code == 200, answer.text
    calls = anthropic_provider.calls + google_provider.calls
    sent = [call.header("x-api-key") + call.header("x-goog-api-key") for call in calls]
    assert sent[-1] in ([OPERATOR_KEYS["anthropic"]], [OPERATOR_KEYS["google"]])


def test_what_is_wrong_with_the_call_is_not_asked_again(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    google_provider.script(fake_google.refusal(400, "contents: must not be empty"))
    key = gateway.mint(max_spend_usd=1)
    answer = httpx.post(
        f"{gateway.origin}{AT_GOOGLE}:generateContent",
        json=GENERATE,
        headers={"x-goog-api-key": key.secret},
        trust_env=False,
        timeout=20,
    )
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "contents: must not be empty")
    assert not google_provider.scripted
