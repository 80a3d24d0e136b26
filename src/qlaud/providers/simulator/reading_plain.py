"""Reads a request body of any kind for what a small answer needs: some fields, the last text, the sound it brought."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import msgspec

from qlaud.core.errors import BadRequest
from qlaud.providers.simulator.ask import BadBody
from qlaud.wire.media import duration_ms
from qlaud.wire.multipart import FormReader

FORM = b"multipart/form-data"
UNKNOWN_MS = 1000
"""How long a sound is that cannot be read, or that is somewhere else."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    seed: str
    size: int
    """Bytes of the body."""
    fields: Mapping[str, object]
    """Members of a JSON body, or fields of a form."""
    sound_ms: int = UNKNOWN_MS

    def text(self, name: str) -> str:
        """A text member, "" if there is none."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def flag(self, name: str) -> bool:
        """Whether a member is true."""
        return self.fields.get(name) in (True, "true")

    def whole(self, name: str, default: int) -> int:
        """A whole number, from JSON or a form."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        return value if type(value) is int else default


def read_asked(content_type: bytes, body: bytes, seed: str) -> Asked:
    """The request. Raises BadBody for what is neither JSON, nor a form, nor sound."""
    kind = content_type.lower()
    if kind.startswith(FORM):
        return _read_form(content_type, body, seed)
    if body[:1] != b"{" and b"json" not in kind:
        return Asked(seed, len(body), {}, _playing(body))
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadBody("the body is not valid JSON") from None
    if not isinstance(fields, dict):
        raise BadBody("the body must be a JSON object")
    return Asked(seed, len(body), cast("dict[str, object]", fields))


def last_text(value: object) -> str:
    """The last text within a conversation of any shape: the deepest last string under `text` or `content`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        for item in reversed(cast("list[object]", value)):
            if found := last_text(item):
                return found
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        for name in ("content", "parts", "text"):
            if found := last_text(members.get(name)):
                return found
    return ""


def _read_form(content_type: bytes, body: bytes, seed: str) -> Asked:
    try:
        reader = FormReader(content_type)
        reader.feed(body)
        form = reader.finish()
    except BadRequest as error:
        raise BadBody(error.message) from None
    fields = {name: values[0].decode("utf-8", "replace") for name, values in form.fields.items()}
    sound = b"".join(body[file.offset : file.offset + file.size] for file in form.files[:1])
    return Asked(seed, len(body), fields, _playing(sound))


def _playing(sound: bytes) -> int:
    playing = duration_ms(lambda offset, length: sound[offset : offset + length], len(sound))
    return UNKNOWN_MS if playing is None else playing
