"""The OpenAI Images wires: pictures made, and pictures edited. See `types.Wire` for what each function guarantees."""

from dataclasses import dataclass

import msgspec
from msgspec import Raw

from qlaud.core.errors import QlaudError
from qlaud.core.usage import Usage
from qlaud.wire import errors, images_request
from qlaud.wire.body import read_body
from qlaud.wire.content import opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.images_reading import ImagesReading, PicturesTap
from qlaud.wire.splice import set_members
from qlaud.wire.taps import StreamTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap

KINDS = ((b"/9j/", b"image/jpeg"), (b"UklG", b"image/webp"), (b"R0lG", b"image/gif"))
"""How pictures begin in base64; anything else is taken for a PNG."""


@dataclass(frozen=True, slots=True)
class OpenAIImagesWire:
    """`POST /v1/images/generations` (JSON) and `POST /v1/images/edits` (JSON or a form)."""

    error_shape: str = "openai"
    takes_form: bool = False

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        return images_request.read_call(asked)

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model put in where it differs, and pictures in the form this host knows.

        Our own surface takes a picture to edit as plain base64 in `image`, and answers with base64 unless another
        form is asked for (contract, 9.2).
        """
        values: dict[str, bytes] = {}
        renames: dict[str, str] = {}
        if changes.model is not None and changes.model != call.model:
            values["model"] = msgspec.json.encode(changes.model)
        if not values and not changes.pictures and not (self.takes_form and b'"image"' in body):
            return body
        members = read_body(body)
        if changes.pictures == "inline" and "response_format" not in members:
            values["response_format"] = b'"b64_json"'
        picture = members.get("image")
        if picture is not None and opens_with(picture, 0x22) and "images" not in members:
            if changes.pictures:
                values["image"] = b'{"url":%s}' % _address(picture)
            else:
                values["images"] = b'[{"image_url":%s}]' % _address(picture)
                renames["image"] = "images"
        return set_members(body, values, renames=renames, members=members) if values else body

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap; a refusal costs nothing. Usage is part of the format."""
        reading = ImagesReading(call)
        kind = head.content_type
        if b"event-stream" in kind or (call.stream and b"json" not in kind):
            return StreamTap(reading, strip_usage=False)
        return PicturesTap(reading)

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """`{"error":{"message","type","param","code"}}` as an event of that name."""
        return b"event: error\ndata: %s\n\n" % msgspec.json.encode(
            {"type": "error", **errors.openai_error(error)}
        )

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """Empty: no limit ends a picture."""
        return b""

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(body)


def _address(picture: Raw) -> bytes:
    """A JSON string with an address of the picture: the one it is, or its base64 as one."""
    try:
        text = msgspec.json.decode(picture, type=str).encode()
    except UNREADABLE:
        return bytes(picture)
    if text.startswith((b"http://", b"https://", b"data:")):
        return bytes(picture)
    kind = next((kind for opening, kind in KINDS if text.startswith(opening)), b"image/png")
    return msgspec.json.encode((b"data:%s;base64,%s" % (kind, text)).decode())
