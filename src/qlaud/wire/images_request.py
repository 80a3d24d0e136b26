"""Reads a request for pictures, made or edited: what it asks, and the most it is billed for.

Some models bill what they make in tokens, by size and quality; their names have `gpt-image` in them. All others bill by
the picture. Bounds of tokens: OpenAI's table for its first models, its public calculator for the later ones (a grid of
96 by 96 at high quality, scaled by shape and area); the dearest where nothing is said or the word is new. Sources: the
types of the SDK 3.54.0 (16 pictures in, 10 out, 3 partial ones, 16 frames), the provider's guide on pictures with its
table and calculator, and xAI's pages, seen 2026-11. That `xhigh` and `max` make 1.5 and 2 times the grid is assumed.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec
from msgspec import Raw

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest
from qlaud.wire import body as json_body
from qlaud.wire import content
from qlaud.wire.body import MAX_WHOLE, Members
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.form import Form
from qlaud.wire.openai_input import END_USER_CHARS, IMAGE_TOKENS
from qlaud.wire.types import Asked, ModelCall

BY_GPT = "gpt-image"
TABLED_MODELS = ("gpt-image-1-", "gpt-image-1.5")
"""Beginnings of the names of models that are billed by a table; the first one, gpt-image-1, is one too."""
TABLE: Mapping[str, Mapping[str, int]] = {
    "1024x1024": {"low": 272, "medium": 1056, "high": 4160},
    "1024x1536": {"low": 408, "medium": 1584, "high": 6240},
    "1536x1024": {"low": 400, "medium": 1568, "high": 6208},
}
"""Output tokens by size and quality."""
GRID: Mapping[str, int] = {"low": 16, "medium": 48, "high": 96, "xhigh": 144, "max": 192}
"""Cells along the longer edge, by quality."""
MOST_PIXELS = 8_294_400
PARTIAL_TOKENS = 100
"""What each partial picture adds."""
PLANNING_TOKENS = 1_024
"""Text a model writes for itself before it draws, a picture."""
MOST_PICTURES = 10
MOST_FRAMES = 16
USUAL_FRAMES = 9
PICTURE_FIELDS = ("image", "images", "mask", "markup", "image_url", "reference_images")


class Fields(Protocol):
    """A JSON object or a form, read alike."""

    def text(self, name: str) -> str | None:
        """A string."""
        ...

    def whole(self, name: str, *, least: int, most: int = MAX_WHOLE) -> int | None:
        """A whole number."""
        ...

    def flag(self, name: str) -> bool:
        """A yes or no."""
        ...


class JsonFields:
    """The members of a JSON body."""

    __slots__ = ("_members",)

    def __init__(self, members: Members) -> None:
        self._members = members

    def text(self, name: str) -> str | None:
        """A string."""
        return json_body.read_text(self._members, name)

    def whole(self, name: str, *, least: int, most: int = MAX_WHOLE) -> int | None:
        """A whole number."""
        return json_body.read_whole(self._members, name, least=least, most=most)

    def flag(self, name: str) -> bool:
        """A yes or no."""
        return json_body.read_flag(self._members, name)


def read_call(asked: Asked) -> ModelCall:
    """What is asked, in JSON or in a form. Raises InvalidJson or BadRequest."""
    if asked.form is not None:
        sizes, pictures = _form_sizes(asked.form)
        return _call(asked.form, sizes, pictures, svg="svg[model]" in asked.form.fields)
    members = json_body.read_body(asked.body)
    given = [members[name] for name in PICTURE_FIELDS if name in members]
    taken = sum(len(value) for value in given)
    pictures = sum(_count(value) for value in given)
    svg = not json_body.is_null(members.get("svg"))
    return _call(JsonFields(members), len(asked.body) - taken, pictures, svg=svg)


def is_billed_in_tokens(model: str) -> bool:
    """Whether a model bills what it makes in tokens."""
    return BY_GPT in model.lower()


def _form_sizes(form: Form) -> tuple[int, int]:
    """Bytes of all text, and the number of pictures."""
    text = sum(len(value) for values in form.fields.values() for value in values)
    named = sum(
        len(values) for name, values in form.fields.items() if name.removesuffix("[]") in PICTURE_FIELDS
    )
    return text, len(form.files) + named


def _count(value: Raw) -> int:
    """Pictures in a member: one, or as many as an array has."""
    if json_body.is_null(value):
        return 0
    if not content.opens_with(value, 0x5B):
        return 1
    try:
        return len(msgspec.json.decode(value, type=list[Raw]))
    except UNREADABLE:
        return 1


def _call(fields: Fields, text_bytes: int, pictures: int, *, svg: bool) -> ModelCall:
    model = fields.text("model")
    if not model:
        raise BadRequest("`model` is missing; name the model to call", param="model")
    count = fields.whole("n", least=1, most=MOST_PICTURES) or 1
    quality = fields.text("quality") or ""
    kind = fields.text("output_format") or ""
    user = fields.text("user") or fields.text("safety_identifier")
    most: dict[str, int] = {}
    if is_billed_in_tokens(model):
        frames = (
            (fields.whole("frame_count", least=1, most=MOST_FRAMES) or USUAL_FRAMES) if kind == "gif" else 1
        )
        partial = fields.whole("partial_images", least=0, most=3) or 0
        once = tokens_of(model, fields.text("size") or "", quality) * frames + PLANNING_TOKENS
        most["image_out_tokens"] = count * (once + partial * PARTIAL_TOKENS)
        text_bytes += pictures * IMAGE_TOKENS
    else:
        most["images"] = count
        if pictures:
            most["images_in"] = pictures
    demand = Demand(
        text_bytes,
        grade="" if is_billed_in_tokens(model) or quality == "auto" else quality,
        most=most,
        # what draws an SVG is a text model of its own
        unbounded_tool="svg" if svg or kind == "svg" else None,
    )
    return ModelCall(
        model,
        stream=fields.flag("stream"),
        demand=demand,
        wants_usage=True,
        end_user=user[:END_USER_CHARS] if user else None,
    )


def tokens_of(model: str, size: str, quality: str) -> int:
    """The most output tokens of one picture of that size and quality."""
    model = model.lower()  # as models are looked up
    if model == "gpt-image-1" or model.startswith(TABLED_MODELS):
        rows = [TABLE[size]] if size in TABLE else list(TABLE.values())
        return max(row.get(quality, row["high"]) for row in rows)
    grid = GRID.get(quality)
    if grid is None:
        grid = GRID["high"] if model.startswith("gpt-image-2-") or model == "gpt-image-2" else GRID["max"]
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and len(size) <= 11 and int(width) and int(height)):
        return _tokens(grid, grid, MOST_PIXELS)
    longer, shorter = max(int(width), int(height)), min(int(width), int(height))
    cells = (2 * grid * shorter + longer) // (2 * longer)
    return _tokens(grid, max(cells, 1), longer * shorter)


def _tokens(along: int, across: int, pixels: int) -> int:
    return -(-along * across * (2_000_000 + min(pixels, MOST_PIXELS)) // 4_000_000)
