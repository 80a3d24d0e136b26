"""How live sessions end with their gateway: a stop signal gives them the grace, a second one none, and a kill leaves
one hold to be found lost. Each session has its events, and no sum is wrong afterwards.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import fake_gemini_live as gemini
from tests.support.fake_live import Await, Close, FakeLive, Gate, serve_live
from tests.support.gateway import Gateway, gateway_process, until
from tests.support.live_client import dial, request_id, rest
from websockets.exceptions import ConnectionClosed

LISTEN = "/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
HALF_SECOND = bytes(16_000)
MICROS_PER_MINUTE = 4800


def results(duration: float) -> str:
    return json.dumps({"type": "Results", "start": 0, "duration": duration})


def metadata(duration: float) -> str:
    return json.dumps({"type": "Metadata", "duration": duration, "channels": 1})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, because compiled prices are kept in it."""
    return tmp_path_factory.mktemp("live-ends")


@pytest.fixture
def provider() -> Iterator[FakeLive]:
    with serve_live() as provider:
        yield provider


def stop(gateway: Gateway) -> None:
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in gateway.log, "the gateway says that it stops")


def test_a_session_that_ends_within_the_grace_ends_as_if_nothing_were(
    database_url: str, folder: Path, provider: FakeLive
) -> None:
    gate = Gate()
    provider.script(Await(1), results(0.5), gate, metadata(0.5), Close(1000, "bye"))
    settings = {"shutdown_grace_s": "20"}
    with gateway_process(
        database_url, folder, providers={"deepgram": provider.origin}, settings=settings
    ) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with dial(gateway, LISTEN, key=key.secret) as socket:
            socket.send(HALF_SECOND)
            assert socket.recv(20) == results(0.5)
            stop(gateway)
            gate.open()
            assert rest(socket) == ([metadata(0.5)], 1000, "bye")
        assert gateway.process.wait(20) == 0
        gateway.doctor()


def test_a_session_that_outlives_the_grace_is_closed_and_settled(
    database_url: str, folder: Path, provider: FakeLive
) -> None:
    provider.script(Await(1), results(0.5), Await(text="CloseStream"), metadata(0.5), Close(1000))
    with gateway_process(
        database_url,
        folder,
        providers={"deepgram": provider.origin},
        settings={"shutdown_grace_s": "0.2"},
    ) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with dial(gateway, LISTEN, key=key.secret) as socket:
            session = request_id(socket)
            socket.send(HALF_SECOND)
            assert socket.recv(20) == results(0.5)
            stop(gateway)
            messages, code, reason = rest(socket)
        assert (code, reason) == (1001, "shutting_down")
        assert json.loads(messages[-1])["code"] == "shutting_down"
        assert gateway.process.wait(20) == 0
        gateway.doctor()
    with gateway_process(database_url, folder, master_key=gateway.master_key) as again:
        event = again.event(session)
        assert (event["audio_seconds"], event["estimated"]) == (0.5, False)
        assert event["cost_micros"] == MICROS_PER_MINUTE // 120
        assert again.read("/v1/holds")["data"] == []


def test_a_second_signal_ends_sessions_at_once(database_url: str, folder: Path, provider: FakeLive) -> None:
    provider.script(Await(text="CloseStream"), metadata(0), Close(1000))
    with gateway_process(
        database_url,
        folder,
        providers={"deepgram": provider.origin},
        settings={"shutdown_grace_s": "60"},
    ) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with dial(gateway, LISTEN, key=key.secret) as socket:
            stop(gateway)
            gateway.process.send_signal(signal.SIGTERM)
            assert rest(socket)[1:] == (1001, "shutting_down")
        assert gateway.process.wait(20) == 0
        gateway.doctor()


def test_a_killed_gateway_leaves_one_lost_hold_for_the_slice_under_way(
    database_url: str, folder: Path, provider: FakeLive
) -> None:
    terms = {"live_hold_s": "1", "hold_renew_s": "0.2", "hold_lost_after_s": "2"}
    provider.script(Await(3), results(1.5), Await(99))
    bases = {"deepgram": provider.origin}
    with gateway_process(database_url, folder, providers=bases, settings=terms) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with dial(gateway, LISTEN, key=key.secret) as socket:
            session = request_id(socket)
            for _ in range(3):
                socket.send(HALF_SECOND)
            assert socket.recv(20) == results(1.5)
            until(lambda: len(gateway.usage(key)["events"]) == 1, "the first slice is settled")
            held = gateway.key(key)["held_micros"]
            gateway.kill()
            with pytest.raises(ConnectionClosed):
                socket.recv(20)
    gateway.doctor()
    with gateway_process(
        database_url, folder, providers=bases, settings=terms, master_key=gateway.master_key
    ) as again:
        (lost,) = until(lambda: again.read("/v1/holds?state=lost")["data"], "the hold is listed as lost")
        assert (lost["key_id"], lost["amount_micros"]) == (key.id, held)
        assert again.event(session)["audio_seconds"] == 1.5
        assert again.key(key)["held_micros"] == held
        answer = again.api("POST", f"/v1/holds/{lost['id']}/resolve", {"cost_micros": 1})
        assert answer.status_code == 200
        assert again.event(lost["id"])["parent_id"] == session
        again.doctor()


def test_a_killed_gateway_leaves_one_lost_hold_for_the_answer_under_way(
    database_url: str, folder: Path, provider: FakeLive
) -> None:
    terms = {"hold_renew_s": "0.2", "hold_lost_after_s": "2"}
    provider.script(Await(2), gemini.READY, gemini.told(gemini.FIRST), Await(3), gemini.spoken(), Await(99))
    bases = {"google": provider.origin}
    with gateway_process(database_url, folder, providers=bases, settings=terms) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with dial(gateway, gemini.PATH, key=key.secret) as socket:
            session = request_id(socket)
            socket.send(gemini.small())
            socket.send(gemini.says("Hello."))
            assert [socket.recv(20), socket.recv(20)] == [gemini.READY, gemini.told(gemini.FIRST)]
            until(lambda: len(gateway.usage(key)["events"]) == 1, "the first answer is settled")
            socket.send(gemini.says("And now?"))
            assert socket.recv(20) == gemini.spoken()
            held = gateway.key(key)["held_micros"]
            assert held >= 256 * 12 + 3 * 700
            gateway.kill()
            with pytest.raises(ConnectionClosed):
                socket.recv(20)
    gateway.doctor()
    with gateway_process(
        database_url, folder, providers=bases, settings=terms, master_key=gateway.master_key
    ) as again:
        (lost,) = until(lambda: again.read("/v1/holds?state=lost")["data"], "the hold is listed as lost")
        assert (lost["key_id"], lost["amount_micros"]) == (key.id, held)
        assert again.event(session)["cost_micros"] == gemini.FIRST_MICROS
        assert again.key(key)["held_micros"] == held
        again.doctor()
