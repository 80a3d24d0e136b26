"""Google's own paths through the whole gateway: bodies go up and answers come down byte for byte, the key is held and
billed by Google's last usage, and everything the gateway says itself has Google's shape.
"""

import base64
import json
from typing import Any

import httpx
import pytest
from tests.support import fake_google as fake
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, HangUp, Part, answer_json
from tests.support.gateway import OPERATOR_KEYS, Gateway, MintedKey, until

SSE = "alt=sse"
HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
SEARCH = {**HELLO, "tools": [{"googleSearch": {}}]}
CACHED = {**HELLO, "cachedContent": "cachedContents/abc"}


def url(
    verb: str = "generateContent", *, model: str = fake.MODEL, base: str = "/v1beta", query: str = ""
) -> str:
    return f"{base}/models/{model}:{verb}{'?' if query else ''}{query}"


def ask(
    gateway: Gateway, key: MintedKey, body: object = HELLO, path: str = "", **headers: str
) -> httpx.Response:
    """A POST with the key as Google's SDK sends it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"x-goog-api-key": key.secret, **headers}
    return httpx.post(
        gateway.origin + (path or url()), content=content, headers=given, trust_env=False, timeout=20
    )


def only_event(gateway: Gateway, key: MintedKey) -> dict[str, Any]:
    """The one event of a key that holds nothing more."""
    usage = gateway.wait_settled(key, 1)
    (event,) = usage["events"]
    assert event["cost_micros"] == usage["cost_micros"]
    return event


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, Google's word for it, and our code of an error that the gateway wrote."""
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    (info,) = error["details"]
    assert (error["code"], info["domain"]) == (answer.status_code, "qlaud")
    return answer.status_code, error["status"], info["reason"]


@pytest.mark.parametrize("base", ["/v1beta", "/v1", "/v1alpha", "/google/v1beta", "/google/v1"])
def test_a_call_passes_as_it_is_and_is_billed_to_the_micro(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider, base: str
) -> None:
    body = b'{ "contents" : [{"parts":[{"text":"\\u00e9"}]}], "generationConfig":{"topP":0.10,"maxOutputTokens":300} }'
    answer = ask(gateway, key, body, url(base=base))
    assert answer.status_code == 200, answer.text
    assert answer.json()["candidates"][0]["content"]["parts"] == [{"text": fake.TEXT}]
    assert answer.headers["x-gemini-service-tier"] == "standard"
    assert answer.headers["x-qlaud-cost-micros"] == str(fake.COST_MICROS)
    assert "x-qlaud-max-tokens-applied" not in answer.headers
    call = google_provider.last
    assert call.body == body
    assert call.target == url(base=base.removeprefix("/google"))
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["estimated"], event["surface"]) == (
        fake.COST_MICROS,
        False,
        "generate_content",
    )
    assert (event["input_tokens"], event["cache_read_tokens"], event["output_tokens"]) == (396, 512, 297)


def test_a_stream_is_relayed_byte_for_byte_and_nothing_is_put_between_its_events(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    answer = ask(gateway, key, path=url("streamGenerateContent", query=SSE))
    sent = b"".join(part for part in fake.text_stream().parts if isinstance(part, bytes))
    assert answer.content == sent
    assert answer.headers["content-type"] == "text/event-stream"
    assert google_provider.last.target == url("streamGenerateContent", query=SSE)
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["estimated"], event["stream"]) == (fake.COST_MICROS, False, True)


def test_without_sse_the_stream_is_an_array_and_costs_the_same(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    answer = ask(gateway, key, path=url("streamGenerateContent"))
    assert [one["candidates"][0]["content"]["parts"][0]["text"] for one in answer.json()] == [
        "Hello",
        " there.",
    ]
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["estimated"], event["stream"]) == (fake.COST_MICROS, False, True)


