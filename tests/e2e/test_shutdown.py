"""A stop signal while calls run: within the grace they end as if nothing were; beyond it they are cut, told so, and
settled as estimates. Each call has exactly one event, no hold stays behind, and nobody new is let in.
"""

import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support import fake_anthropic
from tests.support.fake_provider import Gate, answer_json
from tests.support.gateway import Gateway, MintedKey, gateway_process, until
from tests.support.rawhttp import connected, request

MASTER = "qlk_live_" + "5" * 64


class Caller(threading.Thread):
    """One call in a thread of its own: what came back, or how it broke."""

    def __init__(self, gateway: Gateway, key: MintedKey, **fields: object) -> None:
        super().__init__(daemon=True)
        asked = {"model": "sim/slow", "max_tokens": 400, "stream": True}
        said = {"messages": [{"role": "user", "content": "word " * 12}]}
        self._body = {**asked, **said, **fields}
        self._gateway, self._key = gateway, key
        self.status = 0
        self.request_id = ""
        self.text = ""
        self.broke: Exception | None = None
        self.started = threading.Event()

    def run(self) -> None:
        headers = {"x-api-key": self._key.secret}
        url = f"{self._gateway.origin}/v1/messages"
        try:
            with httpx.stream(
                "POST", url, json=self._body, headers=headers, timeout=30, trust_env=False
            ) as answer:
                self.status, self.request_id = answer.status_code, answer.headers["request-id"]
                for text in answer.iter_text():
                    self.text += text
                    if "content_block_delta" in self.text:
                        self.started.set()
        except httpx.HTTPError as broke:
            self.broke = broke
        self.started.set()


def start(count: int, gateway: Gateway, key: MintedKey, **fields: object) -> list[Caller]:
    callers = [Caller(gateway, key, **fields) for _ in range(count)]
    for caller in callers:
        caller.start()
    for caller in callers:
        assert caller.started.wait(10)
    return callers


def end(gateway: Gateway, callers: list[Caller]) -> float:
    """Send the stop signal and wait for everybody; returns the seconds it took."""
    began = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    await_end(gateway, callers)
    return time.monotonic() - began


def await_end(gateway: Gateway, callers: list[Caller]) -> None:
    for caller in callers:
        caller.join(30)
    assert gateway.process.wait(30) == 0


