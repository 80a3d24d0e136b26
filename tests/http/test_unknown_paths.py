"""Paths that are not there, and upgrades of paths that have none: said in the shape of the API that was meant."""

from typing import Any

import httpx
import pytest
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey


def ask(
    gateway: Gateway, key: MintedKey, method: str, path: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    sent = {"x-api-key": key.secret, "origin": "https://app.example", **(headers or {})}
    return httpx.request(method, gateway.origin + path, headers=sent, trust_env=False, timeout=20)


def code_of(body: Any) -> tuple[str, str]:
    """Whose shape an error has, and its code."""
    if "err_code" in body:
        return "deepgram", body["err_code"]
    if "detail" in body:
        return "elevenlabs", body["detail"]["status"]
    if body.get("type") == "error":
        return "anthropic", body["error"]["code"]
    if "details" in body["error"]:
        return "google", body["error"]["details"][0]["reason"]
    return "openai", body["error"]["code"]


@pytest.mark.parametrize(
    ("method", "path", "status", "shape", "code"),
    [
        ("POST", "/v1/images/variations", 404, "openai", "not_found"),
        ("GET", "/v1/chat", 404, "openai", "not_found"),
        ("POST", "/v1/messages/x", 404, "anthropic", "not_found"),
        ("GET", "/v1/unknown", 404, "anthropic", "not_found"),
        ("GET", "/google", 404, "google", "not_found"),
        ("GET", "/v1/language-models", 404, "openai", "not_found"),
        ("POST", "/v1/voices/add", 405, "elevenlabs", "method_not_allowed"),
        ("POST", "/v1beta/models/veo-3:tuneSomething", 400, "google", "route_not_metered"),
        ("GET", "/v1beta/files", 400, "google", "route_not_metered"),
        ("POST", "/v1/text-to-speech/v/unknown", 400, "elevenlabs", "route_not_metered"),
        ("GET", "/v1/listen/x", 400, "deepgram", "route_not_metered"),
        ("DELETE", "/v1beta/models", 405, "google", "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "openai", "method_not_allowed"),
        ("PUT", "/v1/realtime", 405, "openai", "method_not_allowed"),
        ("PUT", "/v2/listen", 400, "deepgram", "route_not_metered"),
    ],
)
def test_what_is_not_there_is_said_in_the_shape_of_its_surface(
    gateway: Gateway, key: MintedKey, method: str, path: str, status: int, shape: str, code: str
) -> None:
    answer = ask(gateway, key, method, path)
    assert (answer.status_code, *code_of(answer.json())) == (status, shape, code)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-request-id"] == answer.headers["request-id"]


def test_a_path_that_stands_below_a_name_is_named_there(gateway: Gateway, key: MintedKey) -> None:
    answer = ask(gateway, key, "GET", "/v1/language-models")
    assert "/xai/v1/language-models" in answer.json()["error"]["message"]


def test_an_unprefixed_path_without_a_rule_asks_for_a_key_first(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.origin}/v1beta/files", trust_env=False)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_an_uncapped_admin_key_reaches_googles_other_paths_without_its_name(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    admin = gateway.mint(scope="admin")
    ask(gateway, admin, "GET", "/v1beta/files?pageSize=3")
    assert google_provider.last.target == "/v1beta/files?pageSize=3"


UPGRADE = {"connection": "upgrade", "upgrade": "websocket"}


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/deepgram/v1/projects", "deepgram"),
        ("/openai/v1/models", "openai"),
        ("/v1/models", "openai"),
        ("/v1beta/models", "google"),
        ("/v1/keys", "anthropic"),
        ("/elevenlabs/v1/voices", "elevenlabs"),
    ],
)
def test_no_path_without_a_websocket_is_served_as_if_nobody_had_asked_for_one(
    gateway: Gateway, key: MintedKey, path: str, shape: str
) -> None:
    answer = ask(gateway, key, "GET", path, UPGRADE)
    assert (answer.status_code, *code_of(answer.json())) == (400, shape, "websocket_not_supported")


@pytest.mark.parametrize("path", ["/deepgram/v2/listen", "/elevenlabs/v1/text-to-speech/v/stream-input"])
def test_a_live_path_without_a_handshake_says_what_it_is(gateway: Gateway, key: MintedKey, path: str) -> None:
    answer = ask(gateway, key, "GET", path)
    assert (answer.status_code, "WebSocket" in answer.text) == (400, True)
