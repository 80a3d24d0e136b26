"""ElevenLabs' live paths: text to speech (`stream-input`, `multi-stream-input`) and `speech-to-text/realtime`.

Facts (ElevenLabs' pages and SDK 2.78.0, seen 2026-11): no message tells usage. Speech is billed by the characters of
every `text`; the single space that opens a connection or keeps it alive is no text to speak, and an empty one ends
it. Audio to transcribe goes up as base64 in `audio_base_64`, in the format of the query; billed is what was sent,
which is an estimate here. A handshake may carry no credential: then it stands in the first frame.
"""

from collections.abc import Sequence

import msgspec

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import UNREADABLE
from qlaud.wire.live import MS_PER_S, Frame, LiveTerms, Need, said_in
from qlaud.wire.live_audio import RawAudio
from qlaud.wire.live_gauge import Gauge
from qlaud.wire.query import Query

CHARACTERS_PER_S = 16
SECRET_FIELDS = ("xi_api_key", "xi-api-key", "authorization", "single_use_token")
"""Where a first frame may carry a credential (SDK 2.78.0, `InitializeConnection` and its multi-context twin)."""
SCHEMES = ("bearer ", "token ")
DEFAULT_FORMAT = "pcm_16000"
BASE64_BLOCK = 4


class SpeechMeter:
    """Characters of every text that is to be spoken."""

    countable = True
    due = False
    told_all = True
    second = None
    foreign = None
    refused = None

    def __init__(self, query: bytes, terms: LiveTerms) -> None:
        self._gauge = Gauge()
        self._slice = max(1, terms.slice_ms * CHARACTERS_PER_S // MS_PER_S)

    @property
    def ready(self) -> bool:
        """Characters were sent that are not settled."""
        return self._gauge.sent > self._gauge.settled

    def offer(self, frame: Frame) -> None:
        """Count the text of a frame."""
        text = said_in(frame, "text")
        self._gauge.offer(0 if text == " " else len(text))

    def sent(self) -> None:
        """The text offered last goes on."""
        self._gauge.go()

    def withdraw(self) -> None:
        """The text offered last does not go on."""
        self._gauge.withdraw()

    def seen(self, frame: Frame) -> bool:
        """No message of the provider tells usage."""
        return False

    def passed(self, elapsed_ms: int) -> None:
        """Time alone costs nothing here."""

    def need(self, *, ahead: bool) -> Need:
        """The characters that are not settled, and a slice."""
        return Need(most={"characters": self._gauge.outstanding + (self._slice if ahead else 0)})

    def take(self, *, everything: bool = False) -> Metered:
        """What was sent since."""
        used = self._gauge.take(self._gauge.sent)
        return Exact(Usage(characters=used)) if used else Nothing()

    def end(self, *, clean: bool) -> Metered:
        """What was sent since."""
        return self.take()

    def farewell(self) -> Sequence[Frame]:
        """Nothing: the connection closes, and what was sent is billed."""
        return ()


class TranscriptionMeter:
    """Seconds of audio sent."""

    countable = True
    due = False
    told_all = True
    second = None
    foreign = None
    refused = None

    def __init__(self, query: bytes, terms: LiveTerms) -> None:
        kind, _, rate = Query(query).text("audio_format", DEFAULT_FORMAT).rpartition("_")
        sample = 1 if kind in ("ulaw", "alaw") else 2
        samples_per_s = int(rate) if rate.isascii() and rate.isdigit() and 0 < int(rate) < 10**6 else 8000
        self._audio = RawAudio(samples_per_s * sample)
        self._terms = terms

    @property
    def ready(self) -> bool:
        """Audio was sent that is not settled."""
        return self._audio.counted_ms() > self._audio.gauge.settled

    def offer(self, frame: Frame) -> None:
        """Count the audio of a frame."""
        self._audio.offer(sound_bytes(frame, "audio_base_64"))

    def sent(self) -> None:
        """The audio offered last goes on."""
        self._audio.go()

    def withdraw(self) -> None:
        """The audio offered last does not go on."""
        self._audio.withdraw()

    def seen(self, frame: Frame) -> bool:
        """No message of the provider tells usage."""
        return False

    def passed(self, elapsed_ms: int) -> None:
        """Time alone costs nothing here."""

    def need(self, *, ahead: bool) -> Need:
        """The audio that is not settled, and a slice."""
        room = self._terms.slice_ms if ahead else 0
        return Need(most={"audio_ms": self._audio.gauge.outstanding + room})

    def take(self, *, everything: bool = False) -> Metered:
        """What was sent since."""
        used = self._audio.gauge.take(self._audio.counted_ms())
        return AtLeast(Usage(audio_ms=used)) if used else Nothing()

    def end(self, *, clean: bool) -> Metered:
        """What was sent since."""
        return self.take()

    def farewell(self) -> Sequence[Frame]:
        """Nothing: the connection closes, and what was sent is billed."""
        return ()


def sound_bytes(frame: Frame, name: str) -> int:
    """How many bytes the base64 string `name` of a JSON message holds; all of a binary frame."""
    if isinstance(frame, bytes):
        return len(frame)
    return decoded_size(said_in(frame, name))


def decoded_size(base64_text: str) -> int:
    """How many bytes a base64 text holds."""
    size = len(base64_text.rstrip("="))
    return size * 3 // BASE64_BLOCK


def secrets_in(frame: Frame) -> tuple[str, ...]:
    """The credentials in a frame, most of all in the first; none where there is none."""
    fields = _fields_with_secrets(frame)
    if fields is None:
        return ()
    return tuple(value for name in SECRET_FIELDS if (value := _string(fields.get(name))))


def without_secrets(frame: Frame) -> Frame:
    """The frame as it goes on: the very same, unless it has a field for a credential."""
    fields = _fields_with_secrets(frame)
    if fields is None:
        return frame
    kept = {name: value for name, value in fields.items() if name not in SECRET_FIELDS}
    return msgspec.json.encode(kept).decode()


def _fields_with_secrets(frame: Frame) -> dict[str, msgspec.Raw] | None:
    if isinstance(frame, bytes) or not any(name in frame for name in SECRET_FIELDS):
        return None
    try:
        fields = msgspec.json.decode(frame, type=dict[str, msgspec.Raw])
    except (*UNREADABLE, msgspec.ValidationError):
        return None
    return fields if any(name in fields for name in SECRET_FIELDS) else None


def _string(raw: msgspec.Raw | None) -> str:
    if raw is None:
        return ""
    try:
        value = msgspec.json.decode(raw, type=str)
    except (*UNREADABLE, msgspec.ValidationError):
        return ""
    for scheme in SCHEMES:
        if value.lower().startswith(scheme):
            return value[len(scheme) :].strip()
    return value.strip()
