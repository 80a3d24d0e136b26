"""Providers that are slow, break off, lie about usage, never end, or send garbage: the caller gets an answer that says
so, the key pays at most its hold, and the call ends in exactly one event.
"""

import json
from typing import Any

import httpx
import pytest
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import Answer, FakeProvider, Gate, HangUp, answer_json
from tests.support.gateway import Gateway, MintedKey

CLAUDE = {"model": fake_anthropic.MODEL, "max_tokens": 400, "messages": [{"role": "user", "content": "hi"}]}
GPT = {"model": fake_openai.MODEL, "max_tokens": 400, "messages": [{"role": "user", "content": "hi"}]}
CAP_MICROS = 1_000_000
EVENTS = "text/event-stream; charset=utf-8"


def ask(gateway: Gateway, key: MintedKey, body: dict[str, Any] = CLAUDE, **fields: object) -> httpx.Response:
    path = "/v1/messages" if body is CLAUDE else "/v1/chat/completions"
    headers = {"x-api-key": key.secret, "origin": "https://app.example"}
    return httpx.post(
        gateway.origin + path, json={**body, **fields}, headers=headers, trust_env=False, timeout=20
    )


def only_event(gateway: Gateway, key: MintedKey) -> dict[str, Any]:
    """The one event of a key that holds nothing more; its cost is what the key has spent, within the cap."""
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert 0 <= event["cost_micros"] == usage["cost_micros"] <= CAP_MICROS
    return event


