"""Responses in the background, and continued, through OpenAI's SDK."""

from tests.e2e.sdk.trials.trial import Deed, Trial
from tests.support.fake_openai_responses import COST_MICROS, TEXT

ASKED = {"model": "gpt-6-sol", "input": "Hello", "max_output_tokens": 4000}
IN_BACKGROUND = {**ASKED, "background": True}

TRIALS = [
    Trial(
        "openai",
        "text (responses)",
        ("openai", "python"),
        path,
        "/v1",
        "APIStatusError",
        Deed("background", IN_BACKGROUND, TEXT, COST_MICROS),
        left=Deed("background_left", IN_BACKGROUND, "queued", COST_MICROS),
    )
    for path in ("/v1", "/openai/v1")
]
