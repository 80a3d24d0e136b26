"""What a request for pictures asks, and what its answer says that they cost."""

import json

import pytest

from qlaud.core.errors import BadRequest, ShuttingDown
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.form import FilePart, Form
from qlaud.wire.images_request import PLANNING_TOKENS, tokens_of
from qlaud.wire.openai_images import OpenAIImagesWire
from qlaud.wire.openai_input import IMAGE_TOKENS
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall

WIRE = OpenAIImagesWire()
EDITS = OpenAIImagesWire(takes_form=True)
STREAM = AnswerHead(headers=((b"content-type", b"text/event-stream"),))
Fields = dict[str, object]


def body(**fields: object) -> bytes:
    return json.dumps({"model": "gpt-image-2", "prompt": "A cat", **fields}, separators=(",", ":")).encode()


def read(**fields: object) -> ModelCall:
    return WIRE.read_call(Asked(body=body(**fields)))


def read_form(files: tuple[str, ...], **fields: str) -> ModelCall:
    parts = tuple(FilePart(name, name, "image/png", 0, 9) for name in files)
    form = Form(fields={name: (value.encode(),) for name, value in fields.items()}, files=parts)
    return EDITS.read_call(Asked(form=form))


@pytest.mark.parametrize(
    ("model", "size", "quality", "tokens"),
    [
        # OpenAI's table
        ("gpt-image-1", "1024x1024", "low", 272),
        ("gpt-image-1-mini", "1024x1536", "medium", 1584),
        ("gpt-image-1.5", "1536x1024", "high", 6208),
        ("gpt-image-1.5", "auto", "auto", 6240),
        ("gpt-image-1.5", "", "low", 408),
        # OpenAI's calculator, as developers have read it: 7024, 5488, 5063 and 12329
        ("gpt-image-2", "1024x1024", "high", 7024),
        ("gpt-image-2-2026-04-21", "1536x1024", "high", 5488),
        ("gpt-image-2", "1024x1792", "high", 5063),
        ("gpt-image-2", "3584x2048", "high", 12329),
        ("gpt-image-2", "1024x1024", "low", 196),
        ("gpt-image-2", "2880x2880", "auto", 23719),
        ("gpt-image-2", "auto", "auto", 23719),
        ("gpt-image-2", "9x", "new", 23719),
        ("gpt-image-2.5-flare", "", "", 94874),
        ("chatgpt-image-latest", "1024x1024", "max", 28096),
    ],
)
def test_the_most_tokens_of_a_picture_follow_from_its_size_and_quality(
    model: str, size: str, quality: str, tokens: int
) -> None:
    assert tokens_of(model, size, quality) == tokens


def test_no_size_costs_more_than_the_one_that_is_held_where_none_is_said() -> None:
    for model in ("gpt-image-1", "gpt-image-2", "gpt-image-2.6-flare"):
        most = tokens_of(model, "auto", "auto")
        for size in ("1024x1024", "1536x1024", "3840x2160", "2880x2880", "1024x3072", "16x16", "99999x1"):
            for quality in ("low", "medium", "high", "auto", "standard"):
                assert tokens_of(model, size, quality) <= most


def test_what_is_billed_in_tokens_is_held_in_tokens() -> None:
    call = read(size="1024x1024", quality="high", n=2, stream=True, partial_images=3, user="u")
    assert call.demand.most == {"image_out_tokens": 2 * (7024 + PLANNING_TOKENS + 300)}
    assert (call.stream, call.end_user, call.demand.max_output) == (True, "u", None)
    text = body(size="1024x1024", quality="high", n=2, stream=True, partial_images=3, user="u")
    assert call.demand.input_tokens == len(text)
    moving = read(size="1024x1024", quality="low", output_format="gif", frame_count=4)
    assert moving.demand.most == {"image_out_tokens": 4 * 196 + PLANNING_TOKENS}
    assert read(quality="low", size="1024x1024", output_format="gif").demand.most == {
        "image_out_tokens": 9 * 196 + PLANNING_TOKENS
    }


def test_what_is_billed_by_the_picture_is_held_by_the_picture() -> None:
    call = read(model="grok-imagine-image-2.0", n=4, quality="low")
    assert (call.demand.most, call.demand.grade) == ({"images": 4}, "low")
    edit = EDITS.read_call(Asked(body=body(model="grok-imagine-image", images=[{"url": "x"}, {"url": "y"}])))
    assert edit.demand.most == {"images": 1, "images_in": 2}


