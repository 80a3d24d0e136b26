"""Deepgram's live paths: `/v1/listen` and Flux on `/v2/listen` (speech to text), `/v1/speak` and `/v2/speak` (text to
speech).

Facts (Deepgram's pages and SDK 7.17.0, seen 2026-11): audio goes up in binary frames, its encoding stands in the
query or in a container. `Results` tell how far the transcript is (`start` + `duration`), the closing `Metadata` the
whole duration; every channel is billed where `multichannel` asks for one transcript each. Flux has no `Metadata`:
the last `audio_window_end` counts. `Speak.text` is billed by the character; the second version tells the billable
ones for each turn (`SpeechMetadata`) and for the session (`SessionMetadata`, cumulative).
"""

from collections.abc import Sequence

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import count, millis, number, read_fields, word
from qlaud.wire.deepgram import extras_of, is_multilingual
from qlaud.wire.live import MS_PER_S, Frame, LiveTerms, Need, mentions, said_in
from qlaud.wire.live_audio import SAMPLE_BYTES, AudioCount, ContainedAudio, RawAudio
from qlaud.wire.live_gauge import Gauge
from qlaud.wire.query import Query

DEFAULT_RATE = 16_000
CHARACTERS_PER_S = 16
"""Spoken in a second, about: what a slice of time is in characters."""
LISTENED = ('"Results"', '"Metadata"', '"TurnInfo"')


class ListenMeter:
    """Seconds of audio. `flux` has no closing `Metadata`."""

    second = None
    foreign = None
    refused = None

    def __init__(self, query: bytes, terms: LiveTerms, *, flux: bool = False) -> None:
        asked = Query(query)
        channels = asked.number("channels", 1)
        self._each = channels if asked.is_on("multichannel") else 1
        self._terms = terms
        self._flux = flux
        self._told_all = False
        self._grade = "" if flux else grade_of(asked)
        sample = SAMPLE_BYTES.get(asked.text("encoding"))
        if sample is not None:
            rate = asked.number("sample_rate", DEFAULT_RATE) * sample * channels
            self._audio: AudioCount = RawAudio(rate, self._each)
        else:
            self._audio = ContainedAudio(terms.slice_ms, self._each)

    @property
    def countable(self) -> bool:
        """What was sent can be counted."""
        return True

    @property
    def ready(self) -> bool:
        """The provider has told of audio that is not settled."""
        gauge = self._audio.gauge
        return gauge.told is not None and gauge.told > gauge.settled

    @property
    def due(self) -> bool:
        """The provider has told of a whole slice."""
        gauge = self._audio.gauge
        return (gauge.told or 0) - gauge.settled >= self._terms.slice_ms * self._each

    @property
    def told_all(self) -> bool:
        """The closing message was seen."""
        return self._told_all

    def offer(self, frame: Frame) -> None:
        """Binary frames are audio."""
        self._audio.offer(len(frame) if isinstance(frame, bytes) else 0)

    def sent(self) -> None:
        """The audio offered last goes on."""
        self._audio.go()

    def withdraw(self) -> None:
        """The audio offered last does not go on."""
        self._audio.withdraw()

    def seen(self, frame: Frame) -> bool:
        """Progress, or the whole duration."""
        if isinstance(frame, bytes) or not mentions(frame, LISTENED):
            return False
        fields = read_fields(frame.encode())
        if fields is None:
            return False
        match word(fields, "type"):
            case "Results":
                start, length = millis(fields, "start"), millis(fields, "duration")
                if start is not None and length is not None:
                    self._audio.tell((start + length) * self._each)
            case "Metadata" if not self._flux:
                length = millis(fields, "duration")
                if length is not None:
                    channels = count(fields.get("channels")) or self._each
                    self._audio.gauge.correct(length * (channels if self._each > 1 else 1))
                    self._told_all = True
            case "TurnInfo":
                end = millis(fields, "audio_window_end")
                if end is not None:
                    self._audio.tell(end)
            case _:
                return False
        return True

    def passed(self, elapsed_ms: int) -> None:
        """Time alone costs nothing here."""

    def need(self, *, ahead: bool) -> Need:
        """The audio that is not settled, and a slice."""
        room = self._terms.slice_ms * self._each if ahead else 0
        return Need(most={"audio_ms": self._audio.gauge.outstanding + room}, grade=self._grade)

    def take(self, *, everything: bool = False) -> Metered:
        """What the provider has got through, or all that was sent."""
        gauge = self._audio.gauge
        if everything:
            return self._used(max(gauge.told or 0, self._audio.counted_ms()), is_exact=False)
        return self._used(gauge.told or 0, is_exact=True)

    def end(self, *, clean: bool) -> Metered:
        """The provider's last word; without one, all that was sent."""
        gauge = self._audio.gauge
        if self._told_all or (self._flux and clean and gauge.told is not None):
            return self._used(gauge.told or 0, is_exact=True)
        if self._flux and gauge.told is not None:
            return self._used(gauge.told, is_exact=False)
        return self._used(max(gauge.told or 0, self._audio.counted_ms()), is_exact=False)

    def farewell(self) -> Sequence[Frame]:
        """Ask for the rest and the closing message."""
        return ('{"type":"CloseStream"}',)

    def _used(self, total_ms: int, *, is_exact: bool) -> Metered:
        used = self._audio.gauge.take(total_ms)
        if not used:
            return Nothing()
        usage = Usage(audio_ms=used, grade=self._grade)
        return Exact(usage) if is_exact else AtLeast(usage)


