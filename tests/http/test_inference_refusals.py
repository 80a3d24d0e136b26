"""What the gateway refuses on the model surfaces: the status, the code, a sentence that says what to do, the shape of
the surface, the headers of every answer. A refusal holds nothing, writes no event, and sends nothing upstream.
"""

import json
import time
from typing import Any

import httpx
import pytest
from tests.support.fake_anthropic import MODEL as CLAUDE
from tests.support.fake_openai import MODEL as GPT
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey, until

ORIGIN = {"origin": "https://app.example"}
SURFACES = {"anthropic": ("/v1/messages", CLAUDE), "openai": ("/v1/chat/completions", GPT)}
UNKNOWN_KEY = "qlk_live_" + "0" * 64

both_surfaces = pytest.mark.parametrize("surface", SURFACES)


def body(surface: str, **fields: object) -> dict[str, Any]:
    """A call that would be served."""
    asked = {"model": SURFACES[surface][1], "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    return {**asked, **fields}


def post(gateway: Gateway, surface: str, content: object, headers: dict[str, str]) -> httpx.Response:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    url = gateway.origin + SURFACES[surface][0]
    return httpx.post(url, content=raw, headers={**ORIGIN, **headers}, trust_env=False, timeout=20)


def check(answer: httpx.Response, surface: str, status: int, code: str) -> str:
    """The sentence of an error that has the shape of its surface and what every answer carries."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == answer.headers["request-id"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-request-id" in answer.headers["access-control-expose-headers"]
    told = answer.json()
    if surface == "anthropic":
        assert set(told) == {"type", "error", "request_id"}
        assert (told["type"], told["request_id"]) == ("error", answer.headers["request-id"])
        assert {"type", "message", "code"} <= set(told["error"])
    else:
        assert set(told) == {"error"}
        assert set(told["error"]) == {"message", "type", "param", "code"}
    assert told["error"]["code"] == code
    assert UNKNOWN_KEY not in answer.text
    return told["error"]["message"]


def check_untouched(gateway: Gateway, key: MintedKey, *providers: FakeProvider) -> None:
    usage = gateway.usage(key)
    assert (usage["held_micros"], usage["cost_micros"], usage["events"]) == (0, 0, [])
    assert [provider.calls for provider in providers] == [[] for _ in providers]


BAD_BODIES: dict[str, tuple[bytes, str, str]] = {
    "broken": (b'{\n  "model": "x",\n  "max_tokens": }', "invalid_json", "line 3 column 17 (byte 34)"),
    "cut": (b'{"model": "x"', "invalid_json", "line 1 column 14 (byte 13)"),
    "empty": (b"", "invalid_json", "the body is empty"),
    "two values": (b'{"model":"x"}{}', "invalid_json", "(byte 13)"),
    "a byte order mark": (b'\xef\xbb\xbf{"model":"x"}', "invalid_json", "byte order mark"),
    "not UTF-8": (b'{"model":"\xff\xfe"}', "invalid_request", "`model`"),
    "a lone surrogate": (b'{"model":"\\ud800"}', "invalid_json", "(byte"),
    "too deep": (b'{"messages":' + b"[" * 100_000, "invalid_json", "nested too deeply"),
    "a list": (b"[]", "invalid_request", "must be a JSON object"),
    "a number": (b"5", "invalid_request", "must be a JSON object"),
    "nothing asked": (b"{}", "invalid_request", "`model` is missing"),
    "a name twice": (b'{"model":"a","model":"b"}', "invalid_request", "`model` stands twice"),
    "a name twice, escaped": (b'{"model":"a","mode\\u006c":"b"}', "invalid_request", "`model` stands twice"),
    "model no text": (b'{"model":7}', "invalid_request", "`model` must be a string"),
    "stream no flag": (b'{"model":"sim/echo","stream":"yes"}', "invalid_request", "`stream`"),
    "no tokens": (b'{"model":"sim/echo","max_tokens":-1}', "invalid_request", "`max_tokens`"),
    "a fraction": (b'{"model":"sim/echo","max_tokens":1.5}', "invalid_request", "`max_tokens`"),
    "text": (b'{"model":"sim/echo","max_tokens":"10"}', "invalid_request", "`max_tokens`"),
    "too many": (b'{"model":"sim/echo","max_tokens":2147483648}', "invalid_request", "2147483647"),
    "absurdly many": (
        b'{"model":"sim/echo","max_tokens":1' + b"0" * 5000 + b"}",
        "invalid_request",
        "`max_tokens`",
    ),
}


@both_surfaces
@pytest.mark.parametrize("bad", BAD_BODIES)
def test_a_bad_body_is_refused_with_its_place_or_its_field(
    gateway: Gateway, key: MintedKey, surface: str, bad: str
) -> None:
    raw, code, words = BAD_BODIES[bad]
    sentence = check(post(gateway, surface, raw, {"x-api-key": key.secret}), surface, 400, code)
    assert words in sentence
    check_untouched(gateway, key)


@both_surfaces
@pytest.mark.parametrize("bad", ["broken", "nothing asked", "model no text"])
def test_a_caller_nobody_knows_learns_nothing_about_his_body(
    gateway: Gateway, surface: str, bad: str
) -> None:
    answer = post(gateway, surface, BAD_BODIES[bad][0], {"x-api-key": UNKNOWN_KEY})
    assert "not known here" in check(answer, surface, 401, "invalid_key")


@both_surfaces
def test_a_character_no_database_stores_is_refused_by_name(
    gateway: Gateway, key: MintedKey, surface: str
) -> None:
    user = {"metadata": {"user_id": "a\0b"}} if surface == "anthropic" else {"user": "a\0b"}
    answer = post(gateway, surface, body(surface, **user), {"x-api-key": key.secret})
    assert "NUL" in check(answer, surface, 400, "invalid_request")
    check_untouched(gateway, key)


@both_surfaces
def test_an_unknown_model_is_told_with_the_three_nearest(
    gateway: Gateway, key: MintedKey, surface: str
) -> None:
    answer = post(gateway, surface, body(surface, model="claude-haiku-45"), {"x-api-key": key.secret})
    sentence = check(answer, surface, 404, "model_not_found")
    assert sentence.startswith('unknown model "claude-haiku-45"; nearest: claude-haiku-4-5, ')
    assert len(sentence.split("nearest: ")[1].split(", ")) == 3
    check_untouched(gateway, key)


@both_surfaces
def test_a_model_name_of_a_megabyte_costs_no_more_than_a_short_one(
    gateway: Gateway, key: MintedKey, surface: str
) -> None:
    began = time.monotonic()
    answer = post(gateway, surface, body(surface, model="m" * 1_000_000), {"x-api-key": key.secret})
    check(answer, surface, 404, "model_not_found")
    assert len(answer.content) < 1000
    assert time.monotonic() - began < 2


def test_a_model_of_another_surface_is_refused_with_the_path_that_takes_it(
    gateway: Gateway, key: MintedKey
) -> None:
    answer = post(gateway, "anthropic", body("anthropic", model="whisper-1"), {"x-api-key": key.secret})
    message = check(answer, "anthropic", 400, "invalid_request")
    assert "/v1/audio/transcriptions or /v1/audio/translations" in message
    check_untouched(gateway, key)


@pytest.mark.parametrize(
    ("path", "fields", "place"),
    [
        ("/v1/messages", {"model": "gpt-4o-mini"}, "/v1/chat/completions or /v1/responses"),
        ("/v1/chat/completions", {"model": "claude-haiku-4-5"}, "/v1/messages"),
        ("/v1/responses", {"model": "claude-haiku-4-5", "input": "hi"}, "/v1/messages"),
        ("/v1/chat/completions", {"model": "text-embedding-3-large"}, "/v1/embeddings"),
        ("/v1/chat/completions", {"model": "gpt-4o-mini-tts"}, "/v1/audio/speech"),
        ("/v1/audio/speech", {"model": "eleven_turbo_v2_5"}, "/v1/text-to-speech/{voice}"),
        ("/v1/images/generations", {"model": "nano-banana"}, "/v1beta/models/nano-banana:generateContent"),
        ("/v1/embeddings", {"model": "gpt-4o-mini"}, "/v1/chat/completions"),
        ("/v1/embeddings", {"model": "sonic-2"}, "/cartesia/tts/bytes"),
        ("/v1/videos", {"model": "gpt-image-1", "prompt": "x"}, "/v1/images/generations"),
        ("/v1/videos/generations", {"model": "gpt-4o-mini", "prompt": "x"}, "/v1/chat/completions"),
        ("/v1/embeddings", {"model": "nova-3"}, "/v1/listen or /v1/listen (WebSocket)"),
    ],
)
def test_whoever_asks_on_the_wrong_path_is_told_the_right_one(
    gateway: Gateway, key: MintedKey, path: str, fields: dict[str, object], place: str
) -> None:
    headers = {"x-api-key": key.secret}
    sent = {**body("openai"), "input": "x", "voice": "alloy", **fields}
    answer = httpx.post(gateway.origin + path, json=sent, headers=headers, trust_env=False)
    assert answer.status_code == 400, answer.text
    message: str = answer.json()["error"]["message"]
    assert message.partition("call it on ")[2].startswith(place), message


@pytest.mark.parametrize(
    ("path", "model", "told"),
    [
        ("/anthropic/v1/messages", "claude-haiku-45", "nearest at Anthropic: claude-haiku-4-5"),
        (
            "/v1beta/models/gemini-2.5-flas:generateContent",
            "",
            "nearest at Google AI Studio: gemini-2.5-flash",
        ),
        ("/openai/v1/chat/completions", "claude-haiku-4-5", "not have it at OpenAI; call it on /v1/messages"),
        ("/v1beta/models/gpt-4o-mini:generateContent", "", "call it on /v1/chat/completions"),
    ],
)
def test_a_model_that_a_provider_is_not_known_to_have_is_refused_with_what_it_may_have_been(
    gateway: Gateway, key: MintedKey, path: str, model: str, told: str
) -> None:
    sent = {**body("anthropic"), "model": model} if model else {"contents": []}
    answer = httpx.post(gateway.origin + path, json=sent, headers={"x-api-key": key.secret}, trust_env=False)
    assert answer.status_code == 400, answer.text
    message: str = answer.json()["error"]["message"]
    assert "has no price" in message
    assert told in message


def test_what_has_no_price_is_refused_on_a_key_with_a_cap(
    gateway: Gateway, key: MintedKey, openai_provider: FakeProvider
) -> None:
    answer = post(gateway, "openai", body("openai", service_tier="ultrafast"), {"x-api-key": key.secret})
    assert "has no price" in check(answer, "openai", 400, "model_not_priced")
    check_untouched(gateway, key, openai_provider)


@both_surfaces
def test_a_tool_of_the_provider_without_a_bound_is_refused_on_a_key_with_a_cap(
    gateway: Gateway, key: MintedKey, surface: str
) -> None:
    tools = {"tools": [{"type": "code_interpreter_20991231", "name": "run"}]}
    answer = post(gateway, surface, body(surface, **tools), {"x-api-key": key.secret})
    assert "code_interpreter_20991231" in check(answer, surface, 400, "provider_tool_not_metered")
    check_untouched(gateway, key)


@both_surfaces
@pytest.mark.parametrize("asked", [200_001, 2_147_483_647])
def test_an_absurd_limit_is_lowered_to_what_the_cap_can_pay(
    gateway: Gateway,
    surface: str,
    asked: int,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
) -> None:
    key = gateway.mint(max_spend_usd="0.1")
    fields: dict[str, object] = {"n": 2} if surface == "openai" else {}
    answer = post(gateway, surface, body(surface, max_tokens=asked, **fields), {"x-api-key": key.secret})
    assert answer.status_code == 200, answer.text
    sent = (anthropic_provider if surface == "anthropic" else openai_provider).last.json
    applied = int(answer.headers["x-qlaud-max-tokens-applied"])
    assert sent["max_tokens"] == applied if surface == "anthropic" else applied in sent.values()
    assert 0 < applied < 5000, "0.1 USD at 20 micros a token, or at 10 for each of two candidates"


CREDENTIALS: dict[str, tuple[dict[str, str], str, str]] = {
    "none": ({}, "missing_key", "send yours as `x-api-key` or `Authorization: Bearer`"),
    "empty": ({"x-api-key": "", "authorization": "Bearer"}, "missing_key", "no API key"),
    "basic": ({"authorization": "Basic dXNlcjpwYXNz"}, "missing_key", "no API key"),
    "a vendor's": ({"x-api-key": "sk-ant-0123456789"}, "invalid_key", "not known here"),
    "unknown": ({"x-api-key": UNKNOWN_KEY}, "invalid_key", "not known here"),
    "upper case": ({"x-api-key": UNKNOWN_KEY.upper()}, "invalid_key", "not known here"),
    "too long": ({"x-api-key": UNKNOWN_KEY + "0"}, "invalid_key", "not known here"),
    "two": (
        {"x-api-key": UNKNOWN_KEY, "authorization": "Bearer qlk_live_" + "1" * 64},
        "conflicting_credentials",
        "send one",
    ),
}


@both_surfaces
@pytest.mark.parametrize("form", CREDENTIALS)
def test_a_credential_that_opens_nothing_is_refused_with_what_to_send(
    gateway: Gateway, surface: str, form: str
) -> None:
    headers, code, words = CREDENTIALS[form]
    assert words in check(post(gateway, surface, body(surface), headers), surface, 401, code)


@both_surfaces
def test_a_key_is_dead_from_the_moment_it_is_revoked_expired_or_rotated(
    gateway: Gateway, surface: str, anthropic_provider: FakeProvider, openai_provider: FakeProvider
) -> None:
    revoked, expired, rotated = gateway.mint(), gateway.mint(), gateway.mint()
    assert gateway.api("DELETE", f"/v1/keys/{revoked.id}").status_code == 200
    assert gateway.api("PATCH", f"/v1/keys/{expired.id}", {"expires_at": 1}).status_code == 200
    assert gateway.api("POST", f"/v1/keys/{rotated.id}/rotate", {}).status_code == 200
    for key, code in ((revoked, "revoked_key"), (expired, "expired_key"), (rotated, "invalid_key")):
        check(post(gateway, surface, body(surface), {"x-api-key": key.secret}), surface, 401, code)
        check_untouched(gateway, key, anthropic_provider, openai_provider)


@both_surfaces
def test_a_model_that_is_not_allowed_is_refused_by_name(gateway: Gateway, surface: str) -> None:
    key = gateway.mint(allowed_models=["sim/*"])
    answer = post(gateway, surface, body(surface), {"x-api-key": key.secret})
    assert SURFACES[surface][1] in check(answer, surface, 403, "model_not_allowed")
    check_untouched(gateway, key)


def test_a_model_that_is_not_allowed_is_not_described(gateway: Gateway) -> None:
    key = gateway.mint(allowed_models=["sim/*"])
    headers = {**ORIGIN, "x-api-key": key.secret}
    one = httpx.get(f"{gateway.origin}/v1/models/{SURFACES['openai'][1]}", headers=headers, trust_env=False)
    check(one, "openai", 403, "model_not_allowed")


@both_surfaces
def test_spent_money_is_a_402_that_no_client_retries(gateway: Gateway, surface: str) -> None:
    key = gateway.mint(max_spend_usd=0)
    answer = post(gateway, surface, body(surface), {"x-api-key": key.secret})
    sentence = check(answer, surface, 402, "key_cap_exceeded")
    assert sentence.startswith("this API key has reached its spending cap")
    kind = {"anthropic": "authentication_error", "openai": "insufficient_quota"}[surface]
    assert answer.json()["error"]["type"] == kind
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    check_untouched(gateway, key)


@both_surfaces
def test_requests_beyond_the_keys_pace_are_told_when_to_come_again(gateway: Gateway, surface: str) -> None:
    key = gateway.mint(rpm_limit=1)
    first = post(gateway, surface, body(surface), {"x-api-key": key.secret})
    assert first.status_code == 200
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    gateway.wait_settled(key, 1)
    answer = post(gateway, surface, body(surface), {"x-api-key": key.secret})
    assert "1 requests a minute" in check(answer, surface, 429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert len(gateway.usage(key)["events"]) == 1


def test_a_call_beyond_those_in_flight_is_told_to_wait(gateway: Gateway) -> None:
    key = gateway.mint(mode="test", max_parallel=1)
    slow = body(
        "anthropic", model="sim/slow", stream=True, messages=[{"role": "user", "content": "a b c " * 8}]
    )
    with httpx.stream(
        "POST", f"{gateway.origin}/v1/messages", json=slow, headers={"x-api-key": key.secret}, trust_env=False
    ):
        answer = post(gateway, "anthropic", body("anthropic"), {"x-api-key": key.secret})
        assert "may have 1 calls in flight" in check(answer, "anthropic", 429, "parallel_limited")
        assert answer.headers["retry-after"] == "1"
    until(lambda: gateway.key(key)["held_micros"] == 0, "the slow call is settled")


@both_surfaces
def test_a_wrong_method_is_told_the_right_one(gateway: Gateway, key: MintedKey, surface: str) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        url = gateway.origin + SURFACES[surface][0]
        answer = httpx.request(method, url, headers={**ORIGIN, "x-api-key": key.secret}, trust_env=False)
        assert "POST" in check(answer, surface, 405, "method_not_allowed")
        assert answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/chat/completions", "/v1/keys", "/v1/nothing", "/metrics"]
)
def test_a_preflight_allows_whatever_it_asks_for(gateway: Gateway, path: str) -> None:
    asked = {
        **ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-stainless-os, anthropic-version",
    }
    answer = httpx.options(gateway.origin + path, headers=asked, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE, OPTIONS"
    assert answer.headers["access-control-max-age"] == "86400"
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {
        "x-api-key", "authorization", "content-type", "accept", "last-event-id", "x-stainless-os", "anthropic-version"
    }  # fmt: skip
    assert "access-control-allow-credentials" not in answer.headers


def test_what_counts_and_lists_models_refuses_alike(gateway: Gateway, key: MintedKey) -> None:
    counting = f"{gateway.origin}/v1/messages/count_tokens"
    for headers, raw, status, code in (
        ({}, b"{}", 401, "missing_key"),
        ({"x-api-key": UNKNOWN_KEY}, b"{}", 401, "invalid_key"),
        ({"x-api-key": key.secret}, b"{", 400, "invalid_json"),
        ({"x-api-key": key.secret}, b'{"model":"claude-haiku-45"}', 404, "model_not_found"),
    ):
        answer = httpx.post(counting, content=raw, headers={**ORIGIN, **headers}, trust_env=False)
        check(answer, "anthropic", status, code)
    for headers, surface in (({"anthropic-version": "2023-06-01"}, "anthropic"), ({}, "openai")):
        url = f"{gateway.origin}/v1/models"
        check(httpx.get(url, headers={**ORIGIN, **headers}, trust_env=False), surface, 401, "missing_key")
        known = {**ORIGIN, **headers, "x-api-key": key.secret}
        one = httpx.get(f"{url}/claude-haiku-45", headers=known, trust_env=False)
        check(one, surface, 404, "model_not_found")
    check_untouched(gateway, key)
