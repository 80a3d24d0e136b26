"""What the simulator says: one script per model name, an answer per request.

An answer is the same for the same request, fits the output limit, and counts its tokens part by part.
"""

from dataclasses import dataclass
from typing import Literal

from qlaud.providers.simulator.arguments import arguments_for
from qlaud.providers.simulator.ask import Ask
from qlaud.providers.simulator.tokens import BYTES_PER_TOKEN, count, cut

ECHO = "sim/echo"
SLOW = "sim/slow"
LONG = "sim/long"
TOOL_USE = "sim/tool-use"
THINKING = "sim/thinking"
FAILS_MIDWAY = "sim/fails-midway"
NO_USAGE = "sim/no-usage"
RATE_LIMITED = "sim/rate-limited"
MODELS = (ECHO, SLOW, LONG, TOOL_USE, THINKING, FAILS_MIDWAY, NO_USAGE, RATE_LIMITED)

MAX_OUTPUT_TOKENS = 128_000
"""The output limit of every simulated model; a larger limit is lowered to it."""
LONG_TOKENS = 4096
"""The length of a long answer to a caller without a limit."""
MAX_THOUGHT_CHARACTERS = 120
_PARAGRAPH = "This is a long answer. It goes on until its limit is reached, in short and plain words. "


@dataclass(frozen=True, slots=True)
class Thought:
    """Thinking, billed as output whether it is shown or not."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """What is said."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `arguments` is JSON text, cut off in the middle unless `whole`."""

    name: str
    arguments: str
    whole: bool = True


Part = Thought | Text | Call
Stop = Literal["end", "limit", "sequence", "call"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of an answer."""

    parts: tuple[Part, ...]
    stop: Stop
    sequence: str | None
    """The stop sequence that was met."""
    output_tokens: int
    """Thinking included."""
    thinking_tokens: int


def play(ask: Ask) -> Answer:
    """The answer of the model that the request names; a name that is not the simulator's gets an echo."""
    limit = MAX_OUTPUT_TOKENS if ask.max_output is None else min(ask.max_output, MAX_OUTPUT_TOKENS)
    return _limited(_draft(ask, limit), limit, ask.stops)


def _draft(ask: Ask, limit: int) -> list[Part]:
    if ask.model == LONG:
        return [_filler(ask, limit)]
    if ask.model == TOOL_USE or ask.must_call:
        return _tool_turn(ask)
    if ask.model == THINKING or (ask.thinking and ask.model not in MODELS):
        return [_thought(ask), _echo(ask)]
    return [_echo(ask)]


def _filler(ask: Ask, limit: int) -> Text:
    # One token more than a limit that was given, so that the limit is what ends the answer.
    tokens = LONG_TOKENS if ask.max_output is None else limit + 1
    size = tokens * BYTES_PER_TOKEN
    return Text((_PARAGRAPH * (size // len(_PARAGRAPH) + 1))[:size])


def _echo(ask: Ask) -> Text:
    return Text(ask.said or "There is no text to repeat.")


def _thought(ask: Ask) -> Thought:
    said = " ".join(ask.said.split())[:MAX_THOUGHT_CHARACTERS]
    return Thought(
        f"The user said: {said} I will repeat it." if said else "The user said nothing. I will say so."
    )


def _tool_turn(ask: Ask) -> list[Part]:
    if ask.tool_result is not None:
        return [Text(f"The tool answered: {ask.tool_result}")]
    if not ask.tools:
        return [Text("There is no tool that I can call, so this is all.")]
    tool = ask.tools[0]
    call = Call(tool.name, arguments_for(bytes(tool.schema), ask.said))
    return [call] if ask.must_call else [Text(f"I will call the tool {tool.name}."), call]


def _limited(draft: list[Part], limit: int, stops: tuple[str, ...]) -> Answer:
    """The draft as far as its limit and stop sequences let it."""
    left, thinking = limit, 0
    parts: list[Part] = []
    stop: Stop = "end"
    sequence: str | None = None
    for part in draft:
        match part:
            case Thought(text):
                said = cut(text, left)
                kept, spent, stop = Thought(said), count(said), "end" if said == text else "limit"
                thinking += spent
            case Text(text):
                wanted, sequence = _stopped(text, stops)
                said = cut(wanted, left)
                if said != wanted:
                    sequence = None
                kept, spent = Text(said), count(said)
                stop = "limit" if said != wanted else "end" if sequence is None else "sequence"
            case Call(name, arguments):
                said = cut(arguments, max(0, left - count(name)))
                kept, spent = Call(name, said, said == arguments), count(name) + count(said)
                stop = "call" if said == arguments else "limit"
        if said:
            parts.append(kept)
            left -= spent
        if stop in ("limit", "sequence"):
            break
    return Answer(tuple(parts), stop, sequence, limit - left, thinking)


def _stopped(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """The text before the first stop sequence in it, and that sequence."""
    found = [(place, stop) for stop in stops if stop and (place := text.find(stop)) >= 0]
    if not found:
        return text, None
    place, stop = min(found)
    return text[:place], stop
