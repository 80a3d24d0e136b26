"""A provider on loopback: real HTTP/1.1, records what arrives byte for byte, answers as the test says.

What a provider's answers look like is in its `fake_<provider>`; this file only serves them. It runs on a loop of
its own in a thread, so that blocking clients and other processes can be its callers.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qsl, unquote

HANG_S = 30.0
"""A gate that nobody opens ends the test, not the session."""


class Gate:
    """A place in an answer where the provider waits until the test lets it go on."""

    def __init__(self) -> None:
        self._open: Future[None] = Future()

    def open(self) -> None:
        self._open.set_result(None)

    async def passed(self) -> None:
        await asyncio.wait_for(asyncio.wrap_future(self._open), HANG_S)


class HangUp:
    """The provider's connection breaks here."""


Part = bytes | Gate | HangUp


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. A stream is sent chunked, part by part; otherwise the parts are one body with its length."""

    parts: list[Part]
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    stream: bool = False


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of a multipart form."""

    value: bytes
    filename: str | None = None
    content_type: str = "text/plain"

    @property
    def text(self) -> str:
        return self.value.decode()


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    """Names in the case they came in."""
    body: bytes
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when the caller closed the connection before the answer was whole."""

    @property
    def path(self) -> str:
        """Decoded, without the query."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, the last of each name."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, FormField]:
        """The fields of a multipart body, the last of each name."""
        (content_type,) = self.header("content-type")
        assert content_type.startswith("multipart/form-data"), content_type
        parsed = message_from_bytes(
            f"content-type: {content_type}\r\n\r\n".encode() + self.body, policy=policy.HTTP
        )
        fields: dict[str, FormField] = {}
        for part in parsed.iter_parts():
            name: Any = part.get_param("name", header="content-disposition")
            value: Any = part.get_payload(decode=True)
            fields[name] = FormField(value, part.get_filename(), part.get_content_type())
        return fields

    def header(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]


Responder = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class FakeProvider:
    """A running provider. `scripted` answers are given first, in order."""

    origin: str
    calls: list[Call]
    scripted: deque[Answer | Responder]

    def script(self, *answers: Answer | Responder) -> None:
        """The next answers, whatever is asked."""
        self.scripted.extend(answers)

    @property
    def last(self) -> Call:
        return self.calls[-1]


@contextmanager
def serve_provider(refuse: Callable[[Call], Answer | None], respond: Responder) -> Generator[FakeProvider]:
    """A provider on a free port, until the block ends. `refuse` turns away who does not sign in as he should."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="fake-provider")
    thread.start()
    calls: list[Call] = []
    scripted: deque[Answer | Responder] = deque()

    def choose(call: Call) -> Answer:
        calls.append(call)
        if (refused := refuse(call)) is not None:
            return refused
        next_one = scripted.popleft() if scripted else respond
        return next_one if isinstance(next_one, Answer) else next_one(call)

    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError):
                while await _serve_one(reader, writer, choose):
                    pass
        finally:
            tasks.discard(task)
            writer.close()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**26)

    async def end(server: asyncio.Server) -> None:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(HANG_S)
    try:
        port = server.sockets[0].getsockname()[1]
        yield FakeProvider(f"http://127.0.0.1:{port}", calls, scripted)
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(HANG_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG_S)
        loop.close()


async def _serve_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, choose: Callable[[Call], Answer]
) -> bool:
    """One request and its answer. Whether the connection can take another."""
    call = await _read(reader)
    answer = choose(call)
    if not answer.stream:
        body = b"".join(part for part in answer.parts if isinstance(part, bytes))
        for part in answer.parts:
            if isinstance(part, Gate) and not await _passed(part, reader, call):
                return False
        writer.write(_head(answer, [("content-length", str(len(body)))]) + body)
        await writer.drain()
        return True
    writer.write(_head(answer, [("transfer-encoding", "chunked")]))
    for part in answer.parts:
        if isinstance(part, Gate):
            await writer.drain()
            if not await _passed(part, reader, call):
                return False
        elif isinstance(part, HangUp):
            await writer.drain()
            return False
        else:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _passed(gate: Gate, reader: asyncio.StreamReader, call: Call) -> bool:
    """Wait at a gate, with an eye on the caller. False when the caller hung up first."""
    opened, gone = asyncio.ensure_future(gate.passed()), asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait((opened, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            call.hung_up.set()
            return False
        await opened
        return True
    finally:
        for waiting in (opened, gone):
            waiting.cancel()
        await asyncio.gather(opened, gone, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = [(name, value.strip()) for name, _, value in pairs]
    framing = {name.lower(): value for name, value in headers}
    if framing.get("transfer-encoding", "").lower() == "chunked":
        return Call(method, target, headers, await _read_chunks(reader))
    return Call(method, target, headers, await reader.readexactly(int(framing.get("content-length", "0"))))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if size == 0:
            return body


def _head(answer: Answer, framing: list[tuple[str, str]]) -> bytes:
    pairs = [("content-type", answer.content_type), *answer.headers, *framing]
    lines = [f"HTTP/1.1 {answer.status} Status", *(f"{name}: {value}" for name, value in pairs)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer_json(
    value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = (), gate: Gate | None = None
) -> Answer:
    """A JSON answer; with a `gate` it comes when that is opened."""
    body: list[Part] = [json.dumps(value).encode()]
    return Answer([gate, *body] if gate else body, status, headers=headers)
