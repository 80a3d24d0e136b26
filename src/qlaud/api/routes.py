"""The outermost application: which way a request goes, and what every answer carries: request ids and CORS.

Model surfaces take the hot path; everything else is the management application.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from qlaud.api.bodies import Message, Receive, Scope, Send
from qlaud.api.free import FreeEdge
from qlaud.api.inference import InferenceEdge
from qlaud.api.jobs import JobsEdge
from qlaud.api.live import LiveEdge
from qlaud.api.live_surfaces import LiveWays
from qlaud.api.models import speaker_of
from qlaud.api.surfaces import COUNT_TOKENS, METRICS, Ways, is_models
from qlaud.core.errors import BadRequest, MethodNotAllowed, NotFound, QlaudError, WebsocketNotSupported
from qlaud.ports import Clock, Ids

EXPOSED = ", ".join(
    (
        "x-request-id, request-id, x-upstream-request-id, x-qlaud-provider, x-qlaud-model, x-qlaud-cost-micros",
        "x-qlaud-budget-remaining-micros, x-qlaud-max-tokens-applied, x-qlaud-thread-id, x-qlaud-assistant-seq",
        "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests",
        "retry-after, x-should-retry, idempotency-replayed",
    )
).encode()
ALWAYS_ALLOWED = "x-api-key, authorization, content-type, accept, last-event-id"
NO_HANDSHAKE = (
    "this path is a WebSocket: ask for it with `upgrade: websocket`, version 13 and a key, without a body"
)
NO_WEBSOCKET = "this path has no WebSocket form; send a plain HTTP request"
PATH_CHARS, MESSAGE_CHARS = 200, 1000
"""Of an unknown path that are repeated, and of the sentence about it."""
METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"

AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Edges:
    """Who serves what."""

    ways: Ways
    live_ways: LiveWays
    inference: InferenceEdge
    live: LiveEdge
    free: FreeEdge
    jobs: JobsEdge
    management: AsgiApp


class Gateway:
    """The outermost ASGI application, lifespan excepted."""

    def __init__(self, edges: Edges, clock: Clock, ids: Ids, *, cors_origins: str) -> None:
        self._ways = edges.ways
        self._live_ways = edges.live_ways
        self._inference = edges.inference
        self._live = edges.live
        self._free = edges.free
        self._jobs = edges.jobs
        self._management = edges.management
        self._clock = clock
        self._ids = ids
        self._origins = frozenset(
            origin.strip().encode() for origin in cors_origins.split(",") if origin.strip()
        )

    def is_live(self, path: str) -> bool:
        """Whether a request to this decoded path may become a WebSocket."""
        return self._live_ways.find(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one handshake."""
        request_id = self._ids.uuid(self._clock.now_ms())
        scope["qlaud.request_id"] = request_id
        text = str(request_id).encode()
        head = [(b"x-request-id", text), (b"request-id", text), *self._cors(scope)]
        path: str = scope["path"]
        if scope["type"] == "websocket":
            live = self._live_ways.find(path)
            assert live is not None, "only live paths are upgraded"
            await self._live.serve(live, scope, receive, send, head)
            return
        method: str = scope["method"]
        if method == "HEAD":  # as GET; the server keeps the body to itself
            method, scope = "GET", {**scope, "method": "GET"}
        if method == "GET" and (error := self._no_socket(scope, path)) is not None:
            await self._free.refuse(error, self._shape(scope, path), send, head)
            return
        found = self._ways.find(method, path)
        if found is not None:
            match found.surface.kind:
                case "job" if found.surface.about_job or found.surface.video_form:
                    await self._jobs.serve(found, scope, receive, send, head)
                case "call" | "job" | "live":  # `live_ways` has the live ones
                    await self._inference.serve(found, scope, receive, send, head)
                case "free" if found.surface.wire_name == COUNT_TOKENS:
                    await self._free.count_tokens(found, scope, receive, send, head)
                case "free" if found.surface.lists_models and await self._free.listed(
                    found, scope, send, head
                ):
                    pass
                case "free":
                    await self._inference.pass_on(found, scope, receive, send, head)
        elif method == "GET" and is_models(path):
            name = path.partition("/models/")[2]
            await self._free.models(unquote(name) if name else None, scope, send, head)
        elif method == "GET" and path == METRICS:
            await self._free.metrics(scope, send, head)
        elif method == "OPTIONS":
            await self._preflight(scope, send, head)
        elif (missing := self._missing(method, path)) is not None:
            await self._free.refuse(missing, self._shape(scope, path), send, head)
        else:
            await self._management(scope, receive, adding(send, head))

    def _no_socket(self, scope: Scope, path: str) -> QlaudError | None:
        """What is wrong with a GET that should have become a WebSocket, or never can."""
        if self._live_ways.find(path) is not None:
            return BadRequest(NO_HANDSHAKE)
        return WebsocketNotSupported(NO_WEBSOCKET) if _wants_websocket(scope) else None

    def _missing(self, method: str, path: str) -> QlaudError | None:
        """That a path of models is not there, or not by this method; None for a path of management."""
        if allowed := self._ways.methods(path):
            return MethodNotAllowed(allowed)
        if self._live_ways.find(path) is not None:
            return MethodNotAllowed(["GET", "OPTIONS"])
        below = self._ways.below_a_name(method, path)
        if below:
            return NotFound(
                f"there is no path {path[:PATH_CHARS]}; there is {' and '.join(below)}"[:MESSAGE_CHARS]
            )
        if self._ways.shape(path) is not None:
            return NotFound(
                f"there is no path {path[:PATH_CHARS]}; a provider's other paths stand below its name"
            )
        return None

    def _shape(self, scope: Scope, path: str) -> str:
        """Whose errors are spoken on a path that nobody serves."""
        if is_models(path):
            return speaker_of(scope["headers"], path)
        if (live := self._live_ways.find(path)) is not None:
            return live.surface.wire.error_shape
        return self._ways.shape(path) or "anthropic"

    def _cors(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        for name, origin in scope["headers"]:
            if name == b"origin":
                if b"*" in self._origins:
                    return [
                        (b"access-control-allow-origin", b"*"),
                        (b"access-control-expose-headers", EXPOSED),
                    ]
                if origin in self._origins:
                    return [
                        (b"access-control-allow-origin", origin),
                        (b"access-control-expose-headers", EXPOSED),
                        (b"vary", b"origin"),
                    ]
                return []
        return []

    async def _preflight(self, scope: Scope, send: Send, head: list[tuple[bytes, bytes]]) -> None:
        asked = b"".join(
            value for name, value in scope["headers"] if name == b"access-control-request-headers"
        )
        headers = [
            *head,
            (b"access-control-allow-methods", METHODS),
            (
                b"access-control-allow-headers",
                (ALWAYS_ALLOWED.encode() + b", " + asked) if asked else ALWAYS_ALLOWED.encode(),
            ),
            (b"access-control-max-age", b"86400"),
            (b"content-length", b"2"),
            (b"content-type", b"application/json"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}", "more_body": False})


def _wants_websocket(scope: Scope) -> bool:
    return any(name == b"upgrade" and value.lower() == b"websocket" for name, value in scope["headers"])


def adding(send: Send, head: list[tuple[bytes, bytes]]) -> Send:
    """`send`, with `head` on every answer."""
    ours = frozenset(name for name, _ in head)

    async def send_with_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if pair[0] not in ours]
            message = {**message, "headers": [*kept, *head]}
        await send(message)

    return send_with_head
