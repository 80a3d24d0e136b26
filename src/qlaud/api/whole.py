"""A whole answer in one write, past the server's two messages: half of what an answer costs on the hot path.

Only the usual case takes it: HTTP/1.1, kept alive, nothing sent yet, a caller who reads. Every other case says no and
is answered by ASGI's messages; so this may only ever write what they would have written.
"""

from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from qlaud.ports import Headers

EXTENSION = "qlaud.whole_answer"
"""The key in the scope's extensions."""

WholeAnswer = Callable[[int, Headers, bytes], bool]


def whole_answer(cycle: RequestResponseCycle) -> WholeAnswer:
    """The extension for one request: whether it has written the answer."""

    def write(status: int, headers: Headers, body: bytes) -> bool:
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

    return write