def grade_of(asked: Query) -> str:
    """What a stream costs by, in the words of the price list: its language, and the options on top."""
    return "+".join(("streaming-multi" if is_multilingual(asked) else "streaming", *extras_of(asked)))


class SpeakMeter:
    """Characters. `tells`: the provider says what it bills (second version); else what was sent is what is billed."""

    countable = True
    due = False
    second = None
    foreign = None
    refused = None

    def __init__(self, query: bytes, terms: LiveTerms, *, tells: bool = False) -> None:
        self._gauge = Gauge()
        self._slice = max(1, terms.slice_ms * CHARACTERS_PER_S // MS_PER_S)
        self._tells = tells
        self._turns = 0
        self._closed = False

    @property
    def ready(self) -> bool:
        """Characters are known that are not settled."""
        return self._known() > self._gauge.settled

    @property
    def told_all(self) -> bool:
        """The session's sum was seen, or none will come."""
        return self._closed or not self._tells

    def offer(self, frame: Frame) -> None:
        """Count the text of a `Speak`."""
        self._gauge.offer(len(said_in(frame, "text")))

    def sent(self) -> None:
        """The text offered last goes on."""
        self._gauge.go()

    def withdraw(self) -> None:
        """The text offered last does not go on."""
        self._gauge.withdraw()

    def seen(self, frame: Frame) -> bool:
        """Billable characters of a turn, or of the session."""
        if not self._tells or isinstance(frame, bytes) or "billable" not in frame:
            return False
        fields = read_fields(frame.encode())
        if fields is None:
            return False
        match word(fields, "type"):
            case "SpeechMetadata":
                self._turns += number(fields, "billable_character_count")
            case "SessionMetadata":
                self._gauge.correct(number(fields, "total_billable_character_count"))
                self._closed = True
            case _:
                return False
        return True

    def passed(self, elapsed_ms: int) -> None:
        """Time alone costs nothing here."""

    def need(self, *, ahead: bool) -> Need:
        """The characters that are not settled, and a slice."""
        return Need(most={"characters": self._gauge.outstanding + (self._slice if ahead else 0)})

    def take(self, *, everything: bool = False) -> Metered:
        """What is known to be billed, or all that was sent."""
        if everything and self._tells:
            return self._used(max(self._known(), self._gauge.sent), is_exact=False)
        return self._used(self._known(), is_exact=True)

    def end(self, *, clean: bool) -> Metered:
        """The provider's sum, or what was sent."""
        if self._tells and self._gauge.told is None:
            return self._used(max(self._turns, self._gauge.sent), is_exact=False)
        return self._used(self._known(), is_exact=True)

    def farewell(self) -> Sequence[Frame]:
        """Ask for the end."""
        return ('{"type":"Close"}',)

    def _known(self) -> int:
        if not self._tells:
            return self._gauge.sent
        return self._turns if self._gauge.told is None else self._gauge.told

    def _used(self, total: int, *, is_exact: bool) -> Metered:
        used = self._gauge.take(total)
        if not used:
            return Nothing()
        usage = Usage(characters=used)
        return Exact(usage) if is_exact else AtLeast(usage)
