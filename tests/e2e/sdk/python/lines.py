"""How an SDK's program speaks: a line of JSON in is a call, a line out its result.

The environments of the SDKs differ, so nothing here imports the project, and each program runs beside this file. What
leaves is noted at the bottom of the HTTP clients, below retries, so nothing goes unseen.
"""

import base64
import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

Deed = Callable[[Any, dict[str, Any]], dict[str, Any]]
sent: list[dict[str, Any]] = []
"""The requests of the running call; a retry is a further one."""


def note_httpx() -> None:
    """Note what httpx sends, and its fork httpx2 where that is installed."""
    for name in ("httpx", "httpx2"):
        try:
            transport = importlib.import_module(name).HTTPTransport
        except ImportError:
            continue
        transport.handle_request = _noting(transport.handle_request, _of_httpx)


def note_requests() -> None:
    """Note what requests sends."""
    adapter = importlib.import_module("requests.adapters").HTTPAdapter
    adapter.send = _noting(adapter.send, _of_requests)


def _noting(send: Callable[..., Any], read: Callable[[Any], dict[str, Any]]) -> Callable[..., Any]:
    def noted(self: Any, request: Any, *args: Any, **more: Any) -> Any:
        sent.append(read(request))
        return send(self, request, *args, **more)

    return noted


def _of_httpx(request: Any) -> dict[str, Any]:
    headers = [[name.decode().lower(), value.decode()] for name, value in request.headers.raw]
    body = request.read() if not headers_of_a_form(headers) else b""
    target = request.url.raw_path.decode()
    return {"target": target, "headers": headers, "body": base64.b64encode(body).decode()}


def _of_requests(request: Any) -> dict[str, Any]:
    headers = [[name.lower(), str(value)] for name, value in request.headers.items()]
    return {"target": request.path_url, "headers": headers, "body": ""}


def headers_of_a_form(headers: Iterable[list[str]]) -> bool:
    """Whether the body is a form, which may be a file that is read once."""
    return any(name == "content-type" and value.startswith("multipart/") for name, value in headers)


def digest(parts: Iterable[bytes] | bytes) -> str:
    """What stands for sound or a picture in a result."""
    whole = parts if isinstance(parts, bytes) else b"".join(parts)
    return hashlib.sha256(whole).hexdigest()


def bytes_of(args: Mapping[str, Any], name: str) -> bytes:
    """An argument that is a file."""
    return base64.b64decode(args[name])


def told(
    error: Any, *, status: int | None, body: Any, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An exception."""
    try:
        json.dumps(body)
    except TypeError:
        body = str(body)
    return {
        "classes": [cls.__name__ for cls in type(error).__mro__],
        "status": status,
        "body": body,
        "message": str(error),
        "headers": dict(headers or {}),
    }


def told_of_a_socket(error: Any) -> dict[str, Any] | None:
    """What `websockets` raises, below these SDKs, where a handshake is refused; None for anything else."""
    if type(error).__name__ != "InvalidStatus":
        return None
    answer = error.response
    return told(error, status=answer.status_code, body=bytes(answer.body).decode())


def told_by_stainless(error: Any) -> dict[str, Any]:
    """An exception of the SDKs that Stainless generates."""
    headers = error.response.headers if hasattr(error, "response") else {}
    return told(
        error, status=getattr(error, "status_code", None), body=getattr(error, "body", None), headers=headers
    )


def serve(
    version: str,
    deeds: Mapping[str, Deed],
    connect: Callable[[dict[str, Any]], AbstractContextManager[Any]],
    tell: Callable[[Exception], dict[str, Any] | None],
) -> None:
    """Do what the lines say. `tell` reports an exception of the SDK's own, and knows no other."""
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        sent.clear()
        try:
            with connect(call) as client:
                result = deeds[call["deed"]](client, call["args"])
        except Exception as error:
            told_error = tell(error)
            if told_error is None:
                raise
            result = {"error": told_error}
        print(json.dumps({**result, "sent": sent}), flush=True)