def test_pictures_sent_are_billed_as_pictures_and_not_by_their_bytes() -> None:
    small = EDITS.read_call(Asked(body=body(image="A" * 100))).demand.input_tokens
    large = EDITS.read_call(Asked(body=body(image="A" * 900_000))).demand.input_tokens
    assert small == large
    assert IMAGE_TOKENS < small < IMAGE_TOKENS + 100
    two = EDITS.read_call(Asked(body=body(images=[{"image_url": "A"}, {"file_id": "f"}], mask="B"))).demand
    assert two.input_tokens > 3 * IMAGE_TOKENS


def test_a_form_is_read_like_json() -> None:
    call = read_form(
        ("image[]", "image[]", "mask"), model="gpt-image-2", prompt="A cat", n="2", stream="true"
    )
    assert call.demand.most == {"image_out_tokens": 2 * (23719 + PLANNING_TOKENS)}
    assert call.demand.input_tokens >= 3 * IMAGE_TOKENS + len("A cat")
    assert call.stream
    named = read_form((), **{"model": "gpt-image-2", "image[]": "https://x.test/a.png"})
    assert named.demand.input_tokens >= IMAGE_TOKENS
    with pytest.raises(BadRequest):
        read_form(("image",), prompt="A cat")


def test_a_drawing_that_another_model_makes_is_not_bounded() -> None:
    assert read(output_format="svg").demand.unbounded_tool == "svg"
    assert read(svg={"model": "gpt-6-sol"}).demand.unbounded_tool == "svg"
    assert read_form((), **{"model": "gpt-image-2", "svg[model]": "m"}).demand.unbounded_tool == "svg"
    assert read(output_format="png", svg=None).demand.unbounded_tool is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("model", None), ("n", 0), ("n", 11), ("n", "2"), ("partial_images", 4), ("stream", 1)],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(BadRequest) as refused:
        read(**{field: value})
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("text", "changes", "changed"),
    [
        (b'{"model":"a", "prompt":"x"}', Changes(model="b"), b'{"model":"b", "prompt":"x"}'),
        (
            b'{"model":"a","image":"iVBORw0KGgo="}',
            Changes(),
            b'{"model":"a","images":[{"image_url":"data:image/png;base64,iVBORw0KGgo="}]}',
        ),
        (
            b'{"model":"a","image":"/9j/4AAQ"}',
            Changes(pictures="url"),
            b'{"model":"a","image":{"url":"data:image/jpeg;base64,/9j/4AAQ"}}',
        ),
        (
            b'{"model":"a","image":"https://x.test/a.png"}',
            Changes(pictures="url"),
            b'{"model":"a","image":{"url":"https://x.test/a.png"}}',
        ),
        (b'{"model":"a"}', Changes(pictures="inline"), b'{"response_format":"b64_json","model":"a"}'),
    ],
)
def test_pictures_leave_in_the_form_the_host_knows(text: bytes, changes: Changes, changed: bytes) -> None:
    call = EDITS.read_call(Asked(body=text))
    assert EDITS.rewrite(text, call, changes) == changed


@pytest.mark.parametrize(
    "text",
    [
        b'{"model":"a", "images":[{"image_url":"x"}]}',
        b'{"model":"a","image":{"url":"x"}}',
        b'{"model":"a","image":"x","images":[]}',
        b'{"model":"a","response_format":"url"}',
    ],
)
def test_a_body_that_says_it_already_is_left_alone(text: bytes) -> None:
    call = EDITS.read_call(Asked(body=text))
    assert EDITS.rewrite(text, call, Changes(pictures="inline" if b"format" in text else "")) == text


def outcome(call: ModelCall, answer: bytes, head: AnswerHead = ANSWERED, size: int = 50_000) -> Metered:
    meter = WIRE.tap(call, strip_usage=False, head=head)
    relayed = b"".join(meter.feed(answer[at : at + size]) for at in range(0, len(answer), size))
    assert relayed + meter.finish() == answer
    assert meter.output_floor == 0
    return meter.outcome(input_bound=99)


USAGE: Fields = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1056,
    "output_tokens_details": {"image_tokens": 1000, "text_tokens": 56},
    "total_tokens": 1106,
}
USED = Usage(input_tokens=10, image_in_tokens=40, output_tokens=56, image_out_tokens=1000)


