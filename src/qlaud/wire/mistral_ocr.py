"""Mistral's `POST /v1/ocr`: documents to text, by the page. See `types.Wire`.

Facts (the vendor's pages and SDK 3.7.0, seen 2026-11): `usage_info.pages_processed` is what is billed, dearer with
annotations; `pages` picks some of the document, by number or as ranges; a document has at most a thousand pages. What
it holds stands at an address or in a file, so how many it has nobody here knows.
"""

import re
from dataclasses import dataclass

from msgspec import Raw

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.body import Members, is_null, read_body, read_items, read_object, read_text
from qlaud.wire.counts import Fields, count, last_object, nested, objects, read_fields
from qlaud.wire.taps import BodyTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.unit_wire import Terms, UnitReading, UnitWire, unit_call

MOST_PAGES = 1000
ANNOTATIONS = ("document_annotation_format", "bbox_annotation_format")
ANNOTATED = "annotated"
MOST_HEAD = 128
_PICTURE = re.compile(rb'"data:image/[a-z]+;base64,(?:iVBORw0KGgo|/9j/)')
"""A picture in the body itself: PNG or JPEG, which have one page whatever else is said of them."""
_RANGES = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?\Z")


@dataclass(frozen=True, slots=True)
class MistralOcrWire(UnitWire):
    """Pages of a document."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What is to be read, by which model. Raises InvalidJson or BadRequest."""
        members = read_body(asked.body)
        grade = ANNOTATED if any(not is_null(members.get(name)) for name in ANNOTATIONS) else ""
        document = read_object(members, "document") or {}
        most = _most_pages(members, document)
        return unit_call(
            read_text(members, "model") or asked.model,
            {"pages": most},
            Usage(pages=most, grade=grade),
            terms=Terms(grade=grade, account_resource="file_id" if "file_id" in document else None),
        )

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """The answer ends with the number of pages."""
        return BodyTap(OcrReading(call))


class OcrReading(UnitReading):
    """Reads one answer."""

    def __init__(self, call: ModelCall) -> None:
        super().__init__(call)
        self._told: int | None = None
        self._seen = 0

    def body(self, text: bytes, size: int) -> None:
        answer: Fields | None = read_fields(text) if size == len(text) else None
        usage = nested(answer, "usage_info") if answer is not None else last_object(text, "usage_info") or {}
        self._told = count(usage.get("pages_processed"))
        self._seen = len(objects(answer, "pages")) if answer is not None else 0
        self.work_seen = bool(text.strip())
        self.complete = self._told is not None

    def outcome(self, *, input_bound: int) -> Metered:
        grade = self.expected.grade
        if self._told is not None:
            return Exact(Usage(pages=self._told, grade=grade))
        if not self.work_seen:
            return Nothing()
        return AtLeast(Usage(pages=self._seen or self.expected.pages, grade=grade))


def _most_pages(members: Members, document: Members) -> int:
    """How many pages may be billed: those that are picked, of a picture one, else as many as a document may have."""
    picked = members.get("pages")
    if picked is not None and not is_null(picked):
        return min(_picked(members, picked), MOST_PAGES)
    if "image_url" not in document or document.keys() - {"type", "image_url"}:
        return MOST_PAGES
    return 1 if _PICTURE.match(bytes(memoryview(document["image_url"])[:MOST_HEAD])) else MOST_PAGES


def _picked(members: Members, pages: Raw) -> int:
    if bytes(pages)[:1] == b"[":
        return len(read_items(members, "pages")) or MOST_PAGES
    total = 0
    for part in (read_text(members, "pages") or "").split(","):
        found = _RANGES.match(part)
        if found is None:
            return MOST_PAGES
        first, last = int(found[1]), int(found[2] or found[1])
        total += max(last - first, first - last) + 1
    return total
