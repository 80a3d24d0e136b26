"""Looks through the contents of a Gemini request for what is billed as something else than its own bytes.

    text, function calls and results, code     their bytes in the body are more than their tokens
    inlineData  text/*, JSON, source code      likewise: base64 only lengthens it
                image/*                        IMAGE_TOKENS each
                audio/*                        32 tokens a second of its playing time
                video, PDF, anything else      the whole context: nothing in the body bounds frames or pages
    fileData                                   the whole context; a file of the operator's account is noted

A part of a kind we do not know is the whole context too. Facts: Google's pages on tokens, image, audio, video and
document understanding, media resolution; seen 2026-11.
"""

import re
from binascii import Error as NoBase64
from binascii import a2b_base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec
from msgspec import Raw

from qlaud.wire.body import read_members, read_text
from qlaud.wire.content import NOTHING, opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_names import by_camel

IMAGE_TOKENS = 6_500
"""The most one picture costs. Up to 2.x it is scaled into 3072 x 3072 and cut into tiles of at least 256 pixels, 258
tokens each, and no shape gives more than 24 tiles; from 3 on 2240 tokens at the highest resolution."""
SOUND_TOKENS_PER_S = 32
FRAME_TOKENS = 64
"""Around any sound."""
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
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
STILLS = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"))
"""Brands of pictures in the container that films have."""
DOCUMENT = b"%PDF"
_MEDIA_NAME = re.compile(rb'"(?:inlineData|inline_data|fileData|file_data)"')


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
        for blob in (part.inlineData, part.inline_data):
            if blob:
                media += 1
                _note_blob(sent, blob)
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
    sent.whole_context = True
    try:
        uri = read_text(by_camel(read_members(bytes(text), "`fileData`"), "`fileData`"), "fileUri") or ""
    except UNREADABLE:
        uri = ""
    uri = uri.lower()
    if not uri.startswith("https://") or "googleapis" in uri:
        sent.resource = "fileData"


def _note_blob(sent: Sent, text: Raw) -> None:
    try:
        blob = by_camel(read_members(bytes(text), "`inlineData`"), "`inlineData`")
        kind = (read_text(blob, "mimeType") or "").lower()
        data = blob.get("data", NOTHING)
        head = _head(data)
    except (*UNREADABLE, NoBase64):
        sent.whole_context = True
        return
    if kind.startswith("image/") and _is_picture(head):
        sent.media_bytes += len(data)
        sent.media_tokens += IMAGE_TOKENS
    elif not (kind.startswith("text/") or kind in TEXT_TYPES) or DOCUMENT in head:
        sent.whole_context = True


def _head(data: Raw) -> bytes:
    """The first bytes of what is written in base64, of either alphabet."""
    text = bytes(memoryview(data)[1:1600]).replace(b"\\/", b"/").replace(b"\\n", b"").rstrip(b'"')
    text = text.replace(b"-", b"+").replace(b"_", b"/").rstrip(b"=")
    return a2b_base64(text[: len(text) // 4 * 4])


def _is_picture(head: bytes) -> bool:
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    return head.startswith(PICTURES) or (head[4:8] == b"ftyp" and head[8:12] in STILLS)


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
