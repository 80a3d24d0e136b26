"""Anthropic's batches as a fake: a record that runs for a while, then results, one line a request.

What becomes of a request stands in its `custom_id`: `error-…` fails, everything else is answered with the usage of
`fake_anthropic.TEXT_USAGE` (or a small one by haiku). When a batch is cancelled, what is left of it is `canceled`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_provider import Answer, Call, answer_json

PATH = "/v1/messages/batches"
HAIKU = "claude-haiku-4-5-20251001"
"""What it calls itself, whatever it is asked by."""
HAIKU_USAGE = {"input_tokens": 17, "output_tokens": 10, "service_tier": "batch"}
COST_MICROS = 65_950
"""Two requests to opus and one to haiku, at half price: opus 65916.4 / 2 each (see `fake_anthropic`), haiku
(17 x 1 + 10 x 5) / 2 = 33.5; together 65916.4 + 33.5 = 65949.9, rounded up once."""


@dataclass(slots=True)
class Batches:
    """The batches of one provider."""

    usage: dict[str, Any]
    running_for: int = 1
    """How many looks at a record find its batch running."""
    _asked: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    _looks: dict[str, int] = field(default_factory=dict[str, int])
    _cancelled: set[str] = field(default_factory=set[str])
    deleted: set[str] = field(default_factory=set[str])

    def respond(self, call: Call) -> Answer | None:
        """The answer to a call about batches, None for any other."""
        if call.path == PATH and call.method == "POST":
            job = f"msgbatch_{len(self._asked) + 1}"
            self._asked[job], self._looks[job] = call.json["requests"], 0
            return answer_json(self._record(job, call))
        job, _, verb = call.path.removeprefix(f"{PATH}/").partition("/")
        if job not in self._asked or job in self.deleted:
            return None
        match call.method, verb:
            case "GET", "":
                self._looks[job] += 1
                return answer_json(self._record(job, call))
            case "GET", "results" if self._has_ended(job):
                lines = "".join(json.dumps(self._result(job, request)) + "\n" for request in self._asked[job])
                return Answer([lines.encode()], content_type="application/x-jsonl")
            case "POST", "cancel":
                self._cancelled.add(job)
                return answer_json({**self._record(job, call), "processing_status": "canceling"})
            case "DELETE", "" if self._has_ended(job):
                self.deleted.add(job)
                return answer_json({"id": job, "type": "message_batch_deleted"})
            case _:
                return None

    def _has_ended(self, job: str) -> bool:
        return self._looks[job] > self.running_for

    def _record(self, job: str, call: Call) -> dict[str, Any]:
        has_ended = self._has_ended(job)
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for request in self._asked[job]:
            counts[self._result(job, request)["result"]["type"] if has_ended else "processing"] += 1
        return {
            "id": job,
            "type": "message_batch",
            "processing_status": "ended" if has_ended else "in_progress",
            "request_counts": counts,
            "ended_at": "2026-11-21T13:00:00Z" if has_ended else None,
            "created_at": "2026-11-21T12:00:00Z",
            "expires_at": "2026-11-22T12:00:00Z",
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"http://{call.header('host')[0]}{PATH}/{job}/results" if has_ended else None,
        }

    def _result(self, job: str, request: Any) -> dict[str, Any]:
        name, model = request["custom_id"], request["params"]["model"]
        if job in self._cancelled:
            return {"custom_id": name, "result": {"type": "canceled"}}
        if name.startswith("error-"):
            error = {"type": "invalid_request_error", "message": "as scripted"}
            return {
                "custom_id": name,
                "result": {"type": "errored", "error": {"type": "error", "error": error}},
            }
        is_small = model.startswith("claude-haiku-4-5")
        message = {
            "id": f"msg_{name}",
            "type": "message",
            "role": "assistant",
            "model": HAIKU if is_small else model,
            "content": [{"type": "text", "text": "Hello there."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": HAIKU_USAGE if is_small else {**self.usage, "service_tier": "batch"},
        }
        return {"custom_id": name, "result": {"type": "succeeded", "message": message}}
