"""Error shapes shared by several surfaces: status to type, and the sentence out of a provider's error body.

The tables are section 4.2 of the API contract. Used by the wires and by the management API.
"""

from collections.abc import Callable, Mapping

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.wire.counts import Fields, read_fields

MESSAGE_CHARS = 1000
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
GOOGLE_STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
OPENAI_TYPES: Mapping[int, str] = {402: "insufficient_quota", 409: "conflict_error", 429: "rate_limit_error"}


MINIMAX_CODES: Mapping[int, int] = {401: 1004, 402: 1008, 429: 1002, 504: 1001}
"""Its own codes of an error; 1000 is any other fault of the server, 2013 a bad request."""


def anthropic_type(status: int) -> str:
    """The `type` of an error with this status, Anthropic-shaped."""
    return ANTHROPIC_TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def openai_type(status: int) -> str:
    """The `type` of an error with this status, OpenAI-shaped."""
    return OPENAI_TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")


def anthropic_error(error: QlaudError, request_id: str) -> dict[str, object]:
    """The error object of `/v1/messages`, the management API, threads, search and tools."""
    inner: dict[str, object] = {
        "type": anthropic_type(error.status),
        "message": error.message,
        "code": error.code,
    }
    details = error.details
    if details is not None:
        inner["details"] = details
    return {"type": "error", "error": inner, "request_id": request_id}


def openai_error(error: QlaudError) -> dict[str, object]:
    """The error object of every OpenAI-shaped surface."""
    param = getattr(error, "param", None)
    return {
        "error": {
            "message": error.message,
            "type": openai_type(error.status),
            "param": param if isinstance(param, str) else None,
            "code": error.code,
        }
    }


def google_error(error: QlaudError) -> dict[str, object]:
    """The error object of every Gemini-shaped surface."""
    status = GOOGLE_STATUSES.get(error.status) or (
        "UNAVAILABLE" if error.status >= 500 else "INVALID_ARGUMENT"
    )
    info = {"@type": ERROR_INFO, "reason": error.code, "domain": "qlaud"}
    inner = {"code": error.status, "message": error.message, "status": status, "details": [info]}
    return {"error": inner}


def elevenlabs_error(error: QlaudError) -> dict[str, object]:
    """The error object of ElevenLabs' paths."""
    return {"detail": {"status": error.code, "message": error.message}}


def deepgram_error(error: QlaudError, request_id: str) -> dict[str, object]:
    """The error object of Deepgram's paths."""
    return {"err_code": error.code, "err_msg": error.message, "request_id": request_id}


def qwen_error(error: QlaudError, request_id: str) -> dict[str, object]:
    """The error object of DashScope's native paths."""
    return {"code": error.code, "message": error.message, "request_id": request_id}


def minimax_error(error: QlaudError, request_id: str) -> dict[str, object]:
    """The error object of MiniMax's native paths, where the vendor sends it with status 200."""
    code = MINIMAX_CODES.get(error.status) or (1000 if error.status >= 500 else 2013)
    base = {"status_code": code, "status_msg": error.message}
    return {**openai_error(error), "base_resp": base, "trace_id": request_id}


ErrorShape = Callable[[QlaudError, str], dict[str, object]]
"""An error of ours and the request's id, to the object a caller's SDK understands."""

SHAPES: Mapping[str, ErrorShape] = {
    "anthropic": anthropic_error,
    "openai": lambda error, _: openai_error(error),
    "google": lambda error, _: google_error(error),
    "elevenlabs": lambda error, _: elevenlabs_error(error),
    "deepgram": deepgram_error,
    "qwen": qwen_error,
    "minimax": minimax_error,
}
"""Every shape, by the name that provider files use."""


def error_json(shape: str, error: QlaudError, request_id: str) -> bytes:
    """The JSON body of an error in one of SHAPES."""
    return msgspec.json.encode(SHAPES[shape](error, request_id))


def provider_message(body: bytes) -> str:
    """The sentence in a provider's error body, at most 1000 characters, "" if there is none.

    Knows `{"error":{"message"}}`, `{"error":"…"}`, `{"message"}`, `{"detail"…}` and plain text, but no HTML page.
    """
    fields = read_fields(body[: 64 * 1024])
    if fields is None:
        text = body[: 4 * MESSAGE_CHARS].decode("utf-8", "replace").strip()
        return "" if text[:1] in ("<", "{", "[", "") else text[:MESSAGE_CHARS]
    return _sentence(fields)[:MESSAGE_CHARS]


def _sentence(fields: Fields, depth: int = 3) -> str:
    for name in ("error", "message", "detail", "err_msg", "msg"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and depth:
            found = _sentence(value, depth - 1)  # pyright: ignore[reportUnknownArgumentType]
            if found:
                return found
    return ""
