"""OpenAI's realtime: tokens of every response, and the transcription of what was said, each on its own model.

A response may begin by itself (voice detection), so while that may happen the money of one response is held:
the context so far and its output limit, at the dearest rates of the model. One that runs keeps its own share until
its `response.done` has told the usage; a cancelled one tells what it used so far. What a context holds is bounded:
the tokens the last response told, and since then bytes of text and twice the tokens of audio.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.counts import Fields, nested, read_fields, word
from qlaud.wire.live import ESCAPE, MS_PER_S, Frame, LiveTerms, Need, SecondMeter, heard_in, mentions
from qlaud.wire.live_elevenlabs import decoded_size
from qlaud.wire.live_openai_reading import (
    TOKENS_PER_S,
    Terms,
    audio_tokens,
    changed,
    dearer,
    has_counts,
    item_tokens,
    limit_of,
    reaches_out,
    read_transcription,
    read_usage,
    size_of,
)
from qlaud.wire.live_sums import ZERO, minus, plus

WATCHED = (
    '"session.created"',
    '"session.updated"',
    '"response.created"',
    '"response.done"',
    '"conversation.item.input_audio_transcription.completed"',
    '"error"',
)
PROMPT = "prompt"
"""A template of the operator's."""
DEFAULT_OUTPUT = 4_096
"""The most output tokens of a realtime model that does not say."""
SLACK_TOKENS = 256