def raw(content: bytes, content_type: str = "application/json", **headers: str) -> Answer:
    return Answer([content], content_type=content_type, headers=tuple(headers.items()))


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_a_provider_that_says_nothing_is_a_504_and_paid_for_as_an_estimate(
    gateway: Gateway,
    key: MintedKey,
    wire: str,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
) -> None:
    provider, body = (anthropic_provider, CLAUDE) if wire == "anthropic" else (openai_provider, GPT)
    provider.script(answer_json({}, gate=Gate()))
    answer = ask(gateway, key, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert answer.headers["access-control-allow-origin"] == "*"
    event = only_event(gateway, key)
    assert (event["status"], event["estimated"], event["output_tokens"]) == (504, True, 0)
    assert event["cost_micros"] > 0, "it may have worked on the input"
    assert event["id"] == answer.headers["x-request-id"]
    assert provider.last.hung_up.wait(5)


@pytest.mark.parametrize("wire", ["anthropic", "openai"])
@pytest.mark.parametrize(("end", "code"), [("stall", "upstream_timeout"), ("hang up", "upstream_error")])
def test_a_stream_that_stops_in_the_middle_ends_in_an_error_event(
    gateway: Gateway,
    key: MintedKey,
    wire: str,
    end: str,
    code: str,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
) -> None:
    provider, body = (anthropic_provider, CLAUDE) if wire == "anthropic" else (openai_provider, GPT)
    if wire == "anthropic":
        stream = fake_anthropic.text_stream(gate=Gate())
    else:
        stream = fake_openai.text_stream(include_usage=True, gate=Gate())
    if end == "hang up":
        stream = Answer(
            [HangUp() if isinstance(part, Gate) else part for part in stream.parts],
            content_type=stream.content_type,
            headers=stream.headers,
            stream=True,
        )
    provider.script(stream)
    answer = ask(gateway, key, body, stream=True)
    assert answer.status_code == 200
    assert "Hello" in answer.text
    last = answer.text.strip().split("\n\n")[-1]
    told = json.loads(last.split("data: ")[1])
    assert told["error"]["code"] == code
    assert last.startswith("event: error\n") == (wire == "anthropic")
    event = only_event(gateway, key)
    assert (event["status"], event["estimated"]) == (504 if end == "stall" else 502, True)
    assert event["output_tokens"] >= 1


def test_a_whole_answer_that_breaks_off_is_an_error_and_never_looks_whole(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    anthropic_provider.script(Answer([b'{"id":"msg_1","content":[{"ty', HangUp()], stream=True))
    answer = ask(gateway, key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert only_event(gateway, key)["estimated"] is True


WORTHLESS = {
    "a page": raw(b"<html><body>Bad gateway</body></html>", "text/html"),
    "a page that says it is JSON": raw(b"<html></html>"),
    "nothing": raw(b""),
    "other JSON": raw(b'{"hello":["world"]}'),
    "a list": raw(b"[1,2,3]"),
    "binary": raw(bytes(range(256)) * 40, "application/octet-stream"),
    "no stream at all": raw(b"\xff\xfe\x00garbage\n\n\n\ndata: {\n\n", EVENTS),
    "a stream of nothing": raw(b"", EVENTS),
    "no content": Answer([b""], status=204),
}
"""Whole answers without a sign of work: they cost nothing."""

UNREADABLE = {
    "cut JSON": raw(b'{"id":"msg_1","usage":{"input_tok'),
    "deep JSON": raw(b'{"usage":' + b"[" * 50_000),
    "false gzip": raw(b"this is not gzip", **{"content-encoding": "gzip"}),
    "an unknown coding": raw(b"\x28\xb5\x2f\xfd", **{"content-encoding": "zstd"}),
    "an endless line": raw(b"data: " + b"x" * 3_000_000, EVENTS),
}
"""Answers that may hold work nobody can read: their input is paid for, as an estimate."""


@pytest.mark.parametrize("kind", [*WORTHLESS, *UNREADABLE])
@pytest.mark.parametrize("stream", [False, True])
def test_garbage_breaks_nothing_and_is_paid_for_only_where_it_may_hide_work(
    gateway: Gateway, key: MintedKey, kind: str, stream: bool, anthropic_provider: FakeProvider
) -> None:
    anthropic_provider.script(WORTHLESS.get(kind) or UNREADABLE[kind])
    try:
        answer = ask(gateway, key, stream=stream)
    except httpx.DecodingError:
        assert kind == "false gzip", "bytes are handed on as they came"
    else:
        assert answer.headers["x-request-id"] == answer.headers["request-id"]
        assert answer.status_code == (204 if kind == "no content" else 200)
    event = only_event(gateway, key)
    assert event["estimated"] == (kind in UNREADABLE)
    assert (event["cost_micros"] > 0) == (kind in UNREADABLE)
    assert ask(gateway, key).status_code == 200, "the next call is served"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_neither_followed_nor_handed_on(
    gateway: Gateway, key: MintedKey, status: int, anthropic_provider: FakeProvider
) -> None:
    anthropic_provider.script(Answer([b""], status=status, headers=(("location", "https://evil.test/"),)))
    answer = ask(gateway, key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert "location" not in answer.headers
    assert "must check its base URL" in answer.json()["error"]["message"]
    assert only_event(gateway, key)["cost_micros"] == 0
    assert len(anthropic_provider.calls) == 1


@pytest.mark.parametrize(
    "header",
    [
        "x-evil: a\x01b",
        "x evil: a",
        "x-evil: a\r\n folded",
        "content-length: 5\r\ncontent-length: 6",
        ": nameless",
    ],
)
def test_a_head_no_client_should_see_does_not_reach_one(
    gateway: Gateway, key: MintedKey, header: str, anthropic_provider: FakeProvider
) -> None:
    name, _, value = header.partition(": ")
    anthropic_provider.script(Answer([b"{}"], headers=((name, value),)))
    answer = ask(gateway, key)
    assert answer.status_code in (200, 502)
    assert "x-evil" not in answer.headers or answer.headers["x-evil"] in ("a folded", "a  folded")
    event = only_event(gateway, key)
    assert event["estimated"] is True


LIES: dict[str, dict[str, Any]] = {
    "negative": {"input_tokens": -5, "output_tokens": -1000},
    "text": {"input_tokens": "many", "output_tokens": "3"},
    "beyond 64 bits": {"input_tokens": 10**30, "output_tokens": 10**30},
    "at the edge": {"input_tokens": 2**53 - 1, "output_tokens": 2**53 - 1},
    "not a number": {"input_tokens": None, "output_tokens": [7]},
    "fractions": {"input_tokens": 1.5, "output_tokens": 2.25},
    "no object": [1, 2],  # type: ignore[dict-item]
    "NUL": {"input_tokens": 5, "output_tokens": 5, "service_tier": "\0", "inference_geo": "\0"},
    "more than was allowed": {"input_tokens": 10, "output_tokens": 4000},
    "more than the cap": {"input_tokens": 10, "output_tokens": 10_000_000},
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_a_lie_about_usage_never_takes_a_key_past_its_cap_nor_loses_the_call(
    gateway: Gateway,
    key: MintedKey,
    lie: str,
    wire: str,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
) -> None:
    usage = LIES[lie]
    if wire == "anthropic":
        said = {"id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}
        anthropic_provider.script(answer_json({**said, "usage": usage}))
        answer = ask(gateway, key)
    else:
        if isinstance(usage, dict):
            usage = {
                **{name: value for name, value in usage.items() if not name.endswith("tokens")},
                "prompt_tokens": usage["input_tokens"],
                "completion_tokens": usage["output_tokens"],
            }
        openai_provider.script(answer_json({"id": "c", "choices": [], "usage": usage}))
        answer = ask(gateway, key, GPT)
    assert answer.status_code == 200
    event = only_event(gateway, key)
    assert int(answer.headers["x-qlaud-cost-micros"]) == event["cost_micros"]
    assert gateway.read(f"/v1/holds?key_id={key.id}")["data"] == []
    if lie == "more than was allowed":
        assert event["output_tokens"] == 4000, (
            "what the provider bills is what is posted, as far as the cap reaches"
        )
    if lie == "more than the cap":
        assert event["cost_micros"] == CAP_MICROS


def test_a_stream_without_end_is_cut_where_the_money_ends(
    gateway: Gateway, anthropic_provider: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd="0.05")
    anthropic_provider.script(fake_anthropic.text_stream(words=["word"] * 20_000))
    answer = ask(gateway, key, stream=True)
    events = answer.text.strip().split("\n\n")
    assert events[-1].startswith("event: message_stop\n")
    assert '"stop_reason":"max_tokens"' in events[-2]
    assert answer.text.count("content_block_delta") < 2 * 20_000 - 2
    usage = gateway.wait_settled(key, 1)
    assert usage["cost_micros"] <= 50_000
    assert usage["events"][0]["estimated"] is True


@pytest.mark.parametrize(
    ("status", "given", "code"),
    [
        (400, 400, None), (404, 404, None), (413, 413, None), (422, 422, None),
        (401, 502, "provider_auth_failed"), (402, 502, "provider_auth_failed"), (403, 502, "provider_auth_failed"),
        (429, 429, "upstream_rate_limited"), (529, 529, "upstream_overloaded"),
        (500, 500, "upstream_error"), (503, 503, "upstream_error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wire", ["anthropic", "openai"])
def test_a_providers_refusal_keeps_its_status_unless_it_is_about_the_operator(
    gateway: Gateway,
    key: MintedKey,
    status: int,
    given: int,
    code: str | None,
    wire: str,
    anthropic_provider: FakeProvider,
    openai_provider: FakeProvider,
) -> None:
    if wire == "anthropic":
        anthropic_provider.script(fake_anthropic.refusal(status, "as scripted"))
        answer = ask(gateway, key)
    else:
        openai_provider.script(fake_openai.refusal(status, "as scripted"))
        answer = ask(gateway, key, GPT)
    assert answer.status_code == given, answer.text
    told = answer.json()["error"]
    if code is None:
        assert told["message"] == "as scripted"
    else:
        assert told["code"] == code
    if code == "provider_auth_failed":
        assert "as scripted" not in answer.text
        assert answer.headers["x-should-retry"] == "false"
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["status"], event["estimated"]) == (0, status, False)


def test_an_operator_without_money_is_no_rate_limit_that_clients_wait_for(
    gateway: Gateway, key: MintedKey, openai_provider: FakeProvider
) -> None:
    told = {"message": "You exceeded your current quota", "type": "insufficient_quota", "param": None}
    openai_provider.script(answer_json({"error": {**told, "code": "insufficient_quota"}}, status=429))
    answer = ask(gateway, key, GPT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_auth_failed")
    assert answer.headers["x-should-retry"] == "false"
    assert "quota" not in answer.text
