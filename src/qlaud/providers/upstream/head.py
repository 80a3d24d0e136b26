"""The request head as bytes. Nothing a caller passes in can add a line to it.

The client owns framing: `host`, `content-length`, `transfer-encoding` and every hop-by-hop header of the caller
are dropped, and the framing that belongs to the body is written. Pure.
"""

import re
from functools import lru_cache

from qlaud.ports import Headers, UpstreamRequest, UpstreamUnreachable

BODY_EXPECTED = frozenset({"POST", "PUT", "PATCH"})
OWNED = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
        b"expect",
    }
)
"""Set by the client or meaningful on one hop only (RFC 9110, 7.6.1)."""

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
TARGET = re.compile(rb"/[\x21-\x7e\x80-\xff]*")


@lru_cache(maxsize=1024)
def name_on_the_wire(name: bytes) -> bytes | None:
    """The name in lower case, None if the client owns it.

    Raises UpstreamUnreachable if it is not a token. Remembered because names repeat on every request.
    """
    if TOKEN.fullmatch(name) is None:
        raise UpstreamUnreachable(f"refused to send a header name that is not a token: {name[:40]!r}")
    lowered = name.lower()
    return None if lowered in OWNED else lowered


def encode_head(request: UpstreamRequest, host_header: bytes) -> bytes:
    """The request line and headers up to and with the empty line.

    Raises UpstreamUnreachable, with nothing sent, if a name, a value, the method or the target could break out
    of its place (CR, LF, NUL, a space). The message never holds a header's value.
    """
    method = request.method.encode()
    if TOKEN.fullmatch(method) is None or TARGET.fullmatch(request.target) is None:
        raise UpstreamUnreachable(
            "refused to send a method or target with characters that do not belong there"
        )
    lines = [b"%b %b HTTP/1.1" % (method, request.target), b"host: " + host_header]
    lines.extend(header_lines(request.headers))
    framing = framing_line(request)
    if framing is not None:
        lines.append(framing)
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    # One count over the whole head is cheaper than a look at each value, and misses none: every line break in it
    # must be one that was put there just now.
    breaks = len(lines)
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise UpstreamUnreachable("refused to send a header value with CR, LF or NUL in it")
    return head


def header_lines(headers: Headers) -> list[bytes]:
    """The caller's headers that may travel, as lines without their ends."""
    lines: list[bytes] = []
    for name, value in headers:
        lowered = name_on_the_wire(name)
        if lowered is not None:
            lines.append(lowered + b": " + value)
    return lines


def framing_line(request: UpstreamRequest) -> bytes | None:
    """How the body is delimited; None where no body is sent and none is expected."""
    body = request.body
    if isinstance(body, bytes):
        return b"content-length: %d" % len(body)
    if body is None:
        return b"content-length: 0" if request.method in BODY_EXPECTED else None
    if request.content_length is None:
        return b"transfer-encoding: chunked"
    if request.content_length < 0:
        raise UpstreamUnreachable("refused to send a negative content-length")
    return b"content-length: %d" % request.content_length
