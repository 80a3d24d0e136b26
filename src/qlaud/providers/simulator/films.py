"""The simulator's jobs: films and pictures that take three seconds to make, in the words of whoever makes such.

    /v1/videos…       OpenAI's video object, and the film itself
    /xai/…            xAI's request id and record
    /qwen/…           Qwen's tasks, films and pictures
    /minimax/…        MiniMax' task
    /google/…         Google's operation

Nothing is kept between calls: an id holds when its job was begun and what was asked for. `sim/film-fails` never
succeeds.
"""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any, cast

from msgspec import Struct
from msgspec.json import encode

MAKING_MS = 3_000
FILMS, FAILS = "sim/film", "sim/film-fails"
MODELS = (FILMS, FAILS)
FILM = b"\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom" + bytes(range(256)) * 4
"""Not a film anybody can watch, but bytes that look like the beginning of one."""
VIDEOS, XAI, QWEN, MINIMAX = "/v1/videos", "/xai/videos", "/qwen/", "/minimax/"
GOOGLE = "/google/models/"
TASKS, QUERY, OPERATIONS = f"{QWEN}tasks/", f"{MINIMAX}query/", "/google/operations/"
ADDRESS = "https://films.invalid/"
MS_PER_S = 1000


class Made(Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"


class Order(Struct, frozen=True):
    """A job, as its id tells it."""

    id: str
    kind: str
    model: str
    begun_ms: int
    amount: int
    """Seconds, or pictures."""
    size: str
    """Of Google's: how many films."""

    def state(self, now_ms: int) -> str:
        """`running`, `done` or `failed`."""
        if now_ms - self.begun_ms < MAKING_MS:
            return "running"
        return "failed" if self.model == FAILS else "done"


class Films:
    """Answers calls about jobs."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def answer(self, method: str, path: str, body: bytes, *, seed: str, now_ms: int) -> Made | None:
        """The answer; None for a path that is not about jobs."""
        if not path.startswith((VIDEOS, XAI, QWEN, MINIMAX, GOOGLE, OPERATIONS)):
            return None
        if method == "POST":
            return self._begun(path, body, f"{seed[:6]}{next(self._numbers)}", now_ms)
        for before in (f"{VIDEOS}/", f"{XAI}/", TASKS, QUERY, OPERATIONS):
            if path.startswith(before):
                return _asked(method, path.removeprefix(before), now_ms)
        return _missing()

    def _begun(self, path: str, body: bytes, mark: str, now_ms: int) -> Made:
        fields = _fields(body)
        parameters = cast("dict[str, Any]", fields.get("parameters") or {})
        kind, amount, size = "openai", fields.get("seconds", 4), fields.get("size", "720x1280")
        if path.startswith(XAI):
            kind, amount, size = "xai", fields.get("duration", 8), fields.get("resolution", "480p")
        elif path.startswith(MINIMAX):
            kind, amount, size = "minimax", fields.get("duration", 5), fields.get("resolution", "768P")
        elif path.startswith(f"{QWEN}image"):
            kind, amount, size = "pictures", parameters.get("n", 4), parameters.get("size", "1024*1024")
        elif path.startswith(QWEN):
            kind, amount = "qwen", parameters.get("duration", 5)
            size = parameters.get("resolution", "720P")
        model = str(fields.get("model", ""))
        if path.startswith(GOOGLE):
            kind, model = "google", path.removeprefix(GOOGLE)
            amount, size = parameters.get("durationSeconds", 8), parameters.get("sampleCount", 1)
        if not str(amount).isdigit():
            return Made(
                400, encode({"error": {"message": "no such length", "type": "invalid_request_error"}})
            )
        name = f"sim-{kind}-{now_ms}-{mark}-{amount}-{size}-{model}".replace("/", "~")
        order = Order(name, kind, model, now_ms, int(amount), str(size))
        return Made(200, encode(_answer(order)))


def _asked(method: str, rest: str, now_ms: int) -> Made:
    name, _, what = rest.partition("/")
    order = _order(name)
    if order is None:
        return _missing()
    if method == "DELETE":
        return Made(200, encode({"id": name, "object": "video.deleted", "deleted": True}))
    if what == "content":
        done = order.state(now_ms) == "done"
        return Made(200, FILM, b"video/mp4") if done else _missing()
    return Made(200, encode(_record(order, order.state(now_ms))))


def _order(name: str) -> Order | None:
    parts = name.split("-", 6)
    if len(parts) != 7 or parts[0] != "sim" or not (parts[2].isdigit() and parts[4].isdigit()):
        return None
    _, kind, begun, _, amount, size, model = parts
    return Order(name, kind, model.replace("~", "/"), int(begun), int(amount), size)


def _answer(order: Order) -> Mapping[str, object]:
    match order.kind:
        case "xai":
            return {"request_id": order.id}
        case "google":
            return {"name": _operation(order)}
        case "minimax":
            return {"task_id": order.id, "base_resp": {"status_code": 0, "status_msg": "success"}}
        case "qwen" | "pictures":
            return {"output": {"task_id": order.id, "task_status": "PENDING"}, "request_id": "sim"}
        case _:
            return _video(order, "queued")


def _record(order: Order, state: str) -> Mapping[str, object]:
    done = state == "done"
    url = f"{ADDRESS}{order.id}"
    match order.kind:
        case "xai":
            words = {"running": "pending", "done": "done", "failed": "failed"}
            video = {"video": {"url": url, "duration": order.amount}} if done else {}
            return {"status": words[state], "model": order.model, **video}
        case "google":
            operation: dict[str, object] = {"name": _operation(order), "done": state != "running"}
            if state == "failed":
                return {**operation, "error": {"code": 3, "message": f"{FAILS} never succeeds"}}
            samples = [{"video": {"uri": url}}] * (int(order.size) if order.size.isdigit() else 1)
            made = {"response": {"generateVideoResponse": {"generatedSamples": samples}}} if done else {}
            return {**operation, **made}
        case "minimax":
            words = {"running": "running", "done": "succeeded", "failed": "failed"}
            more = {"content": {"url": url}, "usage": {"total_seconds": order.amount}} if done else {}
            facts = {"resolution": order.size, "duration": order.amount, "model": order.model}
            return {"task": {"id": order.id, "status": words[state], **facts, **more}}
        case "qwen" | "pictures":
            words = {"running": "RUNNING", "done": "SUCCEEDED", "failed": "FAILED"}
            output = {"task_id": order.id, "task_status": words[state]}
            if not done:
                return {"output": output, "request_id": "sim"}
            if order.kind == "pictures":
                results = [{"url": url}] * order.amount
                usage: dict[str, object] = {"image_count": order.amount}
                return {"output": {**output, "results": results}, "usage": usage, "request_id": "sim"}
            lines = int("".join(filter(str.isdigit, order.size)) or 0)
            usage = {"duration": order.amount, "SR": lines, "video_count": 1}
            return {"output": {**output, "video_url": url}, "usage": usage, "request_id": "sim"}
        case _:
            return _video(order, {"running": "in_progress", "done": "completed"}.get(state, state))


def _operation(order: Order) -> str:
    return f"models/{order.model.replace('/', '~')}/operations/{order.id}"


def _video(order: Order, status: str) -> Mapping[str, object]:
    failed = {"code": "sim_failed", "message": "sim/film-fails never succeeds"}
    return {
        "id": order.id,
        "object": "video",
        "created_at": order.begun_ms // MS_PER_S,
        "completed_at": None,
        "expires_at": None,
        "model": order.model,
        "status": status,
        "progress": 100 if status == "completed" else 0,
        "prompt": None,
        "remixed_from_video_id": None,
        "seconds": str(order.amount),
        "size": order.size,
        "error": failed if status == "failed" else None,
    }


def _fields(body: bytes) -> dict[str, Any]:
    """The members of a JSON body, or the plain fields of a form."""
    try:
        value: object = json.loads(body)
    except ValueError:
        return _form(body)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _form(body: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    boundary = body.partition(b"\r\n")[0]
    for part in body.split(boundary)[1:] if boundary else ():
        head, _, value = part.partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode("utf-8", "replace")
        if name and b"filename=" not in head:
            fields[name] = value.removesuffix(b"\r\n").decode("utf-8", "replace")
    return fields


def _missing() -> Made:
    return Made(404, encode({"error": {"message": "no such job", "type": "invalid_request_error"}}))
