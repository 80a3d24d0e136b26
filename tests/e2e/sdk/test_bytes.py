"""What a provider says reaches the caller byte for byte; the one thing ever left out is usage nobody asked for."""

from typing import Any

import httpx
import pytest
from tests.support import fake_anthropic, fake_openai
from tests.support.fake_provider import Answer, FakeProvider
from tests.support.gateway import Gateway, MintedKey

HELLO = [{"role": "user", "content": "Hello"}]
MESSAGE = {"model": fake_anthropic.MODEL, "max_tokens": 500, "messages": HELLO}
CHAT = {"model": fake_openai.MODEL, "messages": HELLO}
WITH_USAGE = {**CHAT, "stream_options": {"include_usage": True}}


def said(answer: Answer) -> bytes:
    return b"".join(part for part in answer.parts if isinstance(part, bytes))


def received(gateway: Gateway, key: MintedKey, path: str, body: dict[str, Any]) -> bytes:
    with httpx.stream(
        "POST", gateway.origin + path, json=body, headers={"x-api-key": key.secret}, trust_env=False
    ) as answer:
        return b"".join(answer.iter_raw())


@pytest.mark.parametrize("name", ["anthropic_thinking_tool", "anthropic_cache_split_web_search"])
def test_an_anthropic_stream_is_relayed_as_it_is(
    gateway: Gateway, anthropic_provider: FakeProvider, key: MintedKey, name: str
) -> None:
    answer = fake_anthropic.recorded_stream(f"{name}.sse")
    anthropic_provider.script(answer)
    assert received(gateway, key, "/v1/messages", {**MESSAGE, "stream": True}) == said(answer)


@pytest.mark.parametrize("name", ["openai_usage_then_moderation", "openai_two_choices", "openai_usage_crlf"])
def test_an_openai_stream_with_usage_is_relayed_as_it_is(
    gateway: Gateway, openai_provider: FakeProvider, key: MintedKey, name: str
) -> None:
    answer = fake_openai.recorded_stream(f"{name}.sse")
    openai_provider.script(answer)
    assert received(gateway, key, "/v1/chat/completions", {**WITH_USAGE, "stream": True}) == said(answer)


def test_an_openai_stream_without_usage_lacks_that_one_event(
    gateway: Gateway, openai_provider: FakeProvider, key: MintedKey
) -> None:
    answer = fake_openai.recorded_stream("openai_usage_then_moderation.sse")
    openai_provider.script(answer)
    events = said(answer).split(b"\n\n")
    kept = [event for event in events if b'"prompt_tokens"' not in event]
    assert len(kept) == len(events) - 1
    assert received(gateway, key, "/v1/chat/completions", {**CHAT, "stream": True}) == b"\n\n".join(kept)


def test_whole_answers_are_relayed_as_they_are(
    gateway: Gateway, anthropic_provider: FakeProvider, openai_provider: FakeProvider, key: MintedKey
) -> None:
    message, completion = fake_anthropic.small_answer(), fake_openai.small_answer()
    anthropic_provider.script(message)
    openai_provider.script(completion)
    assert received(gateway, key, "/v1/messages", MESSAGE) == said(message)
    assert received(gateway, key, "/v1/chat/completions", CHAT) == said(completion)
