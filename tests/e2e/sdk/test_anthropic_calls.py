"""Anthropic's SDKs through the gateway: answers, streams and tools as from the provider, and bills to the micro."""

from typing import Any

import pytest
from tests.e2e.sdk.sdks import Sdk, assert_untouched
from tests.support.fake_anthropic import (
    MODEL,
    STREAM_COST_MICROS,
    TEXT,
    TEXT_COST_MICROS,
    TEXT_USAGE,
    TOOL_COST_MICROS,
    breaking_stream,
)
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import OPERATOR_KEYS, Gateway, MintedKey

HELLO = [{"role": "user", "content": "Hello"}]
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 500, "messages": HELLO}
TOOL = {
    "name": "get",
    "description": "Get it",
    "input_schema": {"type": "object", "properties": {"q": {"type": "integer"}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RICH: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 2048,
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "system": [
        {"type": "text", "text": "Über „alles“", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "metadata": {"user_id": "u-7"},
    "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
            ],
        }
    ],
}
CREDENTIAL = {"x-api-key": OPERATOR_KEYS["anthropic"]}


def test_a_whole_answer_is_the_providers_and_its_bill_is_exact(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk, key: MintedKey
) -> None:
    result = anthropic_sdk.ask("create", ASK, origin=gateway.origin, key=key.secret)
    answer = result["answer"]
    assert [block["text"] for block in answer["content"]] == [TEXT]
    assert {name: answer["usage"][name] for name in TEXT_USAGE} == TEXT_USAGE
    assert answer["stop_reason"] == "end_turn"
    assert result["headers"]["x-qlaud-cost-micros"] == str(TEXT_COST_MICROS)
    assert result["headers"]["x-upstream-request-id"] == "req_01A"
    assert "anthropic-organization-id" not in result["headers"]
    event = gateway.event(result.request_id)
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [event[name] for name in counts] == [16, 13637, 7049, 344, 33]
    assert event["cost_micros"] == event["provider_cost_micros"] == TEXT_COST_MICROS
    assert (event["key_id"], event["model"], event["surface"]) == (key.id, MODEL, "messages")
    assert (event["status"], event["stream"], event["estimated"], event["clamped"]) == (
        200,
        False,
        False,
        False,
    )
    assert gateway.usage(key)["total_cost_micros"] == TEXT_COST_MICROS


def test_a_stream_has_every_event_and_its_bill_is_by_its_last_counts(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk, key: MintedKey
) -> None:
    result = anthropic_sdk.ask("stream", {**ASK, "tools": [TOOL]}, origin=gateway.origin, key=key.secret)
    thinking, use = result["answer"]["content"]
    assert (thinking["thinking"], thinking["signature"]) == ("Look it up.", "c2ln")
    assert (use["name"], use["input"]) == ("get", {"q": 1})
    usage = result["answer"]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (
        1591,
        2048,
        344,
    )
    raw = [kind for kind in result["kinds"] if kind.startswith(("message_", "content_block_"))]
    block = ["content_block_start", *["content_block_delta"], "content_block_stop"]
    assert raw == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        *block,
        "message_delta",
        "message_stop",
    ]
    event = gateway.event(result.request_id)
    assert (event["cost_micros"], event["estimated"], event["stream"]) == (TOOL_COST_MICROS, False, True)
    assert event["first_token_ms"] is not None


def test_a_tool_round_is_two_calls_and_two_events(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk, key: MintedKey
) -> None:
    first = anthropic_sdk.ask("stream", {**ASK, "tools": [TOOL]}, origin=gateway.origin, key=key.secret)
    thinking, use = first["answer"]["content"]
    turns = [
        *HELLO,
        {
            "role": "assistant",
            "content": [
                {name: thinking[name] for name in ("type", "thinking", "signature")},
                {name: use[name] for name in ("type", "id", "name", "input")},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "it is 1"}],
        },
    ]
    second = anthropic_sdk.ask(
        "create", {**ASK, "tools": [TOOL], "messages": turns}, origin=gateway.origin, key=key.secret
    )
    assert second["answer"]["content"][0]["text"] == TEXT
    assert_untouched(second.sent[0], anthropic_provider.last, credential=CREDENTIAL)
    usage = gateway.wait_settled(key, 2)
    assert [event["id"] for event in usage["events"]] == [second.request_id, first.request_id]
    assert usage["total_cost_micros"] == TOOL_COST_MICROS + TEXT_COST_MICROS


