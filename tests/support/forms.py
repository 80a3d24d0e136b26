"""Forms for tests: written down byte by byte, or read from what a real client sent."""

from collections.abc import Sequence

from qlaud.wire.form import Form
from qlaud.wire.multipart import FormReader

BOUNDARY = b"----qlaud-test"
KIND = b"multipart/form-data; boundary=" + BOUNDARY


def part(name: str, value: bytes, *, filename: str | None = None, kind: str = "") -> bytes:
    """A part without its boundary: header lines, an empty line, the value."""
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if kind:
        head += f"\r\nContent-Type: {kind}"
    return head.encode() + b"\r\n\r\n" + value


def joined(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """The body made of these parts."""
    return b"".join(b"--%s\r\n%s\r\n" % (boundary, one) for one in parts) + b"--%s--\r\n" % boundary


def read(body: bytes, kind: bytes = KIND, *, cuts: Sequence[int] = ()) -> Form:
    """The form, fed in the chunks that `cuts` makes."""
    reader = FormReader(kind)
    at = 0
    for cut in (*cuts, len(body)):
        reader.feed(body[at:cut])
        at = cut
    return reader.finish()


def form(*fields: tuple[str, str], file: bytes | None = None, filename: str = "audio.wav") -> Form:
    """A form of plain fields, and of one file named `file` in front of them."""
    parts = [part(name, value.encode()) for name, value in fields]
    if file is not None:
        parts.insert(0, part("file", file, filename=filename, kind="application/octet-stream"))
    return read(joined(*parts))
