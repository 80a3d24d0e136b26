"""What the simulator answers on the surfaces that are no conversation on Anthropic's or OpenAI's chat wire.

Small answers, true in shape and usage, the same for the same body: an echo, a vector, a dot, silence. Every path is the
simulator's own (`data/providers/sim.toml`); the model named in the body or path is not looked at.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from qlaud.providers.simulator import media, writing_gemini, writing_responses
from qlaud.providers.simulator.ask import BadBody
from qlaud.providers.simulator.reading_plain import Asked, read_asked

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


def _sound(counted: bytes) -> Callable[[Asked], Reply]:
    """Speech, its characters told in the header of that name."""

    def make(asked: Asked) -> Reply:
        text = asked.text("input") or asked.text("text")
        if not text:
            raise BadBody("there is no text to speak", param="input")
        told = [(counted, b"%d" % len(text))] if counted else []
        return Reply(media.silence(text), b"audio/mpeg", told)

    return make


REPLIES: Mapping[str, Callable[[Asked], Reply]] = {
    "/v1/responses": _responses,
    "/v1/embeddings": lambda asked: Reply([media.embeddings(asked)]),
    "/v1/images/generations": lambda asked: Reply([media.images(asked)]),
    "/v1/images/edits": lambda asked: Reply([media.images(asked)]),
    "/v1/audio/speech": _sound(b""),
    "/v1/audio/transcriptions": lambda asked: Reply([media.transcript(asked)]),
    "/v1/audio/translations": lambda asked: Reply([media.transcript(asked)]),
    "/gemini/generate": _gemini,
    "/gemini/stream": _gemini_stream,
    "/gemini/embed": lambda asked: Reply([writing_gemini.embedding(asked)]),
    "/elevenlabs/speech": _sound(b"character-cost"),
    "/elevenlabs/transcription": lambda asked: Reply([media.elevenlabs_transcript(asked)]),
    "/deepgram/speak": _sound(b"dg-char-count"),
    "/deepgram/listen": lambda asked: Reply([media.deepgram_transcript(asked)]),
}