def test_the_key_may_stand_in_the_query_and_never_goes_on(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    path = url("streamGenerateContent", query=f"key={key.secret}&{SSE}")
    answer = httpx.post(gateway.origin + path, json=HELLO, trust_env=False, timeout=20)
    assert answer.status_code == 200, answer.text
    call = google_provider.last
    assert call.target == url("streamGenerateContent", query=SSE)
    assert call.header("x-goog-api-key") == [OPERATOR_KEYS["google"]]
    assert key.secret not in str(call.headers)
    assert key.secret not in gateway.log


def test_what_would_hide_the_usage_is_refused_or_not_sent(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    refused = ask(gateway, key, path=url(query="fields=candidates"))
    assert error_of(refused) == (400, "INVALID_ARGUMENT", "unsupported_field")
    assert google_provider.calls == []
    masks = {
        "x-goog-fieldmask": "candidates",
        "x-http-method-override": "GET",
        "x-goog-api-client": "genai/3",
    }
    assert ask(gateway, key, **masks).status_code == 200
    call = google_provider.last
    assert (call.method, call.header("x-goog-fieldmask")) == ("POST", [])
    assert call.header("x-http-method-override") == []
    assert call.header("x-goog-api-client") == ["genai/3"]


def test_a_spent_key_gets_a_402_in_googles_shape(gateway: Gateway, google_provider: FakeProvider) -> None:
    broke = gateway.mint(max_spend_usd=0)
    for path in (url(), url("streamGenerateContent", query=SSE), url("embedContent", model=fake.EMBEDDER)):
        answer = ask(gateway, broke, {"content": HELLO["contents"][0]} if "embed" in path else HELLO, path)
        assert error_of(answer) == (402, "RESOURCE_EXHAUSTED", "key_cap_exceeded")
        assert answer.json()["error"]["message"].startswith("this API key has reached its spending cap")
        assert answer.headers["x-should-retry"] == "false"
    assert google_provider.calls == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"generationConfig": {"maxOutputTokens": 60_000}},
        {"generation_config": {"max_output_tokens": 60_000}},
    ],
)
def test_a_call_that_may_cost_too_much_is_sent_with_the_limit_that_was_held(
    gateway: Gateway, google_provider: FakeProvider, config: dict[str, Any]
) -> None:
    key = gateway.mint(max_spend_usd="0.01")
    answer = ask(gateway, key, {**HELLO, **config})
    assert answer.status_code == 200, answer.text
    applied = int(answer.headers["x-qlaud-max-tokens-applied"])
    assert 1000 < applied < 10_000 // 9
    sent = google_provider.last.json
    (inner,) = (sent[name] for name in ("generationConfig", "generation_config") if name in sent)
    assert list(inner.values()) == [applied]
    assert sent["contents"] == HELLO["contents"]
    assert only_event(gateway, key)["clamped"] is True


def test_a_key_that_refuses_tells_what_it_could_afford(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd="0.01", on_cap="refuse")
    answer = ask(gateway, key, {**HELLO, "generationConfig": {"maxOutputTokens": 60_000}})
    assert error_of(answer) == (402, "RESOURCE_EXHAUSTED", "key_cap_exceeded")
    assert "60000 output tokens asked for" in answer.json()["error"]["message"]
    assert google_provider.calls == []


def read_first(gateway: Gateway, key: MintedKey, path: str) -> None:
    """Begin a stream, read its first bytes, and hang up."""
    with (
        httpx.Client(trust_env=False, timeout=20) as client,
        client.stream(
            "POST", gateway.origin + path, json=HELLO, headers={"x-goog-api-key": key.secret}
        ) as answer,
    ):
        assert b"Hello" in next(answer.iter_bytes())


def test_a_caller_who_leaves_pays_for_the_last_usage_seen(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1, on_disconnect="cancel")
    google_provider.script(fake.text_stream(gate=Gate()))
    read_first(gateway, key, url("streamGenerateContent", query=SSE))
    assert google_provider.last.hung_up.wait(5)
    event = only_event(gateway, key)
    assert (event["estimated"], event["input_tokens"], event["cache_read_tokens"]) == (True, 264, 512)
    assert event["output_tokens"] == len("Hello")


def test_a_caller_who_leaves_may_be_waited_for(gateway: Gateway, google_provider: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1, on_disconnect="drain")
    gate = Gate()
    google_provider.script(fake.text_stream(gate=gate))
    read_first(gateway, key, url("streamGenerateContent", query=SSE))
    until(lambda: gateway.key(key)["held_micros"] > 0, "the call is still held for")
    gate.open()
    event = only_event(gateway, key)
    assert (event["estimated"], event["cost_micros"]) == (False, fake.COST_MICROS)


def broken_array() -> Answer:
    """An array that stops behind its first item."""
    first = next(part for part in fake.text_stream().parts if isinstance(part, bytes))
    parts: list[Part] = [b"[" + first[6:].strip() + b"\r\n,", HangUp()]
    return Answer(parts, headers=fake.HEADERS, stream=True)


