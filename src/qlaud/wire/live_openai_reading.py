"""What OpenAI's realtime events say about money: the session's terms, the size of items, usage.

Facts (OpenAI's pages and SDK 3.54.0, seen 2026-11): `response.done` carries the usage of one response, cached tokens
inside the input ones and told by modality; a transcription has its own, in tokens or seconds, on its own model. A
tenth of a second of a user's audio is one token, a twentieth of the model's. Older sessions had the terms at the top
(`turn_detection`, `input_audio_format`, `max_response_output_tokens`), newer ones under `audio`.
"""

from typing import cast

from msgspec import Struct

from qlaud.core.usage import Usage
from qlaud.wire.counts import Fields, count, millis, nested, number, objects, word
from qlaud.wire.live_elevenlabs import decoded_size

TOKENS_PER_S = 20
"""Of audio, at most."""
PCM_BYTES_PER_S = 48_000
G711_BYTES_PER_S = 8_000
IMAGE_TOKENS = 4_096
"""More than any picture of a realtime model counts."""
ITEM_TOKENS = 16
"""Roles and marks around an item."""


class Terms(Struct, frozen=True, gc=False):
    """The part of a session that decides what a response may cost."""

    begins_alone: bool = True
    """A response may begin because somebody has spoken. So it is unless it was turned off."""
    begins_idle: bool = False
    """A response may begin because nobody has spoken for a while."""
    max_output: int | None = None
    """None: the most the model can."""
    prompt_bytes: int = 0
    """Instructions and tools."""
    is_open: bool = False
    """Tools or prompts that stand elsewhere: the input may be the whole context."""
    audio_bytes_per_s: int = PCM_BYTES_PER_S
    transcriber: str = ""


def changed(terms: Terms, session: Fields) -> Terms:
    """`terms` with what `session` says; what it does not say stays as it was."""
    audio = nested(nested(session, "audio"), "input")
    begins_alone, begins_idle = _begins(terms, session, audio)
    prompt_bytes = terms.prompt_bytes
    if "instructions" in session or "tools" in session:
        prompt_bytes = max(prompt_bytes, size_of(session.get("instructions")) + size_of(session.get("tools")))
    return Terms(
        begins_alone=begins_alone,
        begins_idle=begins_idle,
        max_output=_limit(terms.max_output, session),
        prompt_bytes=prompt_bytes,
        is_open=terms.is_open or reaches_out(session),
        audio_bytes_per_s=_rate(terms, session, audio),
        transcriber=_transcriber(terms, session, audio),
    )


def dearer(one: Terms, other: Terms) -> Terms:
    """Terms that cost at least what either of the two may."""
    limits = (one.max_output, other.max_output)
    return Terms(
        begins_alone=one.begins_alone or other.begins_alone,
        begins_idle=one.begins_idle or other.begins_idle,
        max_output=None if limits[0] is None or limits[1] is None else max(limits[0], limits[1]),
        prompt_bytes=max(one.prompt_bytes, other.prompt_bytes),
        is_open=one.is_open or other.is_open,
        audio_bytes_per_s=min(one.audio_bytes_per_s, other.audio_bytes_per_s),
        transcriber=other.transcriber or one.transcriber,
    )


def reaches_out(fields: Fields) -> bool:
    """Whether a session or response brings in input that does not stand in its frames."""
    tools = objects(fields, "tools")
    return bool(nested(fields, "prompt")) or any(word(tool, "type") == "mcp" for tool in tools)


def limit_of(response: Fields, terms: Terms) -> int | None:
    """The output limit of a response asked for; None: the most the model can."""
    return _limit(terms.max_output, response)


def item_tokens(item: Fields, terms: Terms) -> int:
    """The most tokens an item adds to the context."""
    tokens = ITEM_TOKENS + sum(size_of(item.get(name)) for name in ("output", "arguments", "name", "call_id"))
    for part in objects(item, "content"):
        tokens += size_of(part.get("text")) + size_of(part.get("transcript"))
        if isinstance(part.get("audio"), str):
            tokens += audio_tokens(decoded_size(str(part["audio"])), terms)
        if "image_url" in part or word(part, "type") == "input_image":
            tokens += IMAGE_TOKENS
    return tokens


