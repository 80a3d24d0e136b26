"""Reads a `multipart/form-data` body as it passes, and says where everything in it stands.

Nothing of a file is kept, whatever its size: only where it begins and ends, so that the body itself can rest
elsewhere and leave as it came, with single fields edited. Fields are kept whole, within limits.

Invariant: a form that is taken has one reading. Line ends that only some servers accept, a boundary line with
something behind it, a name with two readings: each is refused, because the provider behind us may read such a form
otherwise than we did, and the money was held for what we read (RFC 2046, 5.1.1; RFC 7578).
"""

from collections.abc import Callable

from qlaud.core.errors import NAME_CHARS, BadRequest
from qlaud.wire.form import FilePart, Form
from qlaud.wire.multipart_head import PartHead, read_boundary, read_part_head

MAX_PARTS = 2048
"""ElevenLabs takes a thousand key terms, each its own field."""
MAX_HEAD_BYTES = 8192
"""The header lines above one part."""
MAX_FIELD_BYTES = 131_072
"""One field. The longest text a provider takes in a form is a prompt of 32,000 characters of up to four bytes."""
MAX_KEPT_BYTES = 1_048_576
"""All fields of one form, and the header lines of all its parts, together."""
MAX_PADDING_BYTES = 64
"""White space behind a boundary, which some mailers leave."""


class FormReader:
    """Reads one form, in chunks of any size, in constant memory. After a BadRequest it is of no more use."""

    def __init__(self, content_type: bytes) -> None:
        """`content_type` is the header's value. Raises BadRequest if it names no usable boundary."""
        self._boundary = read_boundary(content_type)
        self._line = b"\n--" + self._boundary
        # A form may begin with its first boundary: the line break that ends the line before it is put there.
        self._rest = b"\r\n"
        self._at = -2  # where `_rest` begins in the body
        self._step: Callable[[], bool] = self._to_boundary
        self._parts = 0
        self._part: PartHead | None = None  # None before the first part and behind the last
        self._part_start = self._at
        self._value = bytearray()
        self._kept_bytes = 0
        self._fields: dict[str, list[bytes]] = {}
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._files: list[FilePart] = []
        self._closing: int | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body. Raises BadRequest."""
        self._rest += chunk
        while self._step():
            pass

    def finish(self) -> Form:
        """The form, when the body has ended. Raises BadRequest if its closing boundary has not come."""
        padding = self._rest[2:].strip(b" \t\r") if self._step == self._behind_boundary else b"?"
        ended = self._closing is not None or (self._rest.startswith(b"--") and not padding)
        if not ended:
            raise BadRequest(
                "the form ends before its closing boundary; send all of it, and the boundary of its content-type"
            )
        return Form(
            fields={name: tuple(values) for name, values in self._fields.items()},
            spans={name: tuple(spans) for name, spans in self._spans.items()},
            files=tuple(self._files),
            boundary=self._boundary,
            closing=self._at - len(self._line) + 1 if self._closing is None else self._closing,
        )

    def _drop(self, count: int) -> None:
        self._rest = self._rest[count:]
        self._at += count

    def _to_boundary(self) -> bool:
        """What stands before the next boundary line: preamble, a part's content, epilogue."""
        hit = self._rest.find(self._line)
        if hit < 0:
            # Kept: a line break's CR, and all of the boundary line but its last byte.
            count = len(self._rest) - len(self._line)
            if count > 0:
                self._keep(count)
                self._drop(count)
            return False
        if self._closing is not None:
            raise BadRequest("the form goes on behind its closing boundary; send every part before it")
        if hit == 0 or self._rest[hit - 1] != 0x0D or self._at + hit - 1 < self._part_start:
            raise BadRequest(
                "a boundary of the form does not stand behind a line break of its own; end each line with CR LF"
            )
        self._keep(hit - 1)
        self._end_part(self._at + hit - 1)
        self._drop(hit + len(self._line))
        self._step = self._behind_boundary
        return True

    def _behind_boundary(self) -> bool:
        """The end of a boundary line."""
        rest = self._rest
        if len(rest) < 2:
            return False
        is_closing = rest.startswith(b"--")
        tail = rest[2 * is_closing :].lstrip(b" \t")
        padding = len(rest) - 2 * is_closing - len(tail)
        if padding <= MAX_PADDING_BYTES and tail in (b"", b"\r"):
            return False
        if padding > MAX_PADDING_BYTES or not tail.startswith((b"\r\n", b"\n") if is_closing else b"\r\n"):
            raise BadRequest(
                "a boundary of the form is followed by something else than CR LF; end each line with CR LF, "
                "and choose a boundary that stands nowhere in what is sent"
            )
        if is_closing:
            self._closing = self._at - len(self._line) + 1
            self._step = self._to_boundary
        else:
            self._step = self._head
        self._drop(len(rest) - len(tail))
        return True

    def _head(self) -> bool:
        """The header lines of a part, up to the empty line. `_rest` begins with the line break before them."""
        end = self._rest.find(b"\r\n\r\n")
        if end < 0 and len(self._rest) < MAX_HEAD_BYTES + 4:
            return False
        if not 0 <= end <= MAX_HEAD_BYTES:
            raise BadRequest(
                f"the header lines of a part have more than {MAX_HEAD_BYTES} bytes before the empty line; shorten them"
            )
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(f"the form has more than {MAX_PARTS} parts; send fewer")
        self._part = read_part_head(self._rest[2:end])
        self._count(end)
        self._drop(end + 2)  # the empty line's own break stays, as the break before a boundary
        self._part_start = self._at + 2
        self._step = self._to_boundary
        return True

    def _keep(self, count: int) -> None:
        """So many bytes of `_rest` belong to what is read now; those of a field are remembered."""
        part = self._part
        if part is None or part.filename is not None:
            return
        value = self._rest[max(self._part_start - self._at, 0) : count]
        if len(self._value) + len(value) > MAX_FIELD_BYTES:
            shown = part.name[:NAME_CHARS]
            raise BadRequest(
                f"`{shown}` has more than {MAX_FIELD_BYTES} bytes; shorten it, or send it as a file",
                param=shown,
            )
        self._value += value
        self._count(len(value))

    def _count(self, size: int) -> None:
        self._kept_bytes += size
        if self._kept_bytes > MAX_KEPT_BYTES:
            raise BadRequest(
                f"the form's fields and header lines have more than {MAX_KEPT_BYTES} bytes together; send fewer"
            )

    def _end_part(self, end: int) -> None:
        part = self._part
        if part is None:
            return
        if part.filename is not None:
            size = end - self._part_start
            self._files.append(FilePart(part.name, part.filename, part.content_type, self._part_start, size))
        else:
            self._fields.setdefault(part.name, []).append(bytes(self._value))
            self._spans.setdefault(part.name, []).append((self._part_start, end))
        self._part = None
        self._value.clear()
