"""A provider's socket on loopback: real WebSocket, notes every handshake and message, says what the test tells it.

with serve_live() as provider:
    provider.script(results(1), Close(1000))      # a script is said step by step; `Await` waits for a message
    ...
    provider.last.messages                        # what the gateway passed on, in order
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.support.gateway import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

HANG_S = 30.0
Said = str | bytes


@dataclass(frozen=True, slots=True)
class Await:
    """Go on when so many messages have come, or one that holds this text."""

    messages: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """End the socket in good manners."""

    code: int = 1000
    reason: str = ""


class Vanish:
    """The connection breaks."""


class Gate:
    """A place in a script where the provider waits until the test lets it go on."""

    def __init__(self) -> None:
        self._open: Future[None] = Future()

    def open(self) -> None:
        self._open.set_result(None)

    async def passed(self) -> None:
        await asyncio.wait_for(asyncio.wrap_future(self._open), HANG_S)


Step = Said | Await | Close | Vanish | Gate
Answer = Callable[[Said], Sequence[Step]]
"""What a provider says to one message."""


@dataclass(slots=True)
class Session:
    """One socket as the provider saw it."""

    path: str
    headers: list[tuple[str, str]]
    messages: list[Said] = field(default_factory=list)
    over: bool = False
    """Nothing more will come."""
    closed: threading.Event = field(default_factory=threading.Event)
    close_code: int | None = None

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(slots=True)
class Refuse:
    """Answer the handshake with a status."""

    status: int
    body: str
    content_type: str = "application/json"


@dataclass(slots=True)
class FakeLive:
    """A running provider. Scripts are used one for each socket; without one, `answer` says what it likes."""

    origin: str
    sessions: list[Session] = field(default_factory=list)
    scripts: "deque[Sequence[Step] | Refuse]" = field(default_factory=deque)
    answer: Answer = lambda _: ()
    handshakes: int = 0
    reads: bool = True
    """False: of the next sockets nothing is read."""

    def script(self, *steps: Step) -> None:
        self.scripts.append(steps)

    def refuse(self, status: int, body: str) -> None:
        self.scripts.append(Refuse(status, body))

    def wait_for(self, messages: int) -> None:
        """Return when the last socket has brought so many messages."""
        until(
            lambda: bool(self.sessions) and len(self.last.messages) >= messages, f"{messages} messages came"
        )

    @property
    def last(self) -> Session:
        return self.sessions[-1]


@contextmanager
def serve_live(headers: Sequence[tuple[str, str]] = ()) -> Generator[FakeLive]:
    """A provider on a free port, until the block ends. It chooses the first sub-protocol that is offered."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="fake-live")
    thread.start()
    provider = FakeLive("")

    def begin(connection: ServerConnection, request: Request) -> Response | None:
        provider.handshakes += 1
        if provider.scripts and isinstance(refused := provider.scripts[0], Refuse):
            provider.scripts.popleft()
            told = Headers([("content-type", refused.content_type), ("connection", "close")])
            body = refused.body.encode()
            told["content-length"] = str(len(body))
            return Response(refused.status, HTTPStatus(refused.status).phrase, told, body)
        return None

    def tell(connection: ServerConnection, request: Request, response: Response) -> None:
        response.headers.update(list(headers))

    def choose(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return offered[0] if offered else None

    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        session = Session(connection.request.path, list(connection.request.headers.raw_items()))
        provider.sessions.append(session)
        script = provider.scripts.popleft() if provider.scripts else None
        came = asyncio.Event()
        reading = asyncio.create_task(
            _read(connection, session, came, None if script else provider)
            if provider.reads
            else asyncio.sleep(0)
        )
        try:
            for step in script if script is not None and not isinstance(script, Refuse) else ():
                await _say(connection, session, came, step)
            await reading
        except ConnectionClosed:
            pass
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await connection.wait_closed()
            session.close_code = connection.close_code
            session.closed.set()

    async def start() -> tuple[object, int]:
        server = await serve(
            talk,
            "127.0.0.1",
            0,
            process_request=begin,
            process_response=tell,
            select_subprotocol=choose,
            compression=None,
            max_size=2**26,
            ping_interval=None,
            close_timeout=1,
        )
        return server, next(iter(server.sockets)).getsockname()[1]

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(HANG_S)
    provider.origin = f"http://127.0.0.1:{port}"

    async def stop() -> None:
        server.close(close_connections=True)  # type: ignore[attr-defined]
        await server.wait_closed()  # type: ignore[attr-defined]

    try:
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(HANG_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANG_S)
        loop.close()


async def _read(
    connection: ServerConnection, session: Session, came: asyncio.Event, provider: FakeLive | None
) -> None:
    try:
        async for message in connection:
            session.messages.append(message)
            came.set()
            if provider is not None:
                for step in provider.answer(message):
                    await _say(connection, session, came, step)
    finally:
        session.over = True
        came.set()


async def _say(connection: ServerConnection, session: Session, came: asyncio.Event, step: Step) -> None:
    match step:
        case str() | bytes():
            await connection.send(step)
        case Close(code, reason):
            await connection.close(code, reason)
        case Vanish():
            connection.transport.abort()
        case Gate():
            await step.passed()
        case Await(messages, text):
            async with asyncio.timeout(HANG_S):
                while not session.over and not _has(session, messages, text):
                    came.clear()
                    await came.wait()


def _has(session: Session, messages: int, text: str) -> bool:
    if text:
        return any(isinstance(message, str) and text in message for message in session.messages)
    return len(session.messages) >= messages