@pytest.mark.parametrize("deed", ["create", "stream"])
@pytest.mark.parametrize("beta", [False, True])
def test_the_provider_gets_the_bytes_and_headers_that_the_sdk_sent(
    gateway: Gateway,
    anthropic_provider: FakeProvider,
    anthropic_sdk: Sdk,
    key: MintedKey,
    deed: str,
    *,
    beta: bool,
) -> None:
    extra = {"betas": ["interleaved-thinking-2025-05-14", "context-1m-2025-08-07"]} if beta else {}
    result = anthropic_sdk.ask(deed, {**RICH, **extra}, origin=gateway.origin, key=key.secret)
    assert_untouched(result.sent[0], anthropic_provider.last, credential=CREDENTIAL)
    arrived = anthropic_provider.last
    assert "Über „alles“" in arrived.json["system"][0]["text"]
    is_previous = anthropic_sdk.language == "previous python"
    version = "2023-06-01" if is_previous else "2026-10-21"
    assert arrived.header("anthropic-version") == [version]
    if beta:
        assert arrived.header("anthropic-beta") == ["interleaved-thinking-2025-05-14,context-1m-2025-08-07"]
    assert gateway.event(result.request_id)["end_user_id"] == "u-7"


def test_a_capped_call_gets_the_limit_that_its_money_covers(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk
) -> None:
    capped = gateway.mint(max_spend_usd="0.05")
    result = anthropic_sdk.ask(
        "stream", {**ASK, "max_tokens": 8000}, origin=gateway.origin, key=capped.secret
    )
    applied = int(result["headers"]["x-qlaud-max-tokens-applied"])
    (sent,) = result.sent
    # 50000 micros buy 2500 tokens of output at 20 micros, less what is held for the input: less than 1000 micros
    # for a body of about 100 bytes at 5 micros and a few hundred tokens around it.
    assert 2450 - len(sent.body) < applied < 2500
    arrived = anthropic_provider.last
    assert arrived.json == {**ASK, "max_tokens": applied, "stream": True}
    assert arrived.body == sent.body.replace(b"8000", str(applied).encode())
    event = gateway.event(result.request_id)
    assert (event["cost_micros"], event["clamped"], event["estimated"]) == (STREAM_COST_MICROS, True, False)
    row = gateway.key(capped)
    assert (row["spent_micros"], row["held_micros"]) == (STREAM_COST_MICROS, 0)
    assert row["remaining_micros"] == 50_000 - STREAM_COST_MICROS


def test_a_call_is_never_lowered_into_its_thinking_budget(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk
) -> None:
    # 20000 micros buy 1000 tokens of output, and the budget alone is 1024.
    capped = gateway.mint(max_spend_usd="0.02")
    result = anthropic_sdk.ask("create", RICH, origin=gateway.origin, key=capped.secret)
    assert result["error"]["status"] == 402
    assert anthropic_provider.calls == []


def test_an_error_in_the_middle_of_a_stream_is_raised_and_what_was_seen_is_billed(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk, key: MintedKey
) -> None:
    anthropic_provider.script(breaking_stream("too busy now"))
    result = anthropic_sdk.ask("stream", ASK, origin=gateway.origin, key=key.secret)
    assert "too busy now" in str(result["error"])
    assert "APIError" in result.classes
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["estimated"]
    # Input is exact since the first event: 16 x 4 + 2048 x 0.20 = 473.6. Output is what was relayed, two words or more.
    assert (event["input_tokens"], event["cache_read_tokens"]) == (16, 2048)
    assert event["output_tokens"] >= 2
    assert event["cost_micros"] == -(-(4736 + event["output_tokens"] * 200) // 10)


def test_counting_tokens_asks_the_provider_and_costs_nothing(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk
) -> None:
    broke = gateway.mint(max_spend_usd=0)
    counted = anthropic_sdk.ask(
        "count", {"model": MODEL, "messages": HELLO}, origin=gateway.origin, key=broke.secret
    )
    assert counted["input_tokens"] == 2095
    assert_untouched(counted.sent[0], anthropic_provider.last, credential=CREDENTIAL)
    assert gateway.usage(broke)["events"] == []


def test_the_models_are_listed_in_the_sdks_own_shape(
    gateway: Gateway, anthropic_provider: FakeProvider, anthropic_sdk: Sdk
) -> None:
    limited = gateway.mint(allowed_models=["claude-opus-5*"])
    listed = anthropic_sdk.ask("models", {"model": MODEL}, origin=gateway.origin, key=limited.secret)
    assert listed["models"] == ["claude-opus-5", "claude-opus-5-5"]
    assert listed["found"] == MODEL
    assert anthropic_provider.calls == []
