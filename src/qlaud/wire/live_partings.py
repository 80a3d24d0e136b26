"""How a live session is ended by the gateway, in each provider's own form: a last message, then a close code.

OpenAI sends an `error` event; ElevenLabs a message with `error` and `code` (transcription: one whose `message_type`
says it); Deepgram an `Error`; Google nothing. What follows is the close frame: 1008 for what the caller may
not do, 1011 for a fault, 1001 when the gateway goes away (RFC 6455, 7.4.1).
"""

import msgspec

from qlaud.core.errors import QlaudError
from qlaud.wire.errors import openai_type
from qlaud.wire.live import Frame

POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
GOING_AWAY = 1001
REASON_BYTES = 123
"""All that fits a close frame."""
SENDABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


def close_code(error: QlaudError) -> int:
    """The code a session that ends with `error` is closed with."""
    if error.code == "shutting_down":
        return GOING_AWAY
    return INTERNAL_ERROR if error.status >= 500 else POLICY_VIOLATION


def is_sendable(code: int) -> bool:
    """Whether a close frame may carry this code."""
    return code in SENDABLE or 3000 <= code <= 4999


def fitting(reason: str) -> str:
    """A reason as long as a close frame takes."""
    return reason.encode()[:REASON_BYTES].decode("utf-8", "ignore")


def openai_parting(error: QlaudError, request_id: str) -> Frame:
    """The last event of a realtime session."""
    inner = {
        "type": openai_type(error.status),
        "code": error.code,
        "message": error.message,
        "param": None,
        "event_id": None,
    }
    return _text({"type": "error", "event_id": f"event_{request_id}", "error": inner})


def deepgram_parting(error: QlaudError, request_id: str) -> Frame:
    """The last message of a Deepgram socket."""
    return _text(
        {
            "type": "Error",
            "variant": error.code,
            "code": error.code,
            "description": error.message,
            "message": error.message,
            "request_id": request_id,
            "sequence_id": 0,
        }
    )


def elevenlabs_parting(error: QlaudError, request_id: str) -> Frame:
    """The last message of an ElevenLabs socket that speaks."""
    return _text({"message": error.message, "error": error.code, "code": close_code(error)})


def elevenlabs_transcription_parting(error: QlaudError, request_id: str) -> Frame:
    """The last message of one that listens."""
    kinds = {401: "auth_error", 402: "quota_exceeded", 429: "rate_limited"}
    return _text({"message_type": kinds.get(error.status, "error"), "error": error.message})


def gemini_parting(error: QlaudError, request_id: str) -> None:
    """Google tells an error in the close frame alone: a code and a reason."""


def _text(message: dict[str, object]) -> Frame:
    return msgspec.json.encode(message).decode()
