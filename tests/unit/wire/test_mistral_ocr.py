"""Pages: how many may be billed, and how many were."""

import json

import pytest

from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.mistral_ocr import MOST_PAGES
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import Asked, ModelCall

WIRE = WIRES["mistral_ocr"]
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg"
PDF = {"type": "document_url", "document_url": "https://example.com/a.pdf"}


def read(**fields: object) -> ModelCall:
    return WIRE.read_call(Asked(body=json.dumps({"model": "mistral-ocr-latest", **fields}).encode()))


def outcome(call: ModelCall, answer: bytes) -> Metered:
    tap = WIRE.tap(call, strip_usage=False)
    for at in range(0, len(answer), 65_536):
        tap.feed(answer[at : at + 65_536])
    tap.finish()
    return tap.outcome(input_bound=0)


@pytest.mark.parametrize(
    ("pages", "most"),
    [
        ([0], 1),
        ([3, 5, 7], 3),
        ("0-4", 5),
        ("0-4,7, 9-9", 7),
        ("9-5", 5),
        (list(range(5000)), MOST_PAGES),
        ("0-999999", MOST_PAGES),
        # Whatever could mean all of them is held as all of them.
        (None, MOST_PAGES),
        ([], MOST_PAGES),
        ("", MOST_PAGES),
        ("all", MOST_PAGES),
        ("0-", MOST_PAGES),
        ("-1", MOST_PAGES),
    ],
)
def test_pages_that_are_picked_are_held_for(pages: object, most: int) -> None:
    assert read(document=PDF, pages=pages).demand.most == {"pages": most}


def test_a_document_is_held_for_with_as_many_pages_as_it_may_have() -> None:
    assert read(document=PDF).demand.most == {"pages": MOST_PAGES}
    assert read().demand.most == {"pages": MOST_PAGES}


def test_a_picture_in_the_body_has_one_page() -> None:
    assert read(document={"type": "image_url", "image_url": PNG}).demand.most == {"pages": 1}


@pytest.mark.parametrize(
    "document",
    [
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "image_url", "image_url": "data:image/png;base64,JVBERi0xLjcK"},
        {"type": "image_url", "image_url": "data:application/pdf;base64,iVBORw0KGgo"},
        {"type": "image_url", "image_url": "data:image/tiff;base64,SUkqAA"},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "document_url", "document_url": "https://example.com/a.pdf", "image_url": PNG},
        {"type": "file", "file_id": "f", "image_url": PNG},
    ],
)
def test_what_only_says_that_it_is_a_picture_is_held_for_as_a_document(document: object) -> None:
    assert read(document=document).demand.most == {"pages": MOST_PAGES}


def test_a_file_of_the_operators_account_is_named() -> None:
    assert read(document={"type": "file", "file_id": "f-1"}).account_resource == "file_id"
    assert read(document=PDF).account_resource is None


def test_pages_that_stand_twice_are_refused() -> None:
    with pytest.raises(BadRequest, match="stands twice"):
        WIRE.read_call(Asked(body=b'{"model":"m","pages":[0],"pages":[0,1,2]}'))


@pytest.mark.parametrize("name", ["document_annotation_format", "bbox_annotation_format"])
def test_annotations_are_another_grade(name: str) -> None:
    assert read(document=PDF, **{name: {"type": "json_schema"}}).demand.grade == "annotated"
    assert read(document=PDF, **{name: None}).demand.grade == ""


def test_billed_is_what_was_processed() -> None:
    answer = {"pages": [{"index": 0}], "usage_info": {"pages_processed": 3, "doc_size_bytes": 9}}
    call = read(document=PDF, document_annotation_format={})
    assert outcome(call, json.dumps(answer).encode()) == Exact(Usage(pages=3, grade="annotated"))


def test_without_that_the_pages_of_the_answer_count() -> None:
    call = read(document=PDF)
    assert outcome(call, b'{"pages":[{"index":0},{"index":1}]}') == AtLeast(Usage(pages=2))
    assert outcome(call, b'{"pages":[{"index":0},{"ind') == AtLeast(Usage(pages=MOST_PAGES))
    assert outcome(call, b"") == Nothing()


def test_a_large_answer_is_read_at_its_end() -> None:
    answer = {"pages": [{"markdown": '"usage_info":{"pages_processed":1}' * 40}] * 3000}
    text = json.dumps({**answer, "usage_info": {"pages_processed": 3000}}).encode()
    assert len(text) > 2_000_000
    assert outcome(read(document=PDF), text) == Exact(Usage(pages=3000))
