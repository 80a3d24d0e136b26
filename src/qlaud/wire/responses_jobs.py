"""Responses as what a provider keeps: asked for again by their id, and made in the background as jobs.

Facts (OpenAI's pages, its SDK 3.54.0, seen 2026-11): with `background` the answer is a response that is `queued`, and
its record `GET /v1/responses/{id}` is the same response as it goes on, through `in_progress` to `completed`,
`incomplete`, `failed` or `cancelled`; the usage stands in it at the end (providers.md, section 2; D 14, 15). What a
response that was cancelled costs is not told: what it had put out by then is counted, as an estimate.
"""

from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from qlaud.core.demand import Demand
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.content import Found
from qlaud.wire.counts import Fields, read_fields, word
from qlaud.wire.jobs import Ended, Line, Progress, Unreadable, Waiting
from qlaud.wire.openai_input import cache_ttls
from qlaud.wire.responses_reading import ResponsesReading
from qlaud.wire.taps import BodyTap, StreamTap
from qlaud.wire.types import ModelCall, Tap

RUNNING = frozenset(("queued", "in_progress"))
OF_CACHES = ("prompt_cache_retention", "prompt_cache_options")
ENDED = frozenset(("completed", "incomplete", "failed", "cancelled"))


@dataclass(frozen=True, slots=True)
class ResponseJobs:
    """What is known of responses made in the background. A `jobs.JobRule`."""

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a record says."""
        fields = read_fields(body)
        status = word(fields, "status") if fields is not None else ""
        if status in RUNNING:
            return Waiting()
        if fields is None or status not in ENDED:
            return Unreadable()
        metered = _metered(body, fields, planned)
        if isinstance(metered, Exact):
            return Ended(metered)
        if status == "failed":
            return Ended(Nothing())
        if status == "cancelled":
            put_out = min(planned.output_tokens, len(msgspec.json.encode(fields.get("output") or "")))
            return Ended(AtLeast(replace(planned, output_tokens=put_out)))
        return Ended(AtLeast(planned))

    def line(self, text: bytes) -> Line | None:
        """There are no lines."""
        return None

    def job_in(self, answer: bytes) -> str:
        """The id of the response."""
        fields = read_fields(answer)
        return word(fields, "id") if fields is not None else ""

    def for_caller(self, record: bytes, ours: str) -> bytes:
        """The record as it is."""
        return record


def kept_id(tap: Tap) -> str:
    """The id of the response that a tap over Responses has seen, "" for none yet."""
    if isinstance(tap, StreamTap | BodyTap) and isinstance(tap.reading, ResponsesReading):
        return tap.reading.kept_id
    return ""


def _metered(body: bytes, fields: Fields, planned: Usage) -> Metered:
    """What the response used, read as if it had been answered; the record repeats what was asked of caches."""
    asked = {name: msgspec.Raw(msgspec.json.encode(fields[name])) for name in OF_CACHES if name in fields}
    demand = Demand(planned.input_tokens, tier=planned.tier, cache_ttls=cache_ttls(Found(), asked))
    reading = ResponsesReading(ModelCall("", stream=False, demand=demand, wants_usage=True))
    reading.body(body, len(body))
    return reading.outcome(input_bound=planned.input_tokens)


RESPONSE_JOBS = ResponseJobs()
