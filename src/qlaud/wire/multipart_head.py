"""Reads the heads of a form: its content type, and the lines above each part.

What two servers might read differently is refused: the gateway holds money for the field it sees, and the provider
must not see another one. Used by `wire/multipart.py` only.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from qlaud.core.errors import NAME_CHARS, BadRequest

MAX_BOUNDARY_BYTES = 70
"""RFC 2046, 5.1.1."""

_FORM = b"multipart/form-data"
_VISIBLE = re.compile(rb"[!-~](?:[ -~]*[!-~])?")
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rb';[ \t]*(%s)=("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s;"\\]++)[ \t]*' % _TOKEN, re.DOTALL)
_LINE = re.compile(rb"(%s):[ \t]*([^\r\n]*)" % _TOKEN)
_NAMES = re.compile(rb";[ \t]*name\*?[ \t]*=", re.IGNORECASE)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")
_PLAIN_CHARSETS = (b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin1")


class PartHead(Struct, frozen=True, gc=False):
    """What stands above a part."""

    name: str
    filename: str | None
    """None for a plain field."""
    content_type: str


def read_boundary(content_type: bytes) -> bytes:
    """The boundary that a request's content type names. Raises BadRequest."""
    kind, parameters = _with_parameters(content_type, "the content-type header")
    if kind != _FORM:
        raise BadRequest("the body must be a form: send content-type multipart/form-data")
    _check_charset(parameters, "the form")
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise BadRequest(
            "the content-type header names no boundary; let your HTTP client set that header for the form"
        )
    if len(boundary) > MAX_BOUNDARY_BYTES or not _VISIBLE.fullmatch(boundary):
        raise BadRequest(
            f"the form's boundary must be 1 to {MAX_BOUNDARY_BYTES} visible ASCII characters; use a shorter one"
        )
    return boundary


def read_part_head(text: bytes) -> PartHead:
    """What the header lines of a part say, without the line break behind the last. Raises BadRequest."""
    lines = _lines(text)
    disposition = lines.get(b"content-disposition")
    if disposition is None:
        raise BadRequest('a part of the form has no name; give it Content-Disposition: form-data; name="..."')
    kind, parameters = _with_parameters(disposition, "a Content-Disposition header")
    if kind != b"form-data":
        raise BadRequest('each part of the form needs Content-Disposition: form-data; name="..."')
    name = _name(disposition, parameters)
    if lines.get(b"content-transfer-encoding", b"").lower() not in _PLAIN_ENCODINGS:
        raise BadRequest(
            f"`{name}` has a Content-Transfer-Encoding; send the part as it is, without one", param=name
        )
    content_type = lines.get(b"content-type", b"")
    filename = _filename(parameters)
    if filename is None and b"charset" in content_type.lower():
        _check_charset(_with_parameters(content_type, f"the Content-Type of `{name}`")[1], f"`{name}`")
    return PartHead(name, filename, content_type.decode("ascii", "replace"))


def _lines(text: bytes) -> Mapping[bytes, bytes]:
    """The header lines by their names in lower case; one that matters may stand once."""
    lines: dict[bytes, bytes] = {}
    for line in text.split(b"\r\n") if text else ():
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadRequest(
                "a part of the form has a header line that cannot be read; "
                "send each as `Name: value` on one line that ends with CR LF"
            )
        name = match[1].lower()
        if name in lines and name.startswith(b"content-"):
            raise BadRequest(f"a part of the form has two {name.decode()} headers; send one")
        lines[name] = match[2].rstrip(b" \t")
    return lines


def _with_parameters(value: bytes, where: str) -> tuple[bytes, Mapping[bytes, bytes]]:
    """The word before the first semicolon, in lower case, and the parameters, without their quotes."""
    kind, semicolon, _ = value.partition(b";")
    parameters: dict[bytes, bytes] = {}
    at = len(kind)
    while match := _PARAMETER.match(value, at):
        name, text = match[1].lower(), match[2]
        if name in parameters:
            raise BadRequest(f"{where} has two {name.decode()} parameters; send one")
        parameters[name] = text[1:-1] if text.startswith(b'"') else text
        at = match.end()
    if semicolon and value[at:].strip(b"; \t"):
        raise BadRequest(f'{where} cannot be read; write its parameters as ; name="value"')
    return kind.strip(b" \t").lower(), parameters


def _name(disposition: bytes, parameters: Mapping[bytes, bytes]) -> str:
    """The part's name, in which nothing is left to interpretation.

    Browsers write a backslash as it is and others escape with it, so `name="a\\"; name="model"` has two readings.
    """
    raw = parameters.get(b"name", b"")
    if len(_NAMES.findall(disposition)) != 1 or not raw:
        raise BadRequest('each part of the form needs one name, as in form-data; name="model"')
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise BadRequest("a field name of the form is not valid UTF-8") from None
    if "\\" in name or "\0" in name:
        shown = name[:NAME_CHARS]
        raise BadRequest(f"the field name `{shown}` holds a backslash or a NUL; name it without", param=shown)
    return name


def _filename(parameters: Mapping[bytes, bytes]) -> str | None:
    """The name of a file; None if the part is none. `filename*` (RFC 5987) is preferred where it can be read."""
    plain = parameters.get(b"filename")
    extended = parameters.get(b"filename*", b"")
    charset, _, rest = extended.partition(b"'")
    if charset.lower() == b"utf-8":
        try:
            encoded = rest.partition(b"'")[2]
            return _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), encoded).decode()
        except UnicodeDecodeError:
            pass
    if plain is None:
        return extended.decode("ascii", "replace") if extended else None
    return _ESCAPED.sub(rb"\1", plain).decode("utf-8", "replace")


def _check_charset(parameters: Mapping[bytes, bytes], what: str) -> None:
    if parameters.get(b"charset", b"utf-8").lower() not in _PLAIN_CHARSETS:
        raise BadRequest(f"{what} must be UTF-8; leave its charset out")
