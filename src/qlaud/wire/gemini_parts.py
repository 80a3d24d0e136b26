"""Looks through the contents of a Gemini request for what is billed as something else than its own bytes.

    text, function calls and results, code     their bytes in the body are more than their tokens
    inlineData  text/*, JSON, source code      likewise: base64 only lengthens it
                image/*, audio/*, video/*      as `gemini_media` bounds them
                PDF, anything else             the whole context: nothing in the body bounds pages
    fileData                                   the whole context; a file of the operator's account is noted

A part of a kind we do not know is the whole context too, and so are media whose playing time cannot be read.
"""

import re
from binascii import Error as NoBase64
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec
from msgspec import Raw

from qlaud.wire import gemini_media
from qlaud.wire.body import read_members, read_text
from qlaud.wire.content import NOTHING, opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_names import by_camel

TEXT_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "json",
        "xml",
        "javascript",
        "x-javascript",
        "typescript",
        "x-typescript",
        "x-python-code",
        "yaml",
    )
)
CUTS = frozenset(("fps", "startOffset", "endOffset"))
"""What may be said of a film without more of it being read than its frames and its sound."""
_MEDIA_NAME = re.compile(rb'"(?:inlineData|inline_data|fileData|file_data|videoMetadata|video_metadata)"')


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    text: Raw = NOTHING
    thought: Raw = NOTHING
    thoughtSignature: Raw = NOTHING
    thought_signature: Raw = NOTHING
    inlineData: Raw = NOTHING
    inline_data: Raw = NOTHING
    fileData: Raw = NOTHING
    file_data: Raw = NOTHING
    functionCall: Raw = NOTHING
    function_call: Raw = NOTHING
    functionResponse: Raw = NOTHING
    function_response: Raw = NOTHING
    executableCode: Raw = NOTHING
    executable_code: Raw = NOTHING
    codeExecutionResult: Raw = NOTHING
    code_execution_result: Raw = NOTHING
    toolCall: Raw = NOTHING
    tool_call: Raw = NOTHING
    toolResponse: Raw = NOTHING
    tool_response: Raw = NOTHING
    videoMetadata: Raw = NOTHING
    video_metadata: Raw = NOTHING
    mediaResolution: Raw = NOTHING
    media_resolution: Raw = NOTHING
    speechMetadata: Raw = NOTHING
    speech_metadata: Raw = NOTHING
    audioMetadata: Raw = NOTHING
    audio_metadata: Raw = NOTHING
    audioTranscription: Raw = NOTHING
    audio_transcription: Raw = NOTHING
    partMetadata: Raw = NOTHING
    part_metadata: Raw = NOTHING


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    role: Raw = NOTHING
    parts: list[_Part] | _Part | None = None


class _Result(msgspec.Struct):
    parts: list[_Part] = []


_read_contents = cast(
    "Callable[[Raw], list[_Content] | _Content]", msgspec.json.Decoder(list[_Content] | _Content).decode
)


@dataclass(slots=True)
class Sent:
    """What was found so far."""

    media_bytes: int = 0
    """Bytes of the body that are no text."""
    media_tokens: int = 0
    whole_context: bool = False
    resource: str | None = None
    """What is named of the operator's own account at Google."""


def note_contents(sent: Sent, value: Raw) -> None:
    """Look through `contents` or one content. Raises BadRequest for a part that is written twice."""
    try:
        contents = _read_contents(value)
    except UNREADABLE:
        _note_unknown(sent, bytes(value))
        return
    media = 0
    for content in [contents] if isinstance(contents, _Content) else contents:
        parts = content.parts or []
        media += _note_parts(sent, [parts] if isinstance(parts, _Part) else parts)
    _check_written_once(bytes(value), media)


