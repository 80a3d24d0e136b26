"""No SDK: plain HTTP, as an app speaks it with a vendor whose SDK we do not have.

`args` are `path`, `body` or `form` and `file`, `headers`, `key_header` where the key is no bearer token, and in `show`
what to show: names and numbers that lead into the answer's JSON, or nothing for a digest of its bytes.
"""

import json
from contextlib import contextmanager
from typing import Any

import httpx
import lines


class HttpError(Exception):
    """An answer that is an error."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.text)
        self.answer = answer


@contextmanager
def connect(call: dict[str, Any]) -> Any:
    name = call["args"].get("key_header")
    headers = {name: call["key"]} if name else {"authorization": f"Bearer {call['key']}"}
    with httpx.Client(base_url=call["base_url"], headers=headers, timeout=60, trust_env=False) as client:
        yield client


def request_of(client: httpx.Client, args: dict[str, Any]) -> httpx.Request:
    headers = args.get("headers", {})
    if "file" in args:
        files = {"file": ("sound.wav", lines.bytes_of(args, "file"), "audio/wav")}
        return client.build_request("POST", args["path"], data=args["form"], files=files, headers=headers)
    return client.build_request("POST", args["path"], json=args["body"], headers=headers)


def checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        answer.read()
        raise HttpError(answer)
    return answer


def led(value: Any, show: list[Any]) -> Any:
    """What the path leads to, nothing where it leads nowhere."""
    for step in show:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value


def whole(client: httpx.Client, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(client.send(request_of(client, args)))
    return {"shown": led(answer.json(), args["show"]) if "show" in args else lines.digest(answer.content)}


def streamed(client: httpx.Client, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(client.send(request_of(client, args), stream=True))
    if "show" not in args:
        return {"shown": lines.digest(answer.iter_bytes())}
    shown = [
        led(json.loads(line[5:]), args["show"]) for line in answer.iter_lines() if line.startswith("data:")
    ]
    return {"shown": "".join(piece for piece in shown if piece)}


def job(client: httpx.Client, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a job, looks at its record until there is something to show. `args` has `id` and `record` besides."""
    begun = checked(client.send(request_of(client, args))).json()
    if led(begun, args["id"]) is None:
        return {"shown": None}
    record = args["record"].replace("{job}", led(begun, args["id"]))
    for _ in range(50):
        shown = led(checked(client.get(record, headers=args.get("headers", {}))).json(), args["show"])
        if shown:
            return {"shown": shown}
    raise AssertionError("a job without an end")


def begun(client: httpx.Client, args: dict[str, Any]) -> dict[str, Any]:
    """Begins a job and never asks for it."""
    answer = checked(client.send(request_of(client, args))).json()
    return {"shown": bool(led(answer, args["id"]))}


def cancelled(client: httpx.Client, args: dict[str, Any]) -> dict[str, Any]:
    answer = checked(client.send(request_of(client, args), stream=True))
    try:
        if "show" not in args:
            return {"shown": len(next(answer.iter_bytes(1024)))}
        for line in answer.iter_lines():
            shown = led(json.loads(line[5:]), args["show"]) if line.startswith("data:") else None
            if shown:
                return {"shown": shown}
        raise AssertionError("a stream without a word")
    finally:
        answer.close()


def tell(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, HttpError):
        return None
    return lines.told(error, status=error.answer.status_code, body=error.answer.text)


lines.note_httpx()
lines.serve(
    httpx.__version__,
    {"call": whole, "stream": streamed, "cancel": cancelled, "job": job, "job_left": begun},
    connect,
    tell,
)
