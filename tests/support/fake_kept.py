"""OpenAI's responses as it keeps them, as a fake: each with an id of its own, continued, asked for again, cancelled.

Only what has `background`, `previous_response_id` or `{"kept": …}` in its metadata is kept; all else is answered by
`fake_openai_responses` alone.
"""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.fake_openai_responses import Responses
from tests.support.fake_provider import Answer, Call, answer_json

PATH = "/v1/responses"


@dataclass(slots=True)
class KeptResponses:
    """The responses of one provider."""

    responses: Responses
    running_for: int = 1
    """How many looks at a response in the background find it running."""
    _kept: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _looks: Counter[str] = field(default_factory=Counter[str])

    def respond(self, call: Call) -> Answer | None:
        """The answer to a call about kept responses, None for any other."""
        if call.path == PATH and call.method == "POST":
            return self._made(call) if _is_kept(call.json) else None
        kept, _, verb = call.path.removeprefix(f"{PATH}/").partition("/")
        if kept not in self._kept:
            return None
        match call.method, verb:
            case "GET", "" if call.query.get("stream") == "true":
                event = {"type": "response.completed", "sequence_number": 9, "response": self._kept[kept]}
                text = f"event: response.completed\ndata: {json.dumps(event)}\n\n".encode()
                return Answer([text], content_type="text/event-stream", stream=True)
            case "GET", "":
                self._looks[kept] += 1
                return answer_json(self._now(kept))
            case "GET", "input_items":
                return answer_json({"object": "list", "data": [], "has_more": False})
            case "POST", "cancel":
                self._kept[kept] |= {"status": "cancelled"}
                return answer_json(self._kept[kept])
            case "DELETE", "":
                del self._kept[kept]
                return answer_json({"id": kept, "object": "response.deleted", "deleted": True})
            case _:
                return None

    def _made(self, call: Call) -> Answer:
        asked = call.json
        if asked.get("previous_response_id") not in (None, *self._kept):
            error = {"message": "Previous response not found.", "code": "previous_response_not_found"}
            return answer_json(
                {"error": {**error, "type": "invalid_request_error", "param": None}}, status=400
            )
        kept = f"resp_kept{len(self._looks) + 1}"
        self._looks[kept] = 0
        whole = self.responses.respond(replace(call, body=json.dumps({**asked, "stream": False}).encode()))
        self._kept[kept] = {**json.loads(_own(whole, kept).parts[0]), "background": asked.get("background")}
        if asked.get("stream"):
            breaks_off = "breaks" in (asked.get("metadata") or {})
            return _own(self.responses.stream(breaks_off=breaks_off), kept)
        if asked.get("background"):
            return answer_json({**self._kept[kept], "status": "queued", "output": [], "usage": None})
        return answer_json(self._kept[kept])

    def _now(self, kept: str) -> dict[str, Any]:
        if self._kept[kept]["status"] == "cancelled":
            return {**self._kept[kept], "output": [], "usage": None}
        if self._looks[kept] <= self.running_for and self._kept[kept].get("background"):
            return {**self._kept[kept], "status": "in_progress", "output": [], "usage": None}
        return self._kept[kept]


def _own(answer: Answer, kept: str) -> Answer:
    """The answer under an id of its own."""
    parts = [
        part.replace(b'"resp_1"', f'"{kept}"'.encode()) if isinstance(part, bytes) else part
        for part in answer.parts
    ]
    return replace(answer, parts=parts)


def _is_kept(asked: Any) -> bool:
    return bool(
        asked.get("background")
        or asked.get("previous_response_id")
        or (asked.get("metadata") or {}).get("kept")
    )
