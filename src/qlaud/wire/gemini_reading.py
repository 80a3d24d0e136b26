"""What the taps understand of a Gemini answer: how far it is, and its last usage.

Usage stands on almost every chunk and is a running value that may also fall; the last one counts, never a sum,
never the largest. Nothing marks the end of a stream but the finish reasons of its candidates. See `gemini_usage`
for where the facts are from.
"""

import re

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire import gemini_usage
from qlaud.wire.counts import UNREADABLE, Fields, last_object, number, read_fields
from qlaud.wire.gemini_content import GeminiContent
from qlaud.wire.gemini_grounding import Lookups
from qlaud.wire.gemini_names import bare
from qlaud.wire.gemini_request import GeminiCall
from qlaud.wire.gemini_usage import Served, tier_word
from qlaud.wire.types import ANSWERED, AnswerHead, ModelCall

NOTHING = Raw(b"")
USAGE, CANDIDATES, THOUGHTS = "usageMetadata", "candidatesTokenCount", "thoughtsTokenCount"
MOST_INDEXES = 128
_SHAPE = (
    rb'\{~"candidates":_\[~\{~"content":_\{~(?:"role":_"model"~,_)?"parts":_\[~\{~"text":_"([^"\\]*+(?:\\.[^"\\]*+)*+)"~'
    rb'(,_"thought":_true~)?\}~\]~(?:,_"role":_"model"~)?\}~(?:,_"index":_0~)?\}~\]~'
    rb',_"usageMetadata":_(\{~(?:"promptTokenCount":_\d++~,_)?(?:"candidatesTokenCount":_(\d{1,15}))?[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+\})~(?:,_"(?:modelVersion|responseId)":_"[^"\\]*+"~)*+\}'
)
"""The commonest chunk and nothing beside it: text of the first candidate, and a running usage. Between its marks are
blanks where `_` stands, and where it is written in lines also where `~` does."""
_LINE = _SHAPE.replace(b"_", b" ?").replace(b"~", b"")
_EVENT = re.compile(rb"data: ?" + _LINE + rb"[\r\n]+", re.DOTALL)
_ITEM = re.compile(rb"[\s,\[\]]*+" + _LINE, re.DOTALL)
_INDENTED = re.compile(rb"[\s,\[\]]*+" + _SHAPE.replace(b"_", rb"\s*+").replace(b"~", rb"\s*+"), re.DOTALL)
_CANDIDATES, _THOUGHTS = b'"candidatesTokenCount":', b'"thoughtsTokenCount":'
_NUMBER = re.compile(rb" ?(\d{1,15})")
_VERSION = re.compile(rb'"modelVersion": ?"([^"\\]{1,128})"')


class _Chunk(msgspec.Struct):
    candidates: Raw = NOTHING
    promptFeedback: Raw = NOTHING
    usageMetadata: Raw = NOTHING
    modelVersion: Raw = NOTHING
    responseId: Raw = NOTHING


class _Candidate(msgspec.Struct):
    index: object = 0
    content: Raw = NOTHING
    finishReason: Raw = NOTHING
    groundingMetadata: Raw = NOTHING


