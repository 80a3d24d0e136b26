"""Embeddings and token counts of Gemini: what is asked, what it costs, and that an alias is put in everywhere."""

import base64
import json

import pytest

from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.gemini_count import GeminiCountWire
from qlaud.wire.gemini_embed import GeminiEmbedWire
from qlaud.wire.gemini_media import IMAGE_TOKENS
from qlaud.wire.types import AnswerHead, Asked, Changes, ModelCall

WIRE, COUNT = GeminiEmbedWire(), GeminiCountWire()
MODEL = "gemini-embedding-2"
TEXT = {"parts": [{"text": "hello"}]}
PNG = {
    "inlineData": {
        "mimeType": "image/png",
        "data": base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(500)).decode(),
    }
}
INPUT_BOUND = 90


def read(
    wire: GeminiEmbedWire | GeminiCountWire = WIRE, *, query: bytes = b"", **fields: object
) -> ModelCall:
    return wire.read_call(Asked(body=json.dumps(fields).encode(), model=MODEL, query=query))


def run(answer: bytes, *, tier: bytes = b"", size: int = 0) -> Metered:
    head = AnswerHead(200, [(b"content-type", b"application/json"), (b"x-gemini-service-tier", tier)])
    tap = WIRE.tap(read(content=TEXT), strip_usage=False, head=head)
    size = size or max(1, len(answer))
    relayed = b"".join(tap.feed(answer[at : at + size]) for at in range(0, len(answer), size))
    assert relayed + tap.finish() == answer
    assert not tap.as_it_comes
    return tap.outcome(input_bound=INPUT_BOUND)


def test_one_content_and_a_batch_are_bounded_by_their_bytes_and_pictures() -> None:
    single = read(content=TEXT)
    assert (single.stream, single.demand.whole_context, single.demand.max_output) == (False, False, 0)
    assert single.demand.input_tokens > len("hello")
    one = {"model": f"models/{MODEL}", "content": {"parts": [PNG, {"text": "x"}]}, "taskType": "CLUSTERING"}
    batch = read(requests=[one, one, {"content": TEXT}])
    assert 2 * IMAGE_TOKENS < batch.demand.input_tokens < 2 * IMAGE_TOKENS + 700
    assert not batch.demand.whole_context


@pytest.mark.parametrize(
    "request_",
    [
        {"content": {"parts": [{"new": 1}]}},
        {"content": TEXT, "newOption": 1},
        {"content": {"parts": [{"fileData": {}}]}},
    ],
)
def test_what_is_not_understood_counts_as_the_whole_context(request_: dict[str, object]) -> None:
    assert read(**request_).demand.whole_context
    assert read(requests=[request_]).demand.whole_context


def test_a_file_of_the_operators_account_is_noted() -> None:
    file = {"parts": [{"fileData": {"fileUri": "files/abc"}}]}
    assert read(content=file).account_resource == "fileData"
    assert read(requests=[{"content": file}]).account_resource == "fileData"
    assert read(COUNT, contents=[file]).account_resource == "fileData"
    assert read(COUNT, generateContentRequest={"contents": [file]}).account_resource == "fileData"
    assert read(COUNT, cachedContent="cachedContents/x").account_resource == "cachedContent"
    assert read(COUNT, contents=[TEXT]).account_resource is None


@pytest.mark.parametrize("wire", [WIRE, COUNT])
def test_another_model_than_the_paths_is_refused(wire: GeminiEmbedWire | GeminiCountWire) -> None:
    for fields in (
        {"model": "models/other"},
        {"requests": [{"model": "models/other"}]}
        if wire is WIRE
        else {"generateContentRequest": {"model": "other"}},
    ):
        with pytest.raises(BadRequest, match="must be the path's"):
            read(wire, **fields)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedField):
        read(wire, query=b"fields=embedding")


def test_a_batch_of_something_else_is_refused() -> None:
    for requests in (5, [5], ["x"]):
        with pytest.raises(BadRequest, match="requests"):
            read(requests=requests)


def test_an_alias_is_put_in_wherever_a_body_repeats_it() -> None:
    text = b'{ "requests": [ {"model": "models/gemini-embedding-2", "content": {} }, {"content":{}} ] }'
    call = WIRE.read_call(Asked(body=text, model=MODEL))
    assert WIRE.rewrite(text, call, Changes(model="m-1")) == (
        b'{ "requests": [ {"model": "models/m-1", "content": {} }, {"model":"models/m-1","content":{}} ] }'
    )
    assert WIRE.rewrite(text, call, Changes()) is text
    text = b'{"content":{},"model":"models/gemini-embedding-2"}'
    assert WIRE.rewrite(text, call, Changes(model="m-1")) == b'{"content":{},"model":"models/m-1"}'
    text = b'{"contents":[]}'
    assert COUNT.rewrite(text, call, Changes(model="m-1")) is text
    text = b'{"generate_content_request":{"model":"models/gemini-embedding-2","contents":[]}}'
    assert COUNT.rewrite(text, call, Changes(model="m-1")) == (
        b'{"generate_content_request":{"model":"models/m-1","contents":[]}}'
    )


def test_the_reported_tokens_are_billed_by_kind() -> None:
    usage = {
        "promptTokenCount": 600,
        "promptTokenDetails": [
            {"modality": "TEXT", "tokenCount": 42},
            {"modality": "IMAGE", "tokenCount": 258},
            {"modality": "AUDIO", "tokenCount": 200},
            {"modality": "VIDEO", "tokenCount": 100},
        ],
    }
    answer = json.dumps({"embeddings": [{"values": [0.25]}], "usageMetadata": usage}).encode()
    expected = Usage(42, image_in_tokens=258, audio_in_tokens=200, video_in_tokens=100)
    for size in (0, 1, 13):
        assert run(answer, size=size) == Exact(expected)


def test_a_large_batch_is_metered_by_its_end() -> None:
    rows = [{"values": [0.0123456789] * 768}] * 150
    answer = json.dumps({"embeddings": rows, "usageMetadata": {"promptTokenCount": 1234}}).encode()
    assert len(answer) > 2**20
    assert run(answer, size=50_000, tier=b"standard") == Exact(Usage(1234, tier="standard"))


def test_an_answer_without_usage_is_billed_by_what_was_counted() -> None:
    assert run(b'{"embedding":{"values":[0.5]}}') == AtLeast(Usage(INPUT_BOUND))
    assert run(b'{"embedding":{"values":[0.5') == AtLeast(Usage(INPUT_BOUND))
    assert run(b'{"embedding":{},"usageMetadata":{"promptTokenCount":0}}') == AtLeast(Usage(INPUT_BOUND))
    assert run(b'{"error":{"code":400}}') == Nothing()
    assert run(b"") == Nothing()


def test_counting_costs_nothing() -> None:
    tap = COUNT.tap(read(COUNT, contents=[TEXT]), strip_usage=False)
    assert tap.feed(b'{"totalTokens":31}') == b'{"totalTokens":31}'
    assert tap.outcome(input_bound=5) == Nothing()


def test_both_tell_googles_errors() -> None:
    for wire in (WIRE, COUNT):
        assert (wire.error_shape, wire.takes_form) == ("google", False)
        assert wire.error_message(b'{"error":{"message":"No."}}') == "No."


def test_every_request_of_a_batch_has_a_context_of_its_own() -> None:
    assert read(requests=[{"content": TEXT}] * 7).demand.inputs == 7
    assert read(content=TEXT).demand.inputs == 1
