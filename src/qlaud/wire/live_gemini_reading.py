"""What the caller's messages of a Gemini Live session say about money: what each adds to the context, and asks for.

Every message is one object with one member: `setup` (the first, and only then), `clientContent`, `realtimeInput` or
`toolResponse`. Any name may be in camelCase or in snake_case; one that stands twice is refused, because Google might
read the other one. So is a message that we cannot read: its cost could not be told. Facts (Google's reference of
the Live API, google-genai 3.6.1, seen 2026-11): sound is raw PCM of 16 bits, its rate in its MIME type, 16 kHz
without.
"""

import re
from binascii import Error as NoBase64
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.wire import body as json_body
from qlaud.wire.body import read_body, read_flag, read_members, read_text
from qlaud.wire.content import opens_with
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.gemini_media import FRAME_TOKENS, SOUND_TOKENS_PER_S, head_of, is_picture
from qlaud.wire.gemini_names import by_camel
from qlaud.wire.gemini_parts import Sent, note_contents
from qlaud.wire.live import Frame
from qlaud.wire.live_audio import SLOWEST_BYTES_PER_S

SETUP, SAYS, HEARS, TOOLS = "setup", "clientContent", "realtimeInput", "toolResponse"
KINDS = (SETUP, SAYS, HEARS, TOOLS)
SIGNS = frozenset(("activityStart", "activityEnd", "audioStreamEnd"))
ENDS = frozenset(("activityEnd", "audioStreamEnd"))
"""Signs that what was said is over, so that an answer may begin."""
PCM_BYTES = 2
USUAL_RATE = 16_000
RAW = frozenset(("audio/pcm", "audio/l16"))
_MIME = r'"mime_?[tT]ype"\s*:\s*"([^"\\]*)"\s*'
_BEFORE = re.compile(
    rf'\s*{{\s*"realtime_?[iI]nput"\s*:\s*{{\s*"audio"\s*:\s*{{\s*(?:{_MIME},\s*)?"data"\s*:\s*"'
)
_BEHIND = re.compile(rf'"\s*(?:,\s*{_MIME})?}}\s*}}\s*}}\s*')
"""Around the sound in a message that holds nothing else."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """What one message adds."""

    tokens: int = 0
    asks: bool = False
    """An answer begins because of it."""
    is_heard: bool = False
    """It is sound or a picture as it happens, in which somebody may speak."""
    whole_context: bool = False
    resource: str | None = None


NOTHING_SAID = Said()


def read_frame(frame: Frame) -> tuple[str, bytes]:
    """Which kind of message it is, and its content. Raises BadRequest for one that is none of them."""
    fields = by_camel(read_body(frame.encode() if isinstance(frame, str) else frame), "the message")
    kind, value = next(iter(fields.items()), ("", Raw()))
    if len(fields) != 1 or kind not in KINDS:
        raise BadRequest(
            f"a message holds one of {', '.join(f'`{name}`' for name in KINDS)}", param=kind or None
        )
    return kind, bytes(value)


def read_sound(frame: Frame) -> Said | None:
    """What a piece of sound adds, read without a parser because most messages are one; None for any other message."""
    if isinstance(frame, bytes) or (before := _BEFORE.match(frame)) is None:
        return None
    end = frame.find('"', before.end())
    behind = _BEHIND.fullmatch(frame, end) if end >= 0 else None
    if behind is None or (before[1] is None) is (behind[1] is None):
        return None
    rate = _bytes_per_s((before[1] or behind[1] or "").lower())
    if not rate:
        return None
    return Said(_sound_tokens(end - before.end(), rate), is_heard=True)


def read_said(kind: str, text: bytes) -> Said:
    """What a message other than the setup adds. Raises BadRequest."""
    fields = fields_of(text, kind)
    if kind == HEARS:
        return _heard(fields)
    sent = Sent()
    asks = True
    if kind == SAYS:
        _only(fields, frozenset(("turns", "turnComplete")), kind)
        asks = read_flag(fields, "turnComplete")
        if "turns" in fields:
            note_contents(sent, fields["turns"])
    else:
        _only(fields, frozenset(("functionResponses",)), kind)
        value = fields.get("functionResponses", Raw(b"[]"))
        for item in (
            (value,) if opens_with(value, 0x7B) else json_body.read_items(fields, "functionResponses")
        ):
            note_contents(sent, Raw(b'{"parts":[{"functionResponse":%b}]}' % bytes(item)))
    tokens = len(text) - sent.media_bytes + sent.media_tokens
    return Said(tokens, asks=asks, whole_context=sent.whole_context, resource=sent.resource)


def _heard(fields: Mapping[str, Raw]) -> Said:
    """What happens as it is sent: sound, pictures, text, and signs of who speaks."""
    said = Sent()
    asks = False
    is_heard = False
    for name, value in fields.items():
        if name in ("audio", "video"):
            _note_blob(said, value)
            is_heard = True
        elif name == "mediaChunks":
            for item in json_body.read_items(fields, name):
                _note_blob(said, item)
            is_heard = True
        elif name == "text":
            said.media_tokens += len(value)
            asks = True
        elif name in SIGNS:
            asks = asks or name in ENDS
        else:
            raise _unknown(f"{HEARS}.{name}")
    return Said(said.media_tokens, asks=asks, is_heard=is_heard, whole_context=said.whole_context)


def _note_blob(sent: Sent, value: Raw) -> None:
    """Add one piece of sound, or one picture of what is seen."""
    blob = fields_of(bytes(value), "audio")
    kind = (read_text(blob, "mimeType") or "").lower()
    data = blob.get("data", Raw(b'""'))
    if kind.startswith("image/"):
        sent.media_tokens += FRAME_TOKENS
        sent.whole_context = sent.whole_context or not _is_picture(data)
        return
    rate = _bytes_per_s(kind)
    if not rate:
        sent.whole_context = True
        return
    sent.media_tokens += _sound_tokens(len(data), rate)


def _sound_tokens(base64_size: int, bytes_per_s: int) -> int:
    return -(-(base64_size * 3 // 4) * SOUND_TOKENS_PER_S // bytes_per_s)


def _bytes_per_s(kind: str) -> int:
    """The fewest bytes that a second of this kind of sound has; 0 where nothing says it."""
    name, *parameters = (part.strip() for part in kind.split(";"))
    if name not in RAW:
        return SLOWEST_BYTES_PER_S if name.startswith("audio/") else 0
    rates = [value for key, _, value in (one.partition("=") for one in parameters) if key.strip() == "rate"]
    return min((_rate(value) for value in rates), default=USUAL_RATE) * PCM_BYTES


def _rate(value: str) -> int:
    digits = value.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 7 else 0


def _is_picture(data: Raw) -> bool:
    try:
        return is_picture(head_of(memoryview(data)))
    except NoBase64:
        return False


def fields_of(text: bytes, name: str) -> Mapping[str, Raw]:
    """The members of an object that are not null, by their camelCase names. Raises BadRequest."""
    try:
        return by_camel(read_members(text, f"`{name}`"), f"`{name}`")
    except UNREADABLE:
        raise BadRequest(f"`{name}` must be an object", param=name) from None


def _only(fields: Mapping[str, Raw], known: frozenset[str], kind: str) -> None:
    for name in fields:
        if name not in known:
            raise _unknown(f"{kind}.{name}")


def _unknown(name: str) -> UnsupportedField:
    return UnsupportedField(
        f"`{name}` is not known here, so its cost cannot be told; leave it out", param=name
    )
