"""Small answers on the other surfaces: read by the wire's own tap they are exact, and within what was held."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from qlaud.core.usage import Exact, Usage
from qlaud.ports import UpstreamRequest
from qlaud.providers.registry import load_registry
from qlaud.providers.simulator import Simulator
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall

SIM = load_registry({}).provider("sim")
CHAT = {"contents": [{"role": "user", "parts": [{"text": "How are you?"}]}]}


@dataclass(frozen=True)
class Answered:
    call: ModelCall
    usage: Usage
    body: bytes


def answered(wire: str, fields: dict[str, Any], *, stream: bool = False) -> Answered:
    """What the simulator answers, metered by the wire."""
    body = json.dumps(fields).encode()
    call = WIRES[wire].read_call(Asked(body=body, model="m", stream=stream))

    async def main() -> tuple[AnswerHead, bytes]:
        target = SIM.target(wire, stream=stream)
        headers = ((b"content-type", b"application/json"),)
        response = await Simulator().send(UpstreamRequest("POST", "", target, headers, body))
        parts = b""
        while part := await response.read():
            parts += part
        return AnswerHead(response.status, response.headers), parts

    head, parts = asyncio.run(main())
    assert head.status == 200, parts
    tap = WIRES[wire].tap(call, strip_usage=False, head=head)
    assert tap.feed(parts) + tap.finish() == parts
    outcome = tap.outcome(input_bound=call.demand.input_tokens)
    assert isinstance(outcome, Exact)
    return Answered(call, outcome.usage, parts)


@pytest.mark.parametrize("stream", [False, True])
def test_responses_say_back_what_was_said(stream: bool) -> None:
    fields = {"model": "gpt-6-sol", "input": "How are you?", "stream": stream}
    found = answered("openai_responses", fields)
    assert b"How are you?" in found.body or stream
    assert found.usage.output_tokens == 3
    assert 0 < found.usage.input_tokens <= found.call.demand.input_tokens


def test_responses_keep_to_their_limit() -> None:
    found = answered("openai_responses", {"model": "m", "input": "x" * 400, "max_output_tokens": 16})
    assert found.usage.output_tokens == 16
    assert json.loads(found.body)["status"] == "incomplete"


@pytest.mark.parametrize("stream", [False, True])
def test_gemini_says_back_what_was_said(stream: bool) -> None:
    found = answered("gemini_generate", CHAT, stream=stream)
    assert found.usage.output_tokens == 3
    assert 0 < found.usage.input_tokens <= found.call.demand.input_tokens


def test_gemini_keeps_to_its_limit() -> None:
    found = answered("gemini_generate", {**CHAT, "generationConfig": {"maxOutputTokens": 2}})
    assert found.usage.output_tokens == 2
    assert json.loads(found.body)["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_the_same_text_has_the_same_vector_of_the_length_asked_for() -> None:
    fields = {"model": "m", "input": ["a", "b", "a"], "dimensions": 100}
    rows = json.loads(answered("openai_embeddings", fields).body)["data"]
    assert rows[0]["embedding"] == rows[2]["embedding"] != rows[1]["embedding"]
    assert len(rows[0]["embedding"]) == 100


def test_gemini_embeds_one_content_or_a_batch() -> None:
    content = {"parts": [{"text": "hello"}]}
    one = json.loads(answered("gemini_embed", {"content": content}).body)["embedding"]["values"]
    two = json.loads(answered("gemini_embed", {"requests": [{"content": content}] * 2}).body)["embeddings"]
    assert [row["values"] for row in two] == [one, one]


@pytest.mark.parametrize("wire", ["openai_images", "openai_image_edits"])
def test_pictures_come_in_the_number_asked_for(wire: str) -> None:
    found = answered(wire, {"model": "gpt-image-2", "prompt": "a dot", "n": 3, "image": "aGk="})
    assert len(json.loads(found.body)["data"]) == 3
    assert found.usage.image_out_tokens + found.usage.output_tokens == 48


def test_a_path_it_does_not_have_is_refused() -> None:
    async def status() -> int:
        return (await Simulator().send(UpstreamRequest("POST", "", b"/v1/nowhere", ()))).status

    assert asyncio.run(status()) == 404
