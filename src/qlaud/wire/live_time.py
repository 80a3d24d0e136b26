"""Sessions billed by the time they are connected: xAI's voice agent, OpenAI's Live.

Facts: xAI tells `billable_audio_seconds` in the `usage` at the top of `response.done` (`response.usage` is empty
there), a running count of the session (recorded traffic, 2026-08); each text message of the caller costs a fee.
OpenAI's Live tells `usage.seconds` in `session.usage.updated` and `session.closed`, "the cumulative Live audio
duration, do not sum" (SDK 3.54.0).
"""

from collections.abc import Sequence
from typing import Literal

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import Fields, millis, nested, number, objects, read_fields, word
from qlaud.wire.live import ESCAPE, Frame, LiveTerms, Need, heard_in
from qlaud.wire.live_gauge import Gauge

Vendor = Literal["xai", "openai_live"]
TOKENS = ("input_tokens", "output_tokens", "total_tokens")
TEXT = frozenset(("input_text", "text"))


class TimeMeter:
    """Milliseconds of connection, and messages of text."""

    countable = True
    second = None
    foreign = None
    refused = None

    def __init__(self, terms: LiveTerms, vendor: Vendor) -> None:
        self._terms = terms
        self._vendor = vendor
        self._gauge = Gauge()
        self._before = 0
        """Of counts that began anew."""
        self._running = 0
        self._messages = Gauge()
        self._tokens: dict[str, int] = {}
        self._told_all = False

    @property
    def ready(self) -> bool:
        """The provider has told of time that is not settled."""
        return self._gauge.told is not None and self._gauge.told > self._gauge.settled

    @property
    def due(self) -> bool:
        """The provider has told of a whole slice."""
        return (self._gauge.told or 0) - self._gauge.settled >= self._terms.slice_ms

    @property
    def told_all(self) -> bool:
        """The session's last count was seen, or none is announced."""
        return self._told_all or self._vendor == "xai"

    def offer(self, frame: Frame) -> None:
        """Text messages have a fee; everything else costs time."""
        self._messages.offer(1 if self._vendor == "xai" and _is_text_message(frame) else 0)

    def sent(self) -> None:
        """The message offered last goes on."""
        self._messages.go()

    def withdraw(self) -> None:
        """The message offered last does not go on."""
        self._messages.withdraw()

    def seen(self, frame: Frame) -> bool:
        """A count of the provider."""
        if isinstance(frame, bytes) or "seconds" not in frame or '"usage"' not in frame:
            return False
        fields = read_fields(frame.encode())
        if fields is None:
            return False
        kind, usage = word(fields, "type"), nested(fields, "usage")
        if self._vendor == "xai":
            told = millis(usage, "billable_audio_seconds") if kind == "response.done" else None
            self._note_tokens(usage)
        else:
            told = millis(usage, "seconds") if kind in ("session.usage.updated", "session.closed") else None
            self._told_all = self._told_all or kind == "session.closed"
        if told is None:
            return False
        if told < self._running:  # it counts anew
            self._before += self._running
        self._running = told
        self._gauge.tell(self._before + told)
        return True

    def passed(self, elapsed_ms: int) -> None:
        """Every moment may be billed."""
        self._gauge.bound = max(self._gauge.bound, elapsed_ms)

    def need(self, *, ahead: bool) -> Need:
        """The time that is not settled, and a slice."""
        room = self._terms.slice_ms if ahead else 0
        most = {"audio_ms": self._gauge.outstanding + room, "calls": self._messages.outstanding}
        return Need(most=most)

    def take(self, *, everything: bool = False) -> Metered:
        """What the provider has told, or all the time that passed."""
        if everything:
            return self._used(max(self._gauge.told or 0, self._gauge.bound), is_exact=False)
        return self._used(self._gauge.told or 0, is_exact=True)

    def end(self, *, clean: bool) -> Metered:
        """The last count; without any, the time that passed."""
        if self._gauge.told is not None and (self._told_all or self._vendor == "xai"):
            return self._used(self._gauge.told, is_exact=True)
        return self.take(everything=True)

    def farewell(self) -> Sequence[Frame]:
        """Ask for the last count, where there is one."""
        return ('{"type":"session.close"}',) if self._vendor == "openai_live" else ()

    def _note_tokens(self, usage: Fields) -> None:
        for name in TOKENS:
            if counted := number(usage, name):
                self._tokens[name] = self._tokens.get(name, 0) + counted

    def _used(self, total_ms: int, *, is_exact: bool) -> Metered:
        used, messages = self._gauge.take(total_ms), self._messages.take(self._messages.sent)
        if not used and not messages:
            return Nothing()
        detail = {f"told_{name}": counted for name, counted in self._tokens.items()}
        self._tokens.clear()
        usage = Usage(audio_ms=used, calls=messages, detail=detail)
        return Exact(usage) if is_exact else AtLeast(usage)


def _is_text_message(frame: Frame) -> bool:
    """Whether it has a fee; one that xAI might read otherwise than we do may have it."""
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    if '"conversation.item.create"' not in text and ESCAPE not in text:
        return False
    fields = heard_in(text)
    if fields is None:
        return True
    item = nested(fields, "item")
    return (
        word(fields, "type") == "conversation.item.create"
        and word(item, "type") == "message"
        and any(word(part, "type") in TEXT for part in objects(item, "content"))
    )
