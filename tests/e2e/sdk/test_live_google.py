"""Gemini Live through google-genai, which dials TLS alone: so a TLS end stands in front of the gateway, as it would."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.sdk.conftest import Sdks
from tests.e2e.sdk.sdks import Result
from tests.support import fake_gemini_live as fake
from tests.support.fake_live import Await, Close, FakeLive, serve_live
from tests.support.gateway import OPERATOR_KEYS, Gateway, MintedKey, gateway_process
from tests.support.postgres import Databases
from tests.support.tls_front import Front, tls_front

TOOL = {"name": "get", "description": "Gets it.", "parameters": {"type": "OBJECT"}}
CONFIG = {"response_modalities": ["AUDIO"], "max_output_tokens": 256, "session_resumption": {}}


@pytest.fixture(scope="module")
def google() -> Iterator[FakeLive]:
    with serve_live() as provider:
        yield provider


@pytest.fixture(scope="module")
def live_gateway(databases: Databases, gateway_folder: Path, google: FakeLive) -> Iterator[Gateway]:
    """A gateway to a Google that answers by socket."""
    dsn = databases.clone()
    with gateway_process(dsn, gateway_folder, providers={"google": google.origin}) as gateway:
        yield gateway
    databases.drop(dsn)


@pytest.fixture(scope="module")
def front(live_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with tls_front(live_gateway.origin, tmp_path_factory.mktemp("front")) as front:
        yield front


def matrix(case: str) -> pytest.MarkDecorator:
    return pytest.mark.matrix(provider="google", modality="live conversation", case=case, sdk="google-genai")


def talk(sdks: Sdks, front: Front, key: MintedKey, path: str = "", **config: Any) -> Result:
    """Two turns, or as many as come about."""
    args = {"model": fake.MODEL, "config": {**CONFIG, **config}, "texts": ["Hello.", "And now?"]}
    options = {"trusted": str(front.trusted)}
    sdk = sdks["google", "python"]
    return sdk.ask("talk", args, origin=front.origin, key=key.secret, base_path=path, options=options)


@matrix("call")
@pytest.mark.parametrize("path", ["", "/", "/google"])
def test_turns_are_spoken_and_billed_to_the_micro(
    live_gateway: Gateway, google: FakeLive, front: Front, running_sdks: Sdks, path: str
) -> None:
    first, second = [fake.spoken(40), fake.told(fake.FIRST)], [fake.spoken(20), fake.told(fake.SECOND)]
    google.script(Await(1), fake.READY, Await(2), *first, Await(3), *second, Await(99))
    key = live_gateway.mint(max_spend_usd=1)
    result = talk(running_sdks, front, key, path)
    assert result["shown"] == hashlib.sha256(bytes(60 * 48)).hexdigest()
    assert result["totals"] == [564, 1157]
    assert google.last.header("x-goog-api-key") == [OPERATOR_KEYS["google"]]
    assert key.secret not in str(google.last.headers) + str(google.last.messages)
    usage = live_gateway.wait_settled(key, 2)
    assert usage["cost_micros"] == fake.FIRST_MICROS + fake.SECOND_MICROS
    assert not any(event["estimated"] for event in usage["events"])


@matrix("tools")
def test_a_tool_is_called_and_its_answer_goes_on(
    live_gateway: Gateway, google: FakeLive, front: Front, running_sdks: Sdks
) -> None:
    answer = [fake.spoken(), fake.told(fake.SECOND)]
    google.script(
        *(Await(1), fake.READY, Await(2), fake.calls(fake.FIRST), Await(3), *answer),
        *(Await(4), *answer, Await(99)),
    )
    key = live_gateway.mint(max_spend_usd=1)
    result = talk(running_sdks, front, key, tools=[{"function_declarations": [TOOL]}])
    assert result["tool"] == ["get", {"q": 1}]
    assert '"blue"' in str(google.last.messages[2])
    usage = live_gateway.wait_settled(key, 3)
    assert usage["cost_micros"] == fake.FIRST_MICROS + 2 * fake.SECOND_MICROS


@matrix("cap")
def test_a_key_without_money_is_told_why_its_socket_closed(
    live_gateway: Gateway, google: FakeLive, front: Front, running_sdks: Sdks
) -> None:
    google.sessions.clear()
    result = talk(running_sdks, front, live_gateway.mint(max_spend_usd=0))
    assert (result["error"]["status"], result["error"]["body"]) == (1008, "key_cap_exceeded")
    assert google.sessions == []


@matrix("error")
def test_googles_own_close_is_told(
    live_gateway: Gateway, google: FakeLive, front: Front, running_sdks: Sdks
) -> None:
    google.script(Await(1), fake.READY, Await(2), Close(1007, "Request contains an invalid argument."))
    key = live_gateway.mint(max_spend_usd=1)
    result = talk(running_sdks, front, key)
    assert result["error"]["status"] == 1007
    assert "invalid argument" in str(result["error"])
    assert live_gateway.wait_settled(key, 1)["cost_micros"] == 0