@pytest.mark.parametrize("filler", [0, 3_000_000])
def test_tokens_are_taken_apart_by_what_they_are(filler: int) -> None:
    answer = {"created": 1, "data": [{"b64_json": "A" * filler}], "quality": "low", "usage": USAGE}
    assert outcome(read(), json.dumps(answer).encode()) == Exact(USED)


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (
            {"input_tokens_details": {"text_tokens": 10, "image_tokens": 40, "cached_tokens": 8}},
            {"input_tokens": 2, "cache_read_tokens": 8, "image_in_tokens": 40},
        ),
        (
            {
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "cached_tokens": 25,
                "cached_tokens_details": {"cached_image_tokens": 20, "cached_text_tokens": 5},
            },
            {
                "input_tokens": 5,
                "cache_read_tokens": 5,
                "image_in_tokens": 20,
                "image_cache_read_tokens": 20,
            },
        ),
        ({"input_tokens_details": {"image_tokens": 900}}, {"image_in_tokens": 50}),
        ({"input_tokens_details": None}, {"input_tokens": 50}),
    ],
)
def test_what_was_read_from_a_cache_is_told_apart(more: Fields, parts: Fields) -> None:
    usage = {"input_tokens": 50, "output_tokens": 7, **more}
    found = outcome(read(), json.dumps({"data": [{"b64_json": "A"}], "usage": usage}).encode())
    assert found == Exact(Usage(image_out_tokens=7, **parts))  # type: ignore[arg-type]


def event(kind: str, size: int = 10, **fields: object) -> bytes:
    text = json.dumps({"type": kind, "b64_json": "A" * size, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()


@pytest.mark.parametrize("size", [10, 5_000_000])
@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_a_stream_is_billed_by_its_end_and_not_by_its_partial_pictures(size: int, kind: str) -> None:
    stream = event(f"{kind}.partial_image", size) * 2 + event(f"{kind}.completed", size, usage=USAGE)
    assert outcome(read(stream=True), stream, STREAM) == Exact(USED)
    broken = outcome(read(stream=True), event(f"{kind}.partial_image", size), STREAM)
    made = read(stream=True).demand.most["image_out_tokens"]
    assert broken == AtLeast(Usage(input_tokens=99, image_out_tokens=made))


def test_two_pictures_of_a_stream_cost_both() -> None:
    found = outcome(read(stream=True, n=2), event("image_generation.completed", usage=USAGE) * 2, STREAM)
    assert isinstance(found, Exact)
    assert (found.usage.image_out_tokens, found.usage.input_tokens) == (2000, 20)


@pytest.mark.parametrize("size", [5, 700_000])
def test_pictures_are_counted_where_they_are_billed_one_by_one(size: int) -> None:
    answer = {
        "data": [{"url": None, "b64_json": "A" * size}, {"b64_json": "B" * size}],
        "usage": {"cost_in_usd_ticks": 400_000_000},
    }
    call = read(model="grok-imagine-image-2.0", n=3, quality="low", image={"url": "x"})
    found = outcome(call, json.dumps(answer).encode(), size=70_001)
    assert found == Exact(Usage(images=2, images_in=1, grade="low", vendor_cost_picos=40_000_000_000))


def test_addresses_are_pictures_too() -> None:
    answer = b'{"data":[{"url":"https://x.test/1.png"},{"url":"https://x.test/2.png"}]}'
    assert outcome(read(model="grok-imagine-image"), answer) == Exact(Usage(images=2))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'{"error":{"message":"no"}}', Nothing),
        (b"<html>", Nothing),
        (b'{"data":[]}', Nothing),
        (b'{"data":[{"b64_json":"AAAA"}]}', AtLeast),
        (b'{"data":[{"b64_json":"AA', AtLeast),
    ],
)
def test_an_answer_that_says_no_tokens_is_an_estimate_and_an_error_is_free(answer: bytes, kind: type) -> None:
    assert type(outcome(read(), answer)) is kind


def test_what_another_model_drew_is_kept_for_the_record() -> None:
    answer = {"data": [{"b64_json": "A"}], "svg_usage": {"model": "m", "output_tokens": 9}, "usage": USAGE}
    found = outcome(read(), json.dumps(answer).encode())
    assert isinstance(found, Exact)
    assert found.usage.detail == {"svg_output_tokens": 9}


def test_an_error_first_costs_nothing() -> None:
    error = WIRE.error_event(ShuttingDown(), "r")
    assert outcome(read(stream=True), error, STREAM) == Nothing()
    meter = WIRE.tap(read(stream=True), strip_usage=False, head=STREAM)
    assert WIRE.length_stop(meter) == b""
