"""A gateway that is killed or stopped in mid-stream: no money is forgotten, and none is booked twice."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from tests.support.fake_anthropic import MODEL, STREAM_COST_MICROS, text_stream
from tests.support.fake_provider import FakeProvider, Gate
from tests.support.gateway import STOP_S, Gateway, MintedKey, gateway_process, until

HELLO: Any = [{"role": "user", "content": "Hello"}]
SOON_LOST = {"hold_lost_after_s": "2", "hold_renew_s": "0.5"}
CAP_MICROS = 1_000_000


@contextmanager
def first_word(gateway: Gateway, key: MintedKey) -> Iterator[tuple[str, Iterator[Any]]]:
    """A stream of Anthropic's SDK, read to its first word: the request's id, and the rest of the events."""
    with (
        anthropic.Anthropic(base_url=gateway.origin, api_key=key.secret, max_retries=0) as client,
        client.messages.create(model=MODEL, max_tokens=500, messages=HELLO, stream=True) as stream,
    ):
        events = iter(stream)
        for event in events:
            if event.type == "content_block_delta":
                break
        yield stream.response.headers["request-id"], events


def test_a_killed_gateway_leaves_a_lost_hold_that_counts_until_it_is_resolved_once(
    database_url: str, gateway_folder: Path, anthropic_provider: FakeProvider
) -> None:
    bases = {"anthropic": anthropic_provider.origin}
    anthropic_provider.script(text_stream(gate=Gate()))
    with gateway_process(database_url, gateway_folder, providers=bases, settings=SOON_LOST) as gateway:
        key = gateway.mint(max_spend_usd=CAP_MICROS // 1_000_000)
        with first_word(gateway, key) as (request_id, events):
            held = gateway.key(key)["held_micros"]
            gateway.kill()
            with pytest.raises((anthropic.APIError, httpx2.TransportError)):
                list(events)
    assert held > 500 * 20  # 500 tokens of output at 20 micros, and the input
    gateway.doctor()

    with gateway_process(
        database_url, gateway_folder, providers=bases, settings=SOON_LOST, master_key=gateway.master_key
    ) as again:
        assert again.request(request_id).status_code == 202
        (lost,) = until(lambda: again.read("/v1/holds?state=lost")["data"], "the hold is listed as lost")
        assert (lost["id"], lost["key_id"], lost["amount_micros"]) == (request_id, key.id, held)
        assert lost["lost_at"] >= lost["renewed_at"] + 2000
        row = again.key(key)
        assert (row["spent_micros"], row["held_micros"]) == (0, held)
        assert row["remaining_micros"] == CAP_MICROS - held
        assert (again.usage(key)["total_cost_micros"], again.read("/v1/usage")["total_cost_micros"]) == (0, 0)
        again.doctor()

        too_much = again.api("POST", f"/v1/holds/{request_id}/resolve", {"cost_micros": held + 1})
        assert too_much.status_code == 400
        resolved = again.api("POST", f"/v1/holds/{request_id}/resolve", {"cost_micros": 1200})
        assert (resolved.status_code, resolved.json()["state"], resolved.json()["cost_micros"]) == (
            200,
            "resolved",
            1200,
        )
        twice = again.api("POST", f"/v1/holds/{request_id}/resolve", {"cost_micros": 1200})
        assert (twice.status_code, twice.json()["error"]["code"]) == (404, "not_found")
        event = again.event(request_id)
        assert (event["cost_micros"], event["estimated"], event["key_id"]) == (1200, True, key.id)
        row = again.key(key)
        assert (row["spent_micros"], row["held_micros"]) == (1200, 0)
        assert again.read("/v1/holds")["data"] == []
        again.doctor()


def test_a_stopped_gateway_lets_its_streams_end_and_bills_them(
    database_url: str, gateway_folder: Path, anthropic_provider: FakeProvider
) -> None:
    bases = {"anthropic": anthropic_provider.origin}
    gate = Gate()
    anthropic_provider.script(text_stream(gate=gate))
    with gateway_process(database_url, gateway_folder, providers=bases) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with first_word(gateway, key) as (request_id, events):
            gateway.process.send_signal(signal.SIGTERM)
            until(lambda: refuses(gateway.origin), "no new call is taken")
            gate.open()
            assert [event.type for event in events][-2:] == ["message_delta", "message_stop"]
        gateway.process.wait(STOP_S)
    with gateway_process(database_url, gateway_folder, master_key=gateway.master_key) as again:
        event = again.event(request_id)
        assert (event["cost_micros"], event["estimated"]) == (STREAM_COST_MICROS, False)
        assert again.key(key)["held_micros"] == 0
        again.doctor()


def refuses(origin: str) -> bool:
    try:
        return httpx2.get(f"{origin}/readyz", trust_env=False).status_code == 503
    except httpx2.TransportError:
        return True