@pytest.mark.parametrize("query", [SSE, ""])
def test_a_stream_that_breaks_off_ends_in_an_error_its_sdk_understands(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider, query: str
) -> None:
    google_provider.script(fake.text_stream(breaks_off=True) if query else broken_array())
    answer = ask(gateway, key, path=url("streamGenerateContent", query=query))
    assert answer.status_code == 200
    items = [json.loads(line[6:]) for line in answer.text.split("\r\n") if line] if query else answer.json()
    assert items[0]["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]
    error = items[-1]["error"]
    assert (error["code"], error["status"], error["details"][0]["reason"]) == (
        502,
        "UNAVAILABLE",
        "upstream_error",
    )
    event = only_event(gateway, key)
    assert (event["estimated"], event["status"], event["output_tokens"]) == (True, 502, len("Hello"))


def test_googles_own_error_in_mid_stream_is_relayed_and_what_was_seen_is_billed(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    first = next(part for part in fake.text_stream().parts if isinstance(part, bytes))
    error = b'data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}\r\n\r\n'
    google_provider.script(
        Answer([first, error], content_type="text/event-stream", headers=fake.HEADERS, stream=True)
    )
    answer = ask(gateway, key, path=url("streamGenerateContent", query=SSE))
    assert answer.content == first + error
    event = only_event(gateway, key)
    assert (event["estimated"], event["input_tokens"], event["output_tokens"]) == (True, 264, len("Hello"))


def test_googles_refusal_comes_through_and_costs_nothing(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    google_provider.script(fake.refusal(400, "as scripted"))
    answer = ask(gateway, key)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "as scripted")
    event = only_event(gateway, key)
    assert (event["status"], event["cost_micros"]) == (400, 0)


def test_a_refusal_of_the_operators_key_is_not_told_as_the_callers(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    google_provider.script(fake.refusal(400, "API key not valid. Please pass a valid API key."))
    assert error_of(ask(gateway, key)) == (502, "UNAVAILABLE", "provider_auth_failed")


def test_a_rate_limit_of_google_is_told_in_its_shape(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    google_provider.script(fake.refusal(429, "slow down"))
    answer = ask(gateway, key)
    assert error_of(answer) == (429, "RESOURCE_EXHAUSTED", "upstream_rate_limited")
    assert "slow down" in answer.json()["error"]["message"]


def test_what_belongs_to_the_operators_account_is_for_master_keys(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    file = {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}
    others = {"contents": [{"parts": [file]}]}
    for path in (url(), url("streamGenerateContent", query=SSE), url("countTokens")):
        for body in (CACHED, others):
            answer = ask(gateway, key, body, path)
            assert error_of(answer) == (400, "INVALID_ARGUMENT", "unsupported_field")
            assert "operator's account" in answer.json()["error"]["message"]
    assert google_provider.calls == []
    admin = gateway.mint(scope="admin")
    for path in (url(), url("countTokens")):
        assert ask(gateway, admin, CACHED, path).status_code == 200
        assert google_provider.last.json == CACHED


def test_searches_nobody_can_bound_are_for_keys_without_a_cap(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    refused = ask(gateway, key, SEARCH)
    assert error_of(refused) == (400, "INVALID_ARGUMENT", "provider_tool_not_metered")
    free = gateway.mint()
    grounded = {"webSearchQueries": ["a", "", "b"]}

    def respond(call: Call) -> Answer:
        candidate = {
            "content": {"parts": [{"text": "x"}]},
            "finishReason": "STOP",
            "groundingMetadata": grounded,
        }
        usage = {"promptTokenCount": 100, "candidatesTokenCount": 10}
        return answer_json({"candidates": [candidate], "usageMetadata": usage, "modelVersion": fake.MODEL})

    google_provider.script(respond)
    assert ask(gateway, free, SEARCH).status_code == 200
    # 100 x 1.5 + 10 x 9 + 2 x 14000
    assert only_event(gateway, free)["cost_micros"] == 28_240


def test_a_picture_by_its_alias_goes_to_the_model_that_paints(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    body = {**HELLO, "model": "models/nano-banana", "generationConfig": {"responseModalities": ["IMAGE"]}}
    answer = ask(gateway, key, body, url(model="nano-banana"))
    assert answer.status_code == 200, answer.text
    call = google_provider.last
    assert call.target == url(model=fake.PAINTER)
    assert call.json["model"] == f"models/{fake.PAINTER}"
    event = only_event(gateway, key)
    assert (event["model"], event["cost_micros"], event["estimated"]) == (
        "nano-banana",
        fake.PICTURE_COST_MICROS,
        False,
    )


@pytest.mark.parametrize(("model", "limit"), [(fake.PAINTER, 32_768), (fake.SPEAKER, 16_384)])
def test_what_paints_or_speaks_is_held_for_as_much_as_it_may_put_out(
    gateway: Gateway, google_provider: FakeProvider, model: str, limit: int
) -> None:
    broke = gateway.mint(max_spend_usd="0.0009")
    assert error_of(ask(gateway, broke, path=url(model=model))) == (
        402,
        "RESOURCE_EXHAUSTED",
        "key_cap_exceeded",
    )
    rich = gateway.mint(max_spend_usd=9)
    assert ask(gateway, rich, path=url(model=model)).status_code == 200
    assert "generationConfig" in google_provider.last.json
    assert google_provider.last.json["generationConfig"] == {"maxOutputTokens": limit}


def test_embeddings_cost_their_tokens(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    content = HELLO["contents"][0]
    single = ask(gateway, key, {"content": content}, url("embedContent", model=fake.EMBEDDER))
    assert single.json()["embedding"]["values"] == fake.EMBEDDING
    request = {"model": f"models/{fake.EMBEDDER}", "content": content}
    batch = ask(gateway, key, {"requests": [request] * 3}, url("batchEmbedContents", model=fake.EMBEDDER))
    assert len(batch.json()["embeddings"]) == 3
    events = gateway.wait_settled(key, 2)["events"]
    assert [one["cost_micros"] for one in events] == [fake.EMBEDDING_COST_MICROS] * 2
    assert {one["surface"] for one in events} == {"embeddings"}


def test_counting_tokens_is_free_and_knows_aliases(gateway: Gateway, google_provider: FakeProvider) -> None:
    broke = gateway.mint(max_spend_usd=0)
    whole = {"generateContentRequest": {**HELLO, "model": "models/nano-banana"}}
    answer = ask(gateway, broke, whole, url("countTokens", model="nano-banana"))
    assert answer.json() == {"totalTokens": 31}
    call = google_provider.last
    assert call.target == url("countTokens", model=fake.PAINTER)
    assert call.json["generateContentRequest"]["model"] == f"models/{fake.PAINTER}"
    assert gateway.usage(broke)["events"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/google/v1beta/cachedContents"),
        ("GET", "/google/v1beta/files"),
        ("GET", "/google/v1beta/models/gemini-3.5-flash/operations"),
        ("POST", "/google/v1beta/models/gemini-3.5-flash:batchGenerateContent"),
        ("POST", "/google/v1beta/tunedModels/mine:generateContent"),
        ("GET", "/google/v1/interactions/v1_a"),
        ("POST", "/google/upload/v1beta/files"),
    ],
)
def test_what_users_would_share_has_no_rule(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider, method: str, path: str
) -> None:
    headers = {"x-goog-api-key": key.secret}
    answer = httpx.request(method, gateway.origin + path, headers=headers, json=HELLO, trust_env=False)
    assert error_of(answer) == (400, "INVALID_ARGUMENT", "route_not_metered")
    assert google_provider.calls == []


def test_a_stream_beyond_its_limit_ends_as_one_that_ran_out_of_tokens(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    """A provider that does not keep to the limit it was sent: no more can be held, so the stream is cut."""
    key = gateway.mint(max_spend_usd="0.004")
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 9000, "totalTokenCount": 9010}
    chunk = {"candidates": [{"content": {"parts": [{"text": "on "}], "role": "model"}, "index": 0}]}
    event = (
        b"data: %b\r\n\r\n"
        % json.dumps(
            {**chunk, "usageMetadata": usage, "modelVersion": fake.MODEL, "responseId": "r9"}
        ).encode()
    )
    endless = Answer([event, Gate()], content_type="text/event-stream", headers=fake.HEADERS, stream=True)
    google_provider.script(endless)
    answer = ask(gateway, key, path=url("streamGenerateContent", query=SSE))
    assert answer.content.startswith(event)
    last = json.loads(answer.content.removeprefix(event)[6:])
    assert last["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert (last["responseId"], last["usageMetadata"]["candidatesTokenCount"]) == ("r9", 9000)
    assert only_event(gateway, key)["cost_micros"] <= 4000


def test_a_large_body_is_read_aside_and_passes_as_it_is(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    data = base64.b64encode(fake.PICTURE + bytes(1_500_000)).decode()
    picture = {"inlineData": {"mimeType": "image/png", "data": data}}
    body = json.dumps(
        {"contents": [{"parts": [picture]}], "generationConfig": {"maxOutputTokens": 100}}
    ).encode()
    answer = ask(gateway, key, body)
    assert answer.status_code == 200, answer.text
    assert google_provider.last.body == body
    refused = ask(gateway, key, body[:-1])
    assert error_of(refused) == (400, "INVALID_ARGUMENT", "invalid_json")


CHAT: dict[str, Any] = {"model": fake.MODEL, "messages": [{"role": "user", "content": "hi"}]}


def ask_as_openai(gateway: Gateway, key: MintedKey, path: str, body: object) -> httpx.Response:
    """A POST as OpenAI's SDK sends it."""
    headers = {"authorization": f"Bearer {key.secret}"}
    return httpx.post(gateway.origin + path, json=body, headers=headers, trust_env=False, timeout=20)


@pytest.mark.parametrize(
    "path",
    ["/google/v1beta/openai/chat/completions", "/v1beta/openai/chat/completions", "/v1/chat/completions"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_openais_sdk_reaches_gemini_and_hidden_thoughts_are_billed(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider, path: str, stream: bool
) -> None:
    answer = ask_as_openai(gateway, key, path, {**CHAT, "stream": stream})
    assert answer.status_code == 200, answer.text
    assert "Hello" in answer.text
    call = google_provider.last
    assert call.target == "/v1beta/openai/chat/completions"
    assert call.header("authorization") == [f"Bearer {OPERATOR_KEYS['google']}"]
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["output_tokens"], event["estimated"]) == (
        fake.COMPATIBLE_COST_MICROS,
        74,
        False,
    )


def test_openais_embeddings_reach_gemini(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    for path in ("/google/v1beta/openai/embeddings", "/v1/embeddings"):
        answer = ask_as_openai(gateway, key, path, {"model": fake.EMBEDDER, "input": "hi"})
        assert answer.json()["data"][0]["embedding"] == fake.EMBEDDING
        assert google_provider.last.target == "/v1beta/openai/embeddings"
    events = gateway.wait_settled(key, 2)["events"]
    assert [one["cost_micros"] for one in events] == [fake.EMBEDDING_COST_MICROS] * 2


def test_a_cache_of_the_operators_cannot_be_named_on_the_other_way_either(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider
) -> None:
    extra = {"google": {"cached_content": "cachedContents/abc"}}
    for fields in ({"extra_body": extra}, extra):
        answer = ask_as_openai(gateway, key, "/v1beta/openai/chat/completions", {**CHAT, **fields})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_field")
    assert google_provider.calls == []
    thinking = {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}}
    assert (
        ask_as_openai(gateway, key, "/v1beta/openai/chat/completions", {**CHAT, **thinking}).status_code
        == 200
    )


@pytest.mark.parametrize("base", ["/v1", "/v1beta", "/google/v1"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_interaction_is_billed_as_a_call_is(
    gateway: Gateway, key: MintedKey, google_provider: FakeProvider, base: str, stream: bool
) -> None:
    config = {"max_output_tokens": 300}
    body = {"model": fake.MODEL, "input": "hi", "stream": stream, "store": False, "generation_config": config}
    answer = ask(gateway, key, body, f"{base}/interactions")
    assert answer.status_code == 200, answer.text
    assert answer.text.count("Hello") == 1
    call = google_provider.last
    assert (call.target, call.json) == (f"{base.removeprefix('/google')}/interactions", body)
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["estimated"], event["surface"]) == (
        fake.COST_MICROS,
        False,
        "interactions",
    )


def test_an_interaction_is_clamped_refused_and_kept_from_others(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    ask_it = {"model": fake.MODEL, "input": "hi"}
    broke = gateway.mint(max_spend_usd=0)
    assert error_of(ask(gateway, broke, ask_it, "/v1/interactions")) == (
        402,
        "RESOURCE_EXHAUSTED",
        "key_cap_exceeded",
    )
    key = gateway.mint(max_spend_usd="0.01")
    others = ask(gateway, key, {**ask_it, "previous_interaction_id": "v1_b"}, "/v1/interactions")
    assert error_of(others) == (400, "INVALID_ARGUMENT", "unsupported_field")
    assert google_provider.calls == []
    answer = ask(gateway, key, ask_it, "/v1/interactions")
    applied = int(answer.headers["x-qlaud-max-tokens-applied"])
    assert google_provider.last.json["generation_config"] == {"max_output_tokens": applied}
