"""Videos as five providers make them: a call begins a job, its record says when it is done and what is billed.

The first look at a record finds the job running, the second finds it done, unless the test says otherwise. The costs
are worked out by hand: sora-2 at 100000 micros a second; grok-imagine-video by xAI's own word; wan3.0-video at 82513
a second of 720p; MiniMax-H3 at 80000 a second of 768p; veo-3.1-fast at 100000 a second of 720p.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.fake_provider import Answer, Call, answer_json

FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 4
URL = "https://example.com/film.mp4"
FILM_PATH = "/film.mp4"
LOCKED_PATH, BEHIND_PATH = "/v1beta/files/f1:download", "/download/v1beta/files/f1:download"
"""Where Google keeps a film: for the key of the account alone, at an address that leads to another."""
FILTERED = "one film of these is filtered out"
"""In a prompt."""
KEPT_HERE = "kept at the provider"
"""In a prompt: the film can be fetched from the fake itself."""
PICTURES, PAINTER = "/api/v1/services/aigc/text2image/image-synthesis", "qwen-image-3.0"
"""Where Qwen makes pictures as tasks, which are like films."""
PICTURE_URL = "https://example.com/picture.png"
MODELS = {
    "openai": "sora-2",
    "xai": "grok-imagine-video",
    "qwen": "wan3.0-video",
    "minimax": "MiniMax-H3",
    "google": "veo-3.1-fast-generate-001",
}
OPENAI_COST_MICROS = 800_000
"""8 seconds x 100000."""
XAI_COST_MICROS = 298_765
"""2987650000 ticks."""
QWEN_COST_MICROS = 412_565
"""5 seconds x 82513."""
MINIMAX_COST_MICROS = 480_000
"""6 seconds x 80000."""
GOOGLE_COST_MICROS = 600_000
"""6 seconds x 100000."""
PICTURES_COST_MICROS = 60_000
"""2 pictures x 30000."""


@dataclass(slots=True)
class Films:
    """What one provider makes."""

    running_for: int = 1
    """How many looks at a record find its job running."""
    fails: bool = False
    """Whether the next jobs end badly."""
    _made: int = 0
    _looks: Counter[str] = field(default_factory=Counter[str])
    _asked: dict[str, Any] = field(default_factory=dict[str, Any])

    def respond(self, slug: str, call: Call) -> Answer | None:
        """The answer to a call about videos, None for any other."""
        begins, path, write = ROUTES[slug]
        if call.path in (FILM_PATH, BEHIND_PATH):
            return Answer([FILM], content_type="video/mp4")
        if call.path == LOCKED_PATH:
            return Answer([], status=302, headers=(("location", f"{BEHIND_PATH}?alt=media"),))
        if call.method == "POST" and call.path in (begins, PICTURES):
            self._made += 1
            job = f"{slug}job{self._made}"
            self._asked[job] = _asked(call)
            if KEPT_HERE.encode() in call.body:
                kept = LOCKED_PATH + "?alt=media" if slug == "google" else FILM_PATH
                self._asked[job]["url"] = f"http://{call.header('host')[0]}{kept}"
            return answer_json(write(job, "queued", self._asked[job]))
        before, _, after = path.partition("{job}")
        if call.method == "POST" and call.path.endswith("/remix"):
            source = self._asked.get(call.path.removeprefix(before).removesuffix("/remix"))
            if source is None:
                return None
            self._made += 1
            job = f"{slug}job{self._made}"
            self._asked[job] = {**source, "prompt": json.loads(call.body)["prompt"]}
            return answer_json(write(job, "queued", self._asked[job]))
        if call.method != "GET" or not call.path.startswith(before):
            return None
        job, _, rest = call.path.removeprefix(before).partition("/")
        if job not in self._asked:
            return None
        if rest == "content":
            return Answer([FILM], content_type="video/mp4")
        assert rest == after.strip("/")
        self._looks[job] += 1
        if self._looks[job] <= self.running_for:
            return answer_json(write(job, "running", self._asked[job]))
        return answer_json(write(job, "failed" if self.fails else "done", self._asked[job]))


def open_to_all(refuse: Callable[[Call], Answer | None]) -> Callable[[Call], Answer | None]:
    """`refuse`, but the film itself needs no key."""
    return lambda call: None if call.path == FILM_PATH else refuse(call)


def _asked(call: Call) -> Any:
    if call.header("content-type")[0].startswith("multipart/"):
        return {name: field.text for name, field in call.form.items() if field.filename is None}
    return json.loads(call.body)


def _openai(job: str, state: str, asked: Any) -> dict[str, Any]:
    words = {"queued": "queued", "running": "in_progress", "done": "completed", "failed": "failed"}
    error = {"code": "moderation_blocked", "message": "as scripted"} if state == "failed" else None
    return {
        "id": job,
        "object": "video",
        "model": asked["model"],
        "status": words[state],
        "progress": 100 if state == "done" else 0,
        "created_at": 1790000000,
        "completed_at": 1790000060 if state == "done" else None,
        "expires_at": None,
        "prompt": asked["prompt"],
        "seconds": asked.get("seconds", "4"),
        "size": asked.get("size", "720x1280"),
        "remixed_from_video_id": None,
        "error": error,
    }


def _xai(job: str, state: str, asked: Any) -> dict[str, Any]:
    if state == "queued":
        return {"request_id": job}
    if state == "failed":
        return {"status": "failed", "error": {"code": "invalid_argument", "message": "as scripted"}}
    if state == "running":
        return {"status": "pending", "progress": 40}
    video = {"url": asked.get("url", URL), "duration": asked.get("duration", 8), "respect_moderation": True}
    return {
        "status": "done",
        "video": video,
        "model": asked["model"],
        "usage": {"cost_in_usd_ticks": 2_987_650_000},
    }


def _qwen(job: str, state: str, asked: Any) -> dict[str, Any]:
    words = {"queued": "PENDING", "running": "RUNNING", "done": "SUCCEEDED", "failed": "FAILED"}
    output: dict[str, Any] = {"task_id": job, "task_status": words[state]}
    answer: dict[str, Any] = {"output": output, "request_id": "r-1"}
    if state == "failed":
        output |= {"code": "DataInspectionFailed", "message": "as scripted"}
    if state == "done" and asked["model"] == PAINTER:
        output["results"] = [{"url": PICTURE_URL}] * asked["parameters"]["n"]
        answer["usage"] = {"image_count": asked["parameters"]["n"]}
    elif state == "done":
        output["video_url"] = asked.get("url", URL)
        seconds = asked.get("parameters", {}).get("duration", 5)
        usage = {"duration": seconds, "output_video_duration": seconds, "input_video_duration": 0}
        answer["usage"] = {**usage, "SR": 720, "video_count": 1, "ratio": "16:9"}
    return answer


def _minimax(job: str, state: str, asked: Any) -> dict[str, Any]:
    fine = {"status_code": 0, "status_msg": "success"}
    if state == "queued":
        return {"task_id": job, "base_resp": fine}
    words = {"running": "running", "done": "succeeded", "failed": "failed"}
    seconds = asked.get("duration", 6)
    task: dict[str, Any] = {"task_id": job, "status": words[state], "duration": seconds}
    if state == "done":
        usage = {"total_seconds": seconds, "input_seconds": 0, "output_seconds": seconds}
        task |= {"content": {"url": asked.get("url", URL)}, "resolution": asked.get("resolution", "768P")}
        task["usage"] = {**usage, "input_image_count": 0}
    return {"task": task, "base_resp": fine}


OPERATION = "/v1beta/models/veo-3.1-fast-generate-001/operations/{job}"


def _google(job: str, state: str, asked: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {"name": OPERATION.removeprefix("/v1beta/").format(job=job)}
    if state in ("queued", "running"):
        return operation
    if state == "failed":
        return {**operation, "done": True, "error": {"code": 3, "message": "as scripted"}}
    kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
    films = asked["parameters"].get("sampleCount", 1)
    made: dict[str, Any] = {}
    if FILTERED in asked["instances"][0]["prompt"]:
        films -= 1
        made = {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["as scripted"]}
    if films:
        made["generatedSamples"] = [{"video": {"uri": asked.get("url", URL)}}] * films
    return {**operation, "done": True, "response": {"@type": kind, "generateVideoResponse": made}}


ROUTES: dict[str, tuple[str, str, Callable[[str, str, Any], dict[str, Any]]]] = {
    "openai": ("/v1/videos", "/v1/videos/{job}", _openai),
    "xai": ("/v1/videos/generations", "/v1/videos/{job}", _xai),
    "qwen": ("/api/v1/services/aigc/video-generation/video-synthesis", "/api/v1/tasks/{job}", _qwen),
    "minimax": ("/v2/video_generation", "/v2/query/video_generation/{job}", _minimax),
    "google": ("/v1beta/models/veo-3.1-fast-generate-001:predictLongRunning", OPERATION, _google),
}
"""Where a job begins, where its record is, and how both are answered."""