def refuses_connections(gateway: Gateway) -> bool:
    where = urlsplit(gateway.origin)
    try:
        socket.create_connection((where.hostname, where.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@contextmanager
def reopened(database_url: str, folder: Path) -> Generator[Gateway]:
    """The gateway after its restart: nothing is held, nothing was lost, every sum is right."""
    with gateway_process(database_url, folder, master_key=MASTER) as gateway:
        assert gateway.read("/v1/holds")["data"] == []
        yield gateway


def only_event(gateway: Gateway, caller: Caller, key: MintedKey) -> Any:
    return gateway.event(caller.request_id, key=key)


@pytest.mark.parametrize("workers", [1, 2])
def test_running_streams_end_within_the_grace_and_nobody_new_is_let_in(
    database_url: str, tmp_path: Path, workers: int
) -> None:
    with gateway_process(database_url, tmp_path, master_key=MASTER, workers=workers) as gateway:
        key = gateway.mint(mode="test")
        callers = start(4, gateway, key)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: refuses_connections(gateway), "new connections are refused")
        assert any(caller.is_alive() for caller in callers), "while calls still run"
        await_end(gateway, callers)
    with reopened(database_url, tmp_path) as gateway:
        for caller in callers:
            assert caller.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
            event = only_event(gateway, caller, key)
            assert (event["status"], event["estimated"]) == (200, False)
        assert len(gateway.usage(key)["events"]) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_beyond_the_grace_are_told_and_settled_as_estimates_in_one_event_each(
    database_url: str, tmp_path: Path, workers: int
) -> None:
    terms = {"shutdown_grace_s": "0.3"}
    with gateway_process(
        database_url, tmp_path, master_key=MASTER, workers=workers, settings=terms
    ) as gateway:
        key = gateway.mint(mode="test", max_spend_usd=1)
        callers = start(4, gateway, key)
        assert end(gateway, callers) < 5
    with reopened(database_url, tmp_path) as gateway:
        for caller in callers:
            assert caller.broke is None, caller.broke
            assert '"code":"shutting_down"' in caller.text.split("event: error\n")[1]
            event = only_event(gateway, caller, key)
            assert (event["status"], event["estimated"]) == (503, True)
            assert event["output_tokens"] >= 1
        usage = gateway.usage(key)
        assert len(usage["events"]) == 4
        assert usage["held_micros"] == 0


def test_a_whole_answer_beyond_the_grace_is_a_503_in_shape(database_url: str, tmp_path: Path) -> None:
    terms = {"shutdown_grace_s": "0.3"}
    with fake_anthropic.serve_anthropic() as provider:
        provider.script(answer_json({}, gate=Gate()))
        bases = {"anthropic": provider.origin}
        with gateway_process(
            database_url, tmp_path, master_key=MASTER, settings=terms, providers=bases
        ) as gateway:
            key = gateway.mint()
            caller = Caller(gateway, key, model=fake_anthropic.MODEL, stream=False)
            caller.start()
            until(lambda: provider.calls, "the provider was asked")
            end(gateway, [caller])
            assert provider.last.hung_up.wait(5)
    assert caller.status == 503
    assert '"code":"shutting_down"' in caller.text
    with reopened(database_url, tmp_path) as gateway:
        event = only_event(gateway, caller, key)
        assert (event["status"], event["estimated"], event["output_tokens"]) == (503, True, 0)


def test_a_caller_who_left_is_drained_within_the_grace(database_url: str, tmp_path: Path) -> None:
    with fake_anthropic.serve_anthropic() as provider:
        gate = Gate()
        provider.script(fake_anthropic.text_stream(gate=gate))
        bases = {"anthropic": provider.origin}
        with gateway_process(database_url, tmp_path, master_key=MASTER, providers=bases) as gateway:
            key = gateway.mint()
            body = f'{{"model":"{fake_anthropic.MODEL}","max_tokens":50,"stream":true}}'.encode()
            with connected(gateway.origin) as connection:
                connection.send(request("POST", "/v1/messages", key=key.secret, body=body))
                while b"Hello" not in connection.line():
                    pass
            gateway.process.send_signal(signal.SIGTERM)
            until(lambda: refuses_connections(gateway), "the gateway is stopping")
            gate.open()
            assert gateway.process.wait(30) == 0
    with reopened(database_url, tmp_path) as gateway:
        (event,) = gateway.usage(key)["events"]
        assert (event["status"], event["estimated"]) == (200, False)
        assert event["cost_micros"] == fake_anthropic.STREAM_COST_MICROS


def test_a_caller_who_does_not_read_cannot_hold_up_the_end(database_url: str, tmp_path: Path) -> None:
    terms = {"shutdown_grace_s": "0.3"}
    with fake_anthropic.serve_anthropic() as provider:
        provider.script(fake_anthropic.text_stream(words=["word " * 2000] * 5000))
        bases = {"anthropic": provider.origin}
        with gateway_process(
            database_url, tmp_path, master_key=MASTER, settings=terms, providers=bases
        ) as gateway:
            key = gateway.mint()
            body = f'{{"model":"{fake_anthropic.MODEL}","max_tokens":50000,"stream":true}}'.encode()
            with connected(gateway.origin) as connection:
                connection.send(request("POST", "/v1/messages", key=key.secret, body=body))
                assert connection.line() == b"HTTP/1.1 200 OK"
                assert end(gateway, []) < 20
    with reopened(database_url, tmp_path) as gateway:
        (event,) = gateway.usage(key)["events"]
        assert (event["status"], event["estimated"]) == (503, True)


def test_idle_and_half_sent_connections_do_not_hold_up_the_end(database_url: str, tmp_path: Path) -> None:
    with (
        gateway_process(database_url, tmp_path, master_key=MASTER) as gateway,
        connected(gateway.origin) as idle,
        connected(gateway.origin) as halfway,
    ):
        idle.send(request("GET", "/healthz"))
        assert idle.reply().status == 200
        halfway.send(b"POST /v1/mess")
        assert end(gateway, []) < 3
        assert idle.closed()
        assert halfway.closed()
