"""What Google says in a Live session: answers that begin and end, and what each of them used.

What a usage stands for. Each `usageMetadata` is one answer's own: its prompt holds the whole context again, with the
turns before, and Google bills it so. So the usages of a session are added up. Evidence (seen 2026-11): Google's
pages say that every turn is charged for all tokens of the context; a bill was met by the sum of all usages within 3 %
and by no other reading (discuss.ai.google.dev 173248); prompts of three turns were 143, 181 and 224 tokens, each the
one before with what was said since (pydantic-ai 7269). Nothing says that one answer tells its usage twice, and nothing
forbids it, so it is not billed twice: until its turn ends, or calls a tool, a usage with the same prompt and no
smaller output is a newer count of the same answer and takes the place of the older; right after that, the very same
usage is a repetition. An answer that follows has a larger prompt, because it holds the one before.

    input    promptTokenCount - cachedContentTokenCount + toolUsePromptTokenCount, each modality at its own rate
    output   responseTokenCount + thoughtsTokenCount; totalTokenCount leaves thoughts out, and is not read
    fees     searches, by the distinct queries of a turn, up to Gemini 2.x by the turn
"""

import msgspec
from msgspec import Raw

from qlaud.core.usage import Usage
from qlaud.wire.counts import Fields, nested, read_fields
from qlaud.wire.gemini_content import SOUND_BYTES
from qlaud.wire.gemini_grounding import Lookups
from qlaud.wire.gemini_usage import Served, read_usage
from qlaud.wire.live import Frame
from qlaud.wire.live_sums import ZERO, minus, plus

CONTENT, SOUND = b'"modelTurn"', b'"inlineData"'
WATCHED = (b'"usageMetadata"', b'"turnComplete"', b'"toolCall"', b'"groundingMetadata"')
AS_ELSEWHERE = (
    ("responseTokenCount", "candidatesTokenCount"),
    ("responseTokensDetails", "candidatesTokensDetails"),
)
"""What the Live API calls otherwise than `generateContent`."""
TEXT_BYTES = 4
"""Of a message that holds text are about one token; for an estimate."""


class Answers:
    """The answers of one session so far. `asked` and `context_items` are kept by whoever sees the caller's messages."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.makes = ""
        """What output is without details."""
        self.asked = self.answered = 0
        """Answers asked for whose turn has not ended; those of them that the one under way stands for."""
        self.running = False
        self.owes = False
        """Something came that no usage stands for yet."""
        self._sound = self._text = 0
        """Bytes of messages that no usage stands for yet."""
        self.context = 0
        """Tokens of the last answer that told its usage, with its prompt."""
        self.told_of = 0
        """How many answers have."""
        self._used = self._settled = ZERO
        self._told: Usage | None = None
        """The newest usage of the answer under way."""
        self._last: Usage | None = None
        """That of the answer before, until the next one begins."""
        self._lookups = Lookups()

    @property
    def is_quiet(self) -> bool:
        """Nothing is under way that would tell more."""
        return not (self.running or self.asked or self.owes)

    @property
    def is_settled(self) -> bool:
        """Of all answers that have ended."""
        return self._used == self._settled

    @property
    def waiting(self) -> Usage:
        """What was told and is not settled."""
        return minus(self._used if self._told is None else plus(self._told, self._used), self._settled)

    @property
    def has_told(self) -> bool:
        """Whether the answer under way has told a usage."""
        return self._told is not None

    @property
    def came(self) -> Usage:
        """Output that no usage stands for yet, guessed."""
        sound = -(-self._sound * 3 // (4 * SOUND_BYTES))
        return Usage(output_tokens=-(-self._text // TEXT_BYTES), audio_out_tokens=sound)

    def take(self) -> Usage:
        """What answers that have ended used since the last take."""
        used = minus(self._used, self._settled)
        self._settled = self._used
        return used

    def finish(self) -> None:
        """No message follows: what was told last is final."""
        self._fold()
        self._note_lookups()

    def seen(self, frame: Frame) -> bool:
        """Read a message; whether it said something about money. Never raises."""
        text = frame if isinstance(frame, bytes) else frame.encode()
        begins = CONTENT in text and self._content(text)
        if max(map(text.rfind, WATCHED)) < 0:
            return begins
        fields = read_fields(text)
        if fields is None:
            return begins
        server = nested(fields, "serverContent")
        if grounding := nested(server, "groundingMetadata"):
            self._lookups.note(Raw(msgspec.json.encode(grounding)))
        calls = "toolCall" in fields
        if calls:
            self._begin()
        if usage := nested(fields, "usageMetadata"):
            self._tell(usage)
        if server.get("turnComplete") is True:
            if not self.running:  # nothing came of it
                self.answered = 1
            self._end()
            self._note_lookups()
        elif calls:
            self._end()
        return True

    def _content(self, text: bytes) -> bool:
        """Note a piece of an answer; whether it is the first."""
        if SOUND in text:
            self._sound += len(text)
        else:
            self._text += len(text)
        return self._begin()

    def _begin(self) -> bool:
        self.owes = self._told is None
        if self.running:
            return False
        self.running, self.answered, self._last = True, self.asked, None
        return True

    def _end(self) -> None:
        self.asked -= min(self.asked, self.answered)
        self.running, self.answered = False, 0
        self._fold()

    def _tell(self, usage: Fields) -> None:
        told = self._read(usage)
        out = _out(told)
        if not told.prompt_tokens + out or (not self.running and told == self._last):
            return  # it says nothing, or the same again
        if self._told is not None and not (
            told.prompt_tokens == self._told.prompt_tokens and out >= _out(self._told)
        ):
            self._fold()
        self.told_of += self._told is None
        self._told, self.context = told, told.prompt_tokens + out
        self.owes, self._sound, self._text = False, 0, 0
        if not self.running:
            self._fold()

    def _fold(self) -> None:
        """The usage that was told last is final."""
        if self._told is not None:
            self._used = plus(self._told, self._used)
            self._last, self._told = self._told, None

    def _note_lookups(self) -> None:
        grounding = self._lookups.grounding()
        if grounding.queries or grounding.is_searched or grounding.is_mapped:
            fees = read_usage({}, Served(self._model, grounding=grounding))
            self._used = plus(self._used, fees)
            self._lookups = Lookups()

    def _read(self, usage: Fields) -> Usage:
        fields = dict(usage)
        for here, elsewhere in AS_ELSEWHERE:
            if here in fields:
                fields[elsewhere] = fields[here]
        return read_usage(fields, Served(self._model, makes=self.makes))


def _out(usage: Usage) -> int:
    return usage.output_tokens + usage.audio_out_tokens + usage.image_out_tokens + usage.video_out_tokens
