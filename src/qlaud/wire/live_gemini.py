"""Google's Gemini Live: tokens of every answer, by the usage that Google tells of it (`live_gemini_answers`).

What is held: an answer may begin because somebody stops speaking, so one is held all the time: the context so far, and
the most it may put out, at the dearest rates. One under way keeps its share until its turn ends, one that was asked for
from the moment it is. The context is what the last usage told, with all that was sent since the one before it (some of
it may have been on its way) and `HIDDEN_TOKENS` for what Google adds. Tools of Google's, files and a resumed
session bring in what nobody saw: the whole window. What Google bills beyond a hold is the operator's, not the key's.
"""

from collections.abc import Sequence

from qlaud.core.errors import BadRequest, QlaudError
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.gemini_media import SOUND_TOKENS_PER_S
from qlaud.wire.live import MS_PER_S, Frame, LiveTerms, Need
from qlaud.wire.live_gemini_answers import Answers
from qlaud.wire.live_gemini_reading import NOTHING_SAID, SETUP, read_frame, read_said, read_sound
from qlaud.wire.live_gemini_setup import Setup, read_setup
from qlaud.wire.live_sums import plus

DEFAULT_OUTPUT = 8_192
"""The most output tokens of a live model that does not say."""
HIDDEN_TOKENS = 2_048
"""More than Google was seen to add: 334 to 522 tokens in the first prompt, some of it silence, and 16 to 51 a turn."""
UNKNOWN_SIZE = "input of unknown size"


class GeminiLiveMeter:
    """The answers of one session, and what may still come."""

    second = None

    def __init__(self, query: bytes, terms: LiveTerms) -> None:
        self._live = terms
        self._answers = Answers(terms.model)
        self._setup: Setup | None = None
        self._said = NOTHING_SAID
        """The message offered last."""
        self._heard = self._is_open = False
        self._items = self._mark = self._next_mark = 0
        """Tokens added in the whole session, at most; when the last usage but one was told; when the last was."""
        self.foreign: str | None = None
        self.refused: QlaudError | None = None

    @property
    def countable(self) -> bool:
        """An answer cannot be counted, only waited for."""
        return self._answers.is_quiet

    @property
    def ready(self) -> bool:
        """Answers have told usage that is not settled, and none is under way."""
        return not (self._answers.is_settled or self._answers.running)

    @property
    def due(self) -> bool:
        """Each answer is settled when it has ended."""
        return self.ready

    @property
    def told_all(self) -> bool:
        """Nothing is under way that would tell more."""
        return self._answers.is_quiet

    def offer(self, frame: Frame) -> None:
        """What a message adds to the context and asks for, or what the setup says."""
        self._said, self.foreign, self.refused = NOTHING_SAID, None, None
        if self._setup is not None and (sound := read_sound(frame)) is not None:
            self._said = sound
            self._items += sound.tokens
            return
        try:
            kind, text = read_frame(frame)
            if (kind == SETUP) is (self._setup is not None):
                raise BadRequest("the first message must be `setup`, and only the first", param=kind)
            if kind == SETUP:
                self._begin(read_setup(text, self._live.model))
                return
            self._said = read_said(kind, text)
        except QlaudError as refusal:
            self.refused = refusal
            return
        self.foreign = self._said.resource
        self._items += self._said.tokens
        self._answers.asked += self._said.asks

    def sent(self) -> None:
        """The message offered last goes on."""
        said, self._said = self._said, NOTHING_SAID
        self._heard = self._heard or said.is_heard
        self._is_open = self._is_open or said.whole_context

    def withdraw(self) -> None:
        """The message offered last does not go on."""
        said, self._said = self._said, NOTHING_SAID
        self._items -= said.tokens
        self._answers.asked = max(0, self._answers.asked - said.asks)

    def seen(self, frame: Frame) -> bool:
        """What Google says: that an answer begins, ends, calls a tool, looked something up; what it used."""
        before = self._answers.told_of
        is_news = self._answers.seen(frame)
        if self._answers.told_of > before:
            self._mark, self._next_mark = self._next_mark, self._items
        return is_news

    def passed(self, elapsed_ms: int) -> None:
        """Time alone costs nothing here."""

    def need(self, *, ahead: bool) -> Need:
        """Every answer under way, asked for, or that may begin; and what is not settled yet."""
        setup, answers = self._setup or Setup(), self._answers
        alone = setup.begins_alone and (self._heard or self._said.is_heard)
        count = max(1, answers.running + max(0, answers.asked - answers.answered) + alone)
        room = self._live.slice_ms * SOUND_TOKENS_PER_S // MS_PER_S if ahead else 0
        waiting = answers.waiting
        made = waiting.output_tokens + waiting.audio_out_tokens + waiting.image_out_tokens
        searches = setup.searches * count + waiting.web_searches
        is_unknown = self._is_whole() and self._live.context_window is None
        return Need(
            input_tokens=self._context_tokens(room) * count + waiting.prompt_tokens,
            output_tokens=self._limit(setup) * count + made + waiting.video_out_tokens,
            most={"web_searches": searches} if searches else {},
            unbounded_tool=setup.unbounded or (UNKNOWN_SIZE if is_unknown else None),
        )

    def take(self, *, everything: bool = False) -> Metered:
        """What answers have told since."""
        return Nothing() if self._answers.is_settled else Exact(self._answers.take())

    def end(self, *, clean: bool) -> Metered:
        """The same; an answer that never told its usage is an estimate: its context, and what came of it.

        One that was asked for and of which nothing came counts likewise, unless Google itself has ended the session:
        then it was refused.
        """
        answers = self._answers
        owes = answers.owes or bool(answers.asked and not clean and not answers.has_told)
        answers.finish()
        told = self.take()
        if not owes:
            return told
        lost = plus(Usage(input_tokens=self._likely_context()), answers.came)
        return AtLeast(plus(told.usage, lost) if isinstance(told, Exact) else lost)

    def farewell(self) -> Sequence[Frame]:
        """Nothing stops an answer but its end; it is waited for."""
        return ()

    def _begin(self, setup: Setup) -> None:
        self._setup = setup
        self._answers.makes = setup.makes
        self._is_open = setup.whole_context
        self.foreign = setup.resource

    def _limit(self, setup: Setup) -> int:
        most = self._live.max_output or DEFAULT_OUTPUT
        return setup.candidates * (most if setup.max_output is None else min(most, setup.max_output))

    def _is_whole(self) -> bool:
        return self._is_open or self._said.whole_context

    def _context_tokens(self, room: int) -> int:
        window = self._live.context_window
        if window is not None and self._is_whole():
            return window
        tokens = self._likely_context() + HIDDEN_TOKENS + room
        return tokens if window is None else min(tokens, window)

    def _likely_context(self) -> int:
        before = self._setup.tokens if self._setup is not None else 0
        return max(self._answers.context, before) + self._items - self._mark
