"""Every trial, in the order of the providers."""

from tests.e2e.sdk.trials import (
    batches,
    chat,
    films,
    first,
    frameworks,
    google,
    kept,
    openai,
    plain,
    vendors,
    voices,
)
from tests.e2e.sdk.trials.trial import Trial

TRIALS: list[Trial] = [
    *first.TRIALS,
    *openai.TRIALS,
    *frameworks.TRIALS,
    *google.TRIALS,
    *voices.TRIALS,
    *chat.TRIALS,
    *vendors.TRIALS,
    *plain.TRIALS,
    *batches.TRIALS,
    *films.TRIALS,
    *kept.TRIALS,
]
