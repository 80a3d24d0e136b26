"""OpenAI's SDKs through the gateway: answers, streams and tools as from the provider, and bills to the micro."""

from typing import Any

import pytest
from tests.e2e.sdk.sdks import Sdk, assert_untouched
from tests.support.fake_openai import (
    COST_MICROS,
    MODEL,
    RECORDED_COST_MICROS,
    SMALL_COST_MICROS,
    TEXT,
    USAGE,
    recorded_stream,
    small_answer,
)
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import OPERATOR_KEYS, Gateway, MintedKey

HELLO = [{"role": "user", "content": "Hello"}]
ASK: dict[str, Any] = {"model": MODEL, "messages": HELLO}
WITH_USAGE = {"stream_options": {"include_usage": True}}
TOOL = {
    "type": "function",
    "function": {"name": "get", "parameters": {"type": "object", "properties": {"q": {"type": "integer"}}}},
}
RICH: dict[str, Any] = {
    "model": MODEL,
    "max_completion_tokens": 900,
    "reasoning_effort": "low",
    "user": "u-7",
    "tools": [TOOL],
    "messages": [
        {"role": "developer", "content": "Über „alles“"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
    ],
}
CREDENTIAL = {"authorization": f"Bearer {OPERATOR_KEYS['openai']}"}


def text_of(chunks: list[Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def usages(chunks: list[Any]) -> list[Any]:
    return [chunk["usage"] for chunk in chunks if chunk.get("usage")]


def test_a_whole_answer_is_the_providers_and_its_bill_is_exact(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey
) -> None:
    result = openai_sdk.ask("create", ASK, origin=gateway.origin, key=key.secret)
    answer = result["answer"]
    assert answer["choices"][0]["message"]["content"] == TEXT
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert answer["usage"][name] == USAGE[name]
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 1000
    assert result["headers"]["x-qlaud-cost-micros"] == str(COST_MICROS)
    assert result["headers"]["x-upstream-request-id"] == "req_1"
    assert "openai-organization" not in result["headers"]
    event = gateway.event(result.request_id)
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [event[name] for name in counts] == [8, 1000, 3012, 316, 200]
    assert event["cost_micros"] == event["provider_cost_micros"] == COST_MICROS
    assert (event["key_id"], event["model"], event["surface"]) == (key.id, MODEL, "chat_completions")
    assert gateway.usage(key)["total_cost_micros"] == COST_MICROS


def test_a_stream_shows_no_usage_that_was_not_asked_for_and_is_billed_all_the_same(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey
) -> None:
    result = openai_sdk.ask("stream", ASK, origin=gateway.origin, key=key.secret)
    assert text_of(result["chunks"]) == TEXT
    assert usages(result["chunks"]) == []
    assert [chunk for chunk in result["chunks"] if not chunk["choices"]] == []
    assert openai_provider.last.json == {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    event = gateway.event(result.request_id)
    assert (event["cost_micros"], event["estimated"], event["stream"]) == (COST_MICROS, False, True)


def test_a_stream_shows_the_usage_that_was_asked_for(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey
) -> None:
    result = openai_sdk.ask("stream", {**ASK, **WITH_USAGE}, origin=gateway.origin, key=key.secret)
    assert text_of(result["chunks"]) == TEXT
    (usage,) = usages(result["chunks"])
    assert {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        "prompt_tokens": 4020,
        "completion_tokens": 316,
        "total_tokens": 4336,
    }
    assert result["chunks"][-1]["choices"] == []
    assert gateway.event(result.request_id)["cost_micros"] == COST_MICROS


def test_usage_that_is_not_in_the_last_chunk_is_found(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey
) -> None:
    openai_provider.script(recorded_stream("openai_usage_then_moderation.sse"))
    result = openai_sdk.ask("stream", {**ASK, **WITH_USAGE}, origin=gateway.origin, key=key.secret)
    assert text_of(result["chunks"]) == "Hi"
    assert [usage["prompt_tokens"] for usage in usages(result["chunks"])] == [4020]
    assert gateway.event(result.request_id)["cost_micros"] == RECORDED_COST_MICROS


def test_a_tool_round_is_two_calls_and_two_events(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey
) -> None:
    first = openai_sdk.ask("create", {**ASK, "tools": [TOOL]}, origin=gateway.origin, key=key.secret)
    (call,) = first["answer"]["choices"][0]["message"]["tool_calls"]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("get", '{"q": 1}')
    asked = {"id": call["id"], "type": "function", "function": call["function"]}
    turns = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": call["id"], "content": "it is 1"},
    ]
    again = {**ASK, "tools": [TOOL], "messages": turns}
    second = openai_sdk.ask("create", again, origin=gateway.origin, key=key.secret)
    assert second["answer"]["choices"][0]["message"]["content"] == TEXT
    assert openai_provider.last.body == second.sent[0].body
    usage = gateway.wait_settled(key, 2)
    assert [event["id"] for event in usage["events"]] == [second.request_id, first.request_id]
    assert usage["total_cost_micros"] == 2 * COST_MICROS


def test_a_streamed_tool_call_arrives_in_its_pieces(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey
) -> None:
    asked = {**ASK, **WITH_USAGE, "tools": [TOOL]}
    result = openai_sdk.ask("stream", asked, origin=gateway.origin, key=key.secret)
    calls = [
        call
        for chunk in result["chunks"]
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls") or []
    ]
    assert "".join(call["function"]["arguments"] for call in calls) == '{"q": 1}'
    # The stream says tier `priority`, at twice the price: (50 x 2 + 12 x 10) x 2 = 440.
    event = gateway.event(result.request_id)
    assert (event["cost_micros"], event["estimated"]) == (440, False)


@pytest.mark.parametrize("deed", ["create", "stream"])
def test_the_provider_gets_the_bytes_and_headers_that_the_sdk_sent(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk, key: MintedKey, deed: str
) -> None:
    asked = {**RICH, **WITH_USAGE} if deed == "stream" else RICH
    result = openai_sdk.ask(deed, asked, origin=gateway.origin, key=key.secret)
    assert_untouched(result.sent[0], openai_provider.last, credential=CREDENTIAL)
    assert openai_provider.last.json["messages"][0]["content"] == "Über „alles“"
    assert gateway.event(result.request_id)["end_user_id"] == "u-7"


def test_a_call_without_a_limit_gets_the_one_that_its_money_covers(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk
) -> None:
    capped = gateway.mint(max_spend_usd="0.05")
    openai_provider.script(small_answer())
    result = openai_sdk.ask("create", ASK, origin=gateway.origin, key=capped.secret)
    applied = int(result["headers"]["x-qlaud-max-tokens-applied"])
    # 50000 micros buy 5000 tokens of output at 10 micros, less what is held for the input: 2.5 micros a byte at most.
    assert 4900 - len(result.sent[0].body) < applied < 5000
    assert openai_provider.last.json == {**ASK, "max_completion_tokens": applied}
    event = gateway.event(result.request_id)
    assert (event["cost_micros"], event["clamped"]) == (SMALL_COST_MICROS, True)
    assert gateway.key(capped)["remaining_micros"] == 50_000 - SMALL_COST_MICROS


def test_the_models_are_listed_in_the_sdks_own_shape(
    gateway: Gateway, openai_provider: FakeProvider, openai_sdk: Sdk
) -> None:
    limited = gateway.mint(allowed_models=["gpt-6-s*"])
    listed = openai_sdk.ask("models", {"model": MODEL}, origin=gateway.origin, key=limited.secret)
    assert listed["models"] == [MODEL]
    assert listed["found"] == MODEL
    assert openai_provider.calls == []
