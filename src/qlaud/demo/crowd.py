"""Many calls at the same moment on one key, and what came of them."""

import asyncio
from dataclasses import dataclass

import anthropic

LONG = "sim/long"
INPUT_MICROS, OUTPUT_MICROS = 1, 5
"""Per token, of every simulated model: $1 and $5 a million."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of many calls. `micros` is by the provider's counts, `refused` the number by status."""

    answered: int
    micros: int
    refused: dict[int, int]
    sentence: str
    """What the last refusal for the cap said."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How one call was refused."""

    status: int
    sentence: str


async def fire(client: anthropic.AsyncAnthropic, count: int, max_tokens: int) -> Outcome:
    """The outcome of `count` calls at once, each of up to `max_tokens` tokens."""
    calls = [_ask(client, number, max_tokens) for number in range(count)]
    return _counted(await asyncio.gather(*calls))


async def _ask(client: anthropic.AsyncAnthropic, number: int, max_tokens: int) -> int | Refusal:
    try:
        answer = await client.messages.create(
            model=LONG,
            max_tokens=max_tokens,
            messages=[{"role": "user", "content": f"Call number {number}: talk as long as you may."}],
        )
    except anthropic.APIStatusError as refusal:
        return Refusal(refusal.status_code, sentence_of(refusal.body))
    return micros(answer.usage.input_tokens, answer.usage.output_tokens)


def _counted(results: list[int | Refusal]) -> Outcome:
    paid = [result for result in results if isinstance(result, int)]
    refusals = [result for result in results if isinstance(result, Refusal)]
    by_status: dict[int, int] = {}
    for refusal in refusals:
        by_status[refusal.status] = by_status.get(refusal.status, 0) + 1
    told = [refusal.sentence for refusal in refusals if refusal.status == 402] or [""]
    return Outcome(len(paid), sum(paid), by_status, told[-1])


def micros(input_tokens: int, output_tokens: int) -> int:
    """What the simulator charges for tokens."""
    return input_tokens * INPUT_MICROS + output_tokens * OUTPUT_MICROS


def sentence_of(body: object) -> str:
    """The message in an Anthropic-shaped error."""
    match body:
        case {"error": {"message": str(message)}}:
            return message
        case _:
            return str(body)