def _note_parts(sent: Sent, parts: list[_Part]) -> int:
    """Look through the parts of one content; how many of them are media."""
    media = 0
    for part in parts:
        result = part.functionResponse or part.function_response
        if result and b'"parts"' in bytes(result):
            try:
                media += _note_parts(sent, msgspec.json.decode(result, type=_Result).parts)
            except UNREADABLE:
                _note_unknown(sent, bytes(result))
        film = part.videoMetadata or part.video_metadata
        media += bool(part.videoMetadata) + bool(part.video_metadata)
        for blob in (part.inlineData, part.inline_data):
            if blob:
                media += 1
                _note_blob(sent, blob, film)
        for file in (part.fileData, part.file_data):
            if file:
                media += 1
                _note_file(sent, file)
    return media


def _note_unknown(sent: Sent, text: bytes) -> None:
    """A shape we do not know: Google will refuse it, or knows more than we do."""
    sent.whole_context = True
    if _MEDIA_NAME.search(text) or b"\\u00" in text:
        sent.resource = "fileData"


def _note_file(sent: Sent, text: Raw) -> None:
    try:
        uri = read_text(by_camel(read_members(bytes(text), "`fileData`"), "`fileData`"), "fileUri") or ""
    except UNREADABLE:
        uri = ""
    note_uri(sent, uri, "fileData")


def note_uri(sent: Sent, uri: str, field: str) -> None:
    """Add a file that stands elsewhere: on the web, or in the operator's account."""
    sent.whole_context = True
    uri = uri.lower()
    if not uri.startswith("https://") or "googleapis" in uri:
        sent.resource = field


def _note_blob(sent: Sent, text: Raw, film: Raw) -> None:
    try:
        blob = by_camel(read_members(bytes(text), "`inlineData`"), "`inlineData`")
        kind = (read_text(blob, "mimeType") or "").lower()
        frames = _frames_per_s(film)
    except UNREADABLE:
        sent.whole_context = True
        return
    note_media(sent, kind, blob.get("data", NOTHING), frames_per_s=frames)


def note_media(sent: Sent, kind: str, data: Raw, *, frames_per_s: float | None = 1.0) -> None:
    """Add one piece of media in base64, by its MIME type in lower case."""
    try:
        tokens = _tokens(kind, memoryview(data), frames_per_s)
    except NoBase64:
        tokens = None
    if tokens is None:
        sent.whole_context = True
    elif tokens:
        sent.media_bytes += len(data)
        sent.media_tokens += tokens


def _tokens(kind: str, data: memoryview, frames_per_s: float | None) -> int | None:
    """What it may cost beyond its bytes: 0 where they are more, None where nothing bounds it."""
    head = gemini_media.head_of(data)
    if kind.startswith("image/"):
        return gemini_media.IMAGE_TOKENS if gemini_media.is_picture(head) else None
    if kind.startswith("audio/"):
        return gemini_media.sound_tokens(data)
    if kind.startswith("video/"):
        return None if frames_per_s is None else gemini_media.film_tokens(data, frames_per_s)
    is_text = kind.startswith("text/") or kind in TEXT_TYPES
    return 0 if is_text and gemini_media.DOCUMENT not in head else None


def _frames_per_s(film: Raw) -> float | None:
    """What `videoMetadata` asks for, 1 where it does not say, None where it cannot be read."""
    if not film:
        return 1.0
    fields = by_camel(read_members(bytes(film), "`videoMetadata`"), "`videoMetadata`")
    if fields.keys() - CUTS:
        return None
    asked = fields.get("fps")
    return 1.0 if asked is None else msgspec.json.decode(asked, type=float)


def _check_written_once(text: bytes, media: int) -> None:
    """Raises BadRequest if more media stand in `text` than were found, because a name stands twice."""
    if len(_MEDIA_NAME.findall(text)) == media and b"\\u00" not in text:
        return
    _check_names(Raw(text))


def _check_names(value: Raw) -> None:
    if opens_with(value, 0x7B):
        for inner in read_members(bytes(value), "a part").values():
            _check_names(inner)
    elif opens_with(value, 0x5B):
        for item in msgspec.json.decode(value, type=list[Raw]):
            _check_names(item)
