"""Anthropic's batches: many Messages requests in one call, their answers a day later, each at the price of a batch.

Facts (the provider's pages, its SDK 2.12.0, seen 2026-11): the requests stand in the body, their `params` are Messages
requests; the record has a `processing_status`, which is `ended` when every request is over, and then a
`results_url`. The results are one JSON object a line, `{"custom_id", "result": {"type", "message"}}`; a request that
`succeeded` is billed by the usage of its message, one that `errored`, was `canceled` or has `expired` is not.
"""

import re
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest
from qlaud.core.usage import Nothing, Usage
from qlaud.wire import anthropic_request, anthropic_usage
from qlaud.wire import body as json_body
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.counts import Fields, count, nested, read_fields, word
from qlaud.wire.jobs import Elsewhere, Ended, JobWire, Line, Progress, Unreadable, Waiting
from qlaud.wire.splice import set_in_items, set_members
from qlaud.wire.types import Asked, Changes, ModelCall

TIER = "batch"
"""What every request of a batch is billed at, whatever its `service_tier` says."""
FREE_RESULTS = frozenset(("errored", "canceled", "expired"))
UNKNOWN_DEMAND = Demand(0)
RESULTS = "/v1/messages/batches/{}/results"
_ID = re.compile(r"[\w-]{1,200}")
_MESSAGES = AnthropicWire()


def _job(fields: Fields) -> str | None:
    return word(fields, "id") if _is_record(fields) else "" if "error" in fields else None


def _is_record(fields: Fields) -> bool:
    return word(fields, "type") == "message_batch" and _ID.fullmatch(word(fields, "id")) is not None


@dataclass(frozen=True, slots=True)
class AnthropicBatchesWire(JobWire):
    """`POST /v1/messages/batches`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What all requests ask together, and each by itself in `parts`. Raises InvalidJson or BadRequest."""
        items = json_body.read_items(json_body.read_body(asked.body), "requests")
        if not items:
            raise BadRequest("`requests` is missing; send the requests of the batch", param="requests")
        parts = tuple(_part(bytes(item), index) for index, item in enumerate(items))
        read = sum(part.demand.input_tokens for part in parts)
        written = sum(part.demand.max_output or 0 for part in parts)
        return ModelCall(
            model=parts[0].model,
            stream=False,
            demand=Demand(input_tokens=read, max_output=0, tier=TIER),
            wants_usage=True,
            account_resource=next((part.account_resource for part in parts if part.account_resource), None),
            expected=Usage(input_tokens=read, output_tokens=written, tier=TIER),
            parts=parts,
        )

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with models and `max_uses` put into the requests where they differ."""
        if not changes.models and changes.max_uses is None:
            return body
        requests = bytes(json_body.read_body(body)["requests"])
        values: dict[int, dict[str, bytes]] = {}
        for index, item in enumerate(json_body.read_items({"requests": msgspec.Raw(requests)}, "requests")):
            part, params = call.parts[index], _params(bytes(item), index)
            own = Changes(model=changes.models.get(part.model), max_uses=changes.max_uses)
            rewritten = _MESSAGES.rewrite(params, part, own)
            if rewritten is not params:
                values[index] = {"params": rewritten}
        return set_members(body, {"requests": set_in_items(requests, values)}) if values else body

    def progress(self, body: bytes, planned: Usage) -> Progress:
        """What a record says."""
        fields = read_fields(body)
        if fields is None or not _is_record(fields):
            return Unreadable()
        if word(fields, "processing_status") != "ended":
            return Waiting()
        succeeded = count(nested(fields, "request_counts").get("succeeded"))
        if succeeded == 0:
            return Ended(Nothing())
        return Elsewhere(RESULTS.format(word(fields, "id")), least_lines=succeeded or 0)

    def line(self, text: bytes) -> Line | None:
        """What one request used."""
        if not text.strip():
            return None
        result = nested(read_fields(text) or {}, "result")
        if word(result, "type") in FREE_RESULTS:
            return None
        message = nested(result, "message")
        model, usage = word(message, "model"), nested(message, "usage")
        if word(result, "type") != "succeeded" or not anthropic_usage.is_whole(usage):
            return Line(model, None)
        return Line(model, replace(anthropic_usage.read_usage(usage, UNKNOWN_DEMAND, model), tier=TIER))

    def for_caller(self, record: bytes, ours: str) -> bytes:
        """The record, its results at `ours`."""
        fields = read_fields(record)
        if fields is None or not _is_record(fields) or not word(fields, "results_url"):
            return record
        here = ours + RESULTS.format(word(fields, "id"))
        return set_members(record, {"results_url": msgspec.json.encode(here)})


def _part(item: bytes, index: int) -> ModelCall:
    """One request, at the tier of a batch."""
    params = _params(item, index)
    try:
        call = anthropic_request.read_call(params)
    except BadRequest as wrong:
        raise BadRequest(f"`requests[{index}]`: {wrong.message}", param=f"requests[{index}]") from wrong
    return replace(call, demand=replace(call.demand, tier=TIER))


def _params(item: bytes, index: int) -> bytes:
    params = bytes(json_body.read_members(item, f"`requests[{index}]`").get("params", b""))
    if params[:1] != b"{":
        raise BadRequest(
            f"`requests[{index}].params` must be a Messages request", param=f"requests[{index}].params"
        )
    return params


ANTHROPIC_BATCHES = AnthropicBatchesWire(find=_job, error_shape="anthropic")
