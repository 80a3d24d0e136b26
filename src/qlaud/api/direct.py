"""The caller's connection itself, for what ASGI's messages cannot say or say slowly.

whole  a whole answer in one write: half of what an answer costs on the hot path. Only the usual case takes it
       (HTTP/1.1, kept alive, nothing sent yet, a caller who reads); every other is answered by ASGI's messages,
       so it only ever writes what they would have written
cut    break the connection, so that an answer that is not whole does not look so
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from qlaud.ports import Headers

EXTENSION = "qlaud.direct"
"""The key in the scope's extensions."""


class Direct:
    """One request's way to its connection."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def whole(self, status: int, headers: Headers, body: bytes) -> bool:
        """Whether the answer was written."""
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or not cycle.keep_alive or cycle.flow.write_paused:
            return False
        lines = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        breaks = (len(lines) - 2) // 4 + 2
        if head.count(b"\n") != breaks or head.count(b"\r") != breaks:
            return False  # a header value that breaks out of its line: ASGI's messages refuse it
        cycle.transport.write(head + body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        cycle.on_response()
        return True

    def cut(self) -> None:
        """Close the connection; what a caller who does not read has not taken is dropped."""
        if self._cycle.flow.write_paused:
            self._cycle.transport.abort()
        else:
            self._cycle.transport.close()
