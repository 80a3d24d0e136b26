"""Batches through Anthropic's SDK: many requests of two models in one call, billed together at the price of a batch."""

from typing import Any

from tests.e2e.sdk.trials.trial import Deed, Refusal, Trial
from tests.support import fake_anthropic, fake_batches


def request(name: str, model: str) -> dict[str, Any]:
    params = {"model": model, "max_tokens": 4000, "messages": [{"role": "user", "content": "Hello"}]}
    return {"custom_id": name, "params": params}


OPUS, HAIKU = fake_anthropic.MODEL, "claude-haiku-4-5"
ASKED = {
    "requests": [
        request("first", OPUS),
        request("error-second", OPUS),
        request("third", HAIKU),
        request("fourth", OPUS),
    ]
}
SHOWN = {
    "first": "Hello there.",
    "error-second": "errored",
    "third": "Hello there.",
    "fourth": "Hello there.",
}

TRIALS = [
    Trial(
        "anthropic",
        "batches",
        ("anthropic", "python"),
        path,
        "",
        "PaymentRequiredError",
        Deed("batch", ASKED, SHOWN, fake_batches.COST_MICROS),
        refusal=Refusal(fake_anthropic.refusal(400, "as scripted"), 400, "BadRequestError"),
        left=Deed("batch_left", ASKED, "in_progress", fake_batches.COST_MICROS),
    )
    for path in ("", "/anthropic")
]
