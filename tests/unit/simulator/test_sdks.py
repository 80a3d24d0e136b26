"""The vendors' own SDKs read the simulator as they read their provider."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anthropic
import openai
import pytest
from tests.unit.simulator.support import ANTHROPIC_TOOL, HELLO, OPENAI_TOOL, Pauses, served

from qlaud.providers.simulator import Simulator

SAID = "Hello there, how are you?"
T = TypeVar("T")
ASKED: dict[str, Any] = {"max_tokens": 500, "messages": HELLO}


def with_anthropic(call: Callable[[anthropic.AsyncAnthropic], Awaitable[T]]) -> T:
    async def main() -> T:
        async with (
            served(Simulator(pause=Pauses())) as origin,
            anthropic.AsyncAnthropic(base_url=origin, api_key="k", max_retries=0) as client,
        ):
            return await call(client)

    return asyncio.run(main())


def with_openai(call: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    async def main() -> T:
        async with (
            served(Simulator(pause=Pauses())) as origin,
            openai.AsyncOpenAI(base_url=origin + "/v1", api_key="k", max_retries=0) as client,
        ):
            return await call(client)

    return asyncio.run(main())


async def claude_stream(client: anthropic.AsyncAnthropic, **fields: Any) -> anthropic.types.Message:
    async with client.messages.stream(**{**ASKED, **fields}) as stream:
        return await stream.get_final_message()


def test_anthropic_reads_a_whole_message_and_its_request_id() -> None:
    message = with_anthropic(lambda c: c.messages.create(model="claude-opus-4-7", **ASKED))
    assert [block.type for block in message.content] == ["text"]
    assert message._request_id
    assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 7)


def test_anthropic_counts_tokens() -> None:
    counted = with_anthropic(lambda c: c.messages.count_tokens(model="sim/echo", messages=ASKED["messages"]))
    assert counted.input_tokens == 10


@pytest.mark.parametrize("model", ["sim/echo", "sim/slow", "sim/long", "sim/tool-use", "sim/thinking"])
def test_anthropic_streams_the_message_that_it_would_get_whole(model: str) -> None:
    fields: dict[str, Any] = {"model": model, "tools": [ANTHROPIC_TOOL]}
    streamed = with_anthropic(lambda c: claude_stream(c, **fields))
    whole = with_anthropic(lambda c: c.messages.create(**ASKED, **fields))
    assert streamed.usage == whole.usage
    assert streamed.stop_reason == whole.stop_reason
    bare = [
        [block.model_dump(exclude={"id", "parsed_output"}) for block in m.content] for m in (streamed, whole)
    ]
    assert bare[0] == bare[1]


def test_anthropic_runs_a_tool_round_to_its_end() -> None:
    async def rounds(client: anthropic.AsyncAnthropic) -> tuple[Any, Any]:
        tools: Any = [ANTHROPIC_TOOL]
        first = await claude_stream(client, model="sim/tool-use", tools=tools)
        call = first.content[-1]
        assert call.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
        turns: Any = [
            *HELLO,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        return call, await client.messages.create(
            model="sim/tool-use", tools=tools, max_tokens=99, messages=turns
        )

    call, second = with_anthropic(rounds)
    assert call.input == {"query": SAID}
    assert second.content[0].text == "The tool answered: sunny"


def test_anthropic_raises_the_error_in_the_middle_of_a_stream() -> None:
    with pytest.raises(anthropic.APIStatusError) as raised:
        with_anthropic(lambda c: claude_stream(c, model="sim/fails-midway"))
    assert "overloaded_error" in str(raised.value.body)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": "sim/rate-limited"}, anthropic.RateLimitError),
        ({"model": "sim/fails-midway"}, anthropic.InternalServerError),
        ({"model": "m", "messages": []}, anthropic.BadRequestError),
    ],
)
def test_anthropic_raises_its_own_error_classes(fields: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        with_anthropic(lambda c: c.messages.create(**{**ASKED, **fields}))


def test_anthropic_reads_a_raw_stream_without_usage_to_its_end() -> None:
    async def kinds(client: anthropic.AsyncAnthropic) -> list[str]:
        stream = await client.messages.create(model="sim/no-usage", stream=True, **ASKED)
        return [event.type async for event in stream]

    assert with_anthropic(kinds)[-1] == "message_stop"


def test_openai_reads_a_whole_completion_and_its_request_id() -> None:
    whole = with_openai(
        lambda c: c.chat.completions.create(model="gpt-6-sol", n=2, messages=ASKED["messages"])
    )
    assert [choice.message.content for choice in whole.choices] == [SAID, SAID]
    assert whole._request_id
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 14


@pytest.mark.parametrize("model", ["sim/echo", "sim/slow", "sim/long", "sim/tool-use", "sim/thinking"])
def test_openai_streams_the_completion_that_it_would_get_whole(model: str) -> None:
    fields: dict[str, Any] = {
        "model": model,
        "tools": [OPENAI_TOOL],
        "messages": HELLO,
        "max_completion_tokens": 300,
    }

    async def streamed(client: openai.AsyncOpenAI) -> Any:
        async with client.chat.completions.stream(**fields, stream_options={"include_usage": True}) as stream:
            return await stream.get_final_completion()

    one, other = with_openai(lambda c: c.chat.completions.create(**fields)), None
    try:
        other = with_openai(streamed)
    except openai.LengthFinishReasonError as error:
        other = error.completion
    assert other.usage == one.usage
    assert other.choices[0].finish_reason == one.choices[0].finish_reason
    assert (other.choices[0].message.content or "") == (one.choices[0].message.content or "")
    calls = [
        [
            (call.function.name, json.loads(call.function.arguments))
            for call in whole.choices[0].message.tool_calls or ()
        ]
        for whole in (one, other)
    ]
    assert calls[0] == calls[1]


def test_openai_raises_the_error_in_the_middle_of_a_stream() -> None:
    async def read(client: openai.AsyncOpenAI) -> None:
        messages: Any = HELLO
        async for _ in await client.chat.completions.create(
            model="sim/fails-midway", messages=messages, stream=True
        ):
            pass

    with pytest.raises(openai.APIError) as raised:
        with_openai(read)
    assert type(raised.value) is openai.APIError


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": "sim/rate-limited"}, openai.RateLimitError),
        ({"model": "sim/fails-midway"}, openai.InternalServerError),
        ({"model": "m", "n": 0}, openai.BadRequestError),
    ],
)
def test_openai_raises_its_own_error_classes(fields: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        with_openai(lambda c: c.chat.completions.create(**{"messages": HELLO, **fields}))