class RealtimeMeter:
    """The responses of one session. `transcription` meters its second model, once there is one."""

    refused = None

    def __init__(self, terms: LiveTerms) -> None:
        self._live = terms
        self._terms = Terms()
        self._changes = 0
        """Asked for and not confirmed: until then the dearer terms hold."""
        self._asked: list[tuple[str, int | None]] = []
        """Responses asked for and not begun: event id and output limit."""
        self._running: dict[str, int | None] = {}
        """Responses under way: output limit by id."""
        self._context = 0
        """Tokens the last response told."""
        self._items = 0
        """Tokens added in the whole session, at most."""
        self._marks: dict[str, int] = {}
        """`_items` when a response began."""
        self._mark = 0
        self._heard = False
        """Audio was sent, so that somebody may have spoken."""
        self._offered = self._offered_audio = 0
        self._offered_response = False
        self._used = self._settled = ZERO
        self.foreign: str | None = None
        self.transcription = TranscriptionMeter(terms)
        self._transcriber = ""

    @property
    def second(self) -> tuple[str, SecondMeter] | None:
        """The model that transcribes what the caller says, while one does or has something to settle."""
        if self._terms.transcriber:
            self._transcriber = self._terms.transcriber
        return (self._transcriber, self.transcription) if self._transcriber else None

    @property
    def countable(self) -> bool:
        """A response under way cannot be counted, only waited for."""
        return not self._running and not self._asked

    @property
    def ready(self) -> bool:
        """Responses have told usage that is not settled, and none is under way."""
        return self._used != self._settled and not self._running

    @property
    def due(self) -> bool:
        """Each response is settled when it has ended."""
        return self.ready

    @property
    def told_all(self) -> bool:
        """Nothing is under way that would tell more."""
        return not self._running and not self._asked

    def offer(self, frame: Frame) -> None:
        """What a frame adds to the context, asks for, or changes."""
        self._offered = self._offered_audio = 0
        self._offered_response = False
        self.foreign = None
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if (fields := heard_in(text)) is not None:
            self._read(fields)
        elif '"type"' in text or ESCAPE in text:  # what the provider makes of it: at most a whole context
            self._offered = len(text)
            self._terms = replace(self._terms, is_open=True)
        self._items += self._offered

    def sent(self) -> None:
        """The frame offered last goes on."""
        self._offered = self._offered_audio = 0
        self._offered_response = False

    def withdraw(self) -> None:
        """The frame offered last does not go on."""
        self._items -= self._offered
        self.transcription.add(-self._offered_audio if self._terms.transcriber else 0)
        if self._offered_response:
            self._asked.pop()
        self._offered = self._offered_audio = 0
        self._offered_response = False

    def seen(self, frame: Frame) -> bool:
        """What the provider says of the session and of its responses."""
        if isinstance(frame, bytes) or not mentions(frame, WATCHED):
            return False
        fields = read_fields(frame.encode())
        if fields is None:
            return False
        match word(fields, "type"):
            case "session.created" | "session.updated" as kind:
                self._changes = max(0, self._changes - (kind == "session.updated"))
                told = changed(self._terms, nested(fields, "session"))
                self._terms = dearer(self._terms, told) if self._changes else told
            case "response.created":
                self._begun(nested(fields, "response"))
            case "response.done":
                self._done(nested(fields, "response"))
            case "conversation.item.input_audio_transcription.completed":
                self.transcription.told(nested(fields, "usage"))
            case "error":
                self._failed(nested(fields, "error"))
            case _:
                return False
        return True

    def passed(self, elapsed_ms: int) -> None:
        """Time alone costs nothing here."""

    def need(self, *, ahead: bool) -> Need:
        """Every response that runs, was asked for or may begin; and what is not settled yet."""
        limits = [*self._running.values(), *(limit for _, limit in self._asked)]
        alone = (self._terms.begins_alone and self._heard) or self._terms.begins_idle
        if alone or not limits:
            limits.append(self._terms.max_output)
        room = self._live.slice_ms * TOKENS_PER_S // MS_PER_S + SLACK_TOKENS if ahead else 0
        context = self._context_tokens(room)
        waiting = minus(self._used, self._settled)
        return Need(
            input_tokens=context * len(limits) + waiting.prompt_tokens,
            output_tokens=sum(self._limit(limit) for limit in limits)
            + waiting.output_tokens
            + waiting.audio_out_tokens,
        )

    def take(self, *, everything: bool = False) -> Metered:
        """What responses have told since."""
        used = minus(self._used, self._settled)
        self._settled = self._used
        return Nothing() if used == ZERO else Exact(used)

    def end(self, *, clean: bool) -> Metered:
        """The same; a response that never told its usage counts its context as an estimate."""
        told = self.take()
        if not self._running:
            return told
        lost = Usage(input_tokens=self._context_tokens(0) * len(self._running))
        return AtLeast(plus(told.usage, lost) if isinstance(told, Exact) else lost)

    def farewell(self) -> Sequence[Frame]:
        """End the responses under way: each tells what it used."""
        return ('{"type":"response.cancel"}',) if self._running else ()

    def _append(self, audio: object) -> None:
        size = decoded_size(audio) if isinstance(audio, str) else 0
        self._offered = audio_tokens(size, self._terms)
        self._heard = True
        self._offered_audio = -(-size * MS_PER_S // self._terms.audio_bytes_per_s)
        if self._terms.transcriber:
            self.transcription.add(self._offered_audio)

    def _read(self, fields: Fields) -> None:
        match word(fields, "type"):
            case "input_audio_buffer.append":
                self._append(fields.get("audio"))
            case "session.update":
                session = nested(fields, "session")
                self.foreign = PROMPT if nested(session, PROMPT) else None
                self._offered = size_of(session.get("instructions")) + size_of(session.get("tools"))
                self._terms = dearer(self._terms, changed(self._terms, session))
                self._changes += 1
            case "conversation.item.create":
                self._offered = item_tokens(nested(fields, "item"), self._terms)
            case "response.create":
                response = nested(fields, "response")
                self.foreign = PROMPT if nested(response, PROMPT) else None
                self._offered = size_of(response.get("instructions")) + size_of(response.get("input"))
                self._asked.append((word(fields, "event_id"), limit_of(response, self._terms)))
                self._offered_response = True
                if reaches_out(response):
                    self._terms = replace(self._terms, is_open=True)
            case _:
                pass

    def _begun(self, response: Fields) -> None:
        limit = self._asked.pop(0)[1] if self._asked else self._terms.max_output
        self._running[word(response, "id")] = limit
        self._marks[word(response, "id")] = self._items

    def _done(self, response: Fields) -> None:
        name = word(response, "id")
        self._running.pop(name, None)
        mark = self._marks.pop(name, self._items)
        usage = nested(response, "usage")
        if not has_counts(usage):
            return
        used = read_usage(usage)
        self._used = plus(self._used, used)
        if response.get("conversation_id", "") is not None:  # null: it stood outside the conversation
            self._context = used.prompt_tokens + used.output_tokens + used.audio_out_tokens
            self._mark = mark

    def _failed(self, error: Fields) -> None:
        event_id = word(error, "event_id")
        for position, (asked_as, _) in enumerate(self._asked):
            if (
                event_id == asked_as
            ):  # nameless errors may be about anything: a response that runs tells itself
                del self._asked[position]
                return

    def _limit(self, limit: int | None) -> int:
        return self._live.max_output or DEFAULT_OUTPUT if limit is None else limit

    def _context_tokens(self, room: int) -> int:
        window = self._live.context_window
        if self._terms.is_open and window is not None:
            return window
        tokens = max(self._context, self._terms.prompt_bytes) + self._items - self._mark + room
        return tokens if window is None else min(tokens, window)


class TranscriptionMeter:
    """What the second model bills, in time or in tokens: which, its price says."""

    countable = True
    due = False

    def __init__(self, terms: LiveTerms) -> None:
        self.by_time = True
        self._terms = terms
        self._sent_ms = self._accounted_ms = 0
        self._used = self._settled = ZERO

    @property
    def ready(self) -> bool:
        """Transcriptions have told usage that is not settled."""
        return self._used != self._settled

    def add(self, sent_ms: int) -> None:
        """So much audio goes on; negative: it does not."""
        self._sent_ms += sent_ms

    def told(self, usage: Fields) -> None:
        """One transcription has ended. What was sent until now may be part of the next."""
        used = read_transcription(usage)
        self._used = plus(self._used, used)
        spoken_ms = used.audio_ms or used.audio_in_tokens * MS_PER_S // TOKENS_PER_S
        self._accounted_ms = min(self._sent_ms, self._accounted_ms + spoken_ms)

    def need(self, *, ahead: bool) -> Need:
        """The audio nobody has told about, what is not settled, and a slice."""
        open_ms = self._sent_ms - self._accounted_ms + (self._terms.slice_ms if ahead else 0)
        waiting = minus(self._used, self._settled)
        tokens = 0 if self.by_time else -(-open_ms * TOKENS_PER_S // MS_PER_S)
        return Need(
            input_tokens=tokens + waiting.prompt_tokens,
            output_tokens=tokens + waiting.output_tokens,
            most={"audio_ms": (open_ms if self.by_time else 0) + waiting.audio_ms},
        )

    def take(self, *, everything: bool = False) -> Metered:
        """What transcriptions have told since."""
        used = minus(self._used, self._settled)
        self._settled = self._used
        return Nothing() if used == ZERO else Exact(used)

    def end(self, *, clean: bool) -> Metered:
        """The same: audio that was never committed is not transcribed."""
        return self.take()
