"""Reads the responses of one connection: what httptools (llhttp) parses, judged.

httptools refuses by itself: content-length twice or with transfer-encoding, lengths that are not digits or
overflow, bad chunk sizes and ends, folded headers, bare CR or LF, NUL. Added here: limits, 101, transfer codings
other than one `chunked`, HEAD, the end at hang-up, and bytes after the end. A stray CRLF after the end, in the
same read, passes unseen; it belongs to no message.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from qlaud.providers.upstream.limits import UpstreamLimits
from qlaud.providers.upstream.response import WireResponse

BODILESS = frozenset({204, 304})


class Refused(Exception):
    """The answer breaks the protocol or passes a limit; the text says how."""


class ResponseReader:
    """Fills one response after another. The methods `on_…` are the parser's callbacks."""

    __slots__ = (
        "_fed_bytes",
        "_head_bytes",
        "_head_only",
        "_headers",
        "_interim",
        "_limits",
        "_parser",
        "_response",
        "_status_line_open",
        "complete",
        "keep_alive",
    )

    def __init__(self, limits: UpstreamLimits) -> None:
        self._limits = limits
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._response: WireResponse | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._fed_bytes = 0
        self._head_only = self._interim = False
        self._status_line_open = True
        self.complete = False
        """The response came to its end."""
        self.keep_alive = False
        """The server agreed to another exchange."""

    def begin(self, response: WireResponse, *, head_only: bool) -> None:
        """Fill `response` from now on. The answer to HEAD (`head_only`) ends with its head."""
        self._response, self._head_only = response, head_only
        self._headers = []
        self._head_bytes = self._fed_bytes = 0
        self.complete = self.keep_alive = self._interim = False
        self._status_line_open = True

    def feed(self, received: bytes) -> None:
        """Parse `received` into the response. Raises Refused; `complete` is true if the end came before the breach."""
        response, parser = self._response, self._parser
        if response is None or parser is None:
            raise Refused("bytes came that nobody asked for")
        if self._status_line_open:
            response.touched = True
            room_bytes = self._limits.line_limit_bytes - self._fed_bytes
            self._status_line_open = received.find(b"\n", 0, room_bytes) < 0
            if self._status_line_open and len(received) >= room_bytes:
                raise Refused("the status line is too long")
        self._fed_bytes += len(received)
        try:
            parser.feed_data(received)
        except (HttpParserError, HttpParserUpgrade) as error:
            # What a callback raises comes back as the context of the parser's own error.
            raise Refused(str(error.__context__ or error)) from None
        if self._fed_bytes > self._limits.header_limit_bytes and not self.complete:
            raise Refused("the head, the framing or the trailers are too long")

    def stop(self) -> None:
        """Let go of the parser, which holds this object in a cycle."""
        self._parser = self._response = None

    def on_message_begin(self) -> None:
        """A first byte of a message: of a second one, if this one is complete."""
        if self.complete:
            raise Refused("bytes follow the end of the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count it; keep it unless it is a trailer."""
        limits = self._limits
        size_bytes = len(name) + len(value) + 4
        self._head_bytes += size_bytes
        if size_bytes > limits.line_limit_bytes or self._head_bytes > limits.header_limit_bytes:
            raise Refused("a header line is, or all are together, too long")
        if self._response is None or self._response.arrived:
            return
        if len(self._headers) >= limits.header_count_limit:
            raise Refused("too many headers")
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Judge the framing; hand the head over unless it is an interim one."""
        response, parser = self._response, self._parser
        if response is None or parser is None:
            return
        status = parser.get_status_code()
        headers, self._headers = self._headers, []
        self._interim = 100 <= status < 200
        if status == 101 or status < 100:
            raise Refused(f"status {status} was not asked for")
        if self._interim:
            return
        response.until_close = reads_until_close(headers) and status not in BODILESS and not self._head_only
        self.keep_alive = parser.should_keep_alive() and not self._head_only
        response.status, response.headers, response.arrived = status, headers, True
        self._fed_bytes = self._head_bytes = 0
        self.complete = self._head_only

    def on_body(self, body: bytes) -> None:
        """Keep a piece for whoever reads the response."""
        response = self._response
        if response is not None and not self._head_only:
            response.chunks.append(body)
            response.buffered_bytes += len(body)
            self._fed_bytes = 0

    def on_message_complete(self) -> None:
        """The final response is whole; an interim one is forgotten."""
        self.complete = not self._interim


def reads_until_close(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the body has no promised length. Raises Refused for a transfer coding other than one `chunked`."""
    sized = chunked = False
    for name, value in headers:
        if name == b"content-length":
            sized = True
        elif name == b"transfer-encoding":
            if chunked or value.lower() != b"chunked":
                raise Refused("only the transfer coding `chunked` is read, once")
            chunked = True
    return not sized and not chunked
