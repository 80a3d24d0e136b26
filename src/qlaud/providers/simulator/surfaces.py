"""What the simulator answers on the surfaces that are no conversation on Anthropic's or OpenAI's chat wire.

Small answers, true in shape and usage, the same for the same body: an echo, a vector, a dot, silence. Every path is the
simulator's own (`data/providers/sim.toml`); the model named in the body or path is not looked at.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from qlaud.providers.simulator import media, voices, writing_gemini, writing_responses
from qlaud.providers.simulator.ask import BadBody
from qlaud.providers.simulator.reading_plain import Asked, last_text, read_asked

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of status 200."""

    parts: Iterable[bytes]
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])


def reply(path: str, content_type: bytes, body: bytes, seed: str) -> Reply | None:
    """The answer to a request on `path`, None for one that does not stand here. Raises BadBody."""
    make = REPLIES.get(path)
    return None if make is None else make(read_asked(content_type, body, seed))


def _responses(asked: Asked) -> Reply:
    text = writing_responses.said(asked)
    if asked.flag("stream"):
        return Reply(writing_responses.events(asked, text), EVENTS)
    return Reply([writing_responses.whole(asked, text)])


def _gemini(asked: Asked) -> Reply:
    return Reply([writing_gemini.whole(asked)])


def _gemini_stream(asked: Asked) -> Reply:
    return Reply(writing_gemini.events(asked), b"text/event-stream")


def _spoken(asked: Asked) -> str:
    """What is to be spoken. Raises BadBody where there is nothing."""
    text = asked.text("input") or asked.text("text") or asked.text("transcript") or _lines(asked)
    if not text:
        raise BadBody("there is no text to speak", param="input")
    return text


def _lines(asked: Asked) -> str:
    """A dialogue."""
    lines = asked.fields.get("inputs")
    return "".join(map(last_text, cast("list[object]", lines))) if isinstance(lines, list) else ""


def _sound(counted: bytes = b"") -> Callable[[Asked], Reply]:
    """Speech, its characters told in the header of that name."""

    def make(asked: Asked) -> Reply:
        text = _spoken(asked)
        told = [(counted, b"%d" % len(text))] if counted else []
        return Reply(media.silence(text), b"audio/mpeg", told)

    return make


def _speech(asked: Asked) -> Reply:
    if asked.text("stream_format") == "sse":
        return Reply(voices.speech_events(_spoken(asked)), EVENTS)
    return _sound()(asked)


def _transcription(asked: Asked) -> Reply:
    if asked.flag("stream"):
        return Reply(voices.transcript_events(asked), EVENTS)
    return Reply([media.transcript(asked)])


def _credited(asked: Asked) -> Reply:
    return Reply(media.silence(voices.SAID), b"audio/mpeg", [(b"character-cost", b"%d" % voices.CREDITS)])


REPLIES: Mapping[str, Callable[[Asked], Reply]] = {
    "/v1/responses": _responses,
    "/v1/embeddings": lambda asked: Reply([media.embeddings(asked)]),
    "/v1/images/generations": lambda asked: Reply([media.images(asked)]),
    "/v1/images/edits": lambda asked: Reply([media.images(asked)]),
    "/v1/audio/speech": _speech,
    "/v1/audio/transcriptions": _transcription,
    "/v1/audio/translations": _transcription,
    "/gemini/generate": _gemini,
    "/gemini/stream": _gemini_stream,
    "/gemini/embed": lambda asked: Reply([writing_gemini.embedding(asked)]),
    "/elevenlabs/speech": _sound(b"character-cost"),
    "/elevenlabs/transcription": lambda asked: Reply([media.elevenlabs_transcript(asked)]),
    "/deepgram/speak": _sound(b"dg-char-count"),
    "/deepgram/listen": lambda asked: Reply([media.deepgram_transcript(asked)]),
    "/deepgram/read": lambda asked: Reply([voices.summary(asked)]),
    "/elevenlabs/credits": _credited,
    "/cartesia/speech": _sound(),
    "/mistral/speech": lambda asked: Reply([voices.base64_speech(_spoken(asked))]),
    "/mistral/ocr": lambda asked: Reply([voices.page(asked)]),
    "/native/minimax/speech": lambda asked: Reply([voices.hex_speech(_spoken(asked))]),
    "/native/minimax/music": lambda asked: Reply([voices.song(asked)]),
    "/native/minimax/image": lambda asked: Reply([voices.pictures(asked)]),
    "/native/xai/speech": _sound(),
    "/native/xai/transcription": lambda asked: Reply([voices.heard(asked)]),
    "/native/qwen/generation": lambda asked: Reply([voices.generation(asked)]),
}
