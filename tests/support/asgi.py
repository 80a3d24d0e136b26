"""A streaming client of an ASGI application in the test's own process: no socket, every message seen as it is sent."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HANG_S = 10.0

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(slots=True)
class Exchange:
    """One request and what came back so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    """The answer came to its own end. False after an end: the connection was broken."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error in any of the shapes."""
        return self.json["error"]["code"]

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    def leave(self) -> None:
        """Hang up."""
        self._left.set()

    async def until(self, seen: bytes) -> None:
        """Wait until the body holds `seen`."""
        async with asyncio.timeout(HANG_S):
            while seen not in self.body:
                await self._news.wait()
                self._news.clear()

    async def ended(self, task: "asyncio.Task[None]") -> None:
        """Wait for the end of the answer, or of the application."""
        task.add_done_callback(lambda _: self._news.set())
        while not self.whole and not task.done():
            await self._news.wait()
            self._news.clear()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.whole = not message.get("more_body", False)
        self._news.set()

    async def gone(self) -> None:
        await self._left.wait()


@asynccontextmanager
async def alive(app: App) -> AsyncGenerator[None]:
    """The application between its startup and its shutdown."""
    started, stopping = asyncio.Event(), asyncio.Event()
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        if len(asked) == 1:
            await stopping.wait()
        return asked.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set()

    async def run() -> None:
        await app({"type": "lifespan"}, receive, send)

    life, start = asyncio.create_task(run()), asyncio.create_task(started.wait())
    await asyncio.wait((life, start), return_when=asyncio.FIRST_COMPLETED)
    if not started.is_set():
        await life
    try:
        yield
    finally:
        stopping.set()
        await life


@asynccontextmanager
async def exchange(
    app: App,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> AsyncGenerator[Exchange]:
    """A request under way; when the block ends it has been answered."""
    made = Exchange()
    plain, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("gateway.test", 80),
    }
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await made.gone()
        return {"type": "http.disconnect"}

    async def run() -> None:
        await app(scope, receive, made.send)

    task = asyncio.create_task(run())
    try:
        yield made
        async with asyncio.timeout(HANG_S):
            await made.ended(task)
    finally:
        made.leave()
        async with asyncio.timeout(HANG_S):
            await task


async def call(
    app: App,
    method: str,
    path: str,
    body: object = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Exchange:
    """A whole exchange. `body` is sent as it is if it is bytes, else as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given = {**({"x-api-key": key} if key else {}), **(headers or {})}
    async with exchange(app, method, path, headers=given, body=raw) as made:
        pass
    return made