class GeminiReading:
    """Folds one answer: a stream, an array or a body."""

    __slots__ = (
        "_call",
        "_content",
        "_ended",
        "_finished",
        "_item",
        "_lookups",
        "_pending",
        "_tier",
        "_usage",
        "_work_seen",
        "complete",
        "indexes",
        "model",
        "output_floor",
        "response_id",
        "started",
    )

    def __init__(self, call: ModelCall, head: AnswerHead = ANSWERED) -> None:
        self._call = call
        self._content = GeminiContent()
        self.output_floor = 0
        self.started = False
        self.complete = False
        self.model = ""
        """`modelVersion`, the model that served."""
        self.response_id = ""
        self.indexes: set[int] = set()
        """Candidates seen."""
        self._finished: set[int] = set()
        self._ended = False
        """The prompt was blocked, or the answer is one whole body."""
        self._usage: Fields = {}
        self._pending = b""
        """A usage newer than `_usage` that is not parsed yet."""
        self._tier = tier_word(head.header(b"x-gemini-service-tier").decode("latin-1"))
        self._lookups = Lookups()
        self._item = _ITEM
        """How items of an array are written."""
        self._work_seen = False

    def plain(self, events: bytes) -> bool:
        found, at = _matches(_EVENT, events, 0)
        if at < len(events) or not self.model:
            return False
        self._note_plain(found)
        return True

    def items(self, text: bytes, at: int) -> int:
        """Where the items of an array end that begin at `at` and hold nothing to parse; they are counted."""
        if not self.model:
            return at
        found, end = _matches(self._item, text, at)
        if not found:
            other = _INDENTED if self._item is _ITEM else _ITEM
            found, end = _matches(other, text, at)
            if found:
                self._item = other
        self._note_plain(found)
        return end

    def _note_plain(self, chunks: list[re.Match[bytes]]) -> None:
        if not chunks:
            return
        self.indexes.add(0)
        content = self._content
        for one in chunks:
            words, thought, usage, spoken = one.groups()
            candidates = int(spoken) if spoken else _count(_CANDIDATES, usage)
            content.note_chunk(len(words), candidates, _count(_THOUGHTS, usage), thought is not None)
            self._pending = usage
        self.output_floor = content.output_floor
        self.started = self.started or self.output_floor > 0

    def event(self, text: bytes) -> bool:
        try:
            chunk = msgspec.json.decode(text, type=_Chunk)
        except UNREADABLE:
            return False
        if chunk.modelVersion or chunk.responseId:
            self.model = bare(_word(chunk.modelVersion)) or self.model
            self.response_id = self.response_id or _word(chunk.responseId)
        if chunk.candidates:
            self._note_candidates(chunk.candidates)
        if chunk.usageMetadata:
            self._fold(read_fields(chunk.usageMetadata))
        if chunk.promptFeedback and b'"blockReason"' in bytes(chunk.promptFeedback):
            self._ended = self._work_seen = True
        self._look()
        return False

    def tail(self, text: bytes, relayed: int) -> None:
        """The end of a chunk full of pictures or sound, where its finish reason and usage stand too."""
        self._work_seen = True
        call = self._call
        asked = call.makes if isinstance(call, GeminiCall) else ""
        self._content.note_media(self._content.made or asked, relayed)
        if found := _VERSION.search(text):
            self.model = bare(found[1].decode("latin-1"))
        if b'"finishReason"' in text:
            self.indexes.add(0)
            self._finished |= self.indexes
        self._fold(last_object(text, USAGE))
        self._look()

    def body(self, text: bytes, size: int) -> None:
        if size > len(text):
            self.tail(text, size)
            self._ended = True
        elif text.lstrip()[:1] == b"[":  # a stream that came as one body
            try:
                items = msgspec.json.decode(text, type=list[Raw])
            except UNREADABLE:
                items = []
            for item in items:
                self.event(bytes(item))
        elif read_fields(text) is not None:
            self.event(text)
            self._ended = self._work_seen
        elif text.lstrip()[:1] == b"{":  # cut off in the middle
            self._work_seen = True
            self._content.note_fragment(text, size)
        self._look()

    def outcome(self, *, input_bound: int) -> Metered:
        self._settle_pending()
        seen = self._read()
        is_silent = self._content.is_spoken and not number(self._usage, CANDIDATES)
        if self._is_over() and gemini_usage.is_whole(self._usage) and not is_silent:
            return Exact(seen)
        if not (self._work_seen or self.started):
            return Nothing()
        if not seen.prompt_tokens:
            seen = replace(seen, input_tokens=input_bound)
        return AtLeast(self._content.with_rest(seen))

    def _is_over(self) -> bool:
        return self._ended or (bool(self._finished) and self._finished >= self.indexes)

    def _look(self) -> None:
        """Tell how far the answer is."""
        self.output_floor = self._content.output_floor
        self.started = self.started or self.output_floor > 0
        self.complete = bool(self._usage or self._pending) and self._is_over()

    def _read(self) -> Usage:
        served = Served(
            model=self.model or bare(self._call.model),
            tier=self._tier,
            asked_tier=self._call.demand.tier,
            makes=self._content.made,
            grounding=self._lookups.grounding(),
        )
        seen = gemini_usage.read_usage(self._usage, served)
        return seen if self.model else replace(seen, served_model="")

    def _note_candidates(self, text: Raw) -> None:
        self._work_seen = True
        try:
            candidates = msgspec.json.decode(text, type=list[_Candidate])
        except UNREADABLE:
            return
        for candidate in candidates:
            index = candidate.index if type(candidate.index) is int else 0
            if len(self.indexes) < MOST_INDEXES:
                self.indexes.add(index)
            if candidate.finishReason and bytes(candidate.finishReason) != b"null":
                self._finished.add(index)
            if candidate.content:
                self._content.note(candidate.content)
            if candidate.groundingMetadata:
                self._lookups.note(candidate.groundingMetadata)

    def _fold(self, usage: Fields | None) -> None:
        if usage:
            self._usage, self._pending = usage, b""
            self._work_seen = True
            self._content.reported(number(usage, CANDIDATES), number(usage, THOUGHTS))

    def _settle_pending(self) -> None:
        """Parse the usage that was let by last."""
        if self._pending:
            self._usage, self._pending = read_fields(self._pending) or self._usage, b""


def _count(name: bytes, usage: bytes) -> int:
    """A count of a usage object, 0 if it is not there."""
    at = usage.rfind(name)
    number = _NUMBER.match(usage, at + len(name)) if at >= 0 else None
    return int(number[1]) if number else 0


def _matches(shape: re.Pattern[bytes], text: bytes, at: int) -> tuple[list[re.Match[bytes]], int]:
    """One after another from `at` on, and where they end."""
    found: list[re.Match[bytes]] = []
    while at < len(text) and (one := shape.match(text, at)):
        found.append(one)
        at = one.end()
    return found, at


def _word(text: Raw) -> str:
    try:
        value: object = msgspec.json.decode(text) if text else ""
    except UNREADABLE:
        return ""
    return value[:128] if isinstance(value, str) else ""
