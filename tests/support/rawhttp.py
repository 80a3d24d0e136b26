"""A client that sends exactly the bytes a test gives it, and reads answers one by one."""

import json
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 10.0


class Closed(Exception):
    """The server closed the connection instead of answering."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `headers` in lower case; of a repeated one the last."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._file = client.makefile("rb")

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self._client.sendall(part)

    def reply(self, *, to_head: bool = False) -> Reply:
        """The next answer, 1xx included. `to_head`: it has no body whatever it declares. Raises Closed."""
        first = self.line()
        status = int(first.split(b" ")[1])
        headers: dict[str, str] = {}
        while line := self.line():
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode("latin-1")
        if to_head or status < 200 or status in (204, 304):
            return Reply(status, headers, b"")
        return Reply(status, headers, self._body(headers))

    def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        return self._file.read()

    def closed(self) -> bool:
        """Whether the server has closed the connection and sent nothing more; waits for it."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self._file.close()

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._file.read(int(headers["content-length"]))
        if "transfer-encoding" not in headers:
            return self._file.read()
        parts: list[bytes] = []
        while size := int(self.line(), 16):
            parts.append(self._file.read(size))
            self.line()
        self.line()
        return b"".join(parts)

    def line(self) -> bytes:
        """The next line of a head. Raises Closed."""
        try:
            line = self._file.readline()
        except ConnectionError as reset:
            raise Closed from reset
        if not line.endswith(b"\n"):
            raise Closed
        return line.rstrip(b"\r\n")


@contextmanager
def connected(origin: str) -> Generator[RawConnection]:
    """A connection to a server, closed at the end."""
    parts = urlsplit(origin)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as client:
        connection = RawConnection(client)
        try:
            yield connection
        finally:
            connection.close()


def request(
    method: str,
    path: str,
    *headers: str,
    body: bytes | None = None,
    version: str = "HTTP/1.1",
    key: str | None = None,
) -> bytes:
    """A request as bytes, with `host`, the key, and the length of a body that is given."""
    lines = [f"{method} {path} {version}", "host: gateway.test", *headers]
    if key is not None:
        lines.append(f"x-api-key: {key}")
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")
