"""Batches over HTTP: held for all of their requests, seen by their owner, billed once from their results."""

from typing import Any

import httpx
import pytest
from tests.support import fake_batches as fake
from tests.support.fake_anthropic import MODEL
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey, until

HAIKU = "claude-haiku-4-5"


@pytest.fixture(autouse=True)
def provider(anthropic_provider: FakeProvider) -> FakeProvider:
    return anthropic_provider


def request(name: str, model: str = MODEL, **more: object) -> dict[str, Any]:
    hello = [{"role": "user", "content": "Hello"}]
    return {"custom_id": name, "params": {"model": model, "max_tokens": 4000, "messages": hello, **more}}


ASKED = {"requests": [request("a"), request("error-b"), request("c", HAIKU), request("d")]}


def call(
    gateway: Gateway, key: MintedKey, method: str, path: str = "", body: Any = None, prefix: str = ""
) -> httpx.Response:
    return httpx.request(
        method,
        f"{gateway.origin}{prefix}/v1/messages/batches{path}",
        json=body,
        headers={"x-api-key": key.secret},
        trust_env=False,
        timeout=20,
    )


def ended(gateway: Gateway, key: MintedKey, batch: str, prefix: str = "") -> Any:
    return until(
        lambda: (
            (got := call(gateway, key, "GET", f"/{batch}", prefix=prefix).json())["processing_status"]
            == "ended"
            and got
        ),
        "the batch has ended",
    )


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
def test_a_batch_of_several_models_is_one_call_billed_once_from_its_results(
    gateway: Gateway, prefix: str
) -> None:
    key = gateway.mint(max_spend_usd=2)
    answer = call(gateway, key, "POST", body=ASKED, prefix=prefix)
    batch = answer.json()
    assert (answer.status_code, batch["processing_status"]) == (200, "in_progress"), answer.text
    assert "x-qlaud-cost-micros" not in answer.headers
    held = gateway.key(key)["held_micros"]
    assert (
        4000 * (10 + 10 + 2.5 + 10) < held < 4000 * (10 + 10 + 2.5 + 10) + 5000
    )  # at half price, and its input
    done = ended(gateway, key, batch["id"], prefix)
    assert done["results_url"] == f"{gateway.origin}{prefix}/v1/messages/batches/{batch['id']}/results"
    headers = {"x-api-key": key.secret}
    twice = [httpx.get(done["results_url"], headers=headers, trust_env=False) for _ in range(2)]
    assert twice[0].content == twice[1].content
    assert [line.count(b'"succeeded"') for line in twice[0].content.splitlines()] == [1, 0, 1, 1]
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert (event["id"], event["cost_micros"], event["model"]) == (
        answer.headers["request-id"], fake.COST_MICROS, MODEL,
    )  # fmt: skip
    assert (event["surface"], event["estimated"], event["status"]) == ("messages", False, 200)
    assert (event["input_tokens"], event["output_tokens"]) == (16 + 16 + 17, 344 + 344 + 10)
    assert gateway.key(key)["held_micros"] == 0


def test_the_batch_leaves_as_it_came(gateway: Gateway, provider: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=2)
    batch = call(gateway, key, "POST", body=ASKED).json()
    (sent,) = [one for one in provider.calls if one.method == "POST"]
    assert sent.json == ASKED
    ended(gateway, key, batch["id"])


def test_nobody_but_its_owner_and_his_admins_sees_a_batch(gateway: Gateway, provider: FakeProvider) -> None:
    key, other = gateway.mint(max_spend_usd=2), gateway.mint(max_spend_usd=2)
    batch = call(gateway, key, "POST", body=ASKED).json()["id"]
    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("DELETE", "")):
        refused = call(gateway, other, method, f"/{batch}{path}")
        assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")
    assert all(one.method == "GET" for one in provider.calls[1:]), "nothing but our own looks went out"
    assert call(gateway, key, "GET", f"/{batch}").status_code == 200
    ended(gateway, key, batch)


def test_the_list_of_the_operators_batches_is_nobodys(gateway: Gateway, provider: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=2)
    for prefix in ("", "/anthropic"):
        assert call(gateway, key, "GET", prefix=prefix).status_code == 405
    assert provider.calls == []


def test_a_cancelled_batch_costs_nothing(gateway: Gateway) -> None:
    key = gateway.mint(max_spend_usd=2)
    batch = call(gateway, key, "POST", body=ASKED).json()["id"]
    cancelled = call(gateway, key, "POST", f"/{batch}/cancel")
    assert (cancelled.status_code, cancelled.json()["processing_status"]) == (200, "canceling")
    ended(gateway, key, batch)
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (0, False)


def test_a_batch_is_billed_before_the_provider_may_forget_it(gateway: Gateway) -> None:
    key = gateway.mint(max_spend_usd=2)
    batch = call(gateway, key, "POST", body=ASKED).json()["id"]
    until(lambda: call(gateway, key, "DELETE", f"/{batch}").status_code == 200, "it can be deleted")
    assert gateway.key(key)["spent_micros"] == fake.COST_MICROS
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (fake.COST_MICROS, False)


def test_the_cap_holds_for_all_requests_together(gateway: Gateway, provider: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=0.1)
    assert call(gateway, key, "POST", body=ASKED).status_code == 402
    assert provider.calls == []
    one = call(gateway, key, "POST", body={"requests": [request("c", HAIKU)]})
    assert one.status_code == 200
    ended(gateway, key, one.json()["id"])


def test_every_model_of_a_batch_must_be_allowed_and_have_a_price(
    gateway: Gateway, provider: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=2, allowed_models=[MODEL])
    refused = call(gateway, key, "POST", body=ASKED)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_allowed")
    assert HAIKU in refused.json()["error"]["message"]
    capped = gateway.mint(max_spend_usd=2)
    unknown = {"requests": [request("a"), request("b", "claude-of-tomorrow")]}
    refused = call(gateway, capped, "POST", body=unknown)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_priced")
    assert provider.calls == []


def test_a_tool_nobody_can_bound_is_refused_wherever_it_stands(
    gateway: Gateway, provider: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=2)
    tool = {"type": "code_execution_20250825", "name": "code_execution"}
    refused = call(gateway, key, "POST", body={"requests": [request("a"), request("b", tools=[tool])]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "provider_tool_not_metered")
    assert provider.calls == []


def test_batches_are_not_simulated(gateway: Gateway, sim_key: MintedKey) -> None:
    refused = call(gateway, sim_key, "POST", body=ASKED)
    assert refused.status_code == 400
    assert "simulator" in refused.json()["error"]["message"]
