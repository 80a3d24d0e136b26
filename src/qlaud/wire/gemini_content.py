"""Counts the content of a Gemini answer as it passes, and knows how much of it no usage stands for yet.

Text counts by its bytes, each at least a token of it; pictures and sound by a guess, for an answer that broke off
before it told its usage. Never raises. Used by the reading.
"""

import re

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from qlaud.core.usage import Usage
from qlaud.wire.counts import UNREADABLE, strings_matching
from qlaud.wire.gemini_usage import MEDIA

NOTHING = Raw(b"")
PICTURE_TOKENS = 1290
"""Of one picture of 1024 pixels a side."""
SOUND_BYTES = 1500
"""Of 24 kHz sound in 16 bits are one token, at 32 tokens a second."""
_TEXT = re.compile(rb'"text": ?"')


class _Part(msgspec.Struct):
    text: Raw = NOTHING
    thought: Raw = NOTHING
    inlineData: Raw = NOTHING
    functionCall: Raw = NOTHING
    executableCode: Raw = NOTHING


class _Content(msgspec.Struct):
    parts: list[_Part] = []


class _Blob(msgspec.Struct):
    mimeType: str = ""
    data: Raw = NOTHING


class GeminiContent:
    """What was seen so far."""

    __slots__ = (
        "_counted",
        "_media_tokens",
        "_text_bytes",
        "_thought_bytes",
        "is_spoken",
        "made",
        "output_floor",
    )

    def __init__(self) -> None:
        self.output_floor = 0
        """As reported last, or pieces that held something."""
        self.is_spoken = False
        """Some of it was no thought."""
        self.made = ""
        """`AUDIO`, `IMAGE` or `VIDEO` if some of it was that."""
        self._counted = 0
        self._text_bytes = 0
        """What no usage stands for yet."""
        self._thought_bytes = 0
        """Of thoughts, likewise."""
        self._media_tokens = 0
        """Likewise, guessed."""

    def note(self, text: Raw) -> None:
        """Count the content of one candidate."""
        try:
            parts = msgspec.json.decode(text, type=_Content).parts
        except UNREADABLE:
            self.note_events(bytes(text))
            return
        for part in parts:
            if len(part.text) > 2:
                self.note_text(1, len(part.text) - 2, is_thought=bytes(part.thought) == b"true")
            for work in (part.functionCall, part.executableCode):
                if work:
                    self.note_text(1, len(work))
            if part.inlineData:
                self._note_blob(part.inlineData)

    def note_text(self, pieces: int, size: int, *, is_thought: bool = False) -> None:
        """Count `size` bytes of text."""
        self._counted += pieces
        if is_thought:
            self._thought_bytes += size
        else:
            self.is_spoken = True
            self._text_bytes += size
        self.output_floor = max(self.output_floor, self._counted)

    def note_chunk(self, size: int, candidates: int, thoughts: int, is_thought: bool) -> None:
        """Count one piece of text, and what the usage behind it stands for. In one step: nearly every chunk is this."""
        if size:
            self._counted += 1
            if is_thought:
                self._thought_bytes += size
            else:
                self.is_spoken = True
                self._text_bytes += size
            if self._counted > self.output_floor:
                self.output_floor = self._counted
        if candidates or thoughts:
            self.reported(candidates, thoughts)

    def note_events(self, events: bytes) -> None:
        """Count the text in events that hold nothing else."""
        self.note_matching(events, _TEXT)

    def note_matching(self, events: bytes, key: re.Pattern[bytes], *, is_thought: bool = False) -> None:
        """Count the strings behind these keys."""
        pieces, size = strings_matching(events, key)
        if pieces:
            self.note_text(pieces, size, is_thought=is_thought)

    def note_fragment(self, text: bytes, size: int) -> None:
        """Count an answer of `size` bytes that was cut off."""
        self.note_events(text)
        if b'"inlineData"' in text:
            self.note_media("", size)

    def note_media(self, kind: str, size: int) -> None:
        """Count `size` bytes of media."""
        self.made = kind if kind in MEDIA else self.made or "IMAGE"
        self.is_spoken = True
        self._counted += 1
        if self.made == "AUDIO":
            self._media_tokens += -(-size * 3 // (4 * SOUND_BYTES))
        else:
            self._media_tokens += PICTURE_TOKENS
        self.output_floor = max(self.output_floor, self._counted)

    def reported(self, candidates: int, thoughts: int) -> None:
        """The usage so far stands for the content so far, of each kind that it counts."""
        if thoughts:
            self._thought_bytes = 0
        if candidates:
            self._text_bytes = self._thought_bytes = self._media_tokens = 0
            self.output_floor = max(candidates + thoughts, self._counted)

    def with_rest(self, seen: Usage) -> Usage:
        """What the last usage says, and what came after it."""
        more = self._media_tokens
        seen = replace(
            seen,
            audio_out_tokens=seen.audio_out_tokens + (more if self.made == "AUDIO" else 0),
            image_out_tokens=seen.image_out_tokens + (more if self.made == "IMAGE" else 0),
            video_out_tokens=seen.video_out_tokens + (more if self.made == "VIDEO" else 0),
        )
        media = seen.audio_out_tokens + seen.image_out_tokens + seen.video_out_tokens
        text = seen.output_tokens + self._text_bytes + self._thought_bytes
        return replace(seen, output_tokens=max(text, self.output_floor - media))

    def _note_blob(self, text: Raw) -> None:
        try:
            blob = msgspec.json.decode(text, type=_Blob)
        except UNREADABLE:
            blob = _Blob()
        self.note_media(blob.mimeType.partition("/")[0].upper(), max(0, len(blob.data) - 2))