def audio_tokens(size: int, terms: Terms) -> int:
    """The most tokens so many bytes of audio are."""
    return -(-size * TOKENS_PER_S // terms.audio_bytes_per_s)


def size_of(value: object) -> int:
    """The bytes of every string in a value: more than its tokens."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list):
        return sum(map(size_of, cast("list[object]", value)))
    if isinstance(value, dict):
        return sum(size_of(name) + size_of(inner) for name, inner in cast("dict[str, object]", value).items())
    return 8 if value is not None else 0


def read_usage(usage: Fields) -> Usage:
    """The billed quantities of one response. Numbers that make no sense count as 0."""
    inputs, outputs = nested(usage, "input_token_details"), nested(usage, "output_token_details")
    split = nested(inputs, "cached_tokens_details")
    total_in, total_out = number(usage, "input_tokens"), number(usage, "output_tokens")
    cached = min(number(inputs, "cached_tokens"), total_in)
    cached_audio = min(number(split, "audio_tokens"), cached)
    cached_image = min(number(split, "image_tokens"), cached - cached_audio)
    fresh = total_in - cached
    audio = min(max(0, number(inputs, "audio_tokens") - cached_audio), fresh)
    image = min(max(0, number(inputs, "image_tokens") - cached_image), fresh - audio)
    spoken = min(number(outputs, "audio_tokens"), total_out)
    return Usage(
        input_tokens=fresh - audio - image,
        cache_read_tokens=cached - cached_audio - cached_image,
        audio_in_tokens=audio,
        audio_cache_read_tokens=cached_audio,
        image_in_tokens=image,
        image_cache_read_tokens=cached_image,
        output_tokens=total_out - spoken,
        audio_out_tokens=spoken,
    )


def has_counts(usage: Fields) -> bool:
    """Whether a usage says anything: that of a response that never began may be empty."""
    return count(usage.get("input_tokens")) is not None or count(usage.get("output_tokens")) is not None


def read_transcription(usage: Fields) -> Usage:
    """The billed quantities of one transcription, in tokens or in time."""
    if (spoken := millis(usage, "seconds")) is not None:
        return Usage(audio_ms=spoken)
    details = nested(usage, "input_token_details")
    total = number(usage, "input_tokens")
    audio = min(number(details, "audio_tokens"), total)
    return Usage(
        input_tokens=total - audio, audio_in_tokens=audio, output_tokens=number(usage, "output_tokens")
    )


def _begins(terms: Terms, session: Fields, audio: Fields) -> tuple[bool, bool]:
    """Whether a response may begin after speech, and after silence."""
    if word(session, "type") == "transcription":
        return False, False
    where = audio if "turn_detection" in audio else session
    if "turn_detection" not in where:
        return terms.begins_alone, terms.begins_idle
    detection = nested(where, "turn_detection")
    is_idle = detection.get("idle_timeout_ms") is not None
    return bool(detection) and detection.get("create_response") is not False, is_idle


def _limit(before: int | None, fields: Fields) -> int | None:
    for name in ("max_output_tokens", "max_response_output_tokens"):
        if name in fields:
            return count(fields.get(name))  # "inf" is no number: the most the model can
    return before


def _rate(terms: Terms, session: Fields, audio: Fields) -> int:
    kind = word(nested(audio, "format"), "type") or word(session, "input_audio_format")
    if not kind:
        return terms.audio_bytes_per_s
    return (
        G711_BYTES_PER_S
        if kind in ("audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw")
        else PCM_BYTES_PER_S
    )


def _transcriber(terms: Terms, session: Fields, audio: Fields) -> str:
    for where, name in ((audio, "transcription"), (session, "input_audio_transcription")):
        if name in where:
            return word(nested(where, name), "model")
    return terms.transcriber
