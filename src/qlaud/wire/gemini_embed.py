"""The Gemini embedding wire: `embedContent` and `batchEmbedContents`. See `types.Wire` for what functions guarantee.

Every request of a batch repeats the model and Google wants it to be the path's. Old models answer without usage; then
the counted input is billed. Facts: google-genai 3.4.0 and recorded traffic, seen 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire import errors, gemini_usage
from qlaud.wire.body import Members, item_spans, read_body, read_items, read_members
from qlaud.wire.counts import UNREADABLE, Fields, last_object, read_fields
from qlaud.wire.gemini_names import MODELS, by_camel, check_model, check_query, list_error
from qlaud.wire.gemini_parts import Sent, note_contents
from qlaud.wire.gemini_usage import Served, tier_word
from qlaud.wire.splice import set_in_items, set_members
from qlaud.wire.taps import BodyTap
from qlaud.wire.types import ANSWERED, AnswerHead, Asked, Changes, ModelCall, Tap
from qlaud.wire.whole import WholeReading, WholeWire

NOTHING = Raw(b"")
USAGE = "usageMetadata"
KNOWN = frozenset(("content", "requests", "model", "taskType", "title", "outputDimensionality"))


@dataclass(frozen=True, slots=True)
class GeminiEmbedWire(WholeWire):
    """`POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`."""

    error_shape: str = "google"

    def read_call(self, asked: Asked) -> ModelCall:
        """What the request asks. Raises InvalidJson or BadRequest."""
        check_query(asked.query)
        members = read_body(asked.body)
        sent = Sent()
        _note_request(sent, members, asked.model)
        requests = read_items(members, "requests")
        for index, item in enumerate(requests):
            try:
                inner = read_members(bytes(item), f"`requests[{index}]`")
            except UNREADABLE:
                raise BadRequest(f"`requests[{index}]` must be an object", param="requests") from None
            _note_request(sent, inner, asked.model)
        demand = Demand(
            input_tokens=len(asked.body) - sent.media_bytes + sent.media_tokens,
            whole_context=sent.whole_context,
            inputs=max(len(requests), 1),
            max_output=0,
        )
        return ModelCall(
            model=asked.model,
            stream=False,
            demand=demand,
            wants_usage=True,
            account_resource=sent.resource,
        )

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """The body with the model put in wherever it repeats it."""
        if changes.model is None or b'"model"' not in body:
            return body
        members = read_body(body)
        named = {"model": msgspec.json.encode(MODELS + changes.model)}
        values: dict[str, bytes] = dict(named) if "model" in members else {}
        requests = read_items(members, "requests")
        if requests:
            text = bytes(members["requests"])
            values["requests"] = set_in_items(text, dict.fromkeys(range(len(item_spans(text))), named))
        return set_members(body, values, members=members)

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap over one JSON body."""
        del strip_usage
        return BodyTap(EmbeddingReading(call, head))

    def error_message(self, body: bytes) -> str:
        """The provider's sentence."""
        return errors.provider_message(list_error(body))


def _note_request(sent: Sent, members: Members, model: str) -> None:
    check_model(members, model)
    fields: Mapping[str, Raw] = by_camel(members, "the body")
    if "content" in fields:
        note_contents(sent, fields["content"])
    sent.whole_context = sent.whole_context or bool(fields.keys() - KNOWN)


class _Answer(msgspec.Struct):
    embedding: Raw = NOTHING
    embeddings: Raw = NOTHING
    usageMetadata: Raw = NOTHING


class EmbeddingReading(WholeReading):
    """Reads the usage of one answer; the vectors stay unread."""

    def __init__(self, call: ModelCall, head: AnswerHead) -> None:
        self._call = call
        self._tier = tier_word(head.header(b"x-gemini-service-tier").decode("latin-1"))
        self._usage: Fields = {}
        self._work_seen = False

    def body(self, text: bytes, size: int) -> None:
        if size > len(text):
            self._work_seen = True
            self._usage = last_object(text, USAGE) or {}
        else:
            try:
                answer = msgspec.json.decode(text, type=_Answer)
            except UNREADABLE:
                self._work_seen = text.lstrip()[:1] == b"{"
                return
            self._work_seen = bool(answer.embedding or answer.embeddings or answer.usageMetadata)
            self._usage = (read_fields(answer.usageMetadata) if answer.usageMetadata else None) or {}
        self.complete = bool(self._usage)

    def outcome(self, *, input_bound: int) -> Metered:
        if gemini_usage.is_whole(self._usage):
            return Exact(gemini_usage.read_usage(self._usage, Served(tier=self._tier)))
        return AtLeast(Usage(input_tokens=input_bound)) if self._work_seen else Nothing()
