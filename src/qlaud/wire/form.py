"""A form that was read: its fields, where everything stands in the body, and how a field is changed there.

Invariant: a field that matters stands once. One that stands twice is refused when it is read or set, because the
gateway and the provider might each take another one of the two.
"""

from collections.abc import Mapping

from msgspec import Struct

from qlaud.core.errors import BadRequest
from qlaud.wire.body import MAX_WHOLE
from qlaud.wire.splice import Edit

_YES = ("true", "1", "yes", "on")
_NO = ("false", "0", "no", "off", "")


class FilePart(Struct, frozen=True, gc=False):
    """A file within a form: where it stands in the body."""

    name: str
    filename: str
    content_type: str
    """As sent, empty where none was."""
    offset: int
    size: int


class Form(Struct, frozen=True, gc=False):
    """A whole form. Offsets count from the first byte of the body."""

    fields: Mapping[str, tuple[bytes, ...]] = {}
    """Every value of every plain field, in the order of the form."""
    spans: Mapping[str, tuple[tuple[int, int], ...]] = {}
    """Start and end of each of these values."""
    files: tuple[FilePart, ...] = ()
    boundary: bytes = b""
    closing: int = 0
    """Where the closing boundary line begins."""

    def text(self, name: str) -> str | None:
        """A field that stands at most once, None if absent. Raises BadRequest if it stands twice or is no text."""
        value = self._only(name)
        if value is None:
            return None
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise BadRequest(f"`{name}` must be UTF-8 text", param=name) from None
        if "\0" in text:
            raise BadRequest(f"`{name}` holds a NUL character, which is not text", param=name)
        return text

    def whole(self, name: str, *, least: int, most: int = MAX_WHOLE) -> int | None:
        """A whole number from `least` to `most`, None if absent. Raises BadRequest otherwise."""
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
            raise BadRequest(f"`{name}` must be a whole number from {least} to {most}", param=name)
        return int(text)

    def flag(self, name: str) -> bool:
        """A yes or no, False if absent. Raises BadRequest for a word that providers may read either way."""
        word = (self.text(name) or "").lower()
        if word not in _YES and word not in _NO:
            raise BadRequest(f"`{name}` must be true or false", param=name)
        return word in _YES

    def edits(self, values: Mapping[str, bytes]) -> list[Edit]:
        """What to change in the body so that these fields have these values; one that is absent is put in last.

        Raises BadRequest if a field stands twice, or if a value holds the form's boundary.
        """
        edits: list[Edit] = []
        fresh = b""
        line = b"\n--" + self.boundary
        for name, value in values.items():
            if line in b"\n" + value:
                raise BadRequest(f"the form's boundary stands in `{name}`; use another one", param=name)
            if self._only(name) is None:
                disposition = b'Content-Disposition: form-data; name="%s"' % name.encode()
                fresh += b"%s\r\n%s\r\n\r\n%s\r\n" % (line[1:], disposition, value)
            elif self.fields[name][0] != value:
                edits.append((*self.spans[name][0], value))
        if fresh:
            edits.append((self.closing, self.closing, fresh))
        return edits

    def _only(self, name: str) -> bytes | None:
        values = self.fields.get(name, ())
        files = sum(file.name == name for file in self.files)
        if len(values) + files > 1:
            raise BadRequest(f"`{name}` stands twice in the form; send it once", param=name)
        if files:
            raise BadRequest(
                f"`{name}` came as a file; send it as a plain field, without a filename", param=name
            )
        return values[0] if values else None
