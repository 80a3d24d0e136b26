"""What an embeddings request asks, and what its answer says that it cost."""

import json

import pytest

from qlaud.core.errors import BadRequest, InvalidJson
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.openai_embeddings import OpenAIEmbeddingsWire
from qlaud.wire.types import Asked, Changes, ModelCall

WIRE = OpenAIEmbeddingsWire()


def body(**fields: object) -> bytes:
    base: dict[str, object] = {"model": "text-embedding-3-small", "input": "Hi"}
    return json.dumps({**base, **fields}, separators=(",", ":")).encode()


def read(**fields: object) -> ModelCall:
    return WIRE.read_call(Asked(body=body(**fields)))


def outcome(answer: bytes) -> object:
    meter = WIRE.tap(read(), strip_usage=False)
    for at in range(0, len(answer), 30_000):
        meter.feed(answer[at : at + 30_000])
    assert meter.finish() == b""
    return meter.outcome(input_bound=99)


@pytest.mark.parametrize("text", ["h\u00e9llo \U0001f600", ["a", "b"], [1, 2, 30_000], [[1, 2], [3]], ""])
def test_text_and_tokens_are_bounded_by_their_bytes(text: object) -> None:
    demand = read(input=text, dimensions=256, encoding_format="base64", user="u").demand
    assert demand.input_tokens == len(body(input=text, dimensions=256, encoding_format="base64", user="u"))
    assert (demand.whole_context, demand.max_output) == (False, 0)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a", 1),
        (["a", "b", "c"], 3),
        ([1, 2, 3], 1),
        ([[1, 2], [3]], 2),
        ([{"image": "x"}, {"text": "y"}], 2),
        ([], 1),
    ],
)
def test_every_input_has_a_context_of_its_own(given: object, inputs: int) -> None:
    assert read(input=given).demand.inputs == inputs


def test_inputs_by_another_name_are_counted_too() -> None:
    assert read(inputs=["a", "b", "c"]).demand.inputs == 3
    assert read(input={"texts": ["a", "b"], "images": ["c"]}).demand.inputs == 3


@pytest.mark.parametrize("given", [b'["a","\\ud800"]', b"[" * 5000 + b"]" * 5000])
def test_inputs_that_cannot_be_counted_are_refused(given: bytes) -> None:
    with pytest.raises((BadRequest, InvalidJson)):
        WIRE.read_call(Asked(body=b'{"model":"m","input":%b}' % given))


def test_a_token_given_as_a_number_takes_at_least_two_bytes() -> None:
    assert read(input=[1] * 1000).demand.input_tokens >= 2000


@pytest.mark.parametrize(
    "fields", [{"input": [{"image": "https://x.test/a.png"}]}, {"input": 5}, {"images": ["AAAA"]}]
)
def test_anything_else_counts_as_the_whole_context(fields: dict[str, object]) -> None:
    assert read(**fields).demand.whole_context


def test_a_model_must_be_named() -> None:
    with pytest.raises(BadRequest):
        read(model=None)


def test_only_the_model_is_put_in() -> None:
    text = b'{"model": "a", "input": [1,2]}'
    call = WIRE.read_call(Asked(body=text))
    assert WIRE.rewrite(text, call, Changes(max_output=5)) is text
    assert WIRE.rewrite(text, call, Changes(model="b")) == b'{"model": "b", "input": [1,2]}'


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": 8, "total_tokens": 8}, {"input_tokens": 8}, {"total_tokens": 8}]
)
@pytest.mark.parametrize("size", [1, 300_000])
def test_the_answers_tokens_are_billed(usage: dict[str, object], size: int) -> None:
    vectors = [{"object": "embedding", "index": 0, "embedding": [0.5] * size}]
    answer = {"object": "list", "data": vectors, "model": "m", "usage": usage}
    found = outcome(json.dumps(answer).encode())
    assert isinstance(found, Exact)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (8, 0)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b'{"error":{"message":"no"}}', Nothing()),
        (b"<html>", Nothing()),
        (b'{"data":[{"embedding":[1]}],"usage":null}', AtLeast(Usage(input_tokens=99))),
        (b'{"data":[{"embedding":[1', AtLeast(Usage(input_tokens=99))),
    ],
)
def test_an_answer_without_usage_is_an_estimate_and_an_error_is_free(answer: bytes, found: object) -> None:
    assert outcome(answer) == found


def test_there_are_no_streams() -> None:
    meter = WIRE.tap(read(), strip_usage=False)
    assert (WIRE.length_stop(meter), WIRE.error_event(BadRequest("no"), "r")) == (b"", b"")
