"""What people write themselves: a FastAPI route that looks a key up and forwards with httpx.

No money, no usage, no durable anything: the yardstick for what the framework and the client library cost
alone. It runs on its best settings (uvloop, httptools, no access log, one shared client, a large pool).
`python -m bench.plain_proxy PORT UPSTREAM_PORT` with the accepted keys, one a line, on standard input.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse


def build(upstream: str, users: dict[str, str]) -> FastAPI:
    """The proxy in front of `upstream` for the keys of `users`."""
    limits = httpx.Limits(max_connections=4096, max_keepalive_connections=512)
    client = httpx.AsyncClient(base_url=upstream, timeout=httpx.Timeout(600), limits=limits, trust_env=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/healthz")
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @app.post("/v1/messages")
    @app.post("/v1/chat/completions")
    async def forward(request: Request) -> Response:
        if request.headers.get("x-api-key") not in users:
            return JSONResponse({"error": "unknown key"}, status_code=401)
        body = await request.json()
        outgoing = client.build_request(
            "POST", request.url.path, json=body, headers={"x-api-key": "provider"}
        )
        if not body.get("stream"):
            answer = await client.send(outgoing)
            return JSONResponse(answer.json(), status_code=answer.status_code)
        stream = await client.send(outgoing, stream=True)

        async def relay() -> AsyncIterator[bytes]:
            try:
                async for piece in stream.aiter_raw():
                    yield piece
            finally:
                await stream.aclose()

        return StreamingResponse(relay(), status_code=stream.status_code, media_type="text/event-stream")

    return app


def main() -> None:
    """Serves until it is stopped."""
    port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    users = {key.strip(): "someone" for key in sys.stdin}
    app = build(f"http://127.0.0.1:{upstream_port}", users)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, backlog=2048)


if __name__ == "__main__":
    main()
