"""Paths below a provider's name: metered as its own, free, or without a rule."""

import json

import httpx
import pytest
from tests.support.fake_anthropic import MODEL
from tests.support.fake_provider import FakeProvider, answer_json
from tests.support.gateway import Gateway, MintedKey

FILES = "/anthropic/v1/files?limit=3"


def ask(gateway: Gateway, key: MintedKey, path: str, method: str = "GET") -> httpx.Response:
    headers = {"x-api-key": key.secret, "x-odd": "1"}
    return httpx.request(method, gateway.origin + path, headers=headers, trust_env=False, timeout=20)


def test_a_metered_path_below_a_providers_name_is_held_and_billed(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    body = {"model": MODEL, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx.post(
        f"{gateway.origin}/anthropic/v1/messages",
        json=body,
        headers={"x-api-key": key.secret},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert anthropic_provider.last.target == "/v1/messages"
    assert gateway.usage(key)["events"][0]["cost_micros"] == int(answer.headers["x-qlaud-cost-micros"]) > 0


def test_a_model_nobody_knows_passes_below_a_providers_name_and_only_uncapped(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    body = json.dumps({"model": "claude-next", "max_tokens": 20, "messages": []}).encode()
    url = f"{gateway.origin}/anthropic/v1/messages"
    refused = httpx.post(url, content=body, headers={"x-api-key": key.secret}, trust_env=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_priced")
    assert anthropic_provider.calls == []
    anthropic_provider.script(answer_json({"type": "message", "content": []}))
    free = gateway.mint()
    passed = httpx.post(url, content=body, headers={"x-api-key": free.secret}, trust_env=False)
    assert passed.status_code == 200
    assert anthropic_provider.last.body == body
    event = gateway.usage(free)["events"][0]
    assert (event["model"], event["price_version"], event["cost_micros"]) == ("claude-next", "unpriced", 0)


@pytest.mark.parametrize("policy", [{}, {"max_spend_usd": 1}, {"scope": "admin", "max_spend_usd": 1}])
def test_a_path_without_a_rule_is_refused_to_standard_and_to_capped_keys(
    gateway: Gateway, anthropic_provider: FakeProvider, policy: dict[str, object]
) -> None:
    key = gateway.mint(**policy)
    answer = ask(gateway, key, FILES)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "route_not_metered")
    assert "GET /v1/files" in answer.json()["error"]["message"]
    assert anthropic_provider.calls == []
    usage = gateway.usage(key)
    assert (usage["held_micros"], usage["events"]) == (0, [])


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_uncapped_admin_key_passes_it_flagged_as_unpriced(
    gateway: Gateway, anthropic_provider: FakeProvider, method: str
) -> None:
    key = gateway.mint(scope="admin")
    anthropic_provider.script(answer_json({"data": ["file_1"]}))
    answer = ask(gateway, key, FILES, method)
    assert (answer.status_code, answer.json()) == (200, {"data": ["file_1"]})
    call = anthropic_provider.last
    assert (call.method, call.target, call.header("x-odd")) == (method, "/v1/files?limit=3", ["1"])
    event = gateway.usage(key)["events"][0]
    assert (event["surface"], event["model"]) == ("passthrough", f"{method} /v1/files")
    assert (event["price_version"], event["cost_micros"]) == ("unpriced", 0)


@pytest.mark.parametrize("path", ["/anthropic/v1/%2e%2e/v1/messages", "/anthropic/%2E/v1/messages"])
def test_a_path_that_leads_elsewhere_is_no_path(
    gateway: Gateway, anthropic_provider: FakeProvider, path: str
) -> None:
    key = gateway.mint(scope="admin")
    request = httpx.Request("POST", gateway.origin, headers={"x-api-key": key.secret}, json={})
    request.url = httpx.URL(gateway.origin).copy_with(raw_path=path.encode())
    with httpx.Client(trust_env=False) as client:
        answer = client.send(request)
    assert answer.status_code == 404
    assert anthropic_provider.calls == []


def test_the_catalog_needs_no_key_and_every_model_has_a_host(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.origin}/v1/catalog", trust_env=False)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=300")
    shown = answer.json()
    providers = {provider["slug"] for provider in shown["providers"]}
    assert {"anthropic", "openai", "sim"} <= providers
    assert all(model["hosts"] and model["available"] for model in shown["models"])
    assert {host["provider"] for model in shown["models"] for host in model["hosts"]} == providers
    assert shown["markup_multiplier"] == 1
    everything = httpx.get(f"{gateway.origin}/v1/catalog?all=1", trust_env=False).json()
    assert len(everything["models"]) >= len(shown["models"])


@pytest.mark.parametrize("called", [None, "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", ["/v1/messages", "/anthropic/v1/messages", "/v1/messages/count_tokens"])
def test_a_body_of_json_is_called_so_upstream_whatever_its_caller_called_it(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider, path: str, called: str | None
) -> None:
    body = json.dumps({"model": MODEL, "max_tokens": 20, "messages": []}).encode()
    headers = {"x-api-key": key.secret, **({} if called is None else {"content-type": called})}
    answer = httpx.post(gateway.origin + path, content=body, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert anthropic_provider.last.header("content-type") == ["application/json"]
    assert anthropic_provider.last.body == body


def test_a_page_on_another_origin_is_the_gateways_business_alone(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    body = {"model": MODEL, "max_tokens": 20, "messages": []}
    page = {"origin": "https://app.example", "referer": "https://app.example/chat", "sec-fetch-mode": "cors"}
    headers = {"x-api-key": key.secret, "cf-ipcountry": "NZ", **page}
    answer = httpx.post(f"{gateway.origin}/v1/messages", json=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    sent = {name.lower() for name, _ in anthropic_provider.last.headers}
    assert sent.isdisjoint((*page, "cf-ipcountry"))
