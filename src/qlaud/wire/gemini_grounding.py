"""What an answer of Gemini says it looked up, folded over its chunks: searches are billed, and by different units.

Distinct queries count, empty ones do not (Google's page on grounding, seen 2026-11); chunks repeat the list.
"""

import msgspec
from msgspec import Raw

from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_usage import Grounding

NOTHING = Raw(b"")
MOST_QUERIES = 1000
"""Remembered; more than any answer has."""


class _Metadata(msgspec.Struct):
    webSearchQueries: Raw = NOTHING
    imageSearchQueries: Raw = NOTHING
    groundingChunks: Raw = NOTHING


class _Chunk(msgspec.Struct):
    web: Raw = NOTHING
    image: Raw = NOTHING
    maps: Raw = NOTHING


class Lookups:
    """What was looked up so far."""

    __slots__ = ("_is_mapped", "_is_searched", "_queries")

    def __init__(self) -> None:
        self._queries: set[str] = set()
        self._is_searched = self._is_mapped = False

    def note(self, metadata: Raw) -> None:
        """Add one `groundingMetadata`. Never raises."""
        try:
            told = msgspec.json.decode(metadata, type=_Metadata)
        except UNREADABLE:
            return
        for queries in (told.webSearchQueries, told.imageSearchQueries):
            self._note_queries(queries)
        try:
            chunks = (
                msgspec.json.decode(told.groundingChunks, type=list[_Chunk]) if told.groundingChunks else []
            )
        except UNREADABLE:
            return
        for chunk in chunks:
            self._is_searched = self._is_searched or bool(chunk.web or chunk.image)
            self._is_mapped = self._is_mapped or bool(chunk.maps)

    def grounding(self) -> Grounding:
        """All of it."""
        return Grounding(frozenset(self._queries), self._is_searched, self._is_mapped)

    def _note_queries(self, text: Raw) -> None:
        try:
            queries = msgspec.json.decode(text, type=list[object]) if text else []
        except UNREADABLE:
            return
        room = MOST_QUERIES - len(self._queries)
        self._queries.update(query for query in queries[:room] if isinstance(query, str) and query.strip())
