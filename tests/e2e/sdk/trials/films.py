"""Videos: the SDK begins one, looks until it is done, and the record says what it cost; also when nobody looks."""

import hashlib
from typing import Any

from tests.e2e.sdk.trials.trial import Deed, Refusal, Trial
from tests.support import fake_google, fake_minimax, fake_openai, fake_qwen, fake_xai
from tests.support import fake_videos as fake

SORA = {"model": fake.MODELS["openai"], "prompt": "A pixel", "seconds": "8", "size": "1280x720"}
WAN = {"model": fake.MODELS["qwen"], "prompt": "A pixel", "duration": 5, "resolution": "720P"}
PAINT = {"model": fake.PAINTER, "prompt": "A pixel", "n": 2, "size": "1024*1024"}
GROK: dict[str, Any] = {
    "path": "/v1/videos/generations",
    "body": {"model": fake.MODELS["xai"], "prompt": "A pixel", "duration": 6, "resolution": "480p"},
    "id": ["request_id"],
    "record": "/v1/videos/{job}",
    "show": ["video", "url"],
}
HAILUO: dict[str, Any] = {
    "path": "/v2/video_generation",
    "body": {"model": fake.MODELS["minimax"], "prompt": "A pixel", "duration": 6, "resolution": "768P"},
    "id": ["task_id"],
    "record": "/v2/query/video_generation/{job}",
    "show": ["task", "content", "url"],
}
VEO_PATH, _, _ = fake.ROUTES["google"]
VEO: dict[str, Any] = {
    "path": VEO_PATH,
    "body": {
        "instances": [{"prompt": f"A pixel, {fake.FILTERED}"}],
        "parameters": {"durationSeconds": 6, "sampleCount": 2},
    },
    "id": ["name"],
    "record": "/v1beta/{job}",
    "show": ["response", "generateVideoResponse", "raiMediaFilteredCount"],
    "key_header": "x-goog-api-key",
}
FILM = hashlib.sha256(fake.FILM).hexdigest()

TRIALS = [
    Trial(
        "openai",
        "video",
        ("openai", "python"),
        "/v1",
        "/v1",
        "APIStatusError",
        Deed("film", SORA, FILM, fake.OPENAI_COST_MICROS, {"video_seconds": 8}),
        refusal=Refusal(fake_openai.refusal(400, "as scripted"), 400, "BadRequestError"),
        left=Deed("film_left", SORA, "queued", fake.OPENAI_COST_MICROS),
    ),
    Trial(
        "qwen",
        "video",
        ("dashscope", "python"),
        "/qwen/api/v1",
        "/api/v1",
        "Refused",
        Deed("film", WAN, fake.URL, fake.QWEN_COST_MICROS, {"video_seconds": 5}),
        refusal=Refusal(fake_qwen.refusal(400, "as scripted"), 400, "Refused"),
        left=Deed("film_left", WAN, "PENDING", fake.QWEN_COST_MICROS),
    ),
    Trial(
        "qwen",
        "images",
        ("dashscope", "python"),
        "/qwen/api/v1",
        "/api/v1",
        "Refused",
        Deed("picture", PAINT, [fake.PICTURE_URL] * 2, fake.PICTURES_COST_MICROS, {"images": 2}),
        left=Deed("picture_left", PAINT, "PENDING", fake.PICTURES_COST_MICROS),
    ),
    Trial(
        "xai",
        "video",
        ("http", "python"),
        "/xai",
        "",
        "HttpError",
        Deed("job", GROK, fake.URL, fake.XAI_COST_MICROS),
        refusal=Refusal(fake_xai.XAI.refusal(400, "as scripted"), 400, "HttpError"),
        left=Deed("job_left", GROK, True, fake.XAI_COST_MICROS),
    ),
    Trial(
        "minimax",
        "video",
        ("http", "python"),
        "/minimax",
        "",
        "HttpError",
        Deed("job", HAILUO, fake.URL, fake.MINIMAX_COST_MICROS, {"video_seconds": 6}),
        refusal=Refusal(fake_minimax.MINIMAX.refusal(400, "as scripted"), 400, "HttpError"),
        left=Deed("job_left", HAILUO, True, fake.MINIMAX_COST_MICROS),
    ),
    # Two films are asked for and held for, one of them is made and billed.
    Trial(
        "google",
        "video",
        ("http", "python"),
        "/google",
        "",
        "HttpError",
        Deed("job", VEO, 1, fake.GOOGLE_COST_MICROS, {"video_seconds": 6}),
        refusal=Refusal(fake_google.refusal(400, "as scripted"), 400, "HttpError"),
        left=Deed("job_left", VEO, True, fake.GOOGLE_COST_MICROS),
    ),
]
