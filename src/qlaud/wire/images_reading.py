"""What the taps understand of pictures: tokens where the model bills tokens, else the pictures themselves.

Usage stands behind the picture in an event and behind all pictures in a body, so that the end of either is enough. In a
stream it comes with `image_generation.completed` or `image_edit.completed` only; partial pictures carry none. Sources:
the types of the SDK 3.54.0, and xAI's page on what a call cost, seen 2026-11.
"""

from msgspec.structs import replace

from qlaud.core.usage import EMPTY, AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import Fields, count, last_told, nested, number, objects, read_fields, word
from qlaud.wire.images_request import is_billed_in_tokens
from qlaud.wire.openai_split import first_count
from qlaud.wire.openai_usage import vendor_cost_picos
from qlaud.wire.taps import BodyTap
from qlaud.wire.types import ModelCall

INLINE = b'"b64_json"'


class ImagesReading:
    """Folds one answer, stream or body."""

    output_floor = 0
    """Pictures are no output that a limit could end."""

    __slots__ = ("_answer", "_call", "_failed", "_usages", "_work_seen", "complete", "pictures", "started")

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self.started = False
        self.complete = False
        self.pictures = 0
        """Pictures seen."""
        self._answer: Fields = {}
        self._usages: list[Fields] = []
        self._failed = False
        self._work_seen = False

    def plain(self, events: bytes) -> bool:
        """Pictures that are not done, which are content and nothing else."""
        at = events.rfind  # finds nothing in half the time of `in`
        if at(b'.partial_image"') < 0 or at(b'.completed"') >= 0 or at(b'"error"') >= 0:
            return False
        self._work_seen = self.started = True
        return True

    def event(self, text: bytes) -> bool:
        fields = read_fields(text)
        if fields is None:
            return False
        kind = word(fields, "type")
        if fields.get("error") or kind == "error":
            self._failed = True
        elif kind.endswith(".completed"):
            self.pictures += 1
            self._note(fields, nested(fields, "usage"))
        elif kind:
            self._work_seen = self.started = True
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """The end of an event that holds a picture. Only the one that is done tells usage."""
        self._work_seen = self.started = True
        usage = last_told(text, "usage")
        if usage:
            self.pictures += 1
            self._note({}, usage)

    def body(self, text: bytes, size: int) -> None:
        if size > len(text):
            self._work_seen = True
            self._note({}, last_told(text, "usage") or {})
            return
        answer = read_fields(text)
        if answer is None:  # cut off in the middle, or not from the provider at all
            self._work_seen = text.lstrip()[:1] == b"{"
            return
        self.pictures = len(objects(answer, "data"))
        if self.pictures:
            self._note(answer, nested(answer, "usage"))

    def outcome(self, *, input_bound: int) -> Metered:
        demand = self._call.demand
        told = [usage for usage in self._usages if _is_whole(usage)]
        cost = sum(vendor_cost_picos(usage) for usage in self._usages)
        if is_billed_in_tokens(self._call.model):
            if told and self.complete:
                return Exact(replace(_tokens(told), served_model="", detail=_svg(self._answer) or EMPTY))
        elif self.complete and self.pictures:
            return Exact(
                Usage(
                    images=self.pictures,
                    images_in=demand.most.get("images_in", 0),
                    grade=demand.grade,
                    vendor_cost_picos=cost,
                )
            )
        if not self._work_seen or (self._failed and not self.started):
            return Nothing()
        if is_billed_in_tokens(self._call.model):
            made = demand.most.get("image_out_tokens", 0)
            return AtLeast(Usage(input_tokens=input_bound, image_out_tokens=made))
        return AtLeast(
            Usage(
                images=self.pictures or demand.most.get("images", 0),
                images_in=demand.most.get("images_in", 0),
                grade=demand.grade,
                vendor_cost_picos=cost,
            )
        )

    def _note(self, answer: Fields, usage: Fields) -> None:
        """Pictures that are done."""
        self._work_seen = self.started = self.complete = True
        self._answer = answer
        if usage:
            self._usages.append(usage)


class PicturesTap(BodyTap):
    """A tap over one JSON body that counts the pictures in it as they pass, however large they are."""

    __slots__ = ("_edge", "_images")

    def __init__(self, reading: ImagesReading) -> None:
        super().__init__(reading)
        self._images = reading
        self._edge = b""

    def feed(self, chunk: bytes) -> bytes:
        """The chunk itself."""
        seen = self._edge + chunk
        self._images.pictures += seen.count(INLINE)
        self._edge = seen[1 - len(INLINE) :]
        return super().feed(chunk)


def _is_whole(usage: Fields) -> bool:
    return count(usage.get("input_tokens")) is not None and count(usage.get("output_tokens")) is not None


def _tokens(usages: list[Fields]) -> Usage:
    """The sum of what several pictures cost."""
    split = [_split(usage) for usage in usages]
    return Usage(
        input_tokens=sum(one.input_tokens for one in split),
        cache_read_tokens=sum(one.cache_read_tokens for one in split),
        image_in_tokens=sum(one.image_in_tokens for one in split),
        image_cache_read_tokens=sum(one.image_cache_read_tokens for one in split),
        output_tokens=sum(one.output_tokens for one in split),
        image_out_tokens=sum(one.image_out_tokens for one in split),
    )


def _split(usage: Fields) -> Usage:
    """One usage object in disjoint parts: text and pictures, read from a cache or not, in and out."""
    details = nested(usage, "input_tokens_details")
    total, output = number(usage, "input_tokens"), number(usage, "output_tokens")
    image = min(number(details, "image_tokens"), total)
    text = total - image
    cached = first_count(details, "cached_tokens")
    if cached is None:
        cached = number(usage, "cached_tokens")
    kinds = nested(details, "cached_tokens_details") or nested(usage, "cached_tokens_details")
    of_images = first_count(kinds, "image_tokens", "cached_image_tokens")
    cached_text = min(cached - (of_images or 0), text) if cached > (of_images or 0) else 0
    cached_image = min(cached - cached_text if of_images is None else of_images, image)
    wrote = min(number(nested(usage, "output_tokens_details"), "text_tokens"), output)
    return Usage(
        input_tokens=text - cached_text,
        cache_read_tokens=cached_text,
        image_in_tokens=image - cached_image,
        image_cache_read_tokens=cached_image,
        output_tokens=wrote,
        image_out_tokens=output - wrote,
    )


def _svg(answer: Fields) -> dict[str, int]:
    """What another model took to draw it as an SVG: kept for the record, billed at that model's price."""
    drawn = nested(answer, "svg_usage")
    return {f"svg_{name}": n for name in ("input_tokens", "output_tokens") if (n := number(drawn, name))}
