"""The OpenAI Embeddings wire, as spoken by OpenAI, Mistral, xAI, Qwen and others. See `types.Wire`.

There is no output and no stream. Text is bounded by its bytes; a token given as a number takes at least two bytes
(`1,`). Everything else in the input (pictures of multimodal models) counts as the whole context. Usage is
`{"prompt_tokens","total_tokens"}`; Qwen's models for pictures tell `input_tokens` instead. Sources: the SDK 3.54.0 and
the vendors' pages, seen 2026-11.
"""

from dataclasses import dataclass
from typing import cast

import msgspec

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire import body as json_body
from qlaud.wire.body import Members
from qlaud.wire.counts import UNREADABLE, Fields, last_told, nested, read_fields, word
from qlaud.wire.openai_input import end_user
from qlaud.wire.openai_split import first_count, input_side
from qlaud.wire.openai_usage import vendor_cost_picos
from qlaud.wire.taps import BodyTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, ModelCall, Tap
from qlaud.wire.whole import WholeReading, WholeWire

TEXT_FIELDS = frozenset(
    {"model", "input", "dimensions", "encoding_format", "user", "output_dimension", "output_dtype"}
)


@dataclass(frozen=True, slots=True)
class OpenAIEmbeddingsWire(WholeWire):
    """`POST /v1/embeddings`."""

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        members = json_body.read_body(asked.body)
        model = json_body.read_model(members)
        demand = Demand(
            len(asked.body),
            whole_context=not _is_text(members),
            inputs=_inputs(members),
            max_output=0,
            tier=json_body.read_text(members, "service_tier") or "",
        )
        return ModelCall(model, stream=False, demand=demand, wants_usage=True, end_user=end_user(members))

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap over one JSON body."""
        return BodyTap(EmbeddingsReading(call))


class EmbeddingsReading(WholeReading):
    """Reads one answer."""

    def __init__(self, call: ModelCall) -> None:
        self._call = call
        self._answer: Fields = {}
        self._usage: Fields = {}
        self._work_seen = False

    def body(self, text: bytes, size: int) -> None:
        self._work_seen = text.lstrip()[:1] == b"{" or size > len(text)
        if size > len(text):  # vectors: the usage stands behind them
            self._usage = last_told(text, "usage") or {}
        elif (answer := read_fields(text)) is not None:
            self._work_seen = bool(answer.get("data"))
            self._answer = answer
            self._usage = nested(answer, "usage")
        self.complete = bool(self._usage)

    def outcome(self, *, input_bound: int) -> Metered:
        total = first_count(self._usage, "prompt_tokens", "input_tokens", "total_tokens")
        if total:
            details = nested(self._usage, "prompt_tokens_details")
            used = input_side(total, details, self._call.demand, cached=0, model="")
            return Exact(
                msgspec.structs.replace(
                    used,
                    tier=word(self._answer, "service_tier") or self._call.demand.tier,
                    vendor_cost_picos=vendor_cost_picos(self._usage),
                    served_model=word(self._answer, "model"),
                )
            )
        return AtLeast(Usage(input_tokens=input_bound)) if self._work_seen else Nothing()


def _inputs(members: Members) -> int:
    """How many texts or pictures are embedded, at most, each within a context of its own.

    Whatever an array is called, and however deep it stands, it may be one of inputs.
    """
    try:
        return max(1, *(_items(msgspec.json.decode(value)) for value in members.values()))
    except UNREADABLE:
        raise BadRequest(
            "a text in the body cannot be read; send valid UTF-8, and no halves of pairs"
        ) from None


def _items(value: object) -> int:
    if isinstance(value, dict):
        return sum(map(_items, cast("dict[str, object]", value).values()))
    if not isinstance(value, list):
        return 0
    items = cast("list[object]", value)
    is_tokens = all(isinstance(item, int) for item in items)
    return min(1, len(items)) if is_tokens else sum(max(1, _items(item)) for item in items)


def _is_text(members: Members) -> bool:
    """Whether the input is text or tokens, and nothing else is asked for that may be read."""
    if members.keys() - TEXT_FIELDS - {"service_tier", "safety_identifier", "truncate"}:
        return False
    value = members.get("input")
    if value is None:
        return True
    for kind in (str, list[str], list[int], list[list[int]]):
        try:
            msgspec.json.decode(value, type=kind)
        except UNREADABLE:
            continue
        return True
    return False
