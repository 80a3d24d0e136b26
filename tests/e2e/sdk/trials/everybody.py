"""Every trial, in the order of the providers."""

from tests.e2e.sdk.trials import chat, first, frameworks, google, openai, vendors, voices
from tests.e2e.sdk.trials.trial import Trial

TRIALS: list[Trial] = [
    *first.TRIALS,
    *openai.TRIALS,
    *frameworks.TRIALS,
    *google.TRIALS,
    *voices.TRIALS,
    *chat.TRIALS,
    *vendors.TRIALS,
]
